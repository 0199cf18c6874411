// Which algorithm is expected to be quickest.
#include <algorithm>
#include <cmath>

#include "failure.hpp"
#include "weights.hpp"

// The rule: each algorithm's time, counted in multiply-adds of the product, is
//
//   max(products, weights * fetch) + (inputs and outputs of products) * (weights of each input and output) / 2
//
// Products overlap with fetching the weights, which come from memory each time: a network's are larger than the caches.
// That is why small maps with many channels want small transforms, whose weights have grown less, and large maps or
// batches large ones. The larger a transform is, the less it is done in registers. Direct convolution transforms
// nothing, but its sums too have to be begun and put away. The numbers were fitted to the times of all layers of the
// family that have a choice, with cold weights, batches of 1 and 8, on Zen 5: what the rule chooses takes 1 % longer in
// all than the quickest. Threads do not count, so that they do not decide the answer. Within networks,
// tuning finds out.
constexpr double TRANSFORM = 0.5, PUT_AWAY = 8, FETCH = 6, FETCH_AVX512 = 15;

int inception_choose(const inception_context* context, int tier, int inputs, int outputs, int kernel_height,
                     int kernel_width, int stride, int images, int height, int width) {
    return guarded({context}, [&] {
        if (tier < INCEPTION_TIER_DIRECT || tier > INCEPTION_TIER_FAST) refuse("no tier ", tier);
        const double fetch = context->level == INCEPTION_AVX512 ? FETCH_AVX512 : FETCH;
        const double columns = (outputs + GROUP - 1) / GROUP * GROUP, taps = double(kernel_height) * kernel_width;
        const double pixels = double(images) * height * width;
        double least = std::max(pixels, fetch) * taps * columns * inputs + pixels * columns * PUT_AWAY;
        int best = 0;
        for (int number = 1; number < algorithm_count() && tier != INCEPTION_TIER_DIRECT; ++number) {
            const Algorithm& algorithm = *algorithm_of(number);
            // Points far from 1 lose digits: these are for the fast tier alone.
            const int side = std::max(algorithm.tile_height, algorithm.tile_width);
            if (side > 5 && tier < INCEPTION_TIER_FAST) continue;
            if (!fits(number, kernel_height, kernel_width, stride)) continue;
            const double tiles = std::ceil(double(height) / algorithm.tile_height) *
                                 std::ceil(double(width) / algorithm.tile_width) * images;
            const double values = tiles * algorithm.points(), slots = slot_count(algorithm);
            const double time = std::max(values, slots * fetch) * columns * inputs +
                                values * (inputs + columns) * slots * TRANSFORM;
            if (time < least) best = number;
            least = std::min(least, time);
        }
        return best;
    });
}
