// Every algorithm against sums in float64, where there is no Python: on another processor, or in an emulator of one.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "torchinception.h"

namespace {

std::mt19937 generator(1);

template <class Number>
std::vector<Number> random_numbers(size_t count) {
    std::normal_distribution<Number> normal;
    std::vector<Number> numbers(count);
    for (Number& number : numbers) number = normal(generator);
    return numbers;
}

int needed(int status) {
    if (status < 0) {
        std::printf("%s\n", inception_last_error());
        std::exit(1);
    }
    return status;
}

struct Shape {
    int images, height, width, inputs, outputs, kernel_height, kernel_width, stride;

    int rows() const { return (height + 2 * (kernel_height / 2) - kernel_height) / stride + 1; }
    int columns() const { return (width + 2 * (kernel_width / 2) - kernel_width) / stride + 1; }
};

double expected(const Shape& s, const std::vector<float>& x, const std::vector<double>& kernel, int image, int y, int x0,
                int output) {
    double sum = 0;
    for (int channel = 0; channel < s.inputs; ++channel) {
        for (int i = 0; i < s.kernel_height; ++i) {
            for (int j = 0; j < s.kernel_width; ++j) {
                const int row = y * s.stride + i - s.kernel_height / 2, column = x0 * s.stride + j - s.kernel_width / 2;
                if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
                const size_t at = ((size_t(image) * s.inputs + channel) * s.height + row) * s.width + column;
                const size_t tap = ((size_t(output) * s.inputs + channel) * s.kernel_height + i) * s.kernel_width + j;
                sum += x[at] * kernel[tap];
            }
        }
    }
    return sum;
}

double worst_error(inception_context* context, int algorithm, const Shape& s) {
    const std::vector<float> x = random_numbers<float>(size_t(s.images) * s.inputs * s.height * s.width);
    const auto kernel = random_numbers<double>(size_t(s.outputs) * s.inputs * s.kernel_height * s.kernel_width);
    const std::vector<float> ones(s.inputs, 1.0f);
    inception_weights* weights;
    needed(inception_weights_create(context, algorithm, kernel.data(), nullptr, s.outputs, s.inputs, s.kernel_height,
                                    s.kernel_width, &s.outputs, 1, &weights));
    inception_plan* plan;
    needed(inception_plan_create(context, s.images, &plan));
    const int from = needed(inception_plan_buffer(plan, s.height, s.width, s.inputs));
    const int to = needed(inception_plan_buffer(plan, s.rows(), s.columns(), s.outputs));
    needed(inception_plan_pictures(plan, {from, 0, s.inputs}, s.height, s.width, {}, 1, ones.data(), ones.data()));
    const inception_segment segment = {{to, 0, s.outputs}, {-1, 0, 0}, 0};
    const int down = s.kernel_height / 2, across = s.kernel_width / 2;
    needed(inception_plan_convolution(plan, {from, 0, s.inputs}, weights, s.stride, {down, down, across, across},
                                      &segment, 1));
    needed(inception_plan_finish(plan, &to, 1));
    std::vector<float> y(size_t(s.images) * s.rows() * s.columns() * s.outputs);
    float* place = y.data();
    for (int run = 0; run < 2; ++run) {
        needed(inception_plan_run(plan, s.images, INCEPTION_FLOAT_NCHW, x.data(), &place, nullptr));
    }
    inception_plan_destroy(plan);
    inception_weights_destroy(weights);
    double worst = 0, largest = 0;
    for (size_t i = 0; i < y.size(); ++i) {
        const size_t pixel = i / s.outputs, row = pixel / s.columns();
        const double right = expected(s, x, kernel, int(row / s.rows()), int(row % s.rows()), int(pixel % s.columns()),
                                      int(i % s.outputs));
        worst = std::fmax(worst, std::fabs(y[i] - right));
        largest = std::fmax(largest, std::fabs(right));
    }
    return worst / largest;
}

}  // namespace

int main() {
    bool wrong = false;
    for (int level = INCEPTION_AVX2; level <= INCEPTION_NEON; ++level) {
        if (!inception_has_level(level)) continue;
        double peak, product;
        needed(inception_measure(level, 192, 0.5, &peak, &product));
        std::printf("level %d: peak %.1f GFLOP/s, matrix product %.1f\n", level, peak, product);
        inception_context* context;
        needed(inception_context_create(level, 2, &context));
        for (int algorithm = 0; algorithm < inception_algorithms(); ++algorithm) {
            double worst = 0;
            for (int sides : {11, 12, 13, 14, 15, 17, 22, 31, 33, 35, 44, 51, 53, 55, 71, 77}) {
                for (int stride : {1, 2}) {
                    const int height = sides / 10, width = sides % 10;
                    if (!inception_algorithm_fits(algorithm, height, width, stride)) continue;
                    worst = std::fmax(worst, worst_error(context, algorithm, {2, 9, 14, 7, 21, height, width, stride}));
                    worst = std::fmax(worst, worst_error(context, algorithm, {1, 8, 8, 40, 50, height, width, stride}));
                }
            }
            std::printf("  %-14s %.1e\n", inception_algorithm_name(algorithm), worst);
            wrong |= !(worst < 5e-5);
        }
        inception_context_destroy(context);
    }
    return wrong;
}
