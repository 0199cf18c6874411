"""Batch norm and the learning rate: arXiv:1502.03167, section 4.2, figure 3."""

from torchinception.layers import ConvLayer, conv, conv_bias
from torchinception.models.googlenet import reduced
from torchinception.studies.measures import BEST, STEP_TIME, steps_to_accuracy_of
from torchinception.studies.plot import bars, with_target
from torchinception.studies.study import Claim, Study, Variant
from torchinception.studies.trunk import quarter_googlenet, small_spec
from torchinception.training.recipe import Optimizer, Schedule

RATE = 0.005


def at_rate(layers: str, conv: ConvLayer, times: int) -> Variant:
    """With or without batch norm, at a multiple of the learning rate, which stays as it is."""
    optimizer = Optimizer(lr=RATE * times, momentum=0.9, nesterov=False, weight_decay=2e-4)
    spec = small_spec(quarter_googlenet(conv, reduced(conv)))
    return Variant(f"{layers} x{times}", spec, optimizer, schedule=Schedule(name="constant"))


PLAIN_1, PLAIN_5, PLAIN_30 = (at_rate("plain", conv_bias, times) for times in (1, 5, 30))
BN_1, BN_5, BN_30 = (at_rate("BN", conv, times) for times in (1, 5, 30))
STEPS = steps_to_accuracy_of(PLAIN_1.name)

BATCHNORM = Study(
    name="batchnorm",
    title="Batch norm: how much faster, and at which learning rates?",
    setting=(
        f"GoogLeNet's table 1 at a quarter of its channels for 28 px, every convolution followed by batch norm (BN) or "
        f"not (plain), both with He's initial weights; SGD at a constant learning rate of {RATE} (x1), five and thirty "
        "times as much. As in the paper, steps are counted to the best accuracy of the plain network "
        "at x1 (of its weakest seed)."
    ),
    variants=(PLAIN_1, PLAIN_5, PLAIN_30, BN_1, BN_5, BN_30),
    steps=400,
    measures=(STEP_TIME, STEPS, BEST),
    claims=(
        Claim(
            "At the same learning rate batch norm needs fewer steps",
            "1502.03167 figure 3: 13.3 of 31.0 million",
            STEPS,
            BN_1,
            PLAIN_1,
        ),
        Claim(
            "With batch norm, five times the rate needs fewer steps still",
            "1502.03167 figure 3: 2.1 of 13.3 million",
            STEPS,
            BN_5,
            BN_1,
        ),
        Claim(
            "With batch norm, thirty times the rate needs more steps than five times",
            "1502.03167 figure 3: 2.7 against 2.1 million",
            STEPS,
            BN_5,
            BN_30,
        ),
        Claim(
            "With batch norm, thirty times the rate becomes more accurate than once",
            "1502.03167 figure 3: 74.8 % against 72.7 %",
            BEST,
            BN_1,
            BN_30,
        ),
        Claim(
            "Without batch norm, five times the rate does worse than once",
            "1502.03167 section 4.2: it drove the parameters to infinity",
            BEST,
            PLAIN_5,
            PLAIN_1,
        ),
        Claim(
            "Without batch norm, thirty times the rate does worse than once",
            "1502.03167 section 3.3: batch norm enables higher learning rates",
            BEST,
            PLAIN_30,
            PLAIN_1,
        ),
    ),
    panels=(with_target(PLAIN_1.name), bars(STEPS)),
    limits=(
        "The paper's x5 and x30 also drop dropout, distortions and local response normalization, which none of these "
        "has. Accuracies are the best of twenty looks at each run, as a constant rate leaves them "
        "restless. Which rate is x1 is our choice."
    ),
)
