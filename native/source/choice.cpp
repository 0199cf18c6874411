// Which algorithm is expected to be quickest.
#include <algorithm>
#include <cmath>

#include "failure.hpp"
#include "weights.hpp"

struct Layer {
    int inputs, outputs, kernel_height, kernel_width, stride;
    int images, height, width;  // of the output
};

// The rule: each algorithm's time, counted in multiply-adds of the product, is
//
//   max(products, weights * fetch) + (inputs and outputs of products) * (weights of each input and output) / 2
//
// Products overlap with fetching the weights, which come from memory each time: a network's are larger than the caches.
// That is why small maps with many channels want small transforms, whose weights have grown less, and large maps or
// batches large ones. The larger a transform is, the less it is done in registers. Direct convolution transforms
// nothing, but its sums too have to be begun and put away. The numbers were fitted to the times of all layers of the
// family that have a choice, with cold weights, batches of 1 and 8, on Zen 5: what the rule chooses takes 1 % longer in all
// than the quickest. Threads do not count, so that they do not decide the answer. Within networks, tuning finds out.
constexpr double TRANSFORM = 0.5, PUT_AWAY = 8;

static double fetch_of(const inception_context& context) { return context.level == INCEPTION_AVX512 ? 15 : 6; }

// Points far from 1 lose digits: these are for the fast tier alone.
static bool is_exact(const Algorithm& algorithm) {
    return algorithm.tile_height < 6 && algorithm.tile_width < 6;
}

static double time_of(const Algorithm& algorithm, const Layer& layer, double fetch) {
    const double outputs = (layer.outputs + GROUP - 1) / GROUP * GROUP, pairs = outputs * layer.inputs;
    if (algorithm.is_direct()) {
        const double taps = double(layer.kernel_height) * layer.kernel_width;
        const double pixels = double(layer.images) * layer.height * layer.width;
        return std::max(pixels, fetch) * taps * pairs + pixels * outputs * PUT_AWAY;
    }
    const double down = std::ceil(double(layer.height) / algorithm.tile_height);
    const double values = layer.images * down * std::ceil(double(layer.width) / algorithm.tile_width) * algorithm.points();
    const double slots = slot_count(algorithm);
    return std::max(values, slots * fetch) * pairs + values * (layer.inputs + outputs) * slots * TRANSFORM;
}

int inception_choose(const inception_context* context, int tier, int inputs, int outputs, int kernel_height,
                     int kernel_width, int stride, int images, int height, int width) {
    return guarded({context}, [&] {
        if (tier < INCEPTION_TIER_DIRECT || tier > INCEPTION_TIER_FAST) refuse("no tier ", tier);
        const Layer layer = {inputs, outputs, kernel_height, kernel_width, stride, images, height, width};
        const double fetch = fetch_of(*context);
        int best = 0;
        for (int number = 1; number < algorithm_count() && tier != INCEPTION_TIER_DIRECT; ++number) {
            const Algorithm& algorithm = *algorithm_of(number);
            if (!fits(number, kernel_height, kernel_width, stride)) continue;
            if (tier == INCEPTION_TIER_DEFAULT && !is_exact(algorithm)) continue;
            if (time_of(algorithm, layer, fetch) < time_of(*algorithm_of(best), layer, fetch)) best = number;
        }
        return best;
    });
}
