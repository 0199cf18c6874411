// All kernels of one level: compiled once for each, with LEVEL and the compiler's options for it.
#include "response_norm.hpp"
#include "winograd.hpp"

namespace LEVEL {

// Multiply-adds in registers, and the matrix product of one tile; both return how many operations they did.
static double peak() {
    constexpr int sums = 10, times = 20000;  // two units and four cycles want eight sums
    Vector sum[sums], factor = all(0.5f), other = all(0.25f), total{};
    repeat<sums>([&](auto s) INLINE_LAMBDA { sum[s] = all(float(s)); });  // no two the same, or one would do for all
    for (int i = 0; i < times; ++i) {
        repeat<sums>([&](auto s) INLINE_LAMBDA { sum[s] = sum[s] * factor + other; });
        asm volatile("" : "+r"(i));
    }
    repeat<sums>([&](auto s) INLINE_LAMBDA { total += sum[s]; });
    asm volatile("" : : "m"(total));
    return 2.0 * sums * times * LANES;
}

constexpr int COLUMNS = PANEL_GROUPS * GROUP;

static double product(int depth, float* memory) {
    const float *row[TILE_ROWS], *panel = memory + depth * TILE_ROWS;
    float* products = memory + depth * (TILE_ROWS + COLUMNS);
    for (int r = 0; r < TILE_ROWS; ++r) row[r] = memory + r * depth;
    const int runs = 1 + 2000000 / (depth * TILE_ROWS * COLUMNS);
    for (int i = 0; i < runs; ++i) {
        multiply<TILE_ROWS, COLUMNS / LANES>(row, 1, 0, depth, RUN, panel, panel, 0, [&](int v) INLINE_LAMBDA {
            return Products{products + v * LANES, COLUMNS};
        });
    }
    return 2.0 * runs * depth * TILE_ROWS * COLUMNS;
}

}  // namespace LEVEL

#define TABLE_NAME_OF(level) kernels_##level
#define TABLE_NAME(level) TABLE_NAME_OF(level)

const Kernels* TABLE_NAME(LEVEL)() {
    using namespace LEVEL;
    static const Kernels kernels = {TILE_ROWS, PANEL_GROUPS, direct, WINOGRAD_INPUTS, WINOGRAD_OUTPUTS, pool,
                                    response_norm, peak, product};
    return &kernels;
}
