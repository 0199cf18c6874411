// Convolutions of a plan: checked when they are added, shared out between threads when they run.
#include <cmath>

#include "failure.hpp"
#include "plan.hpp"

namespace {

// A thread that has fewer rows or tiles than this would wait for weights: panels are shared out instead.
constexpr int FEW = 20;
// Room for the points' values of a block of tiles: as large as the second cache bears.
constexpr size_t BLOCK_FLOATS = 160 * 1024;
constexpr int MOST_TILES = 48;

int output_size(int size, int before, int after, int kernel, int stride) {
    const int64_t room = int64_t(before) + size + after - kernel;
    return room < 0 ? 0 : int(room / stride) + 1;
}

void check_window(const Pixels& from, const Window& window, int to_height, int to_width) {
    const bool sides = window.top >= 0 && window.left >= 0 && window.bottom >= 0 && window.right >= 0 &&
                       window.top < window.kernel_height && window.bottom < window.kernel_height &&
                       window.left < window.kernel_width && window.right < window.kernel_width;
    if (window.stride < 1 || !sides) fail(INCEPTION_INVALID, "a stride below 1, or padding that is not below the kernel");
    const int height = output_size(from.height, window.top, window.bottom, window.kernel_height, window.stride);
    const int width = output_size(from.width, window.left, window.right, window.kernel_width, window.stride);
    if (height != to_height || width != to_width) {
        fail(INCEPTION_INVALID, "a convolution of ", from.height, " x ", from.width, " makes ", height, " x ", width,
             ", not ", to_height, " x ", to_width);
    }
}

struct Segments {
    std::vector<inception_segment> segments;

