#include "choice.hpp"

#include <cstring>

#include "torchinception.h"

int choose(const inception_context&, int tier, const Layer& layer) {
    (void)layer;
    (void)tier;
    return 0;
}
