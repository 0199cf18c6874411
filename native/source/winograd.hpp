// Winograd's convolutions: transform tiles of the input, one matrix product for each point, transform back.
#pragma once

#include "direct.hpp"
#include "transforms.hpp"

namespace LEVEL {

// Tile `number` of all images.
struct Place {
    int image, y, x;  // in tiles

    INLINE Place(const WinogradTask& task, int number) {
        x = number % task.tiles_across;
        y = number / task.tiles_across % task.tiles_down;
        image = number / task.tiles_across / task.tiles_down;
    }
};

template <class Down, class Across>
void winograd_input(const WinogradTask& task, Range tiles, float* values, int first, int rows) {
    constexpr int height = Down::span, width = Across::span;
    const Convolution& convolution = task.convolution;
    const Pixels& from = convolution.from;
    const Window& window = convolution.window;
    const int apart = values_apart(from.channels);
    for (int tile = tiles.first; tile < tiles.last; ++tile) {
        const Place place(task, tile);
        const int top = place.y * Down::outputs * window.stride - window.top;
        const int left = place.x * Across::outputs * window.stride - window.left;
        const float* pixels[height * width];
        const bool whole_tile = top >= 0 && top + height <= from.height && left >= 0 && left + width <= from.width;
        const float* corner = whole_tile ? from.at(place.image, top, left) : nullptr;
        for (int i = 0; i < height * width; ++i) {
            const int y = i / width, x = i % width;
            if (whole_tile) {
                pixels[i] = corner + (int64_t(y) * from.width + x) * from.apart;
                continue;
            }
            const bool inside = top + y >= 0 && top + y < from.height && left + x >= 0 && left + x < from.width;
            pixels[i] = inside ? from.at(place.image, top + y, left + x) : convolution.zeros;
        }
        float* to = values + int64_t(tile - first) * apart;
        for (int channel = 0; channel < from.channels; channel += LANES) {
            const bool whole = channel + LANES <= from.channels;
            Vector half[height * width], done[width];
            repeat<width>([&](auto x) INLINE_LAMBDA {
                Vector column[height];
                repeat<height>([&](auto y) INLINE_LAMBDA {
                    const float* at = pixels[y * width + x] + channel;
                    column[y] = whole ? load(at) : load(at, from.channels - channel);
                });
                Down::template input<1, width>(column, half + x);
            });
            repeat<height>([&](auto y) INLINE_LAMBDA {
                Across::template input<1, 1>(half + y * width, done);
                repeat<width>([&](auto x) INLINE_LAMBDA {
                    store(to + int64_t(y * width + x) * rows * apart + channel, done[x]);
                });
            });
        }
    }
}

// Sums go to (tiles, points, columns).
struct ToProducts {
    float* to;
    int apart;