    // Destinations of all groups, at the places where buffers are now.
    std::vector<Destination> now(const inception_plan& plan, const inception_weights& weights,
                                 const Running& running) const {
        std::vector<Destination> groups;
        const float* bias = weights.bias.data();
        for (const inception_segment& segment : segments) {
            const inception_view &to = segment.to, &added = segment.added;
            for (int column = 0; column < to.channels; column += GROUP, bias += GROUP) {
                Destination group = {};
                group.to = running.buffers[to.buffer] + to.offset + column;
                group.to_apart = plan.buffers[to.buffer].channels;
                if (added.buffer >= 0) {
                    group.added = running.buffers[added.buffer] + added.offset + column;
                    group.added_apart = plan.buffers[added.buffer].channels;
                }
                group.bias = bias;
                group.least = segment.relu ? 0.0f : -INFINITY;
                group.columns = std::min(GROUP, to.channels - column);
                groups.push_back(group);
            }
        }
        return groups;
    }
};

void run_direct(const Kernels& kernels, const Convolution& task, const Running& running) {
    const int rows = task.images * task.to_height * task.to_width;
    const bool few = rows < FEW * running.threads.count() && task.panels.count > 1;
    running.threads.run([&](int part, int parts) {
        const Range some = few ? Range{0, rows} : part_of(rows, part, parts, kernels.tile_rows);
        const Range panels = few ? part_of(task.panels.count, part, parts) : Range{0, task.panels.count};
        kernels.direct(task, some, panels, running.own_of(part));
    });
}

int tiles_at_once(const Algorithm& algorithm, int channels, int tile_rows) {
    const int most = int(BLOCK_FLOATS / (size_t(algorithm.points()) * values_apart(channels)));
    return std::max(tile_rows, std::min(most, MOST_TILES) / tile_rows * tile_rows);
}

bool has_few_tiles(int tiles, int threads, int panels) { return threads > 1 && tiles < FEW * threads && panels > 1; }

void run_winograd(const Kernels& kernels, const WinogradTask& task, const Running& running) {
    const int tiles = task.convolution.images * task.tiles_down * task.tiles_across, panels = task.convolution.panels.count;
    const Algorithm& algorithm = *task.algorithm;
    const auto input = kernels.winograd_input[task.number - 1];
    const auto output = kernels.winograd_output[task.number - 1];
    const int channels = task.convolution.from.channels;
    if (has_few_tiles(tiles, running.threads.count(), panels)) {
        running.threads.run([&](int part, int parts) {
            input(task, part_of(tiles, part, parts), running.shared, 0, tiles);
        });
        running.threads.run([&](int part, int parts) {
            output(task, {0, tiles}, part_of(panels, part, parts), running.shared, 0, tiles, running.own_of(part));
        });
        return;
    }
    const int block = tiles_at_once(algorithm, channels, kernels.tile_rows);
    const size_t values = size_t(algorithm.points()) * block * values_apart(channels);
    running.threads.run([&](int part, int parts) {
        const Range mine = part_of(tiles, part, parts, kernels.tile_rows);
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

int add_convolution(inception_plan& plan, const inception_view& from, const inception_weights& weights, int stride,
                    const inception_padding& padding, const inception_segment* segments, int count) {
    if (weights.is_depthwise()) fail(INCEPTION_INVALID, "these are weights of a depthwise convolution");
    if (count != int(weights.segments.size())) {
        fail(INCEPTION_INVALID, count, " segments, but weights have ", weights.segments.size());
    }
    if (!fits(weights.algorithm, weights.kernel_height, weights.kernel_width, stride)) {
        fail(INCEPTION_UNSUPPORTED, algorithm_of(weights.algorithm)->name, " does not do a stride of ", stride);
    }
    const Kernels& kernels = *plan.context.kernels;
    Convolution task = {};
    task.from = plan.reads(from);
    task.window = {weights.kernel_height, weights.kernel_width, stride, padding.top, padding.left, padding.bottom,
                   padding.right};
    task.panels = {weights.data.data(), weights.groups, weights.panels};
    if (from.channels != weights.inputs) {
        fail(INCEPTION_INVALID, from.channels, " channels for a kernel of ", weights.inputs);
    }
    for (int i = 0; i < count; ++i) {
        const inception_segment& segment = segments[i];
        const Pixels to = plan.writes(segment.to);
        if (segment.to.channels != weights.segments[i]) {
            fail(INCEPTION_INVALID, "segment ", i, " has ", weights.segments[i], " channels, not ", segment.to.channels);
        }
        check_window(task.from, task.window, to.height, to.width);
        if (segment.added.buffer >= 0) {
            const Pixels added = plan.reads(segment.added);
            if (added.height != to.height || added.width != to.width || added.channels != to.channels) {
                fail(INCEPTION_INVALID, "what is added to segment ", i, " is of another size");
            }
        }
        task.to_height = to.height;
        task.to_width = to.width;
    }
    plan.needs_zeros(weights.kernel_width * from.channels + GROUP);
    const Segments places = {std::vector<inception_segment>(segments, segments + count)};
    const auto prepared = [&plan, &weights, places, from, task](const Running& running,
                                                               std::vector<Destination>& groups) {
        Convolution here = task;
        here.from = now(task.from, from, running);
        here.images = running.images;
        groups = places.now(plan, weights, running);
        here.destinations = groups.data();
        here.zeros = plan.zeros();
        return here;
    };
    Operation operation;
    const Algorithm& algorithm = *algorithm_of(weights.algorithm);
    if (algorithm.is_direct()) {
        operation.run = [&kernels, prepared](const Running& running) {
            std::vector<Destination> groups;
            run_direct(kernels, prepared(running, groups), running);
        };
        return plan.add_operation(std::move(operation));
    }
    const int down = (task.to_height + algorithm.tile_height - 1) / algorithm.tile_height;
    const int across = (task.to_width + algorithm.tile_width - 1) / algorithm.tile_width;
    const int threads = plan.context.threads.count(), rows = kernels.tile_rows;
    const int block = tiles_at_once(algorithm, from.channels, rows), most = std::max(block, FEW * threads);
    const size_t points = algorithm.points(), columns = size_t(kernels.panel_groups) * GROUP;
    operation.own_floats = points * (block * values_apart(from.channels) + most * columns);
    if (threads > 1) operation.shared_floats = points * FEW * threads * values_apart(from.channels);
    operation.run = [&kernels, &weights, &algorithm, prepared, down, across](const Running& running) {
        std::vector<Destination> groups;
        const WinogradTask here = {prepared(running, groups), &algorithm, weights.algorithm, weights.slots,
                                   weights.slot_count, down, across};
        run_winograd(kernels, here, running);
    };
    return plan.add_operation(std::move(operation));
}

int add_depthwise(inception_plan& plan, const inception_view& from, const inception_weights& weights, int stride,
                  const inception_padding& padding, const inception_view& to, bool relu_first, bool relu) {
    if (!weights.is_depthwise()) fail(INCEPTION_INVALID, "these are not weights of a depthwise convolution");
    DepthwiseTask task = {};
    task.from = plan.reads(from);
    task.to = plan.writes(to);
    task.window = {weights.kernel_height, weights.kernel_width, stride, padding.top, padding.left, padding.bottom,
                   padding.right};
    if (from.channels != weights.inputs || to.channels != weights.outputs) {
        fail(INCEPTION_INVALID, from.channels, " channels to ", to.channels, " for a kernel of ", weights.inputs);
    }
    check_window(task.from, task.window, task.to.height, task.to.width);
    task.kernel = weights.data.data();
    task.least_read = relu_first ? 0.0f : -INFINITY;
    task.least = relu ? 0.0f : -INFINITY;
    Operation operation;
    operation.run = [kernels = plan.context.kernels, task, from, to](const Running& running) {
        DepthwiseTask here = task;
        here.from = now(task.from, from, running);
        here.to = now(task.to, to, running);
        running.threads.run([&](int part, int parts) {
            kernels->depthwise(here, part_of(running.images * here.to.height, part, parts));
        });
    };
    return plan.add_operation(std::move(operation));
}
