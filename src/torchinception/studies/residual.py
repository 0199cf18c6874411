"""Residual connections, and the scale of wide ones: arXiv:1602.07261, abstract and section 3.3."""

from torchinception.layers import Layer, chain, concat, conv, project, relu, residual
from torchinception.studies.measures import BEST, MACS, PARAMETERS, STEP_TIME, steps_to_accuracy_of
from torchinception.studies.plot import bars, with_target
from torchinception.studies.study import Claim, Study, Variant
from torchinception.studies.trunk import HALVE, first_layers, small_spec
from torchinception.training.recipe import Optimizer, Schedule

OPTIMIZER = Optimizer(name="rmsprop", lr=0.045, decay=0.9, momentum=0.9, eps=1.0, weight_decay=4e-5)
BLOCKS = 4  # on each grid
WIDE = 1088  # channels, as Inception-ResNet-v2 has on its middle grid; "above 1000"


def branch(width: int) -> tuple[Layer, Layer]:
    """Of `block_35` with half of its channels: what is added, or what stands in its place."""
    return concat([conv(16)], [conv(16), conv(16, 3)], [conv(16), conv(16, 3), conv(16, 3)]), project(width)


def plain(width: int) -> Layer:
    """The same without the addition."""
    return chain(*branch(width), relu())


def added(width: int, scale: float = 1.0) -> Layer:
    """Figure 16."""
    return residual(*branch(width), scale=scale, relu=True)


def narrow(name: str, block: Layer) -> Variant:
    """Blocks on grids of 14x14 and 7x7."""
    fine, coarse = ({f"block_{grid}_{n}": block for n in range(1, BLOCKS + 1)} for grid in (14, 7))
    return Variant(
        name, small_spec(first_layers(conv) | fine | dict(pool_3=HALVE) | coarse), OPTIMIZER, schedule=CONSTANT
    )


def wide(name: str, scale: float) -> Variant:
    """Blocks of more than 1000 channels, on a grid of 3x3 to be affordable."""
    blocks = {f"block_{n}": added(WIDE, scale) for n in range(1, 2 * BLOCKS + 1)}
    stages = first_layers(conv) | dict(pool_3=HALVE, pool_4=HALVE, widen=conv(WIDE)) | blocks
    return Variant(name, small_spec(stages), OPTIMIZER, schedule=CONSTANT)


CONSTANT = Schedule(name="constant")
PLAIN, RESIDUAL_1 = narrow("plain", plain(48)), narrow("residual", added(48))
WIDE_1, WIDE_03, WIDE_01 = wide("wide, unscaled", 1.0), wide("wide, by 0.3", 0.3), wide("wide, by 0.1", 0.1)
STEPS = steps_to_accuracy_of(PLAIN.name)
SCALING = "1602.07261 section 3.3: above 1000 filters networks died, scaling by 0.1 to 0.3 stabilized them"

RESIDUAL = Study(
    name="residual",
    title="Residual connections: faster? And does a wide network die without scaling?",
    setting=(
        "Eight blocks of figure 16 (Inception-ResNet) at half of its channels, four on a grid of 14x14, four on 7x7, "
        "with the sum (residual) and without it (plain); and eight such blocks of 1088 channels on 3x3 whose branches "
        "are added as they are, or times 0.3 or 0.1. RMSProp as in the paper, at a constant rate of 0.045; accuracies "
        "are therefore the best of twenty looks at each run."
    ),
    variants=(PLAIN, RESIDUAL_1, WIDE_1, WIDE_03, WIDE_01),
    steps=300,
    measures=(PARAMETERS, MACS, STEP_TIME, STEPS, BEST),
    claims=(
        Claim(
            "Residual connections need fewer steps",
            "1602.07261 abstract: they accelerate the training significantly",
            STEPS,
            RESIDUAL_1,
            PLAIN,
        ),
        Claim(
            "Residual connections become more accurate",
            "1602.07261 abstract: by a thin margin",
            BEST,
            PLAIN,
            RESIDUAL_1,
        ),
        Claim("A wide network does better scaled by 0.1", SCALING, BEST, WIDE_1, WIDE_01),
        Claim("A wide network does better scaled by 0.3", SCALING, BEST, WIDE_1, WIDE_03),
    ),
    panels=(with_target(PLAIN.name), bars(STEPS)),
    limits=(
        "The paper's networks died after tens of thousands of steps; these have hundreds. It compares Inception-v3 and "
        "v4 with residual networks of similar cost, not one trunk with and without the sum."
    ),
)
