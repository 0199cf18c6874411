#include "weights.hpp"

#include <algorithm>
#include <array>
#include <memory>

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
typedef std::array<double, MOST_COLUMNS> Row;

// The matrix times rows that are `apart` from each other.
void multiply(const Matrix& matrix, const Row* from, int apart, Row* to, int to_apart) {
    for (int i = 0; i < matrix.rows; ++i) {
        Row& sum = to[i * to_apart] = {};
        for (int tap = 0; tap < matrix.taps; ++tap) {
            for (int column = 0; column < MOST_COLUMNS; ++column) {
                sum[column] += matrix.values[i][tap] * from[tap * apart][column];
            }
        }
    }
}

// One input channel of a panel, in float64: (kernel_height * kernel_width, columns) -> (slots, columns).
void transform(const Algorithm& algorithm, const Row* taps, Row* slots) {
    const Matrix &down = MATRICES[algorithm.down], &across = MATRICES[algorithm.across];
    Row half[12 * 7];
    for (int x = 0; x < across.taps; ++x) multiply(down, taps + x, across.taps, half + x, across.taps);
    for (int i = 0; i < down.rows; ++i) multiply(across, half + i * across.taps, 1, slots + i * across.rows, 1);
}

// The output channel of each column, in whole groups for each segment; -1 where there is none.
std::vector<int> columns_of(const std::vector<int>& segments) {
    std::vector<int> columns;
    int output = 0;
    for (int segment : segments) {
        for (int i = 0; i < (segment + GROUP - 1) / GROUP * GROUP; ++i) columns.push_back(i < segment ? output++ : -1);
    }
    return columns;
}

// Some columns of all slots and inputs.
void pack(const inception_weights& weights, const Algorithm& algorithm, const double* kernel, const int* columns,
          int count, float* to, Row* tap) {
    const int inputs = weights.inputs, taps = weights.kernel_height * weights.kernel_width;
    Row* slot = algorithm.is_direct() ? tap : tap + MOST_TAPS;
    for (int input = 0; input < inputs; ++input) {
        for (int column = 0; column < count; ++column) {
            const double* from = kernel + (size_t(std::max(columns[column], 0)) * inputs + input) * taps;
            for (int i = 0; i < taps; ++i) tap[i][column] = columns[column] < 0 ? 0 : from[i];
        }
        if (!algorithm.is_direct()) transform(algorithm, tap, slot);
        for (int i = 0; i < weights.slot_count; ++i) {
            std::copy_n(slot[i].data(), count, to + (size_t(i) * inputs + input) * count);
        }
    }
}

}  // namespace

int inception_weights_create(const inception_context* context, int number, const double* kernel, const double* bias,
                             int outputs, int inputs, int kernel_height, int kernel_width, const int* segments,
                             int segment_count, inception_weights** weights) {
    return guarded({context, kernel, segments, weights}, [&] {
        if (outputs < 1 || inputs < 1 || kernel_height < 1 || kernel_width < 1 || kernel_height > 16 ||
            kernel_width > 16) {
            refuse("no kernel can be ", outputs, " x ", inputs, " x ", kernel_height, " x ", kernel_width);
        }
        const Algorithm* algorithm = algorithm_of(number);
        if (!algorithm) refuse("no algorithm ", number);
        if (!fits(number, kernel_height, kernel_width, algorithm->stride)) {
            refuse(algorithm->name, " does not do a kernel of ", kernel_height, " x ", kernel_width);
        }
        int64_t sum = 0;
        for (int i = 0; i < segment_count; ++i) {
            if (segments[i] < 1) refuse("a segment of ", segments[i], " outputs");
            sum += segments[i];
        }
        if (sum != outputs) refuse("segments do not add up to ", outputs, " outputs");

        auto made = std::make_unique<inception_weights>();
        *made = {number, outputs, inputs, kernel_height, kernel_width, {segments, segments + segment_count}};
        made->slot_count = algorithm->is_direct() ? kernel_height * kernel_width : slot_count(*algorithm);
        for (int point = 0; point < algorithm->points(); ++point) {
            const Matrix &down = MATRICES[algorithm->down], &across = MATRICES[algorithm->across];
            const int y = point / algorithm->span_width, x = point % algorithm->span_width;
            const int slot = down.slots[y] * across.rows + across.slots[x];
            made->order.push_back({static_cast<unsigned char>(point), static_cast<unsigned char>(slot)});
        }
        const auto by_slot = [](PointSlot a, PointSlot b) { return a.slot < b.slot; };
        std::stable_sort(made->order.begin(), made->order.end(), by_slot);
        const std::vector<int> columns = columns_of(made->segments);
        const int count = int(columns.size()), wide = context->kernels->panel_groups;
        made->groups = count / GROUP;
        const int fewest = (made->groups + wide - 1) / wide, threads = context->threads.count();
        // Threads share them out where there are few rows: as many for each, as far as two groups remain in a panel.
        made->panels = std::max(fewest, std::min(made->groups / 2, (fewest + threads - 1) / threads * threads));
        made->bias = Floats(count);
        for (int i = 0; bias && i < count; ++i) made->bias[i] = columns[i] < 0 ? 0 : float(bias[columns[i]]);
        const size_t rows = size_t(made->slot_count) * inputs;
        made->data = Floats(rows * count);
        const Panels panels = {made->data.data(), made->groups, made->panels};
        Threads::Session session(const_cast<Threads&>(context->threads));
        std::vector<Row> memory(size_t(session.count()) * (MOST_TAPS + MOST_SLOTS));
        session.run([&](int part, int parts) {
            const Range mine = part_of(panels.count, part, parts);
            for (int panel = mine.first; panel < mine.last; ++panel) {
                const int first = panels.group(panel) * GROUP, last = panels.group(panel + 1) * GROUP;
                pack(*made, *algorithm, kernel, columns.data() + first, last - first, made->data.data() + first * rows,
                     memory.data() + part * (MOST_TAPS + MOST_SLOTS));
            }
        });
        *weights = made.release();
    });
}

size_t inception_weights_bytes(const inception_weights* weights) {
    return weights ? (weights->data.size() + weights->bias.size()) * sizeof(float) : 0;
}

void inception_weights_destroy(inception_weights* weights) { delete weights; }
