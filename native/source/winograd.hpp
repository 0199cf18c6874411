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

// The pixels of a tile, wherever they are, become the values of its points, `apart` floats from each other.
template <class Down, class Across, class Pixel>
INLINE void transform_input(const Pixel& pixel, int channels, float* to, int64_t apart) {
    constexpr int height = Down::span, width = Across::span;
    for (int channel = 0; channel < channels; channel += LANES) {
        const int left = channels - channel;
        Vector half[height * width], done[width];
        repeat<width>([&](auto x) INLINE_LAMBDA {
            Vector column[height];
            repeat<height>([&](auto y) INLINE_LAMBDA { column[y] = load_some(pixel(y, x) + channel, left); });
            Down::template input<1, width>(column, half + x);
        });
        repeat<height>([&](auto y) INLINE_LAMBDA {
            Across::template input<1, 1>(half + y * width, done);
            repeat<width>([&](auto x) INLINE_LAMBDA { store(to + (y * width + x) * apart + channel, done[x]); });
        });
    }
}

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
        const bool inside = top >= 0 && top + height <= from.height && left >= 0 && left + width <= from.width;
        float* to = values + int64_t(tile - first) * apart;
        if (inside) {
            const float* corner = from.at(place.image, top, left);
            const int64_t row = int64_t(from.width) * from.apart;
            const auto pixel = [&](int y, int x) INLINE_LAMBDA { return corner + y * row + x * from.apart; };
            transform_input<Down, Across>(pixel, from.channels, to, rows * apart);
            continue;
        }
        const float* pixels[height * width];
        for (int i = 0; i < height * width; ++i) {
            const int y = top + i / width, x = left + i % width;
            const bool there = y >= 0 && y < from.height && x >= 0 && x < from.width;
            pixels[i] = there ? from.at(place.image, y, x) : convolution.zeros;
        }
        const auto pixel = [&](int y, int x) INLINE_LAMBDA { return pixels[y * width + x]; };
        transform_input<Down, Across>(pixel, from.channels, to, rows * apart);
    }
}

// One vector of columns of (tiles, points, columns).
struct Products {
    float* to;
    int apart;

    INLINE void operator()(int r, Vector sum) const { store(to + int64_t(r) * apart, sum); }
};

constexpr int AHEAD = 2;  // tiles: as long as lines of the output take to come into the cache

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
        for (int v = 0; v < count * VECTORS; ++v, products += LANES) {
            Vector half[Down::outputs * Across::span], done[width];
            repeat<Across::span>([&](auto x) INLINE_LAMBDA {
                Vector column[Down::span];
                repeat<Down::span>([&](auto y) INLINE_LAMBDA {
                    column[y] = load(products + (y * Across::span + x) * columns);
                });
                Down::template output<1, Across::span>(column, half + x);
            });
            const Output output(groups, v, pixel);
            repeat<height>([&](auto y) INLINE_LAMBDA {
                if (y >= rows_left) return;
                Across::template output<1, 1>(half + y * Across::span, done);
                repeat<width>([&](auto x) INLINE_LAMBDA {
                    if (x >= columns_left) return;
                    const int64_t behind = int64_t(y) * convolution.to_width + x;
                    if (task.is_far) __builtin_prefetch(output.to + (behind + AHEAD * width) * output.to_apart, 1);
                    output(behind, done[x]);
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
    constexpr int run = longest > 6 ? RUN / 4 : RUN;  // the more points, the more their products cancel
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
                const auto put = [&](int v) INLINE_LAMBDA { return Products{to + v * LANES, points * groups * GROUP}; };
                multiply_any(next - row, groups, left, 1, 0, depth, run, matrix,
                             ahead + int64_t(step) * depth * ahead_step, ahead_step, put);
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
