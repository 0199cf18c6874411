// Buffers and operations of one network for one size of picture.
#pragma once

#include <functional>
#include <mutex>
#include <vector>

#include "torchinception.h"
#include "weights.hpp"

struct Buffer {
    int height, width, channels;
    int first = -1, last = -1;  // operations that need it
    int output = -1;            // its place among the caller's
    size_t place = 0;           // in the arena, floats

    size_t floats() const { return size_t(height) * width * channels; }  // of one image
};

// What an operation is given when it runs.
struct Running {
    Threads::Session& threads;
    const std::vector<float*>& buffers;
    int images;
    int format;
    const void* pictures;
    float* shared;  // room for all threads at once
    float* own;     // room for each thread, `own_floats` apart
    size_t own_floats;

    float* own_of(int part) const { return own + part * own_floats; }
};

struct Operation {
    std::function<void(const Running&)> run;
    size_t own_floats = 0, shared_floats = 0;
};

struct inception_plan {
    inception_context& context;
    const int batch;
    std::vector<Buffer> buffers;
    std::vector<Operation> operations;
    std::mutex in_use;

    inception_plan(inception_context& context, int batch) : context(context), batch(batch) {}

    int add_buffer(int height, int width, int channels);
    void finish(const int* outputs, int count);
    void run(int images, int format, const void* pictures, float* const* outputs, int64_t* nanoseconds);
    size_t bytes() const { return arena_.bytes() + shared_.bytes() + own_.bytes() + zeros_.bytes(); }

    // For operations while they are added. Views are checked, and noted as needed by the next operation.
    const Buffer& buffer(int number) const;
    Pixels reads(const inception_view& view) { return pixels(view); }
    Pixels writes(const inception_view& view) { return pixels(view); }
    void needs_zeros(int count) { zero_count_ = count > zero_count_ ? count : zero_count_; }
    const float* zeros() const { return zeros_.data(); }
    int add_operation(Operation operation);

private:
    Pixels pixels(const inception_view& view);
    void place_buffers();

    bool finished_ = false;
    int zero_count_ = 0;
    size_t own_floats_ = 0;
    Floats arena_, shared_, own_, zeros_;
};

// The same pixels at the place where the buffer is now.
inline Pixels now(const Pixels& pixels, const inception_view& view, const Running& running) {
    Pixels found = pixels;
    found.data = running.buffers[view.buffer] + view.offset;
    return found;
}

int add_pictures(inception_plan& plan, const inception_view& to, int height, int width,
                 const inception_padding& border, int block, const float* scale, const float* shift);
int add_convolution(inception_plan& plan, const inception_view& from, const inception_weights& weights, int stride,
                    const inception_padding& padding, const inception_segment* segments, int count);
int add_depthwise(inception_plan& plan, const inception_view& from, const inception_weights& weights, int stride,
                  const inception_padding& padding, const inception_view& to, bool relu_first, bool relu);
int add_pool(inception_plan& plan, int kind, const inception_view& from, const Window& window,
             const inception_view& to, const float* bias, bool relu);
int add_adaptive_pool(inception_plan& plan, const inception_view& from, const inception_view& to);
int add_affine(inception_plan& plan, const inception_view& from, const float* scale, const float* shift,
               const inception_view& to, bool relu);
int add_sum(inception_plan& plan, const inception_view& shortcut, const inception_view& branch, float scale,
            const inception_view& to, bool relu);
int add_response_norm(inception_plan& plan, const inception_view& from, int size, float alpha, float beta, float k,
                      const inception_view& to);
