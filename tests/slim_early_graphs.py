"""TF-slim's Inception v1 and v2, for `slim_graphs.py`."""

from tensorflow_ops import CLASSES, Step, average_pool, conv, max_pool, mixed, plain, row, scoped, separable


def v1_module(c1: int, r3: int, c3: int, r5: int, c5: int, proj: int, third: str = "Conv2d_0b_3x3") -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", c1)],
        [conv("Conv2d_0a_1x1", r3), conv("Conv2d_0b_3x3", c3)],
        [conv("Conv2d_0a_1x1", r5), conv(third, c5)],
        [max_pool(), conv("Conv2d_0b_1x1", proj)],
    )


V1 = row(
    conv("Conv2d_1a_7x7", 64, stride=2),
    max_pool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    max_pool(stride=2),
    scoped("Mixed_3b", v1_module(64, 96, 128, 16, 32, 32)),
    scoped("Mixed_3c", v1_module(128, 128, 192, 32, 96, 64)),
    max_pool(stride=2),
    scoped("Mixed_4b", v1_module(192, 96, 208, 16, 48, 64)),
    scoped("Mixed_4c", v1_module(160, 112, 224, 24, 64, 64)),
    scoped("Mixed_4d", v1_module(128, 128, 256, 24, 64, 64)),
    scoped("Mixed_4e", v1_module(112, 144, 288, 32, 64, 64)),
    scoped("Mixed_4f", v1_module(256, 160, 320, 32, 128, 128)),
    max_pool(2, stride=2),
    scoped("Mixed_5b", v1_module(256, 160, 320, 32, 128, 128, third="Conv2d_0a_3x3")),
    scoped("Mixed_5c", v1_module(384, 192, 384, 48, 128, 128)),
)
V1_LOGITS = scoped("Logits", average_pool(7, padding="VALID"), plain("Conv2d_0c_1x1", CLASSES))


def v2_module(c1: int, r3: int, c3: int, rd: int, cd: int, proj: int, pool: Step) -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", c1)],
        [conv("Conv2d_0a_1x1", r3), conv("Conv2d_0b_3x3", c3)],
        [conv("Conv2d_0a_1x1", rd), conv("Conv2d_0b_3x3", cd), conv("Conv2d_0c_3x3", cd)],
        [pool, conv("Conv2d_0b_1x1", proj)],
    )


def v2_reduction(r3: int, c3: int, rd: int, cd: int) -> Step:
    return mixed(
        [conv("Conv2d_0a_1x1", r3), conv("Conv2d_1a_3x3", c3, stride=2)],
        [conv("Conv2d_0a_1x1", rd), conv("Conv2d_0b_3x3", cd), conv("Conv2d_1a_3x3", cd, stride=2)],
        [max_pool(stride=2)],
    )


V2 = row(
    separable("Conv2d_1a_7x7", 64, 7, multiplier=8, stride=2),
    max_pool(stride=2),
    conv("Conv2d_2b_1x1", 64),
    conv("Conv2d_2c_3x3", 192),
    max_pool(stride=2),
    scoped("Mixed_3b", v2_module(64, 64, 64, 64, 96, 32, average_pool())),
    scoped("Mixed_3c", v2_module(64, 64, 96, 64, 96, 64, average_pool())),
    scoped("Mixed_4a", v2_reduction(128, 160, 64, 96)),
    scoped("Mixed_4b", v2_module(224, 64, 96, 96, 128, 128, average_pool())),
    scoped("Mixed_4c", v2_module(192, 96, 128, 96, 128, 128, average_pool())),
    scoped("Mixed_4d", v2_module(160, 128, 160, 128, 160, 96, average_pool())),
    scoped("Mixed_4e", v2_module(96, 128, 192, 160, 192, 96, average_pool())),
    scoped("Mixed_5a", v2_reduction(128, 192, 192, 256)),
    scoped("Mixed_5b", v2_module(352, 192, 320, 160, 224, 128, average_pool())),
    scoped("Mixed_5c", v2_module(352, 192, 320, 192, 224, 128, max_pool())),
)
V2_LOGITS = scoped("Logits", average_pool(7, padding="VALID"), plain("Conv2d_1c_1x1", CLASSES))
