// All other operations of a plan.
#include <algorithm>
#include <cmath>

#include "failure.hpp"
#include "plan.hpp"

namespace {

float least_of(bool relu) { return relu ? 0.0f : -INFINITY; }

std::vector<float> copy(const float* values, int count) {
    return values ? std::vector<float>(values, values + count) : std::vector<float>();
}

const float* data_or_null(const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); }

void check_same(const Pixels& from, const Pixels& to) {
    if (from.height != to.height || from.width != to.width || from.channels != to.channels) {
        fail(INCEPTION_INVALID, from.height, " x ", from.width, " x ", from.channels, " cannot become ", to.height,
             " x ", to.width, " x ", to.channels);
    }
}

// work(part, rows) on the rows of all images of `to`.
template <class Work>
void share_rows(const Running& running, int height, const Work& work) {
    running.threads.run([&](int part, int parts) { work(part, part_of(running.images * height, part, parts)); });
}

struct PicturesTask {
    Pixels to;
    int height, width, channels;  // of the pictures
    int top, left, block;
    std::vector<float> scale, shift;
};

// Rows of the output, which were cleared: `value` reads (channel, x) of one row of the pictures.
template <class Value>
void put_row(const PicturesTask& task, float* row, int down, const Value& value) {
    const int step = task.channels;
    for (int x = 0; x < task.width; ++x) {
        const int at = x + task.left;
        float* to = row + int64_t(at / task.block) * task.to.apart + (down * task.block + at % task.block) * step;
        for (int channel = 0; channel < step; ++channel) to[channel] = value(channel, x);
    }
}

void put_pictures(const PicturesTask& task, const Running& running, Range rows) {
    const int64_t plane = int64_t(task.height) * task.width;
    for (int row = rows.first; row < rows.last; ++row) {
        const int image = row / task.to.height, y = row % task.to.height;
        float* to = task.to.at(image, y, 0);
        for (int x = 0; x < task.to.width; ++x) std::fill_n(to + int64_t(x) * task.to.apart, task.to.channels, 0.0f);
        for (int down = 0; down < task.block; ++down) {
            const int from = y * task.block + down - task.top;
            if (from < 0 || from >= task.height) continue;
            const int64_t first = (image * plane + int64_t(from) * task.width) * task.channels;
            const int64_t first_of_plane = image * plane * task.channels + int64_t(from) * task.width;
            const float* floats = static_cast<const float*>(running.pictures);
            const uint8_t* bytes = static_cast<const uint8_t*>(running.pictures) + first;
            if (running.format == INCEPTION_FLOAT_NCHW) {
                put_row(task, to, down, [&](int channel, int x) { return floats[first_of_plane + channel * plane + x]; });
            } else if (running.format == INCEPTION_FLOAT_NHWC) {
                put_row(task, to, down, [&](int channel, int x) { return floats[first + x * task.channels + channel]; });
            } else {
                put_row(task, to, down, [&](int channel, int x) {
                    return float(bytes[x * task.channels + channel]) * task.scale[channel] + task.shift[channel];
                });
            }
        }
    }
}

}  // namespace

int add_pictures(inception_plan& plan, const inception_view& to, int height, int width,
                 const inception_padding& border, int block, const float* scale, const float* shift) {
    PicturesTask task = {};
    task.to = plan.writes(to);
    const int cells = block * block;
    const bool sides = border.top >= 0 && border.left >= 0 && border.bottom >= 0 && border.right >= 0;
    if (block < 1 || block > 2 || height < 1 || width < 1 || !sides || to.channels % cells) {
        fail(INCEPTION_INVALID, "pictures of ", height, " x ", width, " in blocks of ", block, " for ", to.channels,
             " channels");
    }
    const int64_t rows = int64_t(border.top) + height + border.bottom, across = int64_t(border.left) + width + border.right;
    if ((rows + block - 1) / block != task.to.height || (across + block - 1) / block != task.to.width) {
        fail(INCEPTION_INVALID, "pictures of ", height, " x ", width, " with a border are ", rows, " x ", across,
             ", in blocks of ", block, " not ", task.to.height, " x ", task.to.width);
    }
    task.height = height;
    task.width = width;
    task.channels = to.channels / cells;
    task.top = border.top;
    task.left = border.left;
    task.block = block;
    task.scale = copy(scale, task.channels);
    task.shift = copy(shift, task.channels);
    Operation operation;
    operation.run = [task, to](const Running& running) {
        PicturesTask here = task;
        here.to = now(task.to, to, running);
        share_rows(running, here.to.height, [&](int, Range rows) { put_pictures(here, running, rows); });
    };
    return plan.add_operation(std::move(operation));
}

