"""Auxiliary heads on a deep network without batch norm: arXiv:1409.4842, section 5, and 1512.00567, section 4."""

from torchinception.layers import conv_bias
from torchinception.models.googlenet import on_4a_and_4d, reduced
from torchinception.models.initialization import caffe_xavier
from torchinception.studies.measures import ACCURACY, MACS, PARAMETERS, STEP_TIME, gradient_of
from torchinception.studies.plot import accuracy_curves, gradient_norms
from torchinception.studies.study import Claim, Study, Variant
from torchinception.studies.trunk import auxiliary, quarter_googlenet, small_spec
from torchinception.training.recipe import Loss, Optimizer

SPEC = small_spec(
    quarter_googlenet(conv_bias, reduced(conv_bias)), initialize=caffe_xavier, aux=on_4a_and_4d(auxiliary(conv_bias))
)
OPTIMIZER = Optimizer(lr=0.02, momentum=0.9, nesterov=False, weight_decay=2e-4)


def weighted(name: str, weight: float) -> Variant:
    """Each head's loss counts so much."""
    return Variant(name, SPEC, OPTIMIZER, Loss(label_smoothing=0.0, aux_weight=weight))


WITHOUT, AS_PUBLISHED, FULL = weighted("no heads", 0.0), weighted("heads at 0.3", 0.3), weighted("heads at 1", 1.0)
EXPECTED = "1409.4842 section 5"

AUXILIARY = Study(
    name="auxiliary",
    title="Auxiliary heads: more gradient, or a better network?",
    setting=(
        "GoogLeNet's table 1 at a quarter of its channels for 28 px, with its 22 layers, without batch norm and with "
        "Caffe's initial weights; heads on 4a and 4d, the loss of each weighted by 0, 0.3 (as published) or 1."
    ),
    variants=(WITHOUT, AS_PUBLISHED, FULL),
    steps=500,
    measures=(
        PARAMETERS,
        MACS,
        STEP_TIME,
        gradient_of("conv_1"),
        gradient_of("inception_4a"),
        gradient_of("inception_5b"),
        ACCURACY,
    ),
    claims=(
        Claim("Heads bring more gradient to the first layer", EXPECTED, gradient_of("conv_1"), WITHOUT, AS_PUBLISHED),
        Claim(
            "Heads bring more gradient to the stage that the first one hangs on",
            EXPECTED,
            gradient_of("inception_4a"),
            WITHOUT,
            AS_PUBLISHED,
        ),
        Claim(
            "With heads the network ends more accurate",
            EXPECTED + "; 1512.00567 section 4: slightly, near the end",
            ACCURACY,
            WITHOUT,
            AS_PUBLISHED,
        ),
        Claim(
            "A weight of 0.3 ends more accurate than one of 1",
            "1409.4842 section 5 takes 0.3 and does not say why",
            ACCURACY,
            FULL,
            AS_PUBLISHED,
        ),
    ),
    panels=(accuracy_curves, gradient_norms),
    limits=(
        "Whether heads regularize: that would need training until the network overfits, which minutes do not allow. "
        "1512.00567 finds their benefit near the end of long training only."
    ),
)
