// Floats that begin at a cache line.
#pragma once

#include <cstddef>
#include <new>
#include <vector>

template <class Number>
struct AtCacheLine {
    typedef Number value_type;

    Number* allocate(size_t count) {
        return static_cast<Number*>(::operator new(count * sizeof(Number), std::align_val_t(64)));
    }
    void deallocate(Number* place, size_t) { ::operator delete(place, std::align_val_t(64)); }
    bool operator==(const AtCacheLine&) const { return true; }
    bool operator!=(const AtCacheLine&) const { return false; }
};

typedef std::vector<float, AtCacheLine<float>> Floats;
