// All operations of a plan but convolutions.
#include <algorithm>

#include "plan.hpp"

namespace {

// The caller's pictures, and where they begin in a buffer that has them in blocks.
struct Pictures {
    int height, width, channels, top, left, block;
    const float *scale, *shift;
};

float level_of(const Pictures&, int, float value) { return value; }
float level_of(const Pictures& pictures, int channel, uint8_t value) {
    return value * pictures.scale[channel] + pictures.shift[channel];
}

// Into rows of the buffer, which are cleared; a caller's pictures lie as `planes` (N, C, H, W) or not (N, H, W, C).
template <class Number>
void put_pictures(const Pictures& pictures, const Number* given, bool planes, const Pixels& pixels, Range rows) {
    const int channels = pictures.channels, width = pictures.width, block = pictures.block;
    const int64_t plane = int64_t(pictures.height) * width;
    const int64_t channel_apart = planes ? plane : 1, pixel_apart = planes ? 1 : channels;
    for (int row = rows.first; row < rows.last; ++row) {
        const int image = row / pixels.height, y = row % pixels.height;
        float* to = pixels.at(image, y, 0);
        for (int x = 0; x < pixels.width; ++x) std::fill_n(to + int64_t(x) * pixels.apart, pixels.channels, 0.0f);
        for (int part = 0; part < block * block * channels; ++part) {
            const int channel = part % channels, across = part / channels % block, down = part / channels / block;
            const int from_y = y * block + down - pictures.top;
            if (from_y < 0 || from_y >= pictures.height) continue;
            int x = (across + block - pictures.left % block) % block;  // the first that lies there in a block
            float* cell = to + int64_t((x + pictures.left) / block) * pixels.apart + part;
            const Number* from = given + image * plane * channels + channel * channel_apart +
                                 (int64_t(from_y) * width + x) * pixel_apart;
            for (; x < width; x += block, cell += pixels.apart, from += block * pixel_apart) {
                *cell = level_of(pictures, channel, *from);
            }
        }
    }
}

}  // namespace

int inception_plan_pictures(inception_plan* plan, inception_view target, int height, int width,
                            inception_padding border, int block, const float* scale, const float* shift) {
    return guarded({plan, scale, shift}, [&] {
        const View to = plan->view(target);
        const bool sides = border.top >= 0 && border.left >= 0 && border.bottom >= 0 && border.right >= 0;
        if (block < 1 || block > 2 || height < 1 || width < 1 || !sides || to.channels % (block * block)) {
            refuse("pictures of ", height, " x ", width, " in blocks of ", block, " for ", to.channels, " channels");
        }
        const int64_t rows = int64_t(border.top) + height + border.bottom;
        const int64_t columns = int64_t(border.left) + width + border.right;
        if ((rows + block - 1) / block != to.height || (columns + block - 1) / block != to.width) {
            refuse("pictures and border are ", rows, " x ", columns, ", in blocks of ", block, " not ", to.height,
                   " x ", to.width);
        }
        const int channels = to.channels / (block * block);
        const Pictures pictures = {height, width, channels, border.top, border.left, block,
                                   plan->keep(scale, channels), plan->keep(shift, channels)};
        return plan->add_rows(to, [=](const Running& running, Range some, int) {
            const Pixels pixels = running.pixels(to);
            if (running.format == INCEPTION_UINT8_NHWC) {
                put_pictures(pictures, static_cast<const uint8_t*>(running.pictures), false, pixels, some);
            } else {
                const bool planes = running.format == INCEPTION_FLOAT_NCHW;
                put_pictures(pictures, static_cast<const float*>(running.pictures), planes, pixels, some);
            }
        });
    });
}

int inception_plan_pool(inception_plan* plan, inception_view source, int kind, int kernel_height, int kernel_width,
                        int stride, inception_padding padding, const float* kernel, int relu_first, const float* scale,
                        const float* shift, inception_view addend, inception_view target, int relu) {
    return guarded({plan}, [&] {
        const View from = plan->view(source), to = plan->view(target), added = plan->view_or_none(addend);
        if (kind < INCEPTION_MAX || kind > INCEPTION_FILTER) refuse("no pool ", kind);
        if ((kind == INCEPTION_FILTER) != (kernel != nullptr)) refuse("a filter has a kernel, and no other pool has");
        if (from.channels != to.channels) refuse("a pool keeps its channels");
        if (added.buffer >= 0 && !added.same_size(to)) refuse("what is added is of another size");
        Window window = {};
        if (kind != INCEPTION_ADAPTIVE) window = window_of(kernel_height, kernel_width, stride, padding);
        if (int64_t(to.height - 1) * window.stride - window.top >= from.height ||
            int64_t(to.width - 1) * window.stride - window.left >= from.width) {
            refuse("a pool whose windows do not all begin inside the input or ahead of it");
        }
        const bool is_point = kind != INCEPTION_ADAPTIVE && kernel_height == 1 && kernel_width == 1 && stride == 1;
        if (is_point || kind == INCEPTION_FILTER) check_output(window, from, to);
        const size_t weights = size_t(kernel_height) * kernel_width * to.channels;
        const Pool pool = {window, kind, plan->keep(kernel, weights), plan->keep(scale, to.channels),
                           plan->keep(shift, to.channels), least_of(relu_first), least_of(relu)};
        return plan->add_rows(to, [=](const Running& running, Range rows, int) {
            running.kernels.pool(pool, running.pixels(from), running.pixels(added), running.pixels(to), rows);
        });
    });
}

int inception_plan_response_norm(inception_plan* plan, inception_view source, int size, float alpha, float beta,
                                 float k, inception_view target) {
    return guarded({plan}, [&] {
        const View from = plan->view(source), to = plan->view(target);
        if (!from.same_size(to)) refuse("a response norm keeps its size");
        if (size < 1 || size > from.channels || from.channels > SCRATCH_FLOATS / 3) {
            refuse("a response norm of ", size, " of ", from.channels, " channels");
        }
        return plan->add_rows(to, [=](const Running& running, Range rows, int part) {
            running.kernels.response_norm(running.pixels(from), size, alpha, beta, k, running.pixels(to), rows,
                                          running.own_of(part));
        });
    });
}
