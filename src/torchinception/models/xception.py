"""Xception, arXiv:1610.02357, "Deep learning with depthwise separable convolutions", figure 5: the extreme Inception.

Differs:
    - `xception` is Keras's release: TensorFlow's padding in its pools, batch norm eps 1e-3.
      `xception_torch` is timm's and Cadene's port of the same weights: pools padded by 1, which shifts
      the one from 74 to 37 by a pixel, and eps 1e-5.
    - Keras refuses pictures below 71 px; the arithmetic allows 7.
    - Dropout 0.5 ahead of the classifier as the paper has it on ImageNet; Keras has none.
"""

from functools import partial

from torchinception.layers import SAME, ConvLayer, Layer, Pad, chain, conv, depthwise, max_pool, relu, residual
from torchinception.models.initialization import glorot_uniform
from torchinception.models.spec import Spec


def figure_5(conv: ConvLayer, linear: ConvLayer, pad: Pad) -> dict[str, Layer]:
    """The three flows; on the right the output at 299 px. `linear` is `conv` without ReLU, `pad` the pools'."""

    def separable(channels: int, conv: ConvLayer = linear) -> Layer:
        return chain(depthwise(3), conv(channels))  # nothing between the two: section 4.7

    def block(first: int, second: int, *, begin: tuple[Layer, ...] = (relu(inplace=False),)) -> Layer:
        return residual(
            *begin,
            separable(first),
            relu(),
            separable(second),
            max_pool(3, stride=2, pad=pad),
            shortcut=linear(second, stride=2),
        )

    def middle() -> Layer:
        return residual(relu(inplace=False), separable(728), relu(), separable(728), relu(), separable(728))

    return dict(
        conv_1=conv(32, 3, stride=2, pad=0),  #   32 x 149 x 149
        conv_2=conv(64, 3, pad=0),  #   64 x 147 x 147
        block_1=block(128, 128, begin=()),  #  128 x  74 x  74
        block_2=block(256, 256),  #  256 x  37 x  37
        block_3=block(728, 728),  #  728 x  19 x  19
        block_4=middle(),  #  728 x  19 x  19
        block_5=middle(),
        block_6=middle(),
        block_7=middle(),
        block_8=middle(),
        block_9=middle(),
        block_10=middle(),
        block_11=middle(),
        block_12=block(728, 1024),  # 1024 x  10 x  10
        conv_3=separable(1536, conv),  # 1536 x  10 x  10
        conv_4=separable(2048, conv),  # 2048 x  10 x  10
    )


def _spec(what: str, eps: float, pad: Pad) -> Spec:
    return Spec(
        what=what,
        paper="arXiv:1610.02357",
        stages=figure_5(partial(conv, eps=eps), partial(conv, eps=eps, relu=False), pad),
        initialize=glorot_uniform,
        size=299,
        min_size=7,
        dropout=0.5,
    )


XCEPTION = _spec("Xception, the extreme Inception, as in Keras", 1e-3, SAME)
XCEPTION_TORCH = _spec("Xception of timm and Cadene: pools padded by 1, batch norm eps 1e-5", 1e-5, 1)
