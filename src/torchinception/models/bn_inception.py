"""BN-Inception, arXiv:1502.03167, "Batch normalization", figure 5 of the appendix.

Differs:
    - The table contradicts itself: the filters listed for 4c, 4d and 4e add up to 608, 608 and 1056
      channels, the sizes printed are 576, 576 and 1024. `bn_inception` follows the filters (the Caffe
      line of weights), `bn_inception_slim` the printed sizes (pool projections of 96), as TF-slim does.
    - The paper counts 13.6 M parameters; neither reading has more than 11.3 M.
    - `bn_inception` has a dense first convolution and counts padding in its average pools; its
      weights' convolution biases fold into batch norm, so there are none here (10,016 fewer).
    - Initial weights of `bn_inception` are TF-slim's default, for want of published ones.
    - `bn_inception_slim` has the paper's separable first convolution (8 filters a channel), with bias and
      without batch norm, and pads as TensorFlow does. Its gammas, which TF-slim leaves out, are ones.
"""

from functools import partial

from torchinception.layers import (
    SAME,
    ConvLayer,
    Layer,
    Pad,
    avg_pool,
    chain,
    concat,
    conv,
    conv_bias,
    depthwise,
    max_pool,
)
from torchinception.models.initialization import he_truncated
from torchinception.models.spec import Spec


def figure_5(conv: ConvLayer, stem: Layer, halve: Layer, average: Layer, pad: Pad, proj: int) -> dict[str, Layer]:
    """The rows of figure 5: #1x1, #3x3 reduce, #3x3, double #3x3 reduce, double #3x3, pool; output at 224 px.

    `pad` is that of the 3x3 convolutions of stride 2, `proj` the pool projection of 4c and 4d.
    """

    def inception(c1: int, r3: int, c3: int, rd: int, cd: int, pool: Layer, p: int) -> Layer:
        return concat([conv(c1)], [conv(r3), conv(c3, 3)], [conv(rd), conv(cd, 3), conv(cd, 3)], [pool, conv(p)])

    def reduction(r3: int, c3: int, rd: int, cd: int) -> Layer:
        return concat(
            [conv(r3), conv(c3, 3, stride=2, pad=pad)], [conv(rd), conv(cd, 3), conv(cd, 3, stride=2, pad=pad)], [halve]
        )

    # fmt: off
    return dict(
        conv_1=stem,                                                        #   64 x 112 x 112
        pool_1=halve,                                                       #   64 x  56 x  56
        conv_2_reduce=conv(64),                                             #   64 x  56 x  56
        conv_2=conv(192, 3),                                                #  192 x  56 x  56
        pool_2=halve,                                                       #  192 x  28 x  28
        inception_3a=inception( 64,  64,  64,  64,  96, average,     32),   #  256 x  28 x  28
        inception_3b=inception( 64,  64,  96,  64,  96, average,     64),   #  320 x  28 x  28
        inception_3c=reduction(     128, 160,  64,  96),                    #  576 x  14 x  14
        inception_4a=inception(224,  64,  96,  96, 128, average,    128),   #  576 x  14 x  14
        inception_4b=inception(192,  96, 128,  96, 128, average,    128),   #  576 x  14 x  14
        inception_4c=inception(160, 128, 160, 128, 160, average,   proj),   #  608 x  14 x  14
        inception_4d=inception( 96, 128, 192, 160, 192, average,   proj),   #  608 x  14 x  14
        inception_4e=reduction(     128, 192, 192, 256),                    # 1056 x   7 x   7
        inception_5a=inception(352, 192, 320, 160, 224, average,    128),   # 1024 x   7 x   7
        inception_5b=inception(352, 192, 320, 192, 224, max_pool(), 128),   # 1024 x   7 x   7
    )
    # fmt: on


_CAFFE = partial(conv, eps=1e-5)
BN_INCEPTION = Spec(
    what="BN-Inception by its listed filters, dense first convolution (the Caffe line of weights)",
    paper="arXiv:1502.03167",
    stages=figure_5(
        _CAFFE,
        stem=_CAFFE(64, 7, stride=2),
        halve=max_pool(3, stride=2, pad=0, ceil=True),
        average=avg_pool(count_padding=True),
        pad=1,
        proj=128,
    ),
    initialize=he_truncated,
    size=224,
    min_size=31,
)
BN_INCEPTION_SLIM = Spec(
    what="BN-Inception by its printed sizes, separable first convolution, TensorFlow's padding (TF-slim)",
    paper="arXiv:1502.03167 as in TF-slim",
    stages=figure_5(
        conv,
        stem=chain(depthwise(7, multiplier=8, stride=2, pad=SAME), conv_bias(64)),
        halve=max_pool(3, stride=2, pad=SAME),
        average=avg_pool(),
        pad=SAME,
        proj=96,
    ),
    initialize=partial(  # the sigmas of inception_v2.py
        he_truncated,
        sigmas={
            "trunk.conv_1.0.*": 1.0,
            "trunk.conv_1.1.*": 1.0,
            "trunk.conv_2_reduce.*": 0.1,
            "trunk.inception_3c.[01].0.*": 0.09,
            "trunk.inception_4e.[01].0.*": 0.09,
            "trunk.inception_??.[12].0.*": 0.09,
            "trunk.inception_??.3.1.*": 0.1,
        },
    ),
    size=224,
    min_size=1,
    dropout=0.2,
)
