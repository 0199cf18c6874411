"""GoogLeNet, arXiv:1409.4842, "Going deeper with convolutions", table 1.

Differs:
    - The first convolution is dense, as in Caffe's release: 9.4 K weights. The 2.7 K and 34 M
      operations that table 1 prints are those of a separable one.
    - The K columns of table 1 are not the sums of its own filters everywhere (4c, 5a).
    - Dropout 0.4 and local response normalization as in the paper and Caffe; TF-slim and
      torchvision have 0.2 and none. `googlenet_bn` puts batch norm after every convolution and
      drops the local response normalization (arXiv:1502.03167, section 4.2).
    - Max pools of stride 2 round their size up, as Caffe does (112 -> 56 -> 28 -> 14 -> 7).
"""

from collections.abc import Callable

from torchinception.layers import (
    ConvLayer,
    Layer,
    avg_pool,
    chain,
    concat,
    conv,
    conv_bias,
    dropout,
    flatten,
    linear,
    lrn,
    max_pool,
    relu,
)
from torchinception.models.initialization import caffe_xavier, he_truncated
from torchinception.models.spec import Spec


def table_1(conv: ConvLayer) -> dict[str, Layer]:
    """The rows of table 1; on the right the output for a 224x224 picture."""

    def halve() -> Layer:
        return max_pool(3, stride=2, pad=0, ceil=True)

    def inception(c1: int, r3: int, c3: int, r5: int, c5: int, proj: int) -> Layer:
        """Figure 2(b): columns #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj."""
        return concat([conv(c1)], [conv(r3), conv(c3, 3)], [conv(r5), conv(c5, 5)], [max_pool(), conv(proj)])

    # fmt: off
    return dict(
        conv_1=conv(64, 7, stride=2),                          #   64 x 112 x 112
        pool_1=halve(),                                        #   64 x  56 x  56
        conv_2_reduce=conv(64),                                #   64 x  56 x  56
        conv_2=conv(192, 3),                                   #  192 x  56 x  56
        pool_2=halve(),                                        #  192 x  28 x  28
        inception_3a=inception( 64,  96, 128, 16,  32,  32),   #  256 x  28 x  28
        inception_3b=inception(128, 128, 192, 32,  96,  64),   #  480 x  28 x  28
        pool_3=halve(),                                        #  480 x  14 x  14
        inception_4a=inception(192,  96, 208, 16,  48,  64),   #  512 x  14 x  14
        inception_4b=inception(160, 112, 224, 24,  64,  64),   #  512 x  14 x  14
        inception_4c=inception(128, 128, 256, 24,  64,  64),   #  512 x  14 x  14
        inception_4d=inception(112, 144, 288, 32,  64,  64),   #  528 x  14 x  14
        inception_4e=inception(256, 160, 320, 32, 128, 128),   #  832 x  14 x  14
        pool_4=halve(),                                        #  832 x   7 x   7
        inception_5a=inception(256, 160, 320, 32, 128, 128),   #  832 x   7 x   7
        inception_5b=inception(384, 192, 384, 48, 128, 128),   # 1024 x   7 x   7
    )
    # fmt: on


def auxiliary(conv: ConvLayer) -> Callable[[int], Layer]:
    """Section 5: average pool 5x5 of stride 3 to 4x4, 1x1 to 128, 1024 hidden units, 70 % dropout."""
    return lambda classes: chain(
        avg_pool(5, stride=3, pad=0), conv(128), flatten(4 * 4), linear(1024), relu(), dropout(0.7), linear(classes)
    )


NORMALIZED = dict(pool_1=chain(max_pool(3, stride=2, pad=0, ceil=True), lrn()), conv_2=chain(conv_bias(192, 3), lrn()))

GOOGLENET = Spec(
    what="GoogLeNet as released in Caffe: true 5x5, local response normalization, no batch norm",
    paper="arXiv:1409.4842",
    stages=table_1(conv_bias) | NORMALIZED,
    initialize=caffe_xavier,
    size=224,
    min_size=31,
    dropout=0.4,
    aux=dict(inception_4a=auxiliary(conv_bias), inception_4d=auxiliary(conv_bias)),
    aux_weight=0.3,
    aux_sizes=range(223, 271),
)

GOOGLENET_BN = Spec(
    what="GoogLeNet's filters with batch norm: trains from scratch on few pictures",
    paper="arXiv:1409.4842 with batch norm of arXiv:1502.03167",
    stages=table_1(conv),
    initialize=he_truncated,
    size=224,
    min_size=31,
    dropout=0.4,
    aux=dict(inception_4a=auxiliary(conv), inception_4d=auxiliary(conv)),
    aux_weight=0.3,
    aux_sizes=range(223, 271),
)
