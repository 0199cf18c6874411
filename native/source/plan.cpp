#include "plan.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "failure.hpp"

constexpr int64_t MOST_PIXELS = int64_t(1) << 30, MOST_FLOATS = int64_t(1) << 40;

int inception_plan::add_buffer(int height, int width, int channels) {
    if (finished_) fail(INCEPTION_INVALID, "the plan is finished");
    const bool fits = height > 0 && width > 0 && channels > 0 && channels < MOST_PIXELS &&
                      int64_t(height) * width < MOST_PIXELS / batch &&
                      int64_t(height) * width * batch * channels < MOST_FLOATS;
    if (!fits) {
        fail(INCEPTION_INVALID, "no buffer can be ", batch, " x ", height, " x ", width, " x ", channels);
    }
    buffers.push_back({height, width, channels});
    return int(buffers.size()) - 1;
}

const Buffer& inception_plan::buffer(int number) const {
    if (number < 0 || number >= int(buffers.size())) {
        fail(INCEPTION_INVALID, "no buffer ", number, ", there are ", buffers.size());
    }
    return buffers[number];
}

Pixels inception_plan::pixels(const inception_view& view) {
    const Buffer& found = buffer(view.buffer);
    if (view.offset < 0 || view.channels < 1 || view.channels > found.channels - view.offset) {
        fail(INCEPTION_INVALID, "no channels ", view.offset, " to ", int64_t(view.offset) + view.channels,
             " in buffer ", view.buffer, " of ", found.channels);
    }
    Buffer& needed = buffers[view.buffer];
    needed.last = int(operations.size());
    if (needed.first < 0) needed.first = needed.last;
    return {nullptr, found.channels, found.height, found.width, view.channels};
}

int inception_plan::add_operation(Operation operation) {
    if (finished_) fail(INCEPTION_INVALID, "the plan is finished");
    operations.push_back(std::move(operation));
    return int(operations.size()) - 1;
}

// The largest first, each at the lowest place that no buffer needed at the same time has.
void inception_plan::place_buffers() {
    constexpr size_t line = 16;
    std::vector<int> order(buffers.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return buffers[a].floats() > buffers[b].floats(); });
    const auto end_of = [&](const Buffer& buffer) {
        return buffer.place + (buffer.floats() * batch + line - 1) / line * line;
    };
    std::vector<int> placed;
    size_t total = 0;
    for (int number : order) {
        Buffer& buffer = buffers[number];
        if (buffer.output >= 0 || buffer.first < 0) continue;
        std::sort(placed.begin(), placed.end(), [&](int a, int b) { return buffers[a].place < buffers[b].place; });
        for (int other : placed) {
            const Buffer& taken = buffers[other];
            if (taken.last < buffer.first || taken.first > buffer.last) continue;
            if (end_of(buffer) <= taken.place) break;
            buffer.place = std::max(buffer.place, end_of(taken));
        }
        placed.push_back(number);
        total = std::max(total, end_of(buffer));
    }
    arena_ = Floats(total);
}

void inception_plan::finish(const int* outputs, int count) {
    if (finished_) fail(INCEPTION_INVALID, "the plan is finished already");
    if (operations.empty()) fail(INCEPTION_INVALID, "the plan has no operations");
    for (int i = 0; i < count; ++i) {
        if (buffer(outputs[i]).output >= 0) fail(INCEPTION_INVALID, "buffer ", outputs[i], " is an output twice");
        if (buffers[outputs[i]].first < 0) fail(INCEPTION_INVALID, "nothing writes buffer ", outputs[i]);
        buffers[outputs[i]].output = i;
    }
    place_buffers();
    size_t shared = 0;
    own_floats_ = SCRATCH_FLOATS;
    for (const Operation& operation : operations) {
        own_floats_ = std::max(own_floats_, operation.own_floats);
        shared = std::max(shared, operation.shared_floats);
    }
    own_floats_ = (own_floats_ + 31) / 16 * 16;  // no two threads' in one cache line
    own_ = Floats(own_floats_ * context.threads.count());
    shared_ = Floats(shared);
    zeros_ = Floats(zero_count_);
    finished_ = true;
}

void inception_plan::run(int images, int format, const void* pictures, float* const* outputs, int64_t* nanoseconds) {
    if (!finished_) fail(INCEPTION_INVALID, "the plan is not finished");
    if (images < 1 || images > batch) fail(INCEPTION_INVALID, images, " images in a plan for 1 to ", batch);
    if (format < INCEPTION_FLOAT_NCHW || format > INCEPTION_UINT8_NHWC) {
        fail(INCEPTION_INVALID, "no format ", format);
    }
    std::lock_guard<std::mutex> lock(in_use);
    std::vector<float*> places;
    for (const Buffer& buffer : buffers) {
        places.push_back(buffer.output < 0 ? arena_.data() + buffer.place : outputs[buffer.output]);
    }
    Threads::Session session(context.threads);
    const Running running = {session, places, images, format, pictures, shared_.data(), own_.data(), own_floats_};
    using Clock = std::chrono::steady_clock;
    for (size_t number = 0; number < operations.size(); ++number) {
        const auto begin = nanoseconds ? Clock::now() : Clock::time_point();
        operations[number].run(running);
        if (nanoseconds) {
            nanoseconds[number] = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
        }
    }
}
