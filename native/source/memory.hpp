// Floats that begin at a cache line.
#pragma once

#include <cstddef>
#include <cstring>
#include <new>
#include <utility>

class Floats {
public:
    Floats() = default;
    explicit Floats(size_t count) : count_(count) {
        data_ = static_cast<float*>(::operator new(count * sizeof(float) + 1, std::align_val_t(64)));
        std::memset(data_, 0, count * sizeof(float));  // which also has the system provide them
    }
    ~Floats() { ::operator delete(data_, std::align_val_t(64)); }
    Floats(Floats&& other) noexcept { swap(other); }
    Floats& operator=(Floats&& other) noexcept {
        swap(other);
        return *this;
    }

    float* data() const { return data_; }
    size_t bytes() const { return count_ * sizeof(float); }

private:
    void swap(Floats& other) {
        std::swap(data_, other.data_);
        std::swap(count_, other.count_);
    }

    float* data_ = nullptr;
    size_t count_ = 0;
};
