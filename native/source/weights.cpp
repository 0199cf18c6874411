#include "weights.hpp"

#include <algorithm>
#include <memory>
#include <numeric>

#include "failure.hpp"
#include "tables.hpp"

int algorithm_count() { return int(std::size(ALGORITHMS)); }

const Algorithm* algorithm_of(int number) {
    return number >= 0 && number < algorithm_count() ? &ALGORITHMS[number] : nullptr;
}

int slot_count(const Algorithm& algorithm) {
    return algorithm.is_direct() ? 0 : MATRICES[algorithm.down].rows * MATRICES[algorithm.across].rows;
}

bool fits(int number, int kernel_height, int kernel_width, int stride) {
    const Algorithm* algorithm = algorithm_of(number);
    return algorithm && (algorithm->is_direct() ||
                         (algorithm->kernel_height == kernel_height && algorithm->kernel_width == kernel_width &&
                          algorithm->stride == stride));
}

namespace {

constexpr int MOST_COLUMNS = 48, MOST_TAPS = 256, MOST_SLOTS = 64;

// One input channel of a panel, in float64: (kernel_height * kernel_width, columns) -> (slots, columns).
void transform(const Algorithm& algorithm, const double (*taps)[MOST_COLUMNS], double (*slots)[MOST_COLUMNS]) {
    const Matrix &down = MATRICES[algorithm.down], &across = MATRICES[algorithm.across];
    double half[12 * 7][MOST_COLUMNS] = {};
    for (int i = 0; i < down.rows; ++i) {
        for (int y = 0; y < down.taps; ++y) {
            for (int x = 0; x < across.taps; ++x) {
                for (int column = 0; column < MOST_COLUMNS; ++column) {
                    half[i * across.taps + x][column] += down.values[i][y] * taps[y * across.taps + x][column];
                }
            }
        }
    }
    for (int i = 0; i < down.rows; ++i) {
        for (int j = 0; j < across.rows; ++j) {
            double* slot = slots[i * across.rows + j];
            std::fill(slot, slot + MOST_COLUMNS, 0.0);
            for (int x = 0; x < across.taps; ++x) {
                for (int column = 0; column < MOST_COLUMNS; ++column) {
                    slot[column] += across.values[j][x] * half[i * across.taps + x][column];
                }
            }
        }
    }
}

// The output channel of each column; -1 where there is none.
std::vector<int> columns_of(const std::vector<int>& segments) {
    std::vector<int> columns;
    int output = 0;
    for (int segment : segments) {
        for (int i = 0; i < (segment + GROUP - 1) / GROUP * GROUP; ++i) columns.push_back(i < segment ? output++ : -1);
    }
    return columns;
}

void pack_panel(inception_weights& weights, const Algorithm& algorithm, const double* kernel, const int* columns,
                int count, float* to) {
    const int taps = weights.kernel_height * weights.kernel_width;
    std::vector<double> memory(size_t(MOST_TAPS + MOST_SLOTS) * MOST_COLUMNS);
    auto* tap = reinterpret_cast<double(*)[MOST_COLUMNS]>(memory.data());
    auto* slot = algorithm.is_direct() ? tap : tap + MOST_TAPS;
    for (int input = 0; input < weights.inputs; ++input) {
        for (int column = 0; column < count; ++column) {
            if (columns[column] < 0) continue;  // stays 0
            const double* from = kernel + (size_t(columns[column]) * weights.inputs + input) * taps;
            for (int i = 0; i < taps; ++i) tap[i][column] = from[i];
        }
        if (!algorithm.is_direct()) transform(algorithm, tap, slot);
        for (int i = 0; i < weights.slot_count; ++i) {
            float* row = to + (size_t(i) * weights.inputs + input) * count;
            for (int column = 0; column < count; ++column) row[column] = float(slot[i][column]);
        }
    }
}

}  // namespace

inception_weights* pack(const inception_context& context, int number, const double* kernel, const double* bias,
                        int outputs, int inputs, int kernel_height, int kernel_width,
                        const std::vector<int>& segments) {
    const Algorithm& algorithm = *algorithm_of(number);
    if (std::accumulate(segments.begin(), segments.end(), int64_t(0)) != outputs) {
        refuse("segments do not add up to ", outputs, " outputs");
    }
    std::unique_ptr<inception_weights> weights(new inception_weights);
    weights->algorithm = number;
    weights->outputs = outputs;
    weights->inputs = inputs;
    weights->kernel_height = kernel_height;
    weights->kernel_width = kernel_width;
    weights->segments = segments;
    const std::vector<int> columns = columns_of(segments);
    const int wide = context.kernels->panel_groups;
    weights->groups = int(columns.size()) / GROUP;
    weights->panels = (weights->groups + wide - 1) / wide;
    if (algorithm.is_direct()) {
        weights->slot_count = kernel_height * kernel_width;
    } else {
        const Matrix &down = MATRICES[algorithm.down], &across = MATRICES[algorithm.across];
        weights->slot_count = slot_count(algorithm);
        for (int point = 0; point < algorithm.points(); ++point) {
            const int y = point / algorithm.span_width, x = point % algorithm.span_width;
            const int slot = down.slots[y] * across.rows + across.slots[x];
            weights->order.push_back({static_cast<unsigned char>(point), static_cast<unsigned char>(slot)});
        }
        std::stable_sort(weights->order.begin(), weights->order.end(),
                         [](PointSlot a, PointSlot b) { return a.slot < b.slot; });
    }
    weights->data = Floats(columns.size() * inputs * weights->slot_count);
    weights->bias = Floats(columns.size());
    for (size_t i = 0; i < columns.size(); ++i) {
        if (bias && columns[i] >= 0) weights->bias.data()[i] = float(bias[columns[i]]);
    }
    const Panels panels = {weights->data.data(), weights->groups, weights->panels};
    Threads::Session session(const_cast<Threads&>(context.threads));
    session.run([&](int part, int parts) {
        const Range mine = part_of(panels.count, part, parts);
        for (int panel = mine.first; panel < mine.last; ++panel) {
            const int group = panels.group(panel), count = (panels.group(panel + 1) - group) * GROUP;
            float* to = weights->data.data() + size_t(group) * GROUP * inputs * weights->slot_count;
            pack_panel(*weights, algorithm, kernel, columns.data() + group * GROUP, count, to);
        }
    });
    return weights.release();
}

inception_weights* pack_depthwise(const double* kernel, const double* bias, int channels, int kernel_height,
                                  int kernel_width) {
    std::unique_ptr<inception_weights> weights(new inception_weights);
    weights->algorithm = DEPTHWISE;
    weights->outputs = weights->inputs = channels;
    weights->kernel_height = kernel_height;
    weights->kernel_width = kernel_width;
    const int taps = kernel_height * kernel_width;
    weights->data = Floats(size_t(taps + 1) * channels);
    float* to = weights->data.data();
    for (int channel = 0; channel < channels; ++channel) {
        for (int tap = 0; tap < taps; ++tap) to[tap * channels + channel] = float(kernel[channel * taps + tap]);
        if (bias) to[taps * channels + channel] = float(bias[channel]);
    }
    return weights.release();
}
