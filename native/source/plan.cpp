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

int inception_plan::add_buffer(int height, int width, int channels) {
    if (finished_) refuse("the plan is finished");
    const bool fits = height > 0 && width > 0 && channels > 0 && channels < MOST_PIXELS &&
                      int64_t(height) * width < MOST_PIXELS / batch &&
                      int64_t(height) * width * batch * channels < MOST_FLOATS;
    if (!fits) refuse("no buffer can be ", batch, " x ", height, " x ", width, " x ", channels);
    const size_t lines = (size_t(height) * width * channels * batch + LINE_FLOATS - 1) / LINE_FLOATS;
    buffers_.push_back({height, width, channels, lines * LINE_FLOATS});
    return int(buffers_.size()) - 1;
}

Buffer& inception_plan::buffer(int number) {
    if (number < 0 || number >= int(buffers_.size())) refuse("no buffer ", number, ", there are ", buffers_.size());
    return buffers_[number];
}

View inception_plan::view(const inception_view& view) {
    Buffer& found = buffer(view.buffer);
    if (view.offset < 0 || view.channels < 1 || view.channels > found.channels - view.offset) {
        refuse("no channels ", view.offset, " to ", int64_t(view.offset) + view.channels, " in buffer ", view.buffer,
               " of ", found.channels);
    }
    found.last = int(operations_.size());
    if (found.first < 0) found.first = found.last;
    return {view.buffer, view.offset, found.channels, found.height, found.width, view.channels};
}

View inception_plan::view_or_none(const inception_view& given) {
    return given.buffer < 0 ? View{-1, 0, 0, 0, 0, 0} : view(given);
}

void inception_plan::reserve(size_t zeros, size_t own, size_t shared) {
    if (zeros > zeros_.size()) zeros_ = Floats(zeros);
    if (shared > shared_.size()) shared_ = Floats(shared);
    own_floats_ = std::max(own_floats_, own);
}

const float* inception_plan::keep(const float* values, size_t count) {
    if (!values) return nullptr;
    kept_.emplace_back(values, values + count);
    return kept_.back().data();
}

size_t inception_plan::bytes() const {
    size_t floats = arena_.size() + shared_.size() + own_.size() + zeros_.size();
    for (const Floats& kept : kept_) floats += kept.size();
    return floats * sizeof(float);
}

int inception_plan::add(Operation operation) {
    if (finished_) refuse("the plan is finished");
    operations_.push_back(std::move(operation));
    return int(operations_.size()) - 1;
}

// The largest first, each at the lowest place that no buffer needed at the same time has.
void inception_plan::place_buffers() {
    std::vector<Buffer*> order, placed;
    for (Buffer& buffer : buffers_) {
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
    arena_ = Floats(total);
}

void inception_plan::finish(const int* outputs, int count) {
    if (finished_) refuse("the plan is finished already");
    if (operations_.empty()) refuse("the plan has no operations");
    for (int i = 0; i < count; ++i) {
        Buffer& output = buffer(outputs[i]);
        if (output.output >= 0) refuse("buffer ", outputs[i], " is an output twice");
        if (output.first < 0) refuse("nothing writes buffer ", outputs[i]);
        output.output = i;
    }
    place_buffers();
    own_floats_ = (own_floats_ / LINE_FLOATS + 2) * LINE_FLOATS;  // no two threads' in one cache line
    own_ = Floats(own_floats_ * context.threads.count());
    finished_ = true;
}

void inception_plan::run(int images, int format, const void* pictures, float* const* outputs, int64_t* nanoseconds) {
    if (!finished_) refuse("the plan is not finished");
    if (images < 1 || images > batch) refuse(images, " images in a plan for 1 to ", batch);
    if (format < INCEPTION_FLOAT_NCHW || format > INCEPTION_UINT8_NHWC) refuse("no format ", format);
    std::lock_guard<std::mutex> lock(in_use_);
    std::vector<float*> places;
    for (const Buffer& buffer : buffers_) {
        places.push_back(buffer.output < 0 ? arena_.data() + buffer.place : outputs[buffer.output]);
    }
    Threads::Session session(context.threads);
    const Running running = {session, *context.kernels, places, images, format, pictures,
                             shared_.data(), own_.data(), own_floats_};
    using Clock = std::chrono::steady_clock;
    for (size_t number = 0; number < operations_.size(); ++number) {
        const auto begin = Clock::now();
        operations_[number](running);
        const std::chrono::nanoseconds took = Clock::now() - begin;
        if (nanoseconds) nanoseconds[number] = took.count();
    }
}
