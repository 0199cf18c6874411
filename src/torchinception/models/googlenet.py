"""GoogLeNet, arXiv:1409.4842, "Going deeper with convolutions", table 1, and its ports.

Differs:
    - The first convolution is dense, as in Caffe's release: 9.4 K weights. The 2.7 K and 34 M
      operations that table 1 prints are those of a separable one.
    - The K columns of table 1 are not the sums of its own filters everywhere (4c, 5a).
    - Max pools of stride 2 round their size up, as Caffe does (112 -> 56 -> 28 -> 14 -> 7).
    - Dropout 0.4 and local response normalization as in the paper and Caffe; TF-slim and
      torchvision have 0.2 and none.
    - Caffe trained on pixels of 0 to 255 minus their mean. On -1 to 1, as here, `googlenet` learns about half
      as fast at the start.
    - `googlenet_bn` puts batch norm after every convolution and drops the local response
      normalization (arXiv:1502.03167, section 4.2); no such weights are known to us.
    - `googlenet_torch` and `googlenet_slim` have a 3x3 where the paper has a 5x5
      (pytorch/vision#906), and a last pool of 2x2. The auxiliary heads of `googlenet_torch` pool to
      4x4 with overlapping windows, not 5x5 of stride 3; those of its published weights are untrained.
    - `googlenet_slim` pads as TensorFlow does, which shifts the first convolution by one pixel, and has
      no auxiliary heads. Its gammas, which TF-slim leaves out, are ones.
    - `googlenet_naive` is figure 2(a) in all nine places, for comparison; nobody published it.
    - Initial weights: Caffe's of `googlenet`; TF-slim's of `googlenet_slim`, cut at two sigma;
      `googlenet_torch` likewise (torchvision's cut, at 2, cuts nothing); those of `googlenet_bn` are
      TF-slim's default, for want of published ones.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from torchinception.layers import (
    SAME,
    ConvLayer,
    Layer,
    avg_pool,
    chain,
    concat,
    conv,
    conv_bias,
    dropout,
    fixed_pool,
    flatten,
    linear,
    lrn,
    max_pool,
    relu,
)
from torchinception.models.initialization import caffe_xavier, he_truncated
from torchinception.models.spec import Spec
from torchinception.network import UNBOUNDED

Module = Callable[[int, int, int, int, int, int], Layer]


def reduced(conv: ConvLayer, kernel: int = 5) -> Module:
    """Figure 2(b); `kernel` is 3 in TF-slim and its ports."""
    return lambda c1, r3, c3, r5, c5, proj: concat(
        [conv(c1)], [conv(r3), conv(c3, 3)], [conv(r5), conv(c5, kernel)], [max_pool(), conv(proj)]
    )


def naive(conv: ConvLayer) -> Module:
    """Figure 2(a): no reductions, and the pool goes through as it is."""
    return lambda c1, _r3, c3, _r5, c5, _proj: concat([conv(c1)], [conv(c3, 3)], [conv(c5, 5)], [max_pool()])


def table_1(conv: ConvLayer, inception: Module) -> dict[str, Layer]:
    """The rows of table 1: #1x1, #3x3 reduce, #3x3, #5x5 reduce, #5x5, pool proj; then the output at 224 px."""
    halve = max_pool(3, stride=2, pad=0, ceil=True)
    # fmt: off
    return dict(
        conv_1=conv(64, 7, stride=2),                          #   64 x 112 x 112
        pool_1=halve,                                          #   64 x  56 x  56
        conv_2_reduce=conv(64),                                #   64 x  56 x  56
        conv_2=conv(192, 3),                                   #  192 x  56 x  56
        pool_2=halve,                                          #  192 x  28 x  28
        inception_3a=inception( 64,  96, 128, 16,  32,  32),   #  256 x  28 x  28
        inception_3b=inception(128, 128, 192, 32,  96,  64),   #  480 x  28 x  28
        pool_3=halve,                                          #  480 x  14 x  14
        inception_4a=inception(192,  96, 208, 16,  48,  64),   #  512 x  14 x  14
        inception_4b=inception(160, 112, 224, 24,  64,  64),   #  512 x  14 x  14
        inception_4c=inception(128, 128, 256, 24,  64,  64),   #  512 x  14 x  14
        inception_4d=inception(112, 144, 288, 32,  64,  64),   #  528 x  14 x  14
        inception_4e=inception(256, 160, 320, 32, 128, 128),   #  832 x  14 x  14
        pool_4=halve,                                          #  832 x   7 x   7
        inception_5a=inception(256, 160, 320, 32, 128, 128),   #  832 x   7 x   7
        inception_5b=inception(384, 192, 384, 48, 128, 128),   # 1024 x   7 x   7
    )
    # fmt: on


