// All kernels of one level: compiled once for each, with LEVEL and the compiler's options for it.
#include <chrono>

#include "response_norm.hpp"
#include "winograd.hpp"

namespace LEVEL {

static double seconds_now() {
    return double(std::chrono::steady_clock::now().time_since_epoch().count()) * std::chrono::steady_clock::period::num /
           std::chrono::steady_clock::period::den;
}

// The best rate of many runs of `work`, which does `flops`.
template <class Work>
static double best_gflops(double seconds, double flops, const Work& work) {
    double best = 0;
    const double end = seconds_now() + seconds;
    do {
        const double begin = seconds_now();
        work();
        const double rate = flops / (seconds_now() - begin) * 1e-9;
        if (rate > best) best = rate;
    } while (seconds_now() < end);
    return best;
}

static void measure(int depth, double seconds, double* peak_gflops, double* product_gflops) {
    constexpr int sums = 10, times = 20000;  // two units and four cycles want eight sums
    Vector sum[sums], factor = all(0.5f), other = all(0.25f);
    repeat<sums>([&](auto s) INLINE_LAMBDA { sum[s] = all(float(s)); });  // no two the same, or one would do for all
    *peak_gflops = best_gflops(seconds / 2, 2.0 * sums * times * LANES, [&] {
        for (int i = 0; i < times; ++i) {
            repeat<sums>([&](auto s) INLINE_LAMBDA { sum[s] = sum[s] * factor + other; });
            asm volatile("" : "+r"(i));
        }
        Vector total{};
        repeat<sums>([&](auto s) INLINE_LAMBDA { total += sum[s]; });
        asm volatile("" : : "m"(total));
    });
    constexpr int rows = TILE_ROWS, columns = PANEL_GROUPS * GROUP;
    alignas(64) static float products[rows * columns];
    float* memory = new float[size_t(depth) * (rows + columns)]();
    const float* row[rows];
    for (int r = 0; r < rows; ++r) row[r] = memory + r * depth;
    const int runs = 1 + 2000000 / (depth * rows * columns);
    *product_gflops = best_gflops(seconds / 2, 2.0 * runs * depth * rows * columns, [&] {
        for (int i = 0; i < runs; ++i) {
            multiply<rows, columns / LANES>(row, 1, 0, depth, RUN, memory + rows * depth, memory, 0,
                                         [&](int v) INLINE_LAMBDA { return Products{products + v * LANES, columns}; });
        }
    });
    delete[] memory;
}

}  // namespace LEVEL

#define TABLE_NAME_OF(level) kernels_##level
#define TABLE_NAME(level) TABLE_NAME_OF(level)

const Kernels* TABLE_NAME(LEVEL)() {
    using namespace LEVEL;
    static const Kernels kernels = {LANES, TILE_ROWS, PANEL_GROUPS, direct, WINOGRAD_INPUTS, WINOGRAD_OUTPUTS, pool,
                                    response_norm, measure};
    return &kernels;
}
