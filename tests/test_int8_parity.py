"""8 bits beside fp32: what is lost, what cannot be accepted, and how quick each is."""

import time
from typing import cast

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from torchinception.engines.engine import Engine
from torchinception.engines.int8_parity import Int8Parity, compare


class Fixed:
    """An engine whose answers are those that it was given."""

    version, threads, precision, memory_bytes = "1", 1, "fp32", 0

    def __init__(self, name: str, guesses: list[int]) -> None:
        self.name, self._logits = name, F.one_hot(torch.tensor(guesses), 4).float()

    def run_uint8(self, pictures: Tensor) -> Tensor:
        return self._logits[pictures[:, 0, 0, 0].long()]


def fixed(right: list[int], found: list[int], labels: list[int] | None, max_loss: float = 0.5) -> Int8Parity:
    pictures = torch.arange(len(right), dtype=torch.uint8).reshape(-1, 1, 1, 1)
    one, other = cast("Engine", Fixed("one", right)), cast("Engine", Fixed("other", found))
    truth = None if labels is None else torch.tensor(labels)
    return compare(one, other, pictures.split(64), truth, max_loss=max_loss)


def test_with_classes_the_limit_is_on_accuracy_lost() -> None:
    truth = [0] * 200
    right, found = [1, 2, *[0] * 198], [0, 1, 1, 1, *[0] * 196]  # 198 right, 197 right, 4 named otherwise
    parity = fixed(right, found, truth)
    assert (parity.accuracy_fp32, parity.accuracy_int8, parity.agreement) == (0.99, 0.985, 0.98)
    assert parity.accepted  # 0.5 points, and no more
    assert not fixed(right, [1, *found[1:]], truth).accepted
    assert parity.logits_error == 1


def test_without_classes_the_limit_is_on_what_is_named_otherwise() -> None:
    right = [0] * 200
    assert fixed(right, [1, *right[1:]], None).accepted
    assert not fixed(right, [1, 1, *right[2:]], None).accepted
    assert fixed(right, [1, 1, *right[2:]], None, max_loss=1).accepted


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("wrong", ["one", "other"])
def test_logits_that_are_not_finite_are_refused_whatever_may_be_lost(wrong: str, value: float) -> None:
    engines = dict(one=Fixed("one", [0] * 99), other=Fixed("other", [0] * 99))
    engines[wrong]._logits[70, 3] = value  # neither in the first batch nor at its beginning
    pictures = torch.arange(99, dtype=torch.uint8).reshape(-1, 1, 1, 1)
    one, other = (cast("Engine", engine) for engine in engines.values())
    parity = compare(one, other, pictures.split(64), max_loss=100)
    assert not parity.accepted
    assert "some logits not finite" in str(parity)


def test_logits_that_are_all_zero_agree() -> None:
    none = Fixed("none", [0] * 40)
    none._logits.zero_()
    parity = compare(cast("Engine", none), cast("Engine", none), [torch.zeros(40, 1, 1, 1, dtype=torch.uint8)])
    assert (parity.logits_error, parity.accepted) == (0, True)


def test_milliseconds_are_those_of_a_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(1000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    one, other = cast("Engine", Fixed("one", [0] * 8)), cast("Engine", Fixed("other", [0] * 8))
    parity = compare(one, other, [torch.arange(8, dtype=torch.uint8).reshape(-1, 1, 1, 1)], batch=4)
    assert (parity.milliseconds_fp32, parity.milliseconds_int8) == (250, 250)  # every call takes a second
    assert "250 ms a picture instead of 250, 4 at a time, 1.00 times as fast" in str(parity)