    INLINE void operator()(int r, int v, Vector sum) const { store(to + int64_t(r) * apart + v * LANES, sum); }
};

constexpr int AHEAD = 2;  // tiles

// Ahead of being written, lines of the output have to come into the cache.
template <class Down, class Across>
INLINE void fetch_outputs(const WinogradTask& task, int tile, const Destination* groups, int count) {
    const Place place(task, tile);
    const Convolution& convolution = task.convolution;
    const int64_t row = int64_t(place.image) * convolution.to_height + place.y * Down::outputs;
    const int64_t pixel = row * convolution.to_width + place.x * Across::outputs;
    for (int y = 0; y < Down::outputs; ++y) {
        for (int x = 0; x < Across::outputs; ++x) {
            for (int group = 0; group < count; ++group) {
                const Destination& to = groups[group];
                __builtin_prefetch(to.to + (pixel + int64_t(y) * convolution.to_width + x) * to.to_apart, 1);
            }
        }
    }
}

template <class Down, class Across>
void transform_back(const WinogradTask& task, Range tiles, const Destination* groups, int count,
                    const float* products) {
    constexpr int height = Down::outputs, width = Across::outputs;
    const Convolution& convolution = task.convolution;
    const int columns = count * GROUP;
    for (int tile = tiles.first; tile < tiles.last; ++tile) {
        const Place place(task, tile);
        const int top = place.y * height, left = place.x * width;
        const int rows_left = convolution.to_height - top, columns_left = convolution.to_width - left;
        const int64_t pixel = (int64_t(place.image) * convolution.to_height + top) * convolution.to_width + left;
        if (task.is_far && tile + AHEAD < tiles.last) fetch_outputs<Down, Across>(task, tile + AHEAD, groups, count);
        for (int v = 0; v < count * VECTORS; ++v, products += LANES) {
            Vector half[Down::outputs * Across::span], done[width];
            repeat<Across::span>([&](auto x) INLINE_LAMBDA {
                Vector column[Down::span];
                repeat<Down::span>([&](auto y) INLINE_LAMBDA {
                    column[y] = load(products + (y * Across::span + x) * columns);
                });
                Down::template output<1, Across::span>(column, half + x);
            });
            const Destination& group = groups[v / VECTORS];
            const int column = v % VECTORS * LANES;
            repeat<height>([&](auto y) INLINE_LAMBDA {
                if (y >= rows_left) return;
                Across::template output<1, 1>(half + y * Across::span, done);
                repeat<width>([&](auto x) INLINE_LAMBDA {
                    if (x >= columns_left) return;
                    const int64_t at = pixel + int64_t(y) * convolution.to_width + x;
                    ToDestination::finish(group, at, column, group.columns - column, done[x]);
                });
            });
        }
        products += (Down::span * Across::span - 1) * columns;
    }
}

template <class Down, class Across>
void winograd_output(const WinogradTask& task, Range tiles, Range panels, const float* values, int first, int rows,
                     float* products) {
    constexpr int points = Down::span * Across::span, longest = Down::span > Across::span ? Down::span : Across::span;
    constexpr int run = longest > 9 ? RUN / 2 : RUN;  // the more points, the more their products cancel
    const Convolution& convolution = task.convolution;
    const int depth = convolution.from.channels, apart = values_apart(depth), count = tiles.last - tiles.first;
    const int steps = (count + TILE_ROWS - 1) / TILE_ROWS;
    for (int panel = panels.first; panel < panels.last; ++panel) {
        const int group = convolution.panels.group(panel), groups = convolution.panels.group(panel + 1) - group;
        const float* weights = convolution.panels.data + int64_t(group) * GROUP * task.slot_count * depth;
        for (int number = 0; number < points; ++number) {
            const auto [point, slot] = task.order[number];
            const float* matrix = weights + int64_t(slot) * depth * groups * GROUP;
            const float* ahead = matrix + depth * groups * GROUP;
            const int ahead_step = groups * GROUP / steps;
            for (int step = 0, row = 0, next; step < steps; ++step, row = next) {
                next = (step + 1) * count / steps;
                const float* left[TILE_ROWS];
                for (int r = 0; r < next - row; ++r) {
                    left[r] = values + (int64_t(point) * rows + tiles.first - first + row + r) * apart;
                }
                float* to = products + (int64_t(row) * points + point) * groups * GROUP;
                multiply_any(next - row, groups, left, 1, 0, depth, run, matrix, ahead + int64_t(step) * depth * ahead_step, ahead_step,
                             ToProducts{to, points * groups * GROUP});
            }
        }
        transform_back<Down, Across>(task, tiles, convolution.destinations + group, groups, products);
    }
}

#define INPUT_OF(down, across) winograd_input<down, across>,
#define OUTPUT_OF(down, across) winograd_output<down, across>,
constexpr WinogradInput WINOGRAD_INPUTS[] = {FOR_EACH_ALGORITHM(INPUT_OF)};
constexpr WinogradOutput WINOGRAD_OUTPUTS[] = {FOR_EACH_ALGORITHM(OUTPUT_OF)};

}  // namespace LEVEL
