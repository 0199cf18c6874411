"""Small Inception, arXiv:1611.03530, "Understanding deep learning requires rethinking generalization", figure 3.

Differs:
    - The paper counts 1,649,402 parameters, without batch norm's gammas; with them 1,651,114.
    - The paper states no padding. The reductions are unpadded here, as in Inception-v3 (28 -> 13 -> 6;
      176,297,504 multiply-adds); padded ones, as in MXNet's network of the same widths, would make
      28 -> 14 -> 7 and 204,219,680. The average pool covers whatever grid is left.
    - Initial weights are not stated; ours are TF-slim's.
"""

from torchinception.layers import Layer, concat, conv, max_pool
from torchinception.models.initialization import he_truncated
from torchinception.models.spec import Spec


def figure_3(width: float) -> dict[str, Layer]:
    """The stages of figure 3 with `width` times its channels."""

    def inception(c1: int, c3: int) -> Layer:
        return concat([conv(int(c1 * width))], [conv(int(c3 * width), 3)])

    def downsample(c3: int) -> Layer:
        return concat([conv(int(c3 * width), 3, stride=2, pad=0)], [max_pool(3, stride=2, pad=0)])

    # fmt: off
    return dict(
        conv_1=conv(int(96 * width), 3),     #  96 x 28 x 28
        inception_1a=inception( 32, 32),     #  64 x 28 x 28
        inception_1b=inception( 32, 48),     #  80 x 28 x 28
        downsample_1=downsample(80),         # 160 x 13 x 13
        inception_2a=inception(112, 48),     # 160 x 13 x 13
        inception_2b=inception( 96, 64),     # 160 x 13 x 13
        inception_2c=inception( 80, 80),     # 160 x 13 x 13
        inception_2d=inception( 48, 96),     # 144 x 13 x 13
        downsample_2=downsample(96),         # 240 x  6 x  6
        inception_3a=inception(176, 160),    # 336 x  6 x  6
        inception_3b=inception(176, 160),    # 336 x  6 x  6
    )
    # fmt: on


SMALL_INCEPTION = Spec(
    what="Small Inception at its published width, for 28x28 pictures",
    paper="arXiv:1611.03530",
    stages=figure_3(1),
    initialize=he_truncated,
    size=28,
    min_size=7,
    classes=10,
    crop=1.0,
)

TINY_INCEPTION = Spec(
    what="Small Inception at a quarter of its width, for demonstrations",
    paper="arXiv:1611.03530",
    stages=figure_3(1 / 4),
    initialize=he_truncated,
    size=28,
    min_size=7,
    classes=10,
    crop=1.0,
)
