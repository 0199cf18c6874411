/* The native engine: a plan of operations over float32 pictures in NHWC, computed on one CPU.
 *
 *   context   which instructions are used, and on how many threads
 *   weights   one convolution's kernel, packed for one algorithm; any number of its context's plans may use it
 *   plan      buffers and operations for one size of picture and up to `batch` pictures at a time
 *
 *   inception_context_create -> inception_weights_create ... -> inception_plan_create -> inception_plan_buffer ...
 *   -> operations, in the order in which they run -> inception_plan_finish -> inception_plan_run, any number of times.
 *
 * A buffer is (batch, height, width, channels) without gaps. Operations read and write views of buffers, which are some
 * of the channels: a concatenation is several operations that write into one buffer. Neither offsets nor numbers of
 * channels need be multiples of anything; multiples of 16 are quickest.
 *
 * Functions return 0 or more on success, an `inception_status` below 0 on failure, and leave a sentence that says what
 * was wrong in `inception_last_error`. Nothing is printed, and no C++ exception leaves.
 *
 * The same plan, weights and pictures give the same bytes, on any number of threads and for any number of pictures.
 * Plans of different contexts may run at once from different threads; those that share one wait for each other. A
 * forked process may go on with all of them, whatever plans ran while it was forked.
 */
#ifndef TORCHINCEPTION_H
#define TORCHINCEPTION_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef enum inception_status {
    INCEPTION_INVALID = -1,     /* arguments that cannot be: shapes that do not fit, an unknown number */
    INCEPTION_UNSUPPORTED = -2, /* an instruction set that is not there */
    INCEPTION_MEMORY = -3,
    INCEPTION_INTERNAL = -4
} inception_status;

/* What the last call of this thread that failed has to say; "" before. */
const char* inception_last_error(void);

/* Grows whenever a function or its meaning changes. */
int inception_interface_version(void);

/* ---- Instruction sets ---- */

typedef enum inception_level {
    INCEPTION_AVX2 = 1,   /* with FMA */
    INCEPTION_AVX512 = 2, /* AVX-512F, VL, DQ and BW */
    INCEPTION_NEON = 3    /* aarch64 */
} inception_level;

/* 1 if it is compiled in and this processor has it, else 0. The highest is the quickest. */
int inception_has_level(int level);

/* What one thread reaches by multiply-adds in registers, and by the matrix product that convolutions are made of, on
 * `depth` channels from the first cache; in GFLOP/s, each the best of many short runs that take `seconds` together. */
int inception_measure(int level, int depth, double seconds, double* peak_gflops, double* product_gflops);

/* ---- Contexts ---- */

typedef struct inception_context inception_context;

/* Threads sleep while no plan runs. `level` is one that `inception_has_level`. */
int inception_context_create(int level, int threads, inception_context** context);

/* After all of its weights and plans. */
void inception_context_destroy(inception_context* context);

/* ---- Weights ---- */

/* Algorithms are numbered 0 (direct) to `inception_algorithms()` - 1; the others are Winograd's, for one size of kernel
 * and one stride each. Names are as "direct", "F(4x4,3x3)", "F(1x6,1x7)", "F(3x3,3x3)/2" (stride 2), and stay. */
int inception_algorithms(void);
const char* inception_algorithm_name(int algorithm);

/* 1 if it computes that convolution, else 0. */
int inception_algorithm_fits(int algorithm, int kernel_height, int kernel_width, int stride);

typedef enum inception_tier {
    INCEPTION_TIER_DIRECT = 0,  /* no Winograd */
    INCEPTION_TIER_DEFAULT = 1, /* errors of the order of direct float32 */
    INCEPTION_TIER_FAST = 2     /* errors up to 1e-4 of the scale */
} inception_tier;

/* The written rule: which algorithm is expected to be quickest, for outputs of (images, height, width). */
int inception_choose(const inception_context* context, int tier, int inputs, int outputs, int kernel_height,
                     int kernel_width, int stride, int images, int height, int width);

typedef struct inception_weights inception_weights;

/* Packs a kernel (outputs, inputs, kernel_height, kernel_width) and a bias (outputs), or NULL for none; both are copied.
 * `segments`: the numbers of outputs that go into one view each, in order (one segment for an ordinary convolution). */
int inception_weights_create(const inception_context* context, int algorithm, const double* kernel, const double* bias,
                             int outputs, int inputs, int kernel_height, int kernel_width, const int* segments,
                             int segment_count, inception_weights** weights);

size_t inception_weights_bytes(const inception_weights* weights);

/* After all plans that use it. */
void inception_weights_destroy(inception_weights* weights);

/* ---- Plans ---- */

typedef struct inception_plan inception_plan;

