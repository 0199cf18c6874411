"""Every figure of an evaluation against scikit-learn's, SciPy's, or a literal loop, on random predictions."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from scipy.stats import binom, bootstrap
from sklearn.metrics import confusion_matrix, log_loss, precision_recall_fscore_support, top_k_accuracy_score
from torch import Tensor
from torchmetrics.functional.classification import binary_calibration_error

from torchinception.evaluation import Evaluation
from torchinception.evaluation.counting import Tally, count, interval
from torchinception.evaluation.records import Alone

KINDS = {"few classes": (700, 3), "many": (2000, 40), "two": (300, 2), "more than pictures": (90, 500)}


def predictions(kind: str, sharpness: float = 1.0) -> tuple[Tensor, Tensor]:
    """Logits (N, classes) that are right more often than not, and the true positions (N,); some classes never occur."""
    pictures, classes = KINDS[kind]
    generator = np.random.default_rng(pictures)
    truth = generator.integers(0, max(2, classes * 4 // 5), pictures)
    logits = generator.normal(0, 1, (pictures, classes))
    logits[np.arange(pictures), truth] += 1.5
    return torch.tensor(logits * sharpness, dtype=torch.float32), torch.tensor(truth)


def counted(logits: Tensor, truth: Tensor, batch: int = 97) -> Evaluation:
    tally = Tally()
    for start in range(0, len(logits), batch):
        places = torch.arange(len(logits))[start : start + batch]
        tally.add(logits[places], truth[places], places)
    names = tuple(f"class {i}" for i in range(logits.shape[1]))
    known = dict(split="all", classes=names, crops=1, seconds=1.0, images_per_second=1.0)
    return count(tally.of_all(Alone()), [None] * len(logits), names, **known)  # type: ignore[list-item]


@pytest.fixture(params=KINDS)
def case(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, Evaluation]:
    logits, truth = predictions(request.param)
    return logits, truth, counted(logits, truth)


def test_precision_recall_f1_and_confusion_are_scikit_learns(case: tuple[Tensor, Tensor, Evaluation]) -> None:
    logits, truth, found = case
    guess = logits.argmax(1)
    labels = np.arange(logits.shape[1])
    nan = float("nan")
    theirs = precision_recall_fscore_support(truth, guess, labels=labels, zero_division=nan)
    occurring = sorted({*truth.tolist(), *guess.tolist()})
    assert list(found.scores) == [found.classes[i] for i in occurring]
    for i in occurring:
        score = found.scores[found.classes[i]]
        mine = [nan if each is None else each for each in (score.precision, score.recall, score.f1, score.pictures)]
        assert mine == pytest.approx([column[i] for column in theirs], abs=1e-12, nan_ok=True)
    dense = [[found.confusion.get(t, {}).get(g, 0) for g in found.classes] for t in found.classes]
    assert np.array_equal(dense, confusion_matrix(truth, guess, labels=labels))
    assert found.per_class == {name: score.recall for name, score in found.scores.items() if score.pictures}


def test_of_equal_logits_the_first_classes_are_taken_in_all_that_is_told() -> None:
    found = counted(torch.zeros(12, 12), torch.arange(12))
    assert (found.top1, found.top5) == (1 / 12, 5 / 12)
    assert {name for named in found.confusion.values() for name in named} == {"class 0"}


def test_top_1_top_5_and_the_loss_are_scikit_learns(case: tuple[Tensor, Tensor, Evaluation]) -> None:
    logits, truth, found = case
    labels, probabilities = np.arange(logits.shape[1]), logits.double().softmax(1).numpy()
    if len(labels) > 5:
        assert found.top5 == top_k_accuracy_score(truth, logits.numpy(), k=5, labels=labels)
    else:
        assert found.top5 == 1
    assert found.top1 == float((logits.argmax(1) == truth).double().mean())
    assert found.loss == pytest.approx(log_loss(truth, probabilities, labels=labels), rel=1e-6)  # float32


@pytest.mark.parametrize("sharpness", [0.2, 1.0, 5.0, 60.0])  # at 60 many a probability is exactly 1
def test_the_calibration_error_is_that_of_a_literal_loop(sharpness: float) -> None:
    logits, truth = predictions("many", sharpness)
    found = counted(logits, truth).calibration
    sure, guess = (each.tolist() for each in logits.softmax(1).max(1))
    assert (sharpness < 60) == (1.0 not in sure)
    error = 0.0
    for number in range(15):
        low, high = number / 15, (number + 1) / 15
        inside = [i for i, confidence in enumerate(sure) if low < confidence <= high]
        each = found.bins[number]
        assert (each.low, each.high, each.pictures) == (low, high, len(inside))
        if inside:
            confidence = sum(sure[i] for i in inside) / len(inside)
            accuracy = sum(guess[i] == int(truth[i]) for i in inside) / len(inside)
            assert (each.confidence, each.accuracy) == pytest.approx((confidence, accuracy), abs=1e-12)
            error += abs(confidence - accuracy) * len(inside) / len(sure)
    assert found.error == pytest.approx(error, abs=1e-12)


def test_the_calibration_error_is_torchmetrics_where_nothing_is_quite_sure() -> None:
    logits, truth = predictions("many")
    sure, guess = logits.softmax(1).max(1)
    theirs = binary_calibration_error(sure, (guess == truth).long(), n_bins=15, norm="l1")
    assert counted(logits, truth).calibration.error == pytest.approx(float(theirs), abs=1e-6)  # float32


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sharpness", [0.2, 0.3, 1.0, 1.7, 4.0, 11.0])
def test_the_temperature_is_the_one_that_minimizes_the_loss(kind: str, sharpness: float) -> None:
    logits, truth = predictions(kind, sharpness)

    def loss(log_temperature: float) -> float:
        scaled = log_softmax(logits.double().numpy() / math.exp(log_temperature), axis=1)
        return -float(scaled[np.arange(len(truth)), truth].mean())

    best = minimize_scalar(loss, bounds=(math.log(1 / 16), math.log(16)), method="bounded", options=dict(xatol=1e-10))
    found = counted(logits, truth).calibration
    assert found.temperature == pytest.approx(math.exp(best.x), rel=2e-4)  # a cubic between places of the grid
    assert found.loss_then == pytest.approx(best.fun, rel=1e-5)  # its integral


def test_the_temperature_undoes_what_a_factor_did() -> None:
    logits, truth = predictions("many")
    one, three = (counted(logits * factor, truth).calibration for factor in (1, 3))
    assert (three.temperature or 0) / (one.temperature or 1) == pytest.approx(3, rel=4e-4)


def test_where_no_temperature_is_best_none_is_told() -> None:
    logits, _ = predictions("few classes")
    always_right, at_random = logits.argmax(1), torch.arange(len(logits)) % 3
    assert counted(logits, always_right).calibration.temperature is None  # the colder the better
    assert counted(-logits.abs() * torch.nn.functional.one_hot(at_random, 3), at_random).calibration.temperature is None
    for broken in (float("nan"), float("inf")):
        found = counted(torch.full_like(logits, broken), at_random).calibration
        assert (found.temperature, found.loss_then) == (None, None)


def test_a_logit_of_minus_infinity_is_a_class_that_is_ruled_out() -> None:
    logits, truth = predictions("few classes")
    ruled_out = torch.cat([logits, torch.full((len(logits), 1), float("-inf"))], 1)
    plain, found = counted(logits, truth).calibration, counted(ruled_out, truth).calibration
    assert found.temperature == pytest.approx(plain.temperature, rel=1e-12)


@pytest.mark.parametrize(("right", "pictures"), [(1, 12), (37, 50), (640, 1000), (49_000, 50_000)])
def test_the_interval_is_the_bootstraps(right: int, pictures: int) -> None:
    exact = [float(binom.ppf(q, pictures, right / pictures)) / pictures for q in (0.025, 0.975)]
    assert interval(right, pictures) == pytest.approx(exact, abs=1.01 / pictures)  # 100,000 draws: one picture
    if pictures <= 1000:
        answers = np.arange(pictures) < right
        drawn = bootstrap((answers,), np.mean, n_resamples=2000, method="percentile", rng=np.random.default_rng(1))
        assert interval(right, pictures) == pytest.approx(drawn.confidence_interval, abs=0.012)  # 2,000 draws


def test_of_pictures_all_right_the_interval_has_no_width() -> None:
    assert (interval(12, 12), interval(0, 12)) == ((1, 1), (0, 0))


def test_the_most_confused_pairs_are_told_most_frequent_first() -> None:
    logits, truth = predictions("many")
    found = counted(logits, truth)
    wrong = {(t, g): n for t, row in found.confusion.items() for g, n in row.items() if t != g}
    assert [pair.pictures for pair in found.confused] == sorted(wrong.values(), reverse=True)[:24]
    assert all(wrong[pair.truth, pair.guess] == pair.pictures for pair in found.confused)


def test_of_each_picture_less_than_a_hundred_bytes_are_kept() -> None:
    tally = Tally()
    for start in range(0, 3000, 100):
        tally.add(torch.randn(100, 1000), torch.arange(100), torch.arange(start, start + 100))
    kept = sum(each.untyped_storage().nbytes() for part in tally.parts for each in part)
    assert kept / 3000 < 100
    assert tally.temperatures.sums.numel() == 99  # whatever the number of pictures
