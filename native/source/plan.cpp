#include "plan.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

constexpr int64_t MOST_PIXELS = int64_t(1) << 30, MOST_FLOATS = int64_t(1) << 40;

int inception_plan::add_buffer(int height, int width, int channels) {
    if (finished_) refuse("the plan is finished");
    const bool fits = height > 0 && width > 0 && channels > 0 && channels < MOST_PIXELS &&
                      int64_t(height) * width < MOST_PIXELS / batch &&
                      int64_t(height) * width * batch * channels < MOST_FLOATS;
    if (!fits) {
        refuse("no buffer can be ", batch, " x ", height, " x ", width, " x ", channels);
    }
    buffers_.push_back({height, width, channels});
    return int(buffers_.size()) - 1;
}

const Buffer& inception_plan::buffer(int number) const {
    if (number < 0 || number >= int(buffers_.size())) {
        refuse("no buffer ", number, ", there are ", buffers_.size());
    }
    return buffers_[number];
}

View inception_plan::view(const inception_view& view) {
    const Buffer& found = buffer(view.buffer);
    if (view.offset < 0 || view.channels < 1 || view.channels > found.channels - view.offset) {
        refuse("no channels ", view.offset, " to ", int64_t(view.offset) + view.channels, " in buffer ", view.buffer,
               " of ", found.channels);
    }
    Buffer& needed = buffers_[view.buffer];
    needed.last = int(operations_.size());
    if (needed.first < 0) needed.first = needed.last;
    return {view.buffer, view.offset, found.channels, found.height, found.width, view.channels};
}

void inception_plan::reserve(size_t zeros, size_t own, size_t shared) {
    zero_floats_ = std::max(zero_floats_, zeros);
    own_floats_ = std::max(own_floats_, own);
    shared_floats_ = std::max(shared_floats_, shared);
}

int inception_plan::add(Operation operation) {
    if (finished_) refuse("the plan is finished");
    operations_.push_back(std::move(operation));
    return int(operations_.size()) - 1;
}

// The largest first, each at the lowest place that no buffer needed at the same time has.
void inception_plan::place_buffers() {
    constexpr size_t line = 16;
    std::vector<int> order(buffers_.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return buffers_[a].floats() > buffers_[b].floats(); });
    const auto end_of = [&](const Buffer& buffer) {
        return buffer.place + (buffer.floats() * batch + line - 1) / line * line;
    };
    std::vector<int> placed;
    size_t total = 0;
    for (int number : order) {
        Buffer& buffer = buffers_[number];
        if (buffer.output >= 0 || buffer.first < 0) continue;
        std::sort(placed.begin(), placed.end(), [&](int a, int b) { return buffers_[a].place < buffers_[b].place; });
        for (int other : placed) {
            const Buffer& taken = buffers_[other];
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
    if (finished_) refuse("the plan is finished already");
    if (operations_.empty()) refuse("the plan has no operations");
    for (int i = 0; i < count; ++i) {
        if (buffer(outputs[i]).output >= 0) refuse("buffer ", outputs[i], " is an output twice");
        if (buffers_[outputs[i]].first < 0) refuse("nothing writes buffer ", outputs[i]);
        buffers_[outputs[i]].output = i;
    }
    place_buffers();
    own_floats_ = (own_floats_ + 31) / 16 * 16;  // no two threads' in one cache line
    own_ = Floats(own_floats_ * context.threads.count());
    shared_ = Floats(shared_floats_);
    zeros_ = Floats(zero_floats_);
    finished_ = true;
}

void inception_plan::run(int images, int format, const void* pictures, float* const* outputs, int64_t* nanoseconds) {
    if (!finished_) refuse("the plan is not finished");
    if (images < 1 || images > batch) refuse(images, " images in a plan for 1 to ", batch);
    if (format < INCEPTION_FLOAT_NCHW || format > INCEPTION_UINT8_NHWC) {
        refuse("no format ", format);
    }
    std::lock_guard<std::mutex> lock(in_use_);
    std::vector<float*> places;
    for (const Buffer& buffer : buffers_) {
        places.push_back(buffer.output < 0 ? arena_.data() + buffer.place : outputs[buffer.output]);
    }
    Threads::Session session(context.threads);
    const Running running = {session, places, images, format, pictures, shared_.data(), own_.data(), own_floats_};
    using Clock = std::chrono::steady_clock;
    for (size_t number = 0; number < operations_.size(); ++number) {
        const auto begin = nanoseconds ? Clock::now() : Clock::time_point();
        operations_[number](running);
        if (nanoseconds) {
            nanoseconds[number] = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - begin).count();
        }
    }
}
