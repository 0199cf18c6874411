"""Fine-tuning: weights and preprocessing taken over, what is frozen stays to the bit, rates by stage."""

import shutil
from collections.abc import Callable
from pathlib import Path
from signal import SIGKILL

import pytest
import torch
from child import At
from conftest import Result, outcome
from torch import Tensor, nn

import torchinception as ti
from torchinception.classifier import Classifier
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError, UsageError
from torchinception.models import create
from torchinception.training.optimizer import build_optimizer
from torchinception.training.recipe import Optimizer, Tune
from torchinception.training.tuning import set_still
from torchinception.weights.bundle import ModelSpec

Inception = Callable[..., Result]
LOOK = Preprocess(
    size=32, resize="stretch", crop=0.9, interpolation="bilinear_tf1", mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4)
)
OPTIONS = dict(bn_eps=0.002, bn_momentum=0.2, dropout=0.125)


@pytest.fixture(scope="module")
def origin_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of other classes whose batch norm has seen pictures."""
    torch.manual_seed(3)
    net = create("tiny_inception", 5, **OPTIONS)
    for _ in range(3):
        net(torch.randn(8, 3, 32, 32) * 3 + 1)
    spec = ModelSpec(network="tiny_inception", classes=tuple("abcde"), preprocess=LOOK, **OPTIONS)
    path = tmp_path_factory.mktemp("origin") / "origin.safetensors"
    Classifier(net, spec).save(path)
    return path


@pytest.fixture(scope="module")
def origin(origin_file: Path) -> Classifier:
    return ti.load(origin_file)


def tuned(origin_file: Path, data: Path, out: Path, **settings: object) -> Classifier:
    short = {"weights": str(origin_file), "epochs": 2, "batch": 8, "optimizer.lr": 0.05}
    return ti.train(data, settings=short | settings, out=out, workers=0, device="cpu")


def changed(before: nn.Module, after: nn.Module) -> set[str]:
    """Names of parameters and buffers that differ in any bit."""
    old = before.state_dict()
    return {name for name, value in after.state_dict().items() if not torch.equal(value, old[name])}


def statistics(net: nn.Module) -> set[str]:
    return {name for name, _ in net.named_buffers()}


def batch_norm_weights(net: nn.Module) -> set[str]:
    norms = {name for name, module in net.named_modules() if isinstance(module, nn.BatchNorm2d)}
    return {name for name, _ in net.named_parameters() if name.rpartition(".")[0] in norms}


def test_network_preprocessing_and_weights_are_taken_over(
    origin_file: Path, origin: Classifier, split: Path, tmp_path: Path
) -> None:
    model = tuned(origin_file, split, tmp_path / "run", **{"optimizer.lr": 1e-30, "tune.batch_norm": "freeze-all"})
    assert (model.preprocess, model.spec.network, model.spec.options) == (LOOK, "tiny_inception", OPTIONS)
    assert (model.network.options, model.network.dropout.p) == (OPTIONS, 0.125)
    assert model.classes == ("bag", "sneaker", "trouser")
    assert changed(origin.network.trunk, model.network.trunk) == set()
    assert ti.load(tmp_path / "run").spec == model.spec


def test_the_classifier_is_kept_for_the_same_classes_only(origin_file: Path, split: Path, tmp_path: Path) -> None:
    first = tuned(origin_file, split, tmp_path / "first")
    still = {"weights": str(tmp_path / "first"), "optimizer.lr": 1e-30, "tune.batch_norm": "freeze-all"}
    again = tuned(origin_file, split, tmp_path / "again", **still)
    assert changed(first.network, again.network) == set()
    fewer = Path(shutil.copytree(split, tmp_path / "fewer"))
    for name in ("train", "val"):
        shutil.rmtree(fewer / name / "bag")
    less = tuned(origin_file, fewer, tmp_path / "less", **still)
    assert less.network.classifier.out_features == 2


def test_frozen_stages_stay_to_the_bit_statistics_included(
    origin_file: Path, origin: Classifier, split: Path, tmp_path: Path
) -> None:
    stages = [name for name, _ in origin.network.trunk.named_children()]
    frozen = stages[: len(stages) // 2]
    model = tuned(origin_file, split, tmp_path / "run", **{"tune.freeze_to": frozen[-1]})
    moved = {name.split(".")[0] for name in changed(origin.network.trunk, model.network.trunk)}
    assert moved == {
        name for name, stage in origin.network.trunk.named_children() if name not in frozen and list(stage.parameters())
    }


@pytest.mark.parametrize("policy", ["train", "freeze-statistics", "freeze-all"])
def test_batch_norm_moves_as_its_policy_says(
    origin_file: Path, origin: Classifier, split: Path, tmp_path: Path, policy: str
) -> None:
    model = tuned(origin_file, split, tmp_path / "run", **{"tune.batch_norm": policy})
    trunk = origin.network.trunk
    still = {
        "train": set(),
        "freeze-statistics": statistics(trunk),
        "freeze-all": statistics(trunk) | batch_norm_weights(trunk),
    }
    assert set(trunk.state_dict()) - changed(trunk, model.network.trunk) == still[policy]


@pytest.mark.parametrize("tune", [Tune(batch_norm="freeze-all"), Tune(head_epochs=1)], ids=["freeze-all", "head first"])
def test_frozen_means_frozen_the_trunk_is_one_function_in_training_and_evaluation(
    origin: Classifier, tune: Tune
) -> None:
    # Keras once normalized frozen layers by the batch in training: 93 % there, 25 % in evaluation
    pictures = torch.randn(6, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = origin.network.eval().trunk(pictures)
    net = create("tiny_inception", 5, bn_eps=0.002).to(memory_format=torch.channels_last)
    net.load_state_dict(origin.network.state_dict())
    net.train()
    assert not torch.allclose(net.trunk(pictures), expected)  # what would happen otherwise
    net.load_state_dict(origin.network.state_dict())
    set_still(net.train(), tune, 0)
    assert torch.equal(net.trunk(pictures), expected)
    assert changed(origin.network, net) == set()


def test_the_head_moves_alone_first_and_then_the_whole_network(
    origin_file: Path, origin: Classifier, split: Path, tmp_path: Path
) -> None:
    tune = {"tune.head_epochs": 2}
    head = tuned(origin_file, split, tmp_path / "head", **tune)
    assert changed(origin.network.trunk, head.network.trunk) == set()
    whole = tuned(origin_file, split, tmp_path / "whole", epochs=3, **tune)
    assert len(changed(origin.network.trunk, whole.network.trunk)) == len(origin.network.trunk.state_dict())


def test_resuming_on_either_side_of_the_border_is_exact(
    origin_file: Path, inception: Inception, split: Path, tmp_path: Path
) -> None:
    command = ("train", split, "--weights", origin_file, "--epochs", 3, "--batch", 8)
    command += (
        "--set",
        "tune.head_epochs=1",
        "--set",
        "tune.lr_factors={classifier=3.0}",
        "--checkpoint-every",
        1,
        "--out",
    )
    assert inception(*command, tmp_path / "whole").code == 0
    for number in (12, 26, 36):  # in the head's epoch, at the border, behind it
        run = tmp_path / str(number)
        assert inception(*command, run, at=(At("*/train/*", number, SIGKILL),)).code == -SIGKILL
        assert inception(*command, run, "--resume").code == 0
        assert outcome(run) == outcome(tmp_path / "whole")


def test_factors_multiply_the_rate_of_their_stage_alone() -> None:
    net = create("tiny_inception", 5)
    stages = [name for name, _ in net.trunk.named_children()]
    tune = Tune(lr_factors={stages[0]: 0.1, "classifier": 5.0}, freeze_to=None)
    optimizer = build_optimizer(net, Optimizer(lr=0.2, momentum=0.0, weight_decay=0.0), tune)
    before = {name: value.clone() for name, value in net.named_parameters()}
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for name, value in net.named_parameters():
        factor = 0.1 if name.startswith(f"trunk.{stages[0]}.") else 5.0 if name.startswith("classifier") else 1.0
        assert torch.equal(value, before[name] - 0.2 * factor * torch.ones_like(value)) or _close(
            before[name] - value, 0.2 * factor
        ), name
    assert optimizer.param_groups[0]["lr"] == 0.2  # the rate that metrics.csv records


def _close(step: Tensor, expected: float) -> bool:
    return bool((step - expected).abs().max() < 1e-6)  # float32 weights of about 1


def test_what_never_moves_is_in_no_optimizer() -> None:
    net = create("tiny_inception", 5)
    stages = [name for name, _ in net.trunk.named_children()]
    tune = Tune(freeze_to=stages[1], batch_norm="freeze-all")
    groups = build_optimizer(net, Optimizer(), tune).param_groups
    held = {id(parameter) for group in groups for parameter in group["params"]}
    spared = batch_norm_weights(net)
    for name, parameter in net.named_parameters():
        frozen = name in spared or name.startswith(tuple(f"trunk.{stage}." for stage in stages[:2]))
        assert (id(parameter) not in held) == frozen, name


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"tune.freeze_to": "mixed_9z"}, "tune.freeze_to: tiny_inception has no stage mixed_9z; stages: "),
        ({"tune.lr_factors": {"head": 2.0}}, "tune.lr_factors: tiny_inception has no stage head; stages: "),
        ({"network": "googlenet"}, "holds tiny_inception, not googlenet; leave --network out"),
        ({"start_size": 64}, "start_size = 64 is above the size of 32 px"),
        ({"features.cached": True, "mix.mixup": 0.2}, "mix cannot be used with it"),
    ],
)
def test_what_cannot_work_is_refused_by_name(
    origin_file: Path, split: Path, tmp_path: Path, settings: dict[str, object], text: str
) -> None:
    with pytest.raises(UsageError, match=text.replace(".", r"\.")):
        tuned(origin_file, split, tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


def test_weights_that_changed_after_the_run_began_are_refused(
    origin_file: Path, inception: Inception, origin: Classifier, split: Path, tmp_path: Path
) -> None:
    path = tmp_path / "weights.safetensors"
    shutil.copy(origin_file, path)
    command = ("train", split, "--weights", path, "--epochs", 2, "--batch", 8, "--out", tmp_path / "run")
    assert inception(*command, at=(At("*/train/*", 3, SIGKILL),)).code == -SIGKILL  # no checkpoint yet
    origin.network.classifier.bias.data += 1
    origin.save(path)
    origin.network.classifier.bias.data -= 1
    result = inception("train", split, "--out", tmp_path / "run", "--resume")
    assert (result.code, "is not what the run began with" in result.err) == (DataError.exit_code, True), result.err


def test_patience_stops_a_run_and_keeps_its_best_epoch(inception: Inception, split: Path, tmp_path: Path) -> None:
    command = ("train", split, "--network", "tiny_inception", "--epochs", 9, "--batch", 8, "--patience", 2)
    command += ("--set", "optimizer.lr=1e-30", "--set", "tune.batch_norm=freeze-all", "--out")  # nothing gets better
    result = inception(*command, tmp_path / "whole")
    assert (result.code, "Stopped after epoch 3: no better validation in 2 epochs; keeping epoch 1" in result.err) == (
        0,
        True,
    )
    at = At("*/model.safetensors", 1, SIGKILL, event="os.rename")
    assert inception(*command, tmp_path / "run", at=(at,)).code == -SIGKILL  # stopped, but not finished
    assert inception(*command, tmp_path / "run", "--resume").code == 0
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")
    assert len(outcome(tmp_path / "run")[1]) == 3


def test_patience_keeps_the_weights_of_the_best_epoch(split: Path, tmp_path: Path) -> None:
    settings = {"network": "tiny_inception", "epochs": 12, "batch": 8, "patience": 3, "optimizer.lr": 0.2}
    model = ti.train(split, settings=settings, out=tmp_path / "run", workers=0, device="cpu")
    rows = [line.split(",") for line in (tmp_path / "run" / "metrics.csv").read_text().splitlines()]
    scores = [float(row[rows[0].index("val_top1")]) for row in rows[1:]]
    assert model.spec.metrics["val_top1"] == pytest.approx(max(scores), abs=1e-6)  # float32 of torchmetrics
    assert model.spec.metrics["epochs"] == len(scores)


def test_pictures_grow_by_epoch_and_workers_change_nothing(inception: Inception, split: Path, tmp_path: Path) -> None:
    command = ("train", split, "--network", "tiny_inception", "--size", 32, "--epochs", 3, "--batch", 8)
    command += ("--set", "start_size=24", "--checkpoint-every", 1, "--out")
    assert inception(*command, tmp_path / "whole").code == 0
    at = At("*/step-*.ckpt", 5, SIGKILL, event="os.rename", group=True)
    assert inception(*command, tmp_path / "run", "--workers", 2, at=(at,)).code == -SIGKILL
    assert inception(*command, tmp_path / "run", "--resume").code == 0
    assert outcome(tmp_path / "run") == outcome(tmp_path / "whole")


def test_what_makes_little_sense_is_said(inception: Inception, split: Path, tmp_path: Path) -> None:
    command = (
        "train",
        split,
        "--network",
        "tiny_inception",
        "--epochs",
        1,
        "--batch",
        8,
        "--set",
        "tune.head_epochs=1",
    )
    result = inception(*command, "--out", tmp_path / "run")
    assert result.code == 0
    assert "the classifier first learns on an untrained trunk" in result.err
    assert "The trunk will not move: tune.head_epochs = 1 of 1 epochs" in result.err


def test_missing_weights_are_told_before_pictures_are_read(inception: Inception, split: Path, tmp_path: Path) -> None:
    result = inception("train", split, "--weights", tmp_path / "nothing.safetensors", "--out", tmp_path / "run")
    assert (result.code, "Checking pictures" in result.err) == (66, False), result.err