/* Channels `offset` to `offset + channels` of a buffer. */
typedef struct inception_view {
    int buffer, offset, channels;
} inception_view;

/* Cells around the input. What a window covers beyond them, as where sizes are rounded up, never counts. */
typedef struct inception_padding {
    int top, bottom, left, right;
} inception_padding;

/* Where some of a convolution's outputs go: `to = max(convolution + bias + added, relu ? 0 : -infinity)`. */
typedef struct inception_segment {
    inception_view to;
    inception_view added; /* of the size of `to`; a buffer of -1: nothing is added */
    int relu;
} inception_segment;

typedef enum inception_pool {
    INCEPTION_MAX = 0,             /* padding never wins */
    INCEPTION_AVERAGE = 1,         /* padding counts in no mean (TensorFlow) */
    INCEPTION_AVERAGE_PADDING = 2, /* padding counts as zeros (PyTorch's default, Caffe) */
    INCEPTION_ADAPTIVE = 3,        /* mean over windows that cover the input, as many as `to` has cells, as PyTorch cuts
                                      them: their size, stride and padding are not used */
    INCEPTION_FILTER = 4           /* sum of what is in a window times `kernel`: a depthwise convolution */
} inception_pool;

int inception_plan_create(inception_context* context, int batch, inception_plan** plan);
void inception_plan_destroy(inception_plan* plan);

/* The number of a new buffer. */
int inception_plan_buffer(inception_plan* plan, int height, int width, int channels);

/* Operations return their number, from 0. */

/* The caller's pictures, of the size of `to` without `border`, or with `block` 2 of twice its size.
 * `border` is filled with zeros, for a first convolution that is then an unpadded one.
 * `block` 2 puts the pixels (2y, 2x), (2y, 2x + 1), (2y + 1, 2x), (2y + 1, 2x + 1) behind each other in one pixel of
 * four times the channels, after the border, so that a stride of 2 becomes one of 1; else 1. Pictures need not be of
 * even size then: `height` and `width` are those of the pictures, and what is missing is zero.
 * `scale` and `shift` (channels of the pictures): uint8 pictures become `x * scale + shift`, float ones stay. */
int inception_plan_pictures(inception_plan* plan, inception_view to, int height, int width, inception_padding border,
                            int block, const float* scale, const float* shift);

/* Kernel and algorithm are those of `weights`; one segment for each of its segments. The height of `to` is
 * (top + height + bottom - kernel_height) / stride + 1, rounded down. */
int inception_plan_convolution(inception_plan* plan, inception_view from, const inception_weights* weights, int stride,
                               inception_padding padding, const inception_segment* segments, int segment_count);

/* `to = max(pool of from * scale + shift + added, relu ? 0 : -infinity)`, scale and shift (channels); NULL is 1, or 0,
 * and a buffer of -1 nothing. `kernel` (kernel_height * kernel_width, channels) is what a filter has; NULL for all
 * others. `relu_first` is applied to what is read. All of these are copied.
 * Any size of `to` whose windows all begin inside the input or ahead of it. A pool of 1 x 1 is the input: a copy, a
 * factor or bias for each channel, a sum of two views or ReLU; `to` may be one of these then. */
int inception_plan_pool(inception_plan* plan, inception_view from, int kind, int kernel_height, int kernel_width,
                        int stride, inception_padding padding, const float* kernel, int relu_first, const float* scale,
                        const float* shift, inception_view added, inception_view to, int relu);

/* `x / (k + alpha * mean of x² over size channels around) ** beta`; channels that are not there are 0. */
int inception_plan_response_norm(inception_plan* plan, inception_view from, int size, float alpha, float beta, float k,
                                 inception_view to);

/* A linear layer is a 1x1 convolution between buffers of 1 x 1 pixels. */

/* No more operations. `outputs` are buffers that the caller will provide memory for; all others share one arena. */
int inception_plan_finish(inception_plan* plan, const int* outputs, int output_count);

/* Of the arena, of what threads need for themselves and of what was copied, without weights. */
size_t inception_plan_bytes(const inception_plan* plan);

typedef enum inception_format {
    INCEPTION_FLOAT_NCHW = 0,
    INCEPTION_FLOAT_NHWC = 1,
    INCEPTION_UINT8_NHWC = 2
} inception_format;

/* `images`: 1 to `batch`. `outputs`: one pointer for each buffer given to `inception_plan_finish`, in that order, to
 * (images, height, width, channels) floats. `nanoseconds`: NULL, or what each operation took, one number each. */
int inception_plan_run(inception_plan* plan, int images, int format, const void* pictures, float* const* outputs,
                       int64_t* nanoseconds);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif

#endif
