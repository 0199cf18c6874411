// Buffers and operations of one network for one size of picture.
#pragma once

#include <functional>
#include <vector>

#include "failure.hpp"
#include "weights.hpp"

struct Buffer {
    int height, width, channels;
    size_t floats;              // of all images, in whole cache lines
    int first = -1, last = -1;  // operations that need it
    int output = -1;            // its place among the caller's
    size_t place = 0;           // in the arena

    size_t end() const { return place + floats; }
};

// Some channels of a buffer, wherever it is when the plan runs; none of buffer -1.
struct View {
    int buffer, offset, apart, height, width, channels;

    bool same_size(const View& other) const {
        return height == other.height && width == other.width && channels == other.channels;
    }
};

// What an operation is given when it runs.
struct Running {
    Threads::Session& threads;
    const Kernels& kernels;
    const std::vector<float*>& buffers;
    int images, format;
    const void* pictures;
    float* shared;  // room for all threads at once
    float* own;     // room for each thread, `own_floats` apart
    size_t own_floats;

    float* own_of(int part) const { return own + part * own_floats; }

    Pixels pixels(const View& view) const {
        if (view.buffer < 0) return {};
        return {buffers[view.buffer] + view.offset, view.apart, view.height, view.width, view.channels};
    }
};

typedef std::function<void(const Running&)> Operation;

struct inception_plan {
    inception_context& context;
    const int batch;

    std::vector<Buffer> buffers = {};
    std::vector<Operation> operations = {};
    bool finished = false;
    size_t own_floats = SCRATCH_FLOATS;
    Floats arena = {}, shared = {}, own = {}, zeros = {};
    std::vector<Floats> kept = {};

    // For operations while they are added: a checked view, noted as needed by the next of them.
    View view(const inception_view& view);
    View view_or_none(const inception_view& view);
    // Room that it wants: zeros, and floats for each thread and for all.
    void reserve(size_t zero_floats, size_t floats, size_t shared_floats);
    // A copy that lives as long as the plan; null of null.
    const float* keep(const float* values, size_t count);
    int add(Operation operation);

    // work(running, rows, part) on all rows of all images of `to`, shared out.
    template <class Work>
    int add_rows(const View& to, const Work& work) {
        return add([=](const Running& running) {
            running.threads.run([&](int part, int parts) {
                work(running, part_of(running.images * to.height, part, parts), part);
            });
        });
    }

    Buffer& buffer(int number);
    void place_buffers();
};

// Refuses padding in which a window could lie as a whole.
Window window_of(int kernel_height, int kernel_width, int stride, const inception_padding& padding);
// Refuses all but as many outputs as windows fit.
void check_output(const Window& window, const View& from, const View& to);

inline float least_of(bool relu) { return relu ? 0.0f : -__builtin_inff(); }
