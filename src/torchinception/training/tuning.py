"""Which parts of a network move in fine-tuning, and how fast."""

from collections.abc import Iterator

from torch import nn

from torchinception.errors import UsageError
from torchinception.network import Inception
from torchinception.training.beginning import Start
from torchinception.training.recipe import Tune

HEADS = ("aux", "classifier")


def check_tune(tune: Tune, network: str, stages: list[str]) -> None:
    """Refuse names that no stage has.

    Raises:
        UsageError: the name, and those that there are.
    """
    for key, names, known in (
        ("tune.freeze_to", [tune.freeze_to] if tune.freeze_to else [], stages),
        ("tune.lr_factors", list(tune.lr_factors), [*stages, *HEADS]),
    ):
        for name in names:
            if name not in known:
                raise UsageError(f"{key}: {network} has no stage {name}; stages: {', '.join(known)}")


def begin_with(net: Inception, start: Start, classes: tuple[str, ...]) -> list[str]:
    """Copy the weights of a trained network; its heads too if they are for the same classes in the same order.

    Returns:
        The heads that keep their fresh weights.
    """
    net.trunk.load_state_dict(start.network.trunk.state_dict())
    if classes == start.classes:
        net.classifier.load_state_dict(start.network.classifier.state_dict())
    fresh = [] if classes == start.classes else ["classifier"]
    for name, head in net.aux.items():
        if classes == start.classes and name in start.network.aux:
            head.load_state_dict(start.network.aux[name].state_dict())
        else:
            fresh.append(f"aux.{name}")
    return fresh


def parts(net: Inception) -> dict[str, nn.Module]:
    """The stages, `aux` and `classifier`, which together are the whole network."""
    return {**dict(net.trunk.named_children()), "aux": net.aux, "classifier": net.classifier}


def still_parts(net: Inception, tune: Tune, epoch: int | None = None) -> list[str]:
    """The stages that stay as they are: in an epoch (from 0), or with None in the whole run."""
    stages = [name for name, _ in net.trunk.named_children()]
    if epoch is not None and epoch < tune.head_epochs:
        return stages
    return stages[: stages.index(tune.freeze_to) + 1] if tune.freeze_to else []


def set_still(net: Inception, tune: Tune, epoch: int) -> None:
    """Make a network that is in training mode train as `tune` asks for in this epoch.

    What stays still gets no gradient, and its batch norm normalizes by its running statistics and leaves
    them alone: with batch statistics it would be another function in training than in evaluation.
    """
    still = still_parts(net, tune, epoch)
    for name, part in parts(net).items():
        part.requires_grad_(name not in still).train(name not in still)
    if tune.batch_norm != "train":
        for norm in _batch_norms(net):
            norm.eval()
            if tune.batch_norm == "freeze-all":
                norm.requires_grad_(False)


def moving(net: Inception, tune: Tune) -> dict[float, list[nn.Parameter]]:
    """The parameters that move at some time, by the factor on their learning rate; 1 comes first."""
    still = set(still_parts(net, tune))
    frozen = {id(p) for norm in _batch_norms(net) for p in norm.parameters() if tune.batch_norm == "freeze-all"}
    groups: dict[float, list[nn.Parameter]] = {1.0: []}
    for name, part in parts(net).items():
        if name not in still:
            found = groups.setdefault(tune.lr_factors.get(name, 1.0), [])
            found += [parameter for parameter in part.parameters() if id(parameter) not in frozen]
    return groups


def _batch_norms(net: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in net.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm))  # type: ignore[misc]
