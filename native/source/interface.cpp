// The C interface but for weights, plans and the choice, which define theirs: no exception leaves.
#include <algorithm>
#include <chrono>
#include <new>

#include "plan.hpp"

namespace {

thread_local std::string last_error;

// The kernels of a level, or null if it was not compiled or this processor lacks it.
const Kernels* kernels_of(int level) {
#if defined(HAS_X86)
    if (level == INCEPTION_AVX2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return kernels_avx2();
    }
    if (level == INCEPTION_AVX512 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma")) {
        return kernels_avx512();
    }
#elif defined(HAS_NEON)
    if (level == INCEPTION_NEON) return kernels_neon();
#endif
    (void)level;
    return nullptr;
}

const Kernels& existing_kernels(int level) {
    const Kernels* kernels = kernels_of(level);
    if (!kernels) {
        refuse<INCEPTION_UNSUPPORTED>("instruction set ", level, " is not compiled in, or not this processor's");
    }
    return *kernels;
}

// Of many runs of `work`, which returns how many operations it did.
template <class Work>
double best_gflops(double seconds, const Work& work) {
    using Clock = std::chrono::steady_clock;
    double best = 0;
    for (const auto first = Clock::now(); Clock::now() - first < std::chrono::duration<double>(seconds);) {
        const auto begin = Clock::now();
        best = std::max(best, work() / std::chrono::duration<double, std::nano>(Clock::now() - begin).count());
    }
    return best;
}

}  // namespace

int status_of_exception() noexcept {
    try {
        throw;
    } catch (const Failure& failure) {
        last_error = failure.text;
        return failure.status;
    } catch (const std::bad_alloc&) {
        last_error = "not enough memory";
        return INCEPTION_MEMORY;
    } catch (const std::exception& error) {
        last_error = error.what();
        return INCEPTION_INTERNAL;
    }
}

const char* inception_last_error(void) { return last_error.c_str(); }

int inception_interface_version(void) { return 2; }

int inception_has_level(int level) { return kernels_of(level) != nullptr; }

int inception_measure(int level, int depth, double seconds, double* peak_gflops, double* product_gflops) {
    return guarded({peak_gflops, product_gflops}, [&] {
        if (depth < 1 || depth > 65536) refuse("no depth of ", depth);
        const Kernels& kernels = existing_kernels(level);
        std::vector<float> memory(64 * (size_t(depth) + 64));
        *peak_gflops = best_gflops(seconds / 2, [&] { return kernels.peak(); });
        *product_gflops = best_gflops(seconds / 2, [&] { return kernels.product(depth, memory.data()); });
    });
}

int inception_context_create(int level, int threads, inception_context** context) {
    return guarded({context}, [&] {
        if (threads < 1 || threads > 1024) refuse(threads, " threads; expected 1 to 1024");
        *context = new inception_context{&existing_kernels(level), level, Threads(threads)};
    });
}

void inception_context_destroy(inception_context* context) { delete context; }

int inception_algorithms(void) { return algorithm_count(); }

const char* inception_algorithm_name(int algorithm) {
    const Algorithm* found = algorithm_of(algorithm);
    return found ? found->name : "";
}

int inception_algorithm_fits(int algorithm, int kernel_height, int kernel_width, int stride) {
    return fits(algorithm, kernel_height, kernel_width, stride);
}
