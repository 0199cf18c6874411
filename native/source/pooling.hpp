// Pools and depthwise convolutions: windows of the input, each channel by itself.
#pragma once

#include "vector.hpp"

namespace LEVEL {

// What a window has of the input; `counted` cells, with padding, are what a mean that counts it divides by.
struct Cut {
    int top, bottom, left, right, counted;

    INLINE Cut(const Window& window, const Pixels& from, int y, int x) {
        const int above = y * window.stride - window.top, before = x * window.stride - window.left;
        top = most(above, 0);
        left = most(before, 0);
        bottom = least(above + window.kernel_height, from.height);
        right = least(before + window.kernel_width, from.width);
        counted = (least(above + window.kernel_height, from.height + window.bottom) - above) *
                  (least(before + window.kernel_width, from.width + window.right) - before);
    }

    INLINE int cells() const { return (bottom - top) * (right - left); }
};

// The largest or the sum of `Vectors` vectors of channels, of which the last may be short.
template <bool Largest, int Vectors>
INLINE void reduce(const Pixels& from, const float* first, const Cut& cut, int left, Vector* total) {
    repeat<Vectors>([&](auto v) INLINE_LAMBDA {
        total[v] = !Largest ? Vector{} : Vectors == 1 ? load_some(first, left) : load(first + v * LANES);
    });
    for (int y = 0; y < cut.bottom - cut.top; ++y) {
        for (int x = 0; x < cut.right - cut.left; ++x) {
            const float* cell = first + (int64_t(y) * from.width + x) * from.apart;
            repeat<Vectors>([&](auto v) INLINE_LAMBDA {
                const Vector value = Vectors == 1 ? load_some(cell, left) : load(cell + v * LANES);
                total[v] = Largest ? larger(total[v], value) : total[v] + value;
            });
        }
    }
}

template <bool Largest, class Finish>
INLINE void pool_pixel(const Pixels& from, int image, const Cut& cut, float* to, const Finish& finish) {
    constexpr int many = 4;
    const float* first = from.at(image, cut.top, cut.left);
    int channel = 0;
    for (; channel + many * LANES <= from.channels; channel += many * LANES) {
        Vector total[many];
        reduce<Largest, many>(from, first + channel, cut, 0, total);
        repeat<many>([&](auto v) INLINE_LAMBDA {
            store(to + channel + v * LANES, finish(total[v], channel + v * LANES, LANES));
        });
    }
    for (; channel < from.channels; channel += LANES) {
        const int left = from.channels - channel;
        Vector total[1];
        reduce<Largest, 1>(from, first + channel, cut, left, total);
        store_some(to + channel, finish(total[0], channel, left), left);
    }
}

// `rows` are output rows of all images.
static void pool(const PoolTask& task, Range rows) {
    const Pixels &from = task.from, &to = task.to;
    for (int row = rows.first; row < rows.last; ++row) {
        const int image = row / to.height, y = row % to.height;
        for (int x = 0; x < to.width; ++x) {
            const Cut cut(task.window, from, y, x);
            float* out = to.at(image, y, x);
            if (task.kind == 0) {
                pool_pixel<true>(from, image, cut, out, [](Vector value, int, int) INLINE_LAMBDA { return value; });
                continue;
            }
            const Vector part = all(1.0f / float(task.kind == 1 ? cut.cells() : cut.counted));
            pool_pixel<false>(from, image, cut, out, [&](Vector value, int channel, int left) INLINE_LAMBDA {
                const Vector bias = task.bias ? load_some(task.bias + channel, left) : Vector{};
                return larger(all(task.least), value * part + bias);
            });
        }
    }
}

static void adaptive_pool(const Pixels& from, const Pixels& to, Range rows) {
    for (int row = rows.first; row < rows.last; ++row) {
        const int image = row / to.height, y = row % to.height;
        for (int x = 0; x < to.width; ++x) {
            Cut cut({1, 1, 1, 0, 0, 0, 0}, from, 0, 0);
            cut.top = y * from.height / to.height;
            cut.bottom = ((y + 1) * from.height + to.height - 1) / to.height;
            cut.left = x * from.width / to.width;
            cut.right = ((x + 1) * from.width + to.width - 1) / to.width;
            const Vector part = all(1.0f / float(cut.cells()));
            pool_pixel<false>(from, image, cut, to.at(image, y, x),
                              [&](Vector value, int, int) INLINE_LAMBDA { return value * part; });
        }
    }
}

template <int Vectors>
INLINE void depthwise_some(const DepthwiseTask& task, const Cut& cut, const float* first, const float* kernel,
                           int channel, int left, float* to) {
    const Pixels& from = task.from;
    const int taps = task.window.kernel_height * task.window.kernel_width;
    const Vector least_read = all(task.least_read);
    Vector total[Vectors];
    repeat<Vectors>([&](auto v) INLINE_LAMBDA {
        const float* bias = task.kernel + int64_t(taps) * from.channels + channel + v * LANES;
        total[v] = Vectors == 1 ? load_some(bias, left) : load(bias);
    });
    for (int y = 0; y < cut.bottom - cut.top; ++y) {
        for (int x = 0; x < cut.right - cut.left; ++x) {
            const float* cell = first + (int64_t(y) * from.width + x) * from.apart + channel;
            const float* factor = kernel + (y * task.window.kernel_width + x) * from.channels + channel;
            repeat<Vectors>([&](auto v) INLINE_LAMBDA {
                const Vector value = Vectors == 1 ? load_some(cell, left) : load(cell + v * LANES);
                const Vector weight = Vectors == 1 ? load_some(factor, left) : load(factor + v * LANES);
                total[v] += larger(least_read, value) * weight;
            });
        }
    }
    repeat<Vectors>([&](auto v) INLINE_LAMBDA {
        store_some(to + channel + v * LANES, larger(all(task.least), total[v]), left - v * LANES);
    });
}

static void depthwise(const DepthwiseTask& task, Range rows) {
    const Pixels &from = task.from, &to = task.to;
    const Window& window = task.window;
    for (int row = rows.first; row < rows.last; ++row) {
        const int image = row / to.height, y = row % to.height;
        for (int x = 0; x < to.width; ++x) {
            const Cut cut(window, from, y, x);
            const int above = cut.top - (y * window.stride - window.top);
            const int before = cut.left - (x * window.stride - window.left);
            const float* kernel = task.kernel + (above * window.kernel_width + before) * from.channels;
            const float* first = from.at(image, cut.top, cut.left);
            int channel = 0;
            for (; channel + 4 * LANES <= from.channels; channel += 4 * LANES) {
                depthwise_some<4>(task, cut, first, kernel, channel, 4 * LANES, to.at(image, y, x));
            }
            for (; channel < from.channels; channel += LANES) {
                depthwise_some<1>(task, cut, first, kernel, channel, from.channels - channel, to.at(image, y, x));
            }
        }
    }
}

}  // namespace LEVEL
