// What the kernels of a level are told, and the table of them. Nothing here may need an instruction set: this is what
// the levels share with the plan.
#pragma once

#include <cstddef>
#include <cstdint>

// Levels must not share a function that the linker could take from one of them for all.
#define INLINE inline __attribute__((always_inline))

constexpr int SCRATCH_FLOATS = 8192;  // that every thread has for kernels, besides what Winograd's need
constexpr int GROUP = 16;  // output channels that have one destination, on every level

struct Range {
    int first, last;
};

// Part `number` of `parts` of 0 to `count`, in whole multiples of `multiple`.
INLINE Range part_of(int count, int number, int parts, int multiple = 1) {
    const int64_t units = (count + multiple - 1) / multiple;
    const int first = int(units * number / parts) * multiple, last = int(units * (number + 1) / parts) * multiple;
    return {first < count ? first : count, last < count ? last : count};
}

// Channels of a picture: pixels are `apart` floats from each other, without gaps between rows and images.
struct Pixels {
    float* data;
    int apart, height, width, channels;

    INLINE float* at(int image, int y, int x) const {
        return data + ((int64_t(image) * height + y) * width + x) * apart;
    }
};

struct Window {
    int kernel_height, kernel_width, stride, top, left, bottom, right;
};

// Where a group of output channels goes: `to = larger(least, sum + bias + added)`.
struct Destination {
    float* to;
    int to_apart;
    const float* added;  // or null
    int added_apart;
    const float* bias;  // one for each column of the group
    float least;        // 0 or -infinity
    int columns;        // that exist
};

// Panels are a few groups each; the numbers of groups of two panels differ by 1 at most.
struct Panels {
    const float* data;
    int groups, count;

    INLINE int group(int panel) const { return int(int64_t(groups) * panel / count); }
};

// Rows of the product are output pixels (direct), or tiles of them (Winograd).
struct Convolution {
    Pixels from;
    Window window;
    int images, to_height, to_width;
    Panels panels;
    const Destination* destinations;  // of each group
    const float* zeros;               // as many as a pixel, or a row of the kernel, has
};

// Winograd's, in two dimensions or one: `points` products of matrices; see generate.py.
struct Algorithm {
    const char* name;
    int kernel_height, kernel_width, stride;
    int tile_height, tile_width;  // outputs
    int span_height, span_width;  // inputs, and points
    int down, across;             // places in MATRICES

    INLINE int points() const { return span_height * span_width; }
    INLINE bool is_direct() const { return tile_height == 0; }
};

struct PointSlot {
    unsigned char point, slot;
};

struct WinogradTask {
    Convolution convolution;
    const Algorithm* algorithm;
    int number;                  // of the algorithm
    const PointSlot* order;      // of the points: those that share a matrix of weights together
    int slot_count;
    int tiles_down, tiles_across;
    bool is_far;  // where the outputs go is larger than the second cache
};

// Between rows of a Winograd product's left side: whole vectors, and not a power of two, which would meet in one place
// of the first cache.
INLINE int values_apart(int channels) { return (channels + GROUP - 1) / GROUP * GROUP + GROUP; }

struct Pool {
    Window window;
    int kind;                             // inception_pool
    const float *kernel, *scale, *shift;  // or null
    float least_read, least;
};

typedef void (*WinogradInput)(const WinogradTask& task, Range tiles, float* values, int first, int rows);
typedef void (*WinogradOutput)(const WinogradTask& task, Range tiles, Range panels, const float* values, int first,
                               int rows, float* products);

struct Kernels {
    int tile_rows, panel_groups;

    void (*direct)(const Convolution& task, Range rows, Range panels, float* scratch);
    // One for each algorithm but the first. What the points make of `tiles`: `values` is (points, rows, values_apart),
    // and begins with tile `first`.
    const WinogradInput* winograd_input;
    // From these to the outputs of `tiles`; `products` is room for (tiles, points, columns of a panel).
    const WinogradOutput* winograd_output;
    // `added` has no data where nothing is.
    void (*pool)(Pool pool, Pixels from, Pixels added, Pixels to, Range rows);
    void (*response_norm)(const Pixels& from, int size, float alpha, float beta, float k, const Pixels& to, Range rows,
                          float* scratch);
    // What is measured; `memory` has room for 64 * (depth + 64) floats.
    double (*peak)();
    double (*product)(int depth, float* memory);
};

const Kernels* kernels_avx2();
const Kernels* kernels_avx512();
const Kernels* kernels_neon();
