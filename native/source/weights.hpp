// Kernels as the products read them.
#pragma once

#include <vector>

#include "kernels.hpp"
#include "memory.hpp"
#include "threads.hpp"

struct inception_context {
    const Kernels* kernels;
    int level;
    Threads threads;
};

struct inception_weights {
    int algorithm;  // or DEPTHWISE
    int outputs, inputs, kernel_height, kernel_width;
    std::vector<int> segments;
    int groups = 0, panels = 0, slot_count = 0;
    std::vector<PointSlot> order;
    // (panels, slots, inputs, columns of the panel); depthwise (taps, channels), then the bias.
    Floats data;
    Floats bias;  // (groups, GROUP)
};

constexpr int DEPTHWISE = -1;

const Algorithm* algorithm_of(int number);  // or null
int algorithm_count();
int slot_count(const Algorithm& algorithm);  // matrices of weights; 0 if direct
bool fits(int algorithm, int kernel_height, int kernel_width, int stride);

inception_weights* pack(const inception_context& context, int algorithm, const double* kernel, const double* bias,
                        int outputs, int inputs, int kernel_height, int kernel_width,
                        const std::vector<int>& segments);
inception_weights* pack_depthwise(const double* kernel, const double* bias, int channels, int kernel_height,
                                  int kernel_width);
