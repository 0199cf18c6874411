// Convolutions of a plan: checked when they are added, shared out between threads when they run.
#include <algorithm>

#include "plan.hpp"

namespace {

// A thread that has fewer rows or tiles than this would wait for weights: panels are shared out instead.
constexpr int FEW = 20;
// Room for the points' values of a block of tiles. They are read for each panel, so the second cache should bear them;
// but all weights are read for each block, so that much of them wants larger blocks.
constexpr size_t LEAST_BLOCK = 96 * 1024, MOST_BLOCK = 640 * 1024, WEIGHTS_OF_BLOCK = 4;
constexpr int MOST_TILES = 48;
constexpr size_t FAR_FLOATS = 256 * 1024;  // outputs that the second cache does not hold

struct Segment {
    View to, added;  // or none
    float least;
};

// Where each group of columns goes, with buffers where they are now.
std::vector<Destination> destinations(const std::vector<Segment>& segments, const inception_weights& weights,
                                      const Running& running) {
    std::vector<Destination> groups;
    const float* bias = weights.bias.data();
    for (const Segment& segment : segments) {
        const Pixels to = running.pixels(segment.to), added = running.pixels(segment.added);
        for (int column = 0; column < to.channels; column += GROUP, bias += GROUP) {
            groups.push_back({to.data + column, to.apart, added.data ? added.data + column : nullptr, added.apart, bias,
                              segment.least, std::min(GROUP, to.channels - column)});
        }
    }
    return groups;
}

void run_direct(const Convolution& task, const Running& running) {
    const int rows = task.images * task.to_height * task.to_width;
    const bool few = rows < FEW * running.threads.count() && task.panels.count > 1;
    running.threads.run([&](int part, int parts) {
        const Range some = few ? Range{0, rows} : part_of(rows, part, parts, running.kernels.tile_rows);
        const Range panels = few ? part_of(task.panels.count, part, parts) : Range{0, task.panels.count};
        running.kernels.direct(task, some, panels, running.own_of(part));
    });
}

int tiles_at_once(const Algorithm& algorithm, const inception_weights& weights, int tile_rows) {
    const size_t wanted = weights.data.size() / WEIGHTS_OF_BLOCK;
    const size_t floats = std::min(std::max(wanted, LEAST_BLOCK), MOST_BLOCK);
    const int most = int(floats / (size_t(algorithm.points()) * values_apart(weights.inputs)));
    return std::max(tile_rows, std::min(most, MOST_TILES) / tile_rows * tile_rows);
}

void run_winograd(const WinogradTask& task, int block, const Running& running) {
    const int tiles = task.convolution.images * task.tiles_down * task.tiles_across;
    const int panels = task.convolution.panels.count, threads = running.threads.count();
    const auto input = running.kernels.winograd_input[task.number - 1];
    const auto output = running.kernels.winograd_output[task.number - 1];
    if (threads > 1 && tiles < FEW * threads && panels > 1) {
        running.threads.run([&](int part, int parts) {
            input(task, part_of(tiles, part, parts), running.shared, 0, tiles);
        });
        running.threads.run([&](int part, int parts) {
            output(task, {0, tiles}, part_of(panels, part, parts), running.shared, 0, tiles, running.own_of(part));
        });
        return;
    }
    const size_t values = size_t(task.algorithm->points()) * block * values_apart(task.convolution.from.channels);
    running.threads.run([&](int part, int parts) {
        const Range mine = part_of(tiles, part, parts, running.kernels.tile_rows);
        const int count = mine.last - mine.first, blocks = (count + block - 1) / block;
        float* own = running.own_of(part);
        for (int number = 0; number < blocks; ++number) {
            const Range some = part_of(count, number, blocks);
            const Range at = {mine.first + some.first, mine.first + some.last};
            input(task, at, own, at.first, at.last - at.first);
            output(task, at, {0, panels}, own, at.first, at.last - at.first, own + values);
        }
    });
}

}  // namespace

int inception_plan_convolution(inception_plan* plan, inception_view source, const inception_weights* weights,
                               int stride, inception_padding padding, const inception_segment* segments,
                               int segment_count) {
    return guarded({plan, weights, segments}, [&] {
        const Algorithm* algorithm = algorithm_of(weights->algorithm);
        if (segment_count != int(weights->segments.size())) {
            refuse(segment_count, " segments, but weights have ", weights->segments.size());
        }
        if (stride > 0 && !fits(weights->algorithm, weights->kernel_height, weights->kernel_width, stride)) {
            refuse(algorithm->name, " does not do a stride of ", stride);
        }
        const View from = plan->view(source);
        if (from.channels != weights->inputs) refuse(from.channels, " channels for a kernel of ", weights->inputs);
        std::vector<Segment> places;
        Convolution task = {};
        task.window = window_of(weights->kernel_height, weights->kernel_width, stride, padding);
        for (int i = 0; i < segment_count; ++i) {
            const View to = plan->view(segments[i].to), added = plan->view_or_none(segments[i].added);
            if (to.channels != weights->segments[i]) {
                refuse("segment ", i, " has ", weights->segments[i], " channels, not ", to.channels);
            }
            if (added.buffer >= 0 && !added.same_size(to)) refuse("what is added is not of the size of segment ", i);
            check_output(task.window, from, to);
            task.to_height = to.height;
            task.to_width = to.width;
            places.push_back({to, added, least_of(segments[i].relu)});
        }
        task.panels = {weights->data.data(), weights->groups, weights->panels};
        const Kernels& kernels = *plan->context.kernels;
        const int threads = plan->context.threads.count(), apart = values_apart(from.channels);
        const int block = algorithm->is_direct() ? 0 : tiles_at_once(*algorithm, *weights, kernels.tile_rows);
        const size_t points = algorithm->points(), columns = size_t(kernels.panel_groups) * GROUP;
        plan->reserve(size_t(weights->kernel_width) * from.channels + GROUP,
                      points * (block * apart + std::max(block, FEW * threads) * columns),
                      threads > 1 ? points * FEW * threads * apart : 0);
        return plan->add([=](const Running& running) {
            const std::vector<Destination> groups = destinations(places, *weights, running);
            Convolution here = task;
            here.from = running.pixels(from);
            here.images = running.images;
            here.destinations = groups.data();
            here.zeros = plan->zeros.data();
            if (algorithm->is_direct()) return run_direct(here, running);
            const int down = (here.to_height + algorithm->tile_height - 1) / algorithm->tile_height;
            const int across = (here.to_width + algorithm->tile_width - 1) / algorithm->tile_width;
            const bool is_far = size_t(here.images) * here.to_height * here.to_width * weights->outputs > FAR_FLOATS;
            run_winograd({here, algorithm, weights->algorithm, weights->order.data(), weights->slot_count, down, across,
                          is_far}, block, running);
        });
    });
}
