// Windows of the input, each channel by itself.
#pragma once

#include "torchinception.h"
#include "vector.hpp"

namespace LEVEL {

struct Box {
    int top, left, bottom, right;

    INLINE int cells() const { return (bottom - top) * (right - left); }

    INLINE Box within(const Box& other) const {
        return {most(top, other.top), most(left, other.left), least(bottom, other.bottom), least(right, other.right)};
    }
};

INLINE Box box_of(const Window& window, int y, int x) {
    const int top = y * window.stride - window.top, left = x * window.stride - window.left;
    return {top, left, top + window.kernel_height, left + window.kernel_width};
}

// How an adaptive pool cuts `from` into as many parts as `to` has cells.
INLINE Box box_of(const Pixels& from, const Pixels& to, int y, int x) {
    return {y * from.height / to.height, x * from.width / to.width,
            ((y + 1) * from.height + to.height - 1) / to.height, ((x + 1) * from.width + to.width - 1) / to.width};
}

// `Vectors` vectors of channels of one output, the last of which may be short, of all cells of a box:
// `total = next(total, value, row and column in the box, channel, channels left)`, then what `finish` makes of it.
template <int Vectors, class Next, class Finish>
INLINE void reduce_some(const Pixels& from, const float* first, const Box& box, int channel, int left, float start,
                        float* to, const Next& next, const Finish& finish) {
    Vector total[Vectors];
    repeat<Vectors>([&](auto v) INLINE_LAMBDA { total[v] = all(start); });
    for (int y = 0; y < box.bottom - box.top; ++y) {
        for (int x = 0; x < box.right - box.left; ++x) {
            const float* cell = first + (int64_t(y) * from.width + x) * from.apart + channel;
            repeat<Vectors>([&](auto v) INLINE_LAMBDA {
                const Vector value = load_some(cell + v * LANES, left - v * LANES);
                total[v] = next(total[v], value, y, x, channel + v * LANES, left - v * LANES);
            });
        }
    }
    repeat<Vectors>([&](auto v) INLINE_LAMBDA {
        const Vector value = finish(total[v], channel + v * LANES, left - v * LANES);
        store_some(to + channel + v * LANES, value, left - v * LANES);
    });
}

template <class Next, class Finish>
INLINE void reduce(const Pixels& from, int image, const Box& box, float start, float* to, const Next& next,
                   const Finish& finish) {
    constexpr int many = 4;
    const float* first = from.at(image, box.top, box.left);
    int channel = 0;
    for (; channel + many * LANES <= from.channels; channel += many * LANES) {
        reduce_some<many>(from, first, box, channel, many * LANES, start, to, next, finish);
    }
    for (; channel < from.channels; channel += LANES) {
        reduce_some<1>(from, first, box, channel, from.channels - channel, start, to, next, finish);
    }
}

// `rows` are output rows of all images. What is given are copies: a store cannot change them.
static void pool(Pool task, Pixels from, Pixels added, Pixels to, Range rows) {
    const Window& window = task.window;
    const Box picture = {0, 0, from.height, from.width};
    const Box padded = {-window.top, -window.left, from.height + window.bottom, from.width + window.right};
    const bool is_mean = task.kind != INCEPTION_MAX && task.kind != INCEPTION_FILTER;
    const bool more = task.scale || task.shift || added.data || task.least == 0;  // than the pool alone
    for (int pixel = rows.first * to.width; pixel < rows.last * to.width; ++pixel) {
        const int image = pixel / to.width / to.height, y = pixel / to.width % to.height, x = pixel % to.width;
        const Box whole = task.kind == INCEPTION_ADAPTIVE ? box_of(from, to, y, x) : box_of(window, y, x);
        const Box inside = whole.within(picture);
        const Box counted = task.kind == INCEPTION_AVERAGE_PADDING ? whole.within(padded) : inside;
        const Vector part = all(is_mean ? 1.0f / float(counted.cells()) : 1.0f);
        const auto finish = [&](Vector total, int channel, int left) INLINE_LAMBDA {
            total *= part;
            if (!more) return total;
            if (task.scale) total *= load_some(task.scale + channel, left);
            if (task.shift) total += load_some(task.shift + channel, left);
            if (added.data) total += load_some(added.at(image, y, x) + channel, left);
            return larger(all(task.least), total);
        };
        const auto reduced = [&](float start, const auto& next) INLINE_LAMBDA {
            reduce(from, image, inside, start, to.at(image, y, x), next, finish);
        };
        if (task.kind == INCEPTION_MAX) {
            reduced(task.least_read, [](Vector total, Vector value, int, int, int, int) INLINE_LAMBDA {
                return (total >= value) | (total != total) ? total : value;  // what is not a number stays
            });
        } else if (task.kind == INCEPTION_FILTER) {
            const int width = window.kernel_width, channels = from.channels;
            const int first = (inside.top - whole.top) * width + inside.left - whole.left;
            const float* kernel = task.kernel + int64_t(first) * channels;
            reduced(0, [&](Vector total, Vector value, int row, int column, int channel, int left) INLINE_LAMBDA {
                const Vector weight = load_some(kernel + (row * width + column) * channels + channel, left);
                return total + larger(all(task.least_read), value) * weight;
            });
        } else {
            reduced(0, [&](Vector total, Vector value, int, int, int, int) INLINE_LAMBDA {
                return total + larger(all(task.least_read), value);
            });
        }
    }
}

}  // namespace LEVEL
