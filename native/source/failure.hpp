// What goes wrong on purpose; the C interface turns it into a status and a sentence.
#pragma once

#include <sstream>
#include <string>

#include "torchinception.h"

struct Failure {
    int status;
    std::string text;
};

template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Failure{INCEPTION_INVALID, text.str()};
}

template <class... Pointers>
void need(const Pointers*... pointers) {
    if (!(... && pointers)) refuse("a null pointer");
}

// The status of the exception that is being handled; keeps what it says.
int status_of_exception() noexcept;

// What `work` returns, or the status of its failure.
template <class Work>
int guarded(const Work& work) noexcept {
    try {
        return work();
    } catch (...) {
        return status_of_exception();
    }
}
