// Gives the library memory for one number less than it has to write: a build with sanitizers has to notice.
#include <vector>

#include "torchinception.h"

int main() {
    int level = INCEPTION_NEON;
    while (level > 0 && !inception_has_level(level)) --level;
    inception_context* context;
    inception_plan* plan;
    inception_context_create(level, 1, &context);
    inception_plan_create(context, 1, &plan);
    const int buffer = inception_plan_buffer(plan, 4, 4, 3);
    const std::vector<float> pixels(48), factors(3, 1.0f);
    inception_plan_pictures(plan, {buffer, 0, 3}, 4, 4, {}, 1, factors.data(), factors.data());
    inception_plan_finish(plan, &buffer, 1);
    std::vector<float> memory(47);
    float* place = memory.data();
    return inception_plan_run(plan, 1, INCEPTION_FLOAT_NCHW, pixels.data(), &place, nullptr);
}