def auxiliary(conv: ConvLayer, pool: Layer) -> Callable[[int], Layer]:
    """Section 5: average pool to 4x4, 1x1 to 128, 1024 hidden units, 70 % dropout."""
    return lambda classes: chain(pool, conv(128), flatten(4 * 4), linear(1024), relu(), dropout(0.7), linear(classes))


def on_4a_and_4d(head: Callable[[int], Layer]) -> dict[str, Callable[[int], Layer]]:
    """The two stages that the paper hangs its heads on."""
    return dict(inception_4a=head, inception_4d=head)


NORMALIZED = dict(pool_1=chain(max_pool(3, stride=2, pad=0, ceil=True), lrn()), conv_2=chain(conv_bias(192, 3), lrn()))
SMALL_LAST_POOL = dict(pool_4=max_pool(2, stride=2, pad=0, ceil=True))
TENSORFLOW_PADDING = dict(
    conv_1=conv(64, 7, stride=2, pad=SAME),
    pool_1=max_pool(3, stride=2, pad=SAME),
    pool_2=max_pool(3, stride=2, pad=SAME),
    pool_3=max_pool(3, stride=2, pad=SAME),
    pool_4=max_pool(2, stride=2, pad=SAME),
)
FIVE_BY_FIVE = avg_pool(5, stride=3, pad=0)

GOOGLENET = Spec(
    what="GoogLeNet as released in Caffe: true 5x5, local response normalization, no batch norm",
    paper="arXiv:1409.4842",
    stages=table_1(conv_bias, reduced(conv_bias)) | NORMALIZED,
    initialize=caffe_xavier,
    size=224,
    min_size=31,
    dropout=0.4,
    aux=on_4a_and_4d(auxiliary(conv_bias, FIVE_BY_FIVE)),
    aux_weight=0.3,
    aux_sizes=range(223, 271),
)
GOOGLENET_BN = replace(
    GOOGLENET,
    what="GoogLeNet's filters with batch norm: trains from scratch on few pictures",
    paper="arXiv:1409.4842 with batch norm of arXiv:1502.03167",
    stages=table_1(conv, reduced(conv)),
    initialize=he_truncated,
    aux=on_4a_and_4d(auxiliary(conv, FIVE_BY_FIVE)),
)
GOOGLENET_TORCH = Spec(
    what="torchvision's port of GoogLeNet, for its weights: batch norm, 3x3 for 5x5",
    paper="arXiv:1409.4842 as in torchvision",
    stages=table_1(conv, reduced(conv, 3)) | SMALL_LAST_POOL,
    initialize=partial(he_truncated, otherwise=0.01),  # torchvision: sigma 0.01
    size=224,
    min_size=15,
    dropout=0.2,
    aux=on_4a_and_4d(auxiliary(conv, fixed_pool(4))),
    aux_weight=0.3,
    aux_sizes=range(15, UNBOUNDED),
)
SLIM = partial(he_truncated, otherwise=0.01, sigmas={"classifier": math.sqrt(1.3 * 2 / 1024)})  # inception_v1.py

GOOGLENET_SLIM = Spec(
    what="TF-slim's InceptionV1 with TensorFlow's padding, for its weights",
    paper="arXiv:1409.4842 as in TF-slim",
    stages=table_1(conv, reduced(conv, 3)) | TENSORFLOW_PADDING,
    initialize=SLIM,
    size=224,
    min_size=1,
    dropout=0.2,
)
GOOGLENET_NAIVE = Spec(
    what="GoogLeNet without 1x1 reductions: figure 2(a) in all nine places, no batch norm",
    paper="arXiv:1409.4842, figure 2(a)",
    stages=table_1(conv_bias, naive(conv_bias)) | NORMALIZED,
    initialize=caffe_xavier,
    size=224,
    min_size=31,
    dropout=0.4,
)
