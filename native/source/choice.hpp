// Which algorithm is expected to be quickest.
#pragma once

#include "weights.hpp"

struct Layer {
    int inputs, outputs, kernel_height, kernel_width, stride;
    int images, height, width;  // of the output
};

int choose(const inception_context& context, int tier, const Layer& layer);