int add_pool(inception_plan& plan, int kind, const inception_view& from, const Window& window,
             const inception_view& to, const float* bias, bool relu) {
    PoolTask task = {};
    task.from = plan.reads(from);
    task.to = plan.writes(to);
    task.window = window;
    task.kind = kind;
    task.least = least_of(relu);
    if (kind < INCEPTION_MAX || kind > INCEPTION_AVERAGE_PADDING) fail(INCEPTION_INVALID, "no pool ", kind);
    if (kind == INCEPTION_MAX && (bias || relu)) fail(INCEPTION_UNSUPPORTED, "a maximum with a bias or ReLU behind it");
    if (from.channels != to.channels) fail(INCEPTION_INVALID, "a pool keeps its channels");
    const auto bears = [](int size, int kernel, int before, int after, int stride, int count) {
        return stride > 0 && before >= 0 && after >= 0 && before < kernel && after < kernel &&
               int64_t(count - 1) * stride - before < size;
    };
    if (!bears(task.from.height, window.kernel_height, window.top, window.bottom, window.stride, task.to.height) ||
        !bears(task.from.width, window.kernel_width, window.left, window.right, window.stride, task.to.width)) {
        fail(INCEPTION_INVALID, "a pool whose windows do not all begin inside the input or ahead of it");
    }
    Operation operation;
    operation.run = [kernels = plan.context.kernels, task, from, to, bias = copy(bias, to.channels)](
                        const Running& running) {
        PoolTask here = task;
        here.from = now(task.from, from, running);
        here.to = now(task.to, to, running);
        here.bias = data_or_null(bias);
        share_rows(running, here.to.height, [&](int, Range rows) { kernels->pool(here, rows); });
    };
    return plan.add_operation(std::move(operation));
}

int add_adaptive_pool(inception_plan& plan, const inception_view& from, const inception_view& to) {
    const Pixels in = plan.reads(from), out = plan.writes(to);
    if (from.channels != to.channels) fail(INCEPTION_INVALID, "a pool keeps its channels");
    Operation operation;
    operation.run = [kernels = plan.context.kernels, in, out, from, to](const Running& running) {
        const Pixels here = now(in, from, running), there = now(out, to, running);
        share_rows(running, there.height, [&](int, Range rows) { kernels->adaptive_pool(here, there, rows); });
    };
    return plan.add_operation(std::move(operation));
}

int add_affine(inception_plan& plan, const inception_view& from, const float* scale, const float* shift,
               const inception_view& to, bool relu) {
    const Pixels in = plan.reads(from), out = plan.writes(to);
    check_same(in, out);
    Operation operation;
    operation.run = [kernels = plan.context.kernels, in, out, from, to, scale = copy(scale, to.channels),
                     shift = copy(shift, to.channels), least = least_of(relu)](const Running& running) {
        const Pixels here = now(in, from, running), there = now(out, to, running);
        share_rows(running, there.height, [&](int, Range rows) {
            kernels->affine(here, there, data_or_null(scale), data_or_null(shift), least, rows);
        });
    };
    return plan.add_operation(std::move(operation));
}

int add_sum(inception_plan& plan, const inception_view& shortcut, const inception_view& branch, float scale,
            const inception_view& to, bool relu) {
    const Pixels first = plan.reads(shortcut), second = plan.reads(branch), out = plan.writes(to);
    check_same(first, out);
    check_same(second, out);
    Operation operation;
    operation.run = [kernels = plan.context.kernels, first, second, out, shortcut, branch, to, scale,
                     least = least_of(relu)](const Running& running) {
        const Pixels a = now(first, shortcut, running), b = now(second, branch, running);
        const Pixels there = now(out, to, running);
        share_rows(running, there.height, [&](int, Range rows) { kernels->add(a, b, scale, there, least, rows); });
    };
    return plan.add_operation(std::move(operation));
}

int add_response_norm(inception_plan& plan, const inception_view& from, int size, float alpha, float beta, float k,
                      const inception_view& to) {
    const Pixels in = plan.reads(from), out = plan.writes(to);
    check_same(in, out);
    if (size < 1 || size > from.channels || from.channels > SCRATCH_FLOATS / 3) {
        fail(INCEPTION_INVALID, "a response norm of ", size, " of ", from.channels, " channels");
    }
    Operation operation;
    operation.run = [kernels = plan.context.kernels, in, out, from, to, size, alpha, beta, k](const Running& running) {
        const Pixels here = now(in, from, running), there = now(out, to, running);
        share_rows(running, there.height, [&](int part, Range rows) {
            kernels->response_norm(here, size, alpha, beta, k, there, rows, running.own_of(part));
        });
    };
    return plan.add_operation(std::move(operation));
}
