// The vector type of one instruction set. Everything that includes this is compiled once for each level, into a
// namespace of its own: no function may be shared between levels, or a processor would be given another's instructions.
// For the same reason these files use no templates of the standard library.
#pragma once

#if defined(LEVEL_AVX512) || defined(LEVEL_AVX2)
#include <immintrin.h>
#endif

#include "kernels.hpp"

#define INLINE_LAMBDA __attribute__((always_inline))

namespace LEVEL {

#if defined(LEVEL_AVX512)
constexpr int LANES = 16, TILE_ROWS = 8, PANEL_GROUPS = 3;
#elif defined(LEVEL_AVX2)
constexpr int LANES = 8, TILE_ROWS = 6, PANEL_GROUPS = 1;
#else
constexpr int LANES = 4, TILE_ROWS = 5, PANEL_GROUPS = 1;
#endif

constexpr int VECTORS = GROUP / LANES;

typedef float Vector __attribute__((vector_size(4 * LANES)));
typedef float Unaligned __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE Vector load(const float* from) { return *reinterpret_cast<const Unaligned*>(from); }

INLINE void store(float* to, Vector value) { *reinterpret_cast<Unaligned*>(to) = value; }

INLINE Vector all(float value) { return value - Vector{}; }

// The first `count` lanes, 0 to LANES; nothing behind them is touched.
INLINE Vector load(const float* from, int count) {
#if defined(LEVEL_AVX512)
    return reinterpret_cast<Vector>(_mm512_maskz_loadu_ps((1u << count) - 1, from));
#elif defined(LEVEL_AVX2)
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return reinterpret_cast<Vector>(_mm256_maskload_ps(from, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes)));
#else
    Vector value{};
    for (int lane = 0; lane < count && lane < LANES; ++lane) value[lane] = from[lane];
    return value;
#endif
}

INLINE void store(float* to, Vector value, int count) {
#if defined(LEVEL_AVX512)
    _mm512_mask_storeu_ps(to, (1u << count) - 1, reinterpret_cast<__m512>(value));
#elif defined(LEVEL_AVX2)
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(to, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lanes), reinterpret_cast<__m256>(value));
#else
    for (int lane = 0; lane < count && lane < LANES; ++lane) to[lane] = value[lane];
#endif
}

INLINE Vector load_some(const float* from, int count) { return count >= LANES ? load(from) : load(from, count); }

INLINE void store_some(float* to, Vector value, int count) {
    if (count >= LANES) {
        store(to, value);
    } else {
        store(to, value, count);
    }
}

// What is not a number stays. Compilers know this form as the instruction of x86, whose second operand wins then.
INLINE Vector larger(Vector least, Vector value) { return value < least ? least : value; }

template <int Number>
struct Index {
    constexpr operator int() const { return Number; }
};

// function(Index<0>), function(Index<1>), ...: a loop without a counter. Arrays of vectors that are indexed so are
// registers to every compiler; in a loop that is merely unrolled, GCC 12 keeps them in memory, at a third of the speed.
template <int Count, int First = 0, class Function>
INLINE void repeat(const Function& function) {
    if constexpr (First < Count) {
        function(Index<First>());
        repeat<Count, First + 1>(function);
    }
}

INLINE int least(int a, int b) { return a < b ? a : b; }
INLINE int most(int a, int b) { return a > b ? a : b; }

}  // namespace LEVEL
