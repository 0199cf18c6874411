// All operations of a plan but convolutions.
#include "plan.hpp"

namespace {

std::vector<float> copy(const float* values, int count) {
    return values ? std::vector<float>(values, values + count) : std::vector<float>();
}

const float* data_or_null(const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); }

void check_same(const View& from, const View& to) {
    if (!from.same_size(to)) {
        refuse(from.height, " x ", from.width, " x ", from.channels, " cannot become ", to.height, " x ", to.width,
               " x ", to.channels);
    }
}

struct Pictures {
    int height, width, channels, top, left, block;
    std::vector<float> scale, shift;
};

// One row of pictures, `value` of (channel, x), into a row of the buffer that was cleared.
template <class Value>
void put_row(const Pictures& pictures, float* row, int apart, int down, const Value& value) {
    const int channels = pictures.channels, block = pictures.block;
    for (int across = 0; across < block; ++across) {
        const int first = (across + block - pictures.left % block) % block;  // of the pixels that lie there in a block
        float* to = row + int64_t((first + pictures.left) / block) * apart + (down * block + across) * channels;
        for (int channel = 0; channel < channels; ++channel) {
            float* cell = to + channel;
            for (int x = first; x < pictures.width; x += block, cell += apart) *cell = value(channel, x);
        }
    }
}

void put_pictures(const Pictures& pictures, const Running& running, const Pixels& pixels, Range rows) {
    const int channels = pictures.channels;
    const int64_t plane = int64_t(pictures.height) * pictures.width;
    for (int row = rows.first; row < rows.last; ++row) {
        const int image = row / pixels.height, y = row % pixels.height;
        float* to = pixels.at(image, y, 0);
        for (int x = 0; x < pixels.width; ++x) std::fill_n(to + int64_t(x) * pixels.apart, pixels.channels, 0.0f);
        for (int down = 0; down < pictures.block; ++down) {
            const int from = y * pictures.block + down - pictures.top;
            if (from < 0 || from >= pictures.height) continue;
            const int64_t before = image * plane * channels, first = int64_t(from) * pictures.width;
            const auto put = [&](const auto& value) { put_row(pictures, to, pixels.apart, down, value); };
            const float* floats = static_cast<const float*>(running.pictures) + before;
            const uint8_t* bytes = static_cast<const uint8_t*>(running.pictures) + before;
            if (running.format == INCEPTION_FLOAT_NCHW) {
                put([&](int channel, int x) { return floats[channel * plane + first + x]; });
            } else if (running.format == INCEPTION_FLOAT_NHWC) {
                put([&](int channel, int x) { return floats[(first + x) * channels + channel]; });
            } else {
                put([&](int channel, int x) {
                    const float level = bytes[(first + x) * channels + channel];
                    return level * pictures.scale[channel] + pictures.shift[channel];
                });
            }
        }
    }
}

// Whether all windows begin inside the input or ahead of it.
bool windows_fit(int size, int kernel, int before, int after, int stride, int count) {
    return stride > 0 && before >= 0 && after >= 0 && before < kernel && after < kernel &&
           int64_t(count - 1) * stride - before < size;
}

}  // namespace

int inception_plan_pictures(inception_plan* plan, inception_view target, int height, int width,
                            inception_padding border, int block, const float* scale, const float* shift) {
    return guarded([&] {
        need(plan, scale, shift);
        const View to = plan->view(target);
        const bool sides = border.top >= 0 && border.left >= 0 && border.bottom >= 0 && border.right >= 0;
        if (block < 1 || block > 2 || height < 1 || width < 1 || !sides || to.channels % (block * block)) {
            refuse("pictures of ", height, " x ", width, " in blocks of ", block, " for ", to.channels, " channels");
        }
        const int64_t rows = int64_t(border.top) + height + border.bottom;
        const int64_t columns = int64_t(border.left) + width + border.right;
        if ((rows + block - 1) / block != to.height || (columns + block - 1) / block != to.width) {
            refuse("pictures and border are ", rows, " x ", columns, ", in blocks of ", block, " not ", to.height, " x ",
                   to.width);
        }
        const int channels = to.channels / (block * block);
        const Pictures pictures = {height, width, channels, border.top, border.left, block,
                                   copy(scale, channels), copy(shift, channels)};
        return plan->add([=](const Running& running) {
            const Pixels pixels = running.pixels(to);
            running.share_rows(to, [&](Range some, int) { put_pictures(pictures, running, pixels, some); });
        });
    });
}

