"""Naive modules against ones with 1x1 reductions: arXiv:1409.4842, section 4, figure 2."""

from torchinception.layers import conv
from torchinception.models.googlenet import Module, naive, reduced
from torchinception.studies.measures import ACCURACY, MACS, PARAMETERS, STEP_TIME
from torchinception.studies.plot import accuracy_curves, bars
from torchinception.studies.study import Claim, Study, Variant
from torchinception.studies.trunk import quarter_googlenet, small_spec
from torchinception.training.recipe import Optimizer, Schedule

OPTIMIZER = Optimizer(lr=0.05, momentum=0.9, weight_decay=5e-4)
SCHEDULE = Schedule(name="cosine", warmup_epochs=0.25)  # without the rise naive modules began at a loss of 42
LEFT_OUT = ("inception_4b", "inception_4c", "inception_4d")


def with_modules(name: str, module: Module) -> Variant:
    """Six of the nine modules: naive ones grow wider with each."""
    stages = quarter_googlenet(conv, module)
    return Variant(
        name, small_spec({k: v for k, v in stages.items() if k not in LEFT_OUT}), OPTIMIZER, schedule=SCHEDULE
    )


NAIVE, REDUCED = with_modules("naive", naive(conv)), with_modules("reduced", reduced(conv))
SOURCE = "1409.4842 section 4"

REDUCTION = Study(
    name="reduction",
    title="1x1 reductions: what do they save, and what do they cost?",
    setting=(
        "GoogLeNet's table 1 at a quarter of its channels for 28 px, with batch norm and without 4b, 4c and 4d. "
        "Naive modules (figure 2a) have the same 1x1, 3x3 and 5x5 on all their input, and pass the pool on: "
        "each is wider than the one before. The learning rate rises over the first quarter of the run."
    ),
    variants=(NAIVE, REDUCED),
    steps=400,
    measures=(PARAMETERS, MACS, STEP_TIME, ACCURACY),
    claims=(
        Claim("Reductions save parameters", SOURCE, PARAMETERS, REDUCED, NAIVE),
        Claim("Reductions save multiply-adds", SOURCE, MACS, REDUCED, NAIVE),
        Claim("Reductions save time", SOURCE, STEP_TIME, REDUCED, NAIVE),
        Claim(
            "Reductions cost at most one point of accuracy",
            "1409.4842 section 4: low dimensional embeddings might contain a lot of information about a large patch",
            ACCURACY,
            NAIVE,
            REDUCED,
            margin=0.01,
        ),
    ),
    panels=(accuracy_curves, bars(STEP_TIME)),
    limits=(
        "What the saved work could buy in a deeper network, which is the paper's point; with nine modules the naive "
        "network would be slower still."
    ),
)
