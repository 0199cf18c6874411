// What goes wrong on purpose; the C interface turns it into a status and a sentence.
#pragma once

#include <sstream>
#include <string>

struct Failure {
    int status;
    std::string text;
};

template <class... Parts>
[[noreturn]] void fail(int status, const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Failure{status, text.str()};
}
