"""Smaller convolutions in place of a 5x5: arXiv:1512.00567, section 3."""

from collections.abc import Callable

from torchinception.layers import Layer, avg_pool, chain, concat, conv
from torchinception.studies.measures import ACCURACY, MACS, PARAMETERS, STEP_TIME
from torchinception.studies.plot import accuracy_curves, bars
from torchinception.studies.study import Claim, Study, Variant
from torchinception.studies.trunk import HALVE, first_layers, small_spec
from torchinception.training.recipe import Optimizer

OPTIMIZER = Optimizer(lr=0.05, momentum=0.9, weight_decay=5e-4)
WIDTH = 32  # into, within and out of what is factorized


def with_spatial(name: str, spatial: Callable[[int], Layer]) -> Variant:
    """Two modules on each grid, in which nothing but `spatial` sees neighbours; the pool apart."""

    def module() -> Layer:
        return concat([conv(32)], [conv(WIDTH), spatial(WIDTH)], [avg_pool(), conv(16)])

    stages = first_layers(conv) | dict(
        module_1=module(),  # 80 x 14 x 14
        module_2=module(),  # 80 x 14 x 14
        pool_3=HALVE,  # 80 x 7 x 7
        module_3=module(),  # 80 x 7 x 7
        module_4=module(),  # 80 x 7 x 7
    )
    return Variant(name, small_spec(stages), OPTIMIZER)


FIVE = with_spatial("5x5", lambda width: conv(width, 5))
THREES = with_spatial("3x3 + 3x3", lambda width: chain(conv(width, 3), conv(width, 3)))
ONES = with_spatial("1x5 + 5x1", lambda width: chain(conv(width, (1, 5)), conv(width, (5, 1))))
IN_TWO, BY_SIDE = (
    "1512.00567 section 3.1: 28 % cheaper",
    "1512.00567 section 3.2: 33 % cheaper at n = 3, which is 60 % at n = 5",
)

FACTORIZATION = Study(
    name="factorization",
    title="Factorization: is a 5x5 as good in smaller pieces?",
    setting=(
        "Four modules of a 1x1, a pool and a branch with a 5x5 of 32 channels in and out, two on a grid of 14x14 and "
        "two on 7x7, all with batch norm. The 5x5 is replaced by two 3x3, or by a 1x5 and a 5x1, of the same width and "
        "the same view, with ReLU between. The rest of the network is not factorized, so that less of the whole is "
        "saved."
    ),
    variants=(FIVE, THREES, ONES),
    steps=400,
    measures=(PARAMETERS, MACS, STEP_TIME, ACCURACY),
    claims=(
        Claim("Two 3x3 save parameters", IN_TWO, PARAMETERS, THREES, FIVE),
        Claim("A 1x5 and a 5x1 save more", BY_SIDE, PARAMETERS, ONES, THREES),
        Claim("Two 3x3 save time", IN_TWO, STEP_TIME, THREES, FIVE),
        Claim("A 1x5 and a 5x1 save time", BY_SIDE, STEP_TIME, ONES, FIVE),
        Claim(
            "Two 3x3 cost at most one point of accuracy", "1512.00567 section 3.1", ACCURACY, FIVE, THREES, margin=0.01
        ),
        Claim(
            "A 1x5 and a 5x1 cost at most one point of accuracy",
            "1512.00567 section 3.2: on grids of 12 to 20",
            ACCURACY,
            FIVE,
            ONES,
            margin=0.01,
        ),
    ),
    panels=(accuracy_curves, bars(STEP_TIME)),
    limits=(
        "At n = 7, and in early layers on large grids, where the paper found 1xn and nx1 to do badly. Time depends on "
        "the convolution library: this is one thread of PyTorch on this processor."
    ),
)
