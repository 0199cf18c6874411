// The matrix product that every convolution is made of: a tile of a few rows times a panel of a few groups of columns,
// all sums in registers.
#pragma once

#include "vector.hpp"

namespace LEVEL {

constexpr int RUN = 128;  // products that are added up after each other

// sums[r][v] = sum over taps t and k < depth of rows[t * taps_apart + r][k] * panel[t * depth + k][v], in an order that
// is the same whatever the size of the tile, so that splitting rows another way changes no bit. The order: `run`
// products after each other, and then the sums of these, since the error of a sum grows with the number of terms.
// `finish(v)` says what takes the sums of a column: put(r, sum). Meanwhile lines of the weights that come next are
// fetched, from `ahead` on, `ahead_step` floats for each k: weights of a network are larger than all caches.
template <int Rows, int Vectors, class Finish>
__attribute__((noinline)) void multiply(const float* const* rows, int taps, int taps_apart, int depth, int run,
                                        const float* panel, const float* ahead, int ahead_step,
                                        const Finish& finish) {
    Vector sums[Rows * Vectors] = {}, totals[Rows * Vectors] = {};
    int room = run;
    for (int tap = 0; tap < taps; ++tap, rows += taps_apart) {
        const float* row[Rows];
        repeat<Rows>([&](auto r) INLINE_LAMBDA { row[r] = rows[r]; });
        for (int k = 0; k < depth;) {
            const int end = least(depth, k + room);
            room -= end - k;
#pragma GCC unroll 4
            for (; k < end; ++k, panel += Vectors * LANES) {
                Vector column[Vectors];
                repeat<Vectors / VECTORS>([&](auto g) INLINE_LAMBDA { __builtin_prefetch(ahead + g * GROUP); });
                ahead += ahead_step;
                repeat<Vectors>([&](auto v) INLINE_LAMBDA { column[v] = load(panel + v * LANES); });
                repeat<Rows>([&](auto r) INLINE_LAMBDA {
                    const Vector value = all(row[r][k]);
                    repeat<Vectors>([&](auto v) INLINE_LAMBDA { sums[r * Vectors + v] += value * column[v]; });
                });
            }
            if (room > 0) continue;
            repeat<Rows * Vectors>([&](auto i) INLINE_LAMBDA {
                totals[i] += sums[i];
                sums[i] = Vector{};
            });
            room = run;
        }
    }
    repeat<Vectors>([&](auto v) INLINE_LAMBDA {
        const auto put = finish(int(v));
        repeat<Rows>([&](auto r) INLINE_LAMBDA { put(int(r), totals[r * Vectors + v] + sums[r * Vectors + v]); });
    });
}

// For any number of rows up to TILE_ROWS, and of groups up to PANEL_GROUPS.
template <int Rows = TILE_ROWS, int Groups = PANEL_GROUPS, class... Arguments>
INLINE void multiply_any(int rows, int groups, const Arguments&... arguments) {
    if constexpr (Rows > 1) {
        if (rows < Rows) return multiply_any<Rows - 1, Groups>(rows, groups, arguments...);
    }
    if constexpr (Groups > 1) {
        if (groups < Groups) return multiply_any<Rows, Groups - 1>(rows, groups, arguments...);
    }
    multiply<Rows, Groups * VECTORS>(arguments...);
}

}  // namespace LEVEL
