// Convolution as a matrix product whose rows are gathered by pointers: output pixels times output channels.
#pragma once

#include "multiply.hpp"

namespace LEVEL {

// Where one vector of columns goes, from a pixel on.
struct Output {
    float* to;
    const float* added;
    int to_apart, added_apart, columns;
    Vector bias, lowest;

    INLINE Output(const Destination* groups, int v, int64_t pixel) {
        const Destination& group = groups[v / VECTORS];
        const int column = v % VECTORS * LANES;
        to = group.to + pixel * group.to_apart + column;
        added = group.added ? group.added + pixel * group.added_apart + column : nullptr;
        to_apart = group.to_apart, added_apart = group.added_apart, columns = group.columns - column;
        bias = load(group.bias + column), lowest = all(group.least);
    }

    // `pixel` is counted from the first.
    INLINE void operator()(int64_t pixel, Vector sum) const {
        if (columns <= 0) return;
        sum += bias;
        if (added) sum += load_some(added + pixel * added_apart, columns);
        store_some(to + pixel * to_apart, larger(lowest, sum), columns);
    }
};

constexpr int TABLE = SCRATCH_FLOATS / 2;  // pointers
constexpr int BLOCK_FLOATS = 64 * 1024;    // of input that is read again for every panel, to stay in the second cache

static void direct(const Convolution& task, Range rows, Range panels, float* scratch) {
    const float** table = reinterpret_cast<const float**>(scratch);
    const Window& window = task.window;
    const Pixels& from = task.from;
    // Without padding at the sides and gaps between pixels, a row of the kernel is one run of memory.
    const bool joined = !window.left && !window.right && from.apart == from.channels;
    const int across = joined ? 1 : window.kernel_width;
    const int depth = joined ? window.kernel_width * from.channels : from.channels;
    const int taps = window.kernel_height * across;
    const int wanted = most(least(BLOCK_FLOATS / (from.channels * window.stride * window.stride), 512), TILE_ROWS);
    const int block = least(wanted, TABLE / taps) / TILE_ROWS * TILE_ROWS;
    const int blocks = (rows.last - rows.first + block - 1) / block;
    for (int number = 0; number < blocks; ++number) {
        Range part = part_of(rows.last - rows.first, number, blocks, TILE_ROWS);
        const int first = rows.first + part.first, count = part.last - part.first;
        int x = first % task.to_width, y = first / task.to_width % task.to_height;
        int image = first / task.to_width / task.to_height;
        for (int row = 0; row < count; ++row) {
            const float** tap = table + row;
            for (int down = y * window.stride - window.top, i = 0; i < window.kernel_height; ++i, ++down) {
                for (int right = x * window.stride - window.left, k = 0; k < across; ++k, ++right, tap += count) {
                    const bool inside = down >= 0 && down < from.height && right >= 0 && right < from.width;
                    *tap = inside ? from.at(image, down, right) : task.zeros;
                }
            }
            if (++x < task.to_width) continue;
            x = 0;
            if (++y < task.to_height) continue;
            y = 0;
            ++image;
        }
        const int tiles = (count + TILE_ROWS - 1) / TILE_ROWS;
        for (int panel = panels.first; panel < panels.last; ++panel) {
            const int group = task.panels.group(panel), groups = task.panels.group(panel + 1) - group;
            const float* weights = task.panels.data + int64_t(group) * GROUP * taps * depth;
            const float* ahead = weights + int64_t(groups) * GROUP * taps * depth;
            const int step = groups * GROUP / tiles, tile_ahead = taps * depth * step;
            for (int tile = 0, row = 0, next; tile < tiles; ++tile, row = next) {
                next = (tile + 1) * count / tiles;
                const auto to = [&](int v) INLINE_LAMBDA { return Output(task.destinations + group, v, first + row); };
                multiply_any(next - row, groups, table + row, taps, count, depth, RUN, weights,
                             ahead + int64_t(tile) * tile_ahead, step, to);
            }
        }
    }
}

}  // namespace LEVEL