int inception_plan_pool(inception_plan* plan, int kind, inception_view source, int kernel_height, int kernel_width,
                        int stride, inception_padding padding, inception_view target, const float* bias, int relu) {
    return guarded([&] {
        need(plan);
        const View from = plan->view(source), to = plan->view(target);
        if (kind < INCEPTION_MAX || kind > INCEPTION_AVERAGE_PADDING) refuse("no pool ", kind);
        if (kind == INCEPTION_MAX && (bias || relu)) refuse("a maximum with a bias or ReLU behind it");
        if (from.channels != to.channels) refuse("a pool keeps its channels");
        if (!windows_fit(from.height, kernel_height, padding.top, padding.bottom, stride, to.height) ||
            !windows_fit(from.width, kernel_width, padding.left, padding.right, stride, to.width)) {
            refuse("a pool whose windows do not all begin inside the input or ahead of it");
        }
        const Window window = {kernel_height, kernel_width, stride,
                               padding.top, padding.left, padding.bottom, padding.right};
        return plan->add([=, kernels = plan->context.kernels, biases = copy(bias, to.channels)](const Running& running) {
            const PoolTask task = {running.pixels(from), running.pixels(to), window, kind, data_or_null(biases),
                                   least_of(relu)};
            running.share_rows(to, [&](Range rows, int) { kernels->pool(task, rows); });
        });
    });
}

int inception_plan_adaptive_pool(inception_plan* plan, inception_view source, inception_view target) {
    return guarded([&] {
        need(plan);
        const View from = plan->view(source), to = plan->view(target);
        if (from.channels != to.channels) refuse("a pool keeps its channels");
        return plan->add([=, kernels = plan->context.kernels](const Running& running) {
            const Pixels in = running.pixels(from), out = running.pixels(to);
            running.share_rows(to, [&](Range rows, int) { kernels->adaptive_pool(in, out, rows); });
        });
    });
}

int inception_plan_affine(inception_plan* plan, inception_view source, const float* scale, const float* shift,
                          inception_view target, int relu) {
    return guarded([&] {
        need(plan);
        const View from = plan->view(source), to = plan->view(target);
        check_same(from, to);
        return plan->add([=, kernels = plan->context.kernels, scales = copy(scale, to.channels),
                          shifts = copy(shift, to.channels)](const Running& running) {
            const Pixels in = running.pixels(from), out = running.pixels(to);
            running.share_rows(to, [&](Range rows, int) {
                kernels->affine(in, out, data_or_null(scales), data_or_null(shifts), least_of(relu), rows);
            });
        });
    });
}

int inception_plan_add(inception_plan* plan, inception_view shortcut, inception_view branch, float scale,
                       inception_view target, int relu) {
    return guarded([&] {
        need(plan);
        const View first = plan->view(shortcut), second = plan->view(branch), to = plan->view(target);
        check_same(first, to);
        check_same(second, to);
        return plan->add([=, kernels = plan->context.kernels](const Running& running) {
            const Pixels a = running.pixels(first), b = running.pixels(second), out = running.pixels(to);
            running.share_rows(to, [&](Range rows, int) { kernels->add(a, b, scale, out, least_of(relu), rows); });
        });
    });
}

int inception_plan_response_norm(inception_plan* plan, inception_view source, int size, float alpha, float beta, float k,
                                 inception_view target) {
    return guarded([&] {
        need(plan);
        const View from = plan->view(source), to = plan->view(target);
        check_same(from, to);
        if (size < 1 || size > from.channels || from.channels > SCRATCH_FLOATS / 3) {
            refuse("a response norm of ", size, " of ", from.channels, " channels");
        }
        return plan->add([=, kernels = plan->context.kernels](const Running& running) {
            const Pixels in = running.pixels(from), out = running.pixels(to);
            running.share_rows(to, [&](Range rows, int part) {
                kernels->response_norm(in, size, alpha, beta, k, out, rows, running.own_of(part));
            });
        });
    });
}
