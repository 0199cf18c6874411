#include "plan.hpp"

#include <algorithm>
#include <chrono>

constexpr int64_t MOST_PIXELS = int64_t(1) << 30, MOST_FLOATS = int64_t(1) << 40;
constexpr size_t LINE_FLOATS = 16;

Window window_of(int height, int width, int stride, const inception_padding& padding) {
    const auto [top, bottom, left, right] = padding;
    const bool sides = top >= 0 && bottom >= 0 && left >= 0 && right >= 0 && top < height && bottom < height &&
                       left < width && right < width;
    if (stride < 1 || !sides) refuse("a stride below 1, or padding that is not below the kernel");
    return {height, width, stride, top, left, bottom, right};
}

void check_output(const Window& window, const View& from, const View& to) {
    const int height = from.height + window.top + window.bottom - window.kernel_height;
    const int width = from.width + window.left + window.right - window.kernel_width;
    const bool fits = height >= 0 && width >= 0 && height / window.stride + 1 == to.height;
    if (fits && width / window.stride + 1 == to.width) return;
    refuse("a window over ", from.height, " x ", from.width, " makes ", height < 0 ? 0 : height / window.stride + 1,
           " x ", width < 0 ? 0 : width / window.stride + 1, ", not ", to.height, " x ", to.width);
}

int inception_plan_create(inception_context* context, int batch, inception_plan** plan) {
    return guarded({context, plan}, [&] {
        if (batch < 1 || batch > 65536) refuse("a batch of ", batch, "; expected 1 to 65536");
        *plan = new inception_plan{*context, batch};
    });
}

void inception_plan_destroy(inception_plan* plan) { delete plan; }

int inception_plan_buffer(inception_plan* plan, int height, int width, int channels) {
    return guarded({plan}, [&] {
        if (plan->finished) refuse("the plan is finished");
        const bool fits = height > 0 && width > 0 && channels > 0 && channels < MOST_PIXELS &&
                          int64_t(height) * width < MOST_PIXELS / plan->batch &&
                          int64_t(height) * width * plan->batch * channels < MOST_FLOATS;
        if (!fits) refuse("no buffer can be ", plan->batch, " x ", height, " x ", width, " x ", channels);
        const size_t lines = (size_t(height) * width * channels * plan->batch + LINE_FLOATS - 1) / LINE_FLOATS;
        plan->buffers.push_back({height, width, channels, lines * LINE_FLOATS});
        return int(plan->buffers.size()) - 1;
    });
}

Buffer& inception_plan::buffer(int number) {
    if (number < 0 || number >= int(buffers.size())) refuse("no buffer ", number, ", there are ", buffers.size());
    return buffers[number];
}

View inception_plan::view(const inception_view& view) {
    if (finished) refuse("the plan is finished");
    Buffer& found = buffer(view.buffer);
    if (view.offset < 0 || view.channels < 1 || view.channels > found.channels - view.offset) {
        refuse("no channels ", view.offset, " to ", int64_t(view.offset) + view.channels, " in buffer ", view.buffer,
               " of ", found.channels);
    }
    found.last = int(operations.size());
    if (found.first < 0) found.first = found.last;
    return {view.buffer, view.offset, found.channels, found.height, found.width, view.channels};
}

View inception_plan::view_or_none(const inception_view& given) {
    return given.buffer < 0 ? View{-1, 0, 0, 0, 0, 0} : view(given);
}

void inception_plan::reserve(size_t zero_floats, size_t floats, size_t shared_floats) {
    if (zero_floats > zeros.size()) zeros = Floats(zero_floats);
    if (shared_floats > shared.size()) shared = Floats(shared_floats);
    own_floats = std::max(own_floats, floats);
}

const float* inception_plan::keep(const float* values, size_t count) {
    if (!values) return nullptr;
    kept.emplace_back(values, values + count);
    return kept.back().data();
}

size_t inception_plan_bytes(const inception_plan* plan) {
    if (!plan) return 0;
    size_t floats = plan->arena.size() + plan->shared.size() + plan->own.size() + plan->zeros.size();
    for (const Floats& kept : plan->kept) floats += kept.size();
    return floats * sizeof(float);
}

int inception_plan::add(Operation operation) {
    operations.push_back(std::move(operation));
    return int(operations.size()) - 1;
}

// The largest first, each at the lowest place that no buffer needed at the same time has.
void inception_plan::place_buffers() {
    std::vector<Buffer*> order, placed;
    for (Buffer& buffer : buffers) {
        if (buffer.output < 0 && buffer.first >= 0) order.push_back(&buffer);
    }
    std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) { return a->floats > b->floats; });
    size_t total = 0;
    for (Buffer* buffer : order) {
        const auto taken = [&] {
            return std::find_if(placed.begin(), placed.end(), [&](const Buffer* other) {
                const bool together = other->first <= buffer->last && buffer->first <= other->last;
                return together && other->place < buffer->end() && buffer->place < other->end();
            });
        };
        for (auto other = taken(); other != placed.end(); other = taken()) buffer->place = (*other)->end();
        placed.push_back(buffer);
        total = std::max(total, buffer->end());
    }
    arena = Floats(total);
}

int inception_plan_finish(inception_plan* plan, const int* outputs, int output_count) {
    return guarded({plan, outputs}, [&] {
        if (plan->finished) refuse("the plan is finished already");
        if (plan->operations.empty()) refuse("the plan has no operations");
        for (Buffer& buffer : plan->buffers) buffer.output = -1;  // of a call that was refused
        for (int i = 0; i < output_count; ++i) {
            Buffer& output = plan->buffer(outputs[i]);
            if (output.output >= 0) refuse("buffer ", outputs[i], " is an output twice");
            if (output.first < 0) refuse("nothing writes buffer ", outputs[i]);
            output.output = i;
        }
        plan->place_buffers();
        plan->own_floats = (plan->own_floats / LINE_FLOATS + 2) * LINE_FLOATS;  // no two threads' in one cache line
        plan->own = Floats(plan->own_floats * plan->context.threads.count());
        plan->finished = true;
    });
}

int inception_plan_run(inception_plan* plan, int images, int format, const void* pictures, float* const* outputs,
                       int64_t* nanoseconds) {
    return guarded({plan, pictures, outputs}, [&] {
        if (!plan->finished) refuse("the plan is not finished");
        if (images < 1 || images > plan->batch) refuse(images, " images in a plan for 1 to ", plan->batch);
        if (format < INCEPTION_FLOAT_NCHW || format > INCEPTION_UINT8_NHWC) refuse("no format ", format);
        std::vector<float*> places;
        for (const Buffer& buffer : plan->buffers) {
            places.push_back(buffer.output < 0 ? plan->arena.data() + buffer.place : outputs[buffer.output]);
        }
        Threads::Session session(plan->context.threads);  // one at a time, so buffers need no lock of their own
        const Running running = {session, *plan->context.kernels, places, images, format, pictures,
                                 plan->shared.data(), plan->own.data(), plan->own_floats};
        using Clock = std::chrono::steady_clock;
        for (size_t number = 0; number < plan->operations.size(); ++number) {
            const auto begin = Clock::now();
            plan->operations[number](running);
            const std::chrono::nanoseconds took = Clock::now() - begin;
            if (nanoseconds) nanoseconds[number] = took.count();
        }
    });
}
