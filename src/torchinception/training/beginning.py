"""The weights that a run begins with: a model file, a run, another library's file, or published ones by name."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from torchinception.classifier import load
from torchinception.errors import DataError, NoClassifierError, UsageError
from torchinception.network import Inception, Options
from torchinception.progress import Listener
from torchinception.training.recipe import LOOK, Recipe
from torchinception.weights.bundle import ModelSpec, tensors_sha256
from torchinception.weights.catalogue import entries

# from the weights that a run begins with
TAKEN_OVER = ("network", *LOOK, *Options.__annotations__)
NOTED = ("weights_sha256", "weights_origin")


@dataclass(frozen=True)
class Start:
    """A trained network; `classes` are those of its classifier, none if it came without one."""

    network: Inception
    spec: ModelSpec
    classes: tuple[str, ...]

    @property
    def sha256(self) -> str:
        """Of its tensors, without a classifier that is none of its own."""
        state = self.network.state_dict()
        return tensors_sha256({k: v for k, v in state.items() if self.classes or k.startswith("trunk.")})


def read_start(weights: str, listener: Listener) -> Start:
    """Read what a run begins with.

    Raises:
        UsageError, MissingInputError, ModelFileError: as `classifier.load`.
    """
    try:
        found = load(weights, listener=listener)
    except NoClassifierError:  # features are all that is needed
        found = load(weights, classes=1, listener=listener)
        return Start(found.network, found.spec, ())
    return Start(found.network, found.spec, found.classes)


def read_again(recipe: Recipe, listener: Listener) -> Start:
    """What the run began with, in another process or after an interruption; what there was to note is noted already.

    Raises:
        DataError: it is no longer what it was.
        MissingInputError, ModelFileError: it can no longer be read.
    """
    assert recipe.weights
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        start = read_start(recipe.weights, listener)
    if start.sha256 != recipe.weights_sha256:
        raise DataError(f"{recipe.weights} is not what the run began with; restore it, or use another --out")
    return start


def begin_from_weights(recipe: Recipe, listener: Listener) -> tuple[Recipe, Start | None]:
    """The recipe with network, preprocessing and digest of the weights that it begins with, and these if just read.

    Raises:
        UsageError, MissingInputError, ModelFileError: weights that cannot be used.
    """
    if recipe.weights is None or recipe.weights_sha256:  # none, or noted when the run began
        return recipe, None
    start = read_start(recipe.weights, listener)
    spec, look = start.spec, start.spec.preprocess
    if recipe.network not in (None, spec.network):
        raise UsageError(f"{recipe.weights} holds {spec.network}, not {recipe.network}; leave --network out")
    if spec.channels != 3:
        raise UsageError(f"{recipe.weights} takes pictures of {spec.channels} channels; training here needs 3")
    headless = "" if start.classes else "; it has no classifier, so that a fresh one is trained"
    listener.say(f"Beginning with {spec.network} of {recipe.weights}, trained at {look.size} px{headless}")
    own = look.model_dump(include=set(TAKEN_OVER)) | dict(network=spec.network) | spec.options
    noted = dict(weights_sha256=start.sha256, weights_origin=spec.origin)
    return take_over(recipe, recipe.model_copy(update=own | noted)), start


def take_over(recipe: Recipe, origin: Recipe) -> Recipe:
    """What a recipe leaves open of network and preprocessing, and what is noted of the weights, from another."""
    taken = {name: getattr(origin, name) for name in TAKEN_OVER if getattr(recipe, name) is None}
    return recipe.model_copy(update=taken | {name: getattr(origin, name) for name in NOTED})


def place_weights(recipe: Recipe) -> Recipe:
    """The recipe with the whole path of its weights, so that a run can go on from another working folder."""
    weights = recipe.weights
    if weights is None or weights in entries() or not Path(weights).exists():
        return recipe
    return recipe.model_copy(update=dict(weights=str(Path(weights).absolute())))
