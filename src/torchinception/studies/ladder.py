"""From BN-Inception to Inception-v3, one change after another: arXiv:1512.00567, table 3."""

from dataclasses import replace

from torchinception.layers import (
    ConvLayer,
    Layer,
    avg_pool,
    chain,
    concat,
    conv,
    conv_bias,
    fixed_pool,
    flatten,
    linear,
)
from torchinception.studies.measures import ACCURACY, MACS, PARAMETERS, STEP_TIME
from torchinception.studies.plot import accuracy_curves, seeds
from torchinception.studies.study import Claim, Study, Variant
from torchinception.studies.trunk import HALVE, first_layers, small_spec
from torchinception.training.recipe import Loss, Optimizer

HEAD_WEIGHT = 0.4  # TF-slim's; the paper states none


def bn_inception() -> Layer:
    """A module of arXiv:1502.03167, figure 5."""
    return concat([conv(32)], [conv(24), conv(32, 3)], [conv(24), conv(32, 3), conv(32, 3)], [avg_pool(), conv(16)])


def figure_6() -> Layer:
    """With n = 7, for the grid of 14x14."""
    return concat(
        [conv(32)],
        [conv(24), conv(24, (1, 7)), conv(32, (7, 1))],
        [conv(24), conv(24, (7, 1)), conv(24, (1, 7)), conv(24, (7, 1)), conv(32, (1, 7))],
        [avg_pool(), conv(16)],
    )


def figure_7() -> Layer:
    """Expanded filter banks, for the coarsest grid."""

    def spread() -> Layer:
        return concat([conv(24, (1, 3))], [conv(24, (3, 1))])

    return concat([conv(32)], [conv(32), spread()], [conv(24), conv(32, 3), spread()], [avg_pool(), conv(16)])


def head(conv: ConvLayer, classes: int) -> Layer:
    """As Inception-v3's, on a grid of 14x14: pool, 1x1, a convolution of the whole grid."""
    return chain(avg_pool(5, stride=3, pad=0), conv(32), conv(96, 4, pad=0), fixed_pool(1), flatten(1), linear(classes))


def stages(fine: Layer, coarse: Layer) -> dict[str, Layer]:
    """Three modules on 14x14, two on 7x7."""
    return first_layers(conv) | dict(
        inception_4a=fine, inception_4b=fine, inception_4c=fine, pool_4=HALVE, inception_5a=coarse, inception_5b=coarse
    )


PLAIN_HEAD = dict(inception_4c=lambda classes: head(conv_bias, classes))
BN_HEAD = dict(inception_4c=lambda classes: head(conv, classes))

BN_INCEPTION = Variant(
    "BN-Inception",
    small_spec(stages(bn_inception(), bn_inception()), aux=PLAIN_HEAD),
    Optimizer(name="sgd", lr=0.05, momentum=0.9, nesterov=False, weight_decay=4e-5),
    Loss(label_smoothing=0.0, aux_weight=HEAD_WEIGHT),
)
FACTORIZED = replace(BN_INCEPTION, name="factorized", spec=small_spec(stages(figure_6(), figure_7()), aux=PLAIN_HEAD))
RMSPROP = replace(
    FACTORIZED,
    name="+ RMSProp",
    optimizer=Optimizer(name="rmsprop", lr=0.045, decay=0.9, momentum=0.9, eps=1.0, weight_decay=4e-5),
)
SMOOTHED = replace(RMSPROP, name="+ label smoothing", loss=Loss(label_smoothing=0.1, aux_weight=HEAD_WEIGHT))
BN_AUXILIARY = replace(SMOOTHED, name="+ BN-auxiliary", spec=small_spec(stages(figure_6(), figure_7()), aux=BN_HEAD))


def better(before: Variant, after: Variant, source: str) -> Claim:
    """A rung above another."""
    return Claim(f"{after.name} over {before.name}", f"1512.00567 table 3: {source}", ACCURACY, before, after)


LADDER = Study(
    name="ladder",
    title="The ladder to Inception-v3",
    setting=(
        "Three modules on a grid of 14x14 and two on 7x7, at a quarter of the papers' channels. The rungs: modules of "
        "BN-Inception; in their place figure 6 (1x7 and 7x1) and figure 7; RMSProp (decay 0.9, epsilon 1, momentum "
        "0.9, rate 0.045) for SGD (momentum 0.9, rate 0.05); label smoothing 0.1; batch norm in the auxiliary head, "
        'which all rungs have. The paper\'s "factorized 7x7" is about first layers that a 28 px network does not have.'
    ),
    variants=(BN_INCEPTION, FACTORIZED, RMSPROP, SMOOTHED, BN_AUXILIARY),
    steps=500,
    measures=(PARAMETERS, MACS, STEP_TIME, ACCURACY),
    claims=(
        better(BN_INCEPTION, FACTORIZED, "top-1 error 25.2 to 23.4 %"),
        better(FACTORIZED, RMSPROP, "23.4 to 23.1 %"),
        better(RMSPROP, SMOOTHED, "23.1 to 22.8 %"),
        better(SMOOTHED, BN_AUXILIARY, "21.6 to 21.2 %"),
        better(BN_INCEPTION, BN_AUXILIARY, "25.2 to 21.2 %"),
    ),
    panels=(accuracy_curves, seeds(ACCURACY)),
    limits=(
        "Gains of a few tenths of a point, as the paper's are after 100 epochs of ImageNet: a thousand held-out "
        "pictures and minutes of training tell apart differences of a point or more. No rate was searched for on any "
        "rung. Table 3's factorized network does 1.9 times "
        "the multiply-adds of the one before, ours about as many, so that what size alone brings is left out."
    ),
)
