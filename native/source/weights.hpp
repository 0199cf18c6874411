// Kernels as the products read them.
#pragma once

#include <vector>

#include "kernels.hpp"
#include "memory.hpp"
#include "threads.hpp"
#include "torchinception.h"

struct inception_context {
    const Kernels* kernels;
    int level;
    Threads threads;
};

struct inception_weights {
    int algorithm, outputs, inputs, kernel_height, kernel_width;
    std::vector<int> segments;
    int groups = 0, panels = 0, slot_count = 0;
    std::vector<PointSlot> order = {};
    Floats data = {};  // (panels, slots, inputs, columns of the panel)
    Floats bias = {};  // (groups, GROUP)
};

const Algorithm* algorithm_of(int number);  // or null
int algorithm_count();
int slot_count(const Algorithm& algorithm);  // matrices of weights; 0 if direct
bool fits(int algorithm, int kernel_height, int kernel_width, int stride);
