// What goes wrong on purpose; the C interface turns it into a status and a sentence.
#pragma once

#include <initializer_list>
#include <sstream>
#include <string>
#include <type_traits>

#include "torchinception.h"

struct Failure {
    int status;
    std::string text;
};

template <int Status = INCEPTION_INVALID, class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Failure{Status, text.str()};
}

// The status of the exception that is being handled; keeps what it says.
int status_of_exception() noexcept;

// What `work` returns, 0 if nothing, or the status of its failure; it may use `pointers`, of which none is null.
template <class Work>
int guarded(std::initializer_list<const void*> pointers, const Work& work) noexcept {
    try {
        for (const void* pointer : pointers) {
            if (!pointer) refuse("a null pointer");
        }
        if constexpr (std::is_void_v<decltype(work())>) {
            work();
            return 0;
        } else {
            return work();
        }
    } catch (...) {
        return status_of_exception();
    }
}
