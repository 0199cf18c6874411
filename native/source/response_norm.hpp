// A norm over channels of one pixel.
#pragma once

#include "pooling.hpp"

namespace LEVEL {

INLINE Vector root(Vector value) {
    for (int lane = 0; lane < LANES; ++lane) value[lane] = __builtin_sqrtf(value[lane]);
    return value;
}

static void response_norm(const Pixels& from, int size, float alpha, float beta, float k, const Pixels& to, Range rows,
                          float* scratch) {
    // Squares of a pixel, with as many zeros ahead and behind as windows reach beyond; PyTorch's begin size / 2 ahead.
    const int ahead = size / 2;
    for (int i = 0; i < from.channels + size + 2 * LANES; ++i) scratch[i] = 0;
    for (int64_t pixel = int64_t(rows.first) * to.width; pixel < int64_t(rows.last) * to.width; ++pixel) {
        const float* in = from.data + pixel * from.apart;
        for (int channel = 0; channel < from.channels; channel += LANES) {
            const Vector value = load_some(in + channel, from.channels - channel);
            store(scratch + ahead + channel, value * value);
        }
        for (int channel = 0; channel < from.channels; channel += LANES) {
            const int left = from.channels - channel;
            Vector total{};
            for (int i = 0; i < size; ++i) total += load(scratch + channel + i);
            const Vector base = total * (alpha / float(size)) + k;
            Vector power{};
            if (beta == 0.75f) {  // the papers'
                const Vector half = root(base);
                power = half * root(half);
            } else {
                for (int lane = 0; lane < LANES; ++lane) power[lane] = __builtin_powf(base[lane], beta);
            }
            store_some(to.data + pixel * to.apart + channel, load_some(in + channel, left) / power, left);
        }
    }
}

}  // namespace LEVEL
