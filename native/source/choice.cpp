#include "choice.hpp"

#include <algorithm>
#include <cmath>

#include "torchinception.h"

// The rule: each algorithm's time, counted in multiply-adds of the product, is
//
//   max(products, weights * FETCH) + (transformed inputs + transformed outputs) * TRANSFORM
//
// Products overlap with fetching the weights, which come from memory each time: a network's are larger than the caches.
// That is why small maps with many channels want small transforms, whose weights have grown less, and large maps or
// batches large ones. What FETCH and TRANSFORM are was measured on single layers with cold weights, by
// benchmarks/native_layers.py --cold, on Zen 5 (its product is so much quicker with AVX-512 that the rest costs more).
// How that compares to times inside networks is for tuning to find out.
struct Costs {
    double fetch, transform;
};

static Costs costs_of(int level) { return level == INCEPTION_AVX512 ? Costs{18, 16} : Costs{9, 10}; }

// Points far from 1 lose digits: these are for the fast tier alone.
static bool is_exact(const Algorithm& algorithm) {
    return algorithm.tile_height < 6 && algorithm.tile_width < 6;
}

static double time_of(const Algorithm& algorithm, const Layer& layer, const Costs& costs) {
    const double outputs = (layer.outputs + GROUP - 1) / GROUP * GROUP, pairs = outputs * layer.inputs;
    const double taps = double(layer.kernel_height) * layer.kernel_width;
    if (algorithm.is_direct()) {
        const double pixels = double(layer.images) * layer.height * layer.width;
        return std::max(pixels * taps * pairs, taps * pairs * costs.fetch);
    }
    const double down = std::ceil(double(layer.height) / algorithm.tile_height);
    const double values = layer.images * down * std::ceil(double(layer.width) / algorithm.tile_width) * algorithm.points();
    const double slots = slot_count(algorithm);
    return std::max(values * pairs, slots * pairs * costs.fetch) + values * (layer.inputs + outputs) * costs.transform;
}

int choose(const inception_context& context, int tier, const Layer& layer) {
    const Costs costs = costs_of(context.level);
    int best = 0;
    for (int number = 1; number < algorithm_count() && tier != INCEPTION_TIER_DIRECT; ++number) {
        const Algorithm& algorithm = *algorithm_of(number);
        if (!fits(number, layer.kernel_height, layer.kernel_width, layer.stride)) continue;
        if (tier == INCEPTION_TIER_DEFAULT && !is_exact(algorithm)) continue;
        if (time_of(algorithm, layer, costs) < time_of(*algorithm_of(best), layer, costs)) best = number;
    }
    return best;
}
