from random import Random

import pytest
import torch
from torch import Tensor

from torchinception.errors import UsageError
from torchinception.training.loss import class_weights, head_losses, mix, total_loss
from torchinception.training.recipe import Loss, Mix

N, K = 6, 5


@pytest.fixture
def logits() -> Tensor:
    return torch.randn(N, K, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels() -> Tensor:
    return torch.tensor([0, 1, 2, 3, 4, 0])


def formula(logits: Tensor, target: Tensor, smoothing: float) -> float:
    """-sum of q' log p, with q' = (1 - e) q + e / K, written out."""
    total = 0.0
    for row, wanted in zip(logits.log_softmax(1).tolist(), target.tolist(), strict=True):
        total -= sum(((1 - smoothing) * q + smoothing / K) * p for q, p in zip(wanted, row, strict=True))
    return total / len(target)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_papers_formula_for_labels_and_for_probabilities(
    logits: Tensor, labels: Tensor, smoothing: float
) -> None:
    one_hot = torch.eye(K, dtype=torch.float64)[labels]
    mixed = 0.7 * one_hot + 0.3 * one_hot.roll(1, 0)
    settings = Loss(label_smoothing=smoothing)
    for target, probabilities in ((labels, one_hot), (one_hot, one_hot), (mixed, mixed)):
        found = head_losses({"main": logits}, target, settings)["main"]
        assert float(found) == pytest.approx(formula(logits, probabilities, smoothing), abs=1e-12)


def test_every_head_is_smoothed_alike_and_weighted_into_the_total(logits: Tensor, labels: Tensor) -> None:
    settings = Loss(label_smoothing=0.1, aux_weight=0.3)
    losses = head_losses({"main": logits, "4a": 2 * logits, "4d": 3 * logits}, labels, settings)
    one_hot = torch.eye(K, dtype=torch.float64)[labels]
    expected = [formula(scale * logits, one_hot, 0.1) for scale in (1, 2, 3)]
    assert [float(loss) for loss in losses.values()] == pytest.approx(expected, abs=1e-12)
    assert float(total_loss(losses, settings)) == pytest.approx(
        expected[0] + 0.3 * (expected[1] + expected[2]), abs=1e-12
    )


@pytest.mark.parametrize("weight", [0.0, None])
def test_without_heads_or_weight_the_total_is_the_main_loss(
    logits: Tensor, labels: Tensor, weight: float | None
) -> None:
    settings = Loss(aux_weight=weight)
    alone = head_losses({"main": logits}, labels, settings)
    both = head_losses({"main": logits, "4a": -logits}, labels, settings)
    assert float(total_loss(alone, settings)) == float(total_loss(both, settings)) == float(alone["main"])


def test_balanced_weights_are_the_inverse_of_the_counts_with_mean_1_over_the_pictures() -> None:
    weights = class_weights(Loss(class_weights="balanced"), ("a", "b"), [30, 10])
    assert weights is not None
    assert weights.tolist() == pytest.approx([40 / 60, 40 / 20])
    assert float(weights @ torch.tensor([30.0, 10.0])) / 40 == pytest.approx(1)


def test_weights_by_name_are_1_where_none_is_given() -> None:
    weights = class_weights(Loss(class_weights={"b": 2.5}), ("a", "b"), [1, 1])
    assert weights is not None
    assert weights.tolist() == [1.0, 2.5]
    assert class_weights(Loss(), ("a", "b"), [1, 1]) is None


def test_a_weight_for_an_unknown_class_is_refused_with_the_classes() -> None:
    with pytest.raises(UsageError, match=r"names the class c; classes: a, b"):
        class_weights(Loss(class_weights={"c": 2}), ("a", "b"), [1, 1])


def blended(settings: Mix, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    pictures = torch.arange(N).float().view(N, 1, 1, 1).expand(N, 3, 16, 16)
    mixed, target = mix(pictures, torch.arange(N) % K, K, settings, Random(seed))
    return pictures, mixed, target


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("settings", [Mix(mixup=0.4), Mix(cutmix=1.0), Mix(mixup=0.4, cutmix=1.0)])
def test_labels_are_mixed_as_the_pictures_are(settings: Mix, seed: int) -> None:
    pictures, mixed, target = blended(settings, seed)
    torch.testing.assert_close(target.sum(1), torch.ones(N))
    share = float(target[1, 1])  # picture 1 has the value 1, its neighbour the value 0
    assert float(mixed[1].mean()) == pytest.approx(share, abs=1e-5)
    assert pictures.flatten(1).std(1).max() == 0  # the originals are as they were


@pytest.mark.parametrize("seed", range(5))
def test_mixup_weights_every_pixel_and_cutmix_moves_a_rectangle(seed: int) -> None:
    _, mixed, _ = blended(Mix(mixup=1.0), seed)
    assert len(mixed[1].unique()) == 1
    _, cut, _ = blended(Mix(cutmix=1.0), seed)
    assert set(cut[1].unique().tolist()) <= {0.0, 1.0}
    rows, columns = (cut[1, 0] == 0).nonzero().unbind(1)
    if len(rows):
        height, width = (int(v.max() - v.min()) + 1 for v in (rows, columns))
        assert len(rows) == height * width


def test_nothing_asked_for_changes_nothing_and_equal_draws_mix_equally() -> None:
    pictures, labels = torch.rand(N, 3, 4, 4), torch.arange(N) % K
    same, target = mix(pictures, labels, K, Mix(), Random(0))
    assert same is pictures
    assert target is labels
    assert torch.equal(blended(Mix(mixup=0.2), 3)[1], blended(Mix(mixup=0.2), 3)[1])
