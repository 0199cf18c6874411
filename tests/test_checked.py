"""Answers are compared by the scale of their logits, on pictures that are real."""

from pathlib import Path

import pytest
import torch

import torchinception as ti
from torchinception.data.real_pictures import NAMES, real_pictures
from torchinception.engines.checked import deviation, same_top1


def test_a_deviation_is_of_the_scale_and_forgives_what_is_equal() -> None:
    right = torch.tensor([[10.0, 0.0, 10.0 - 1e-4], [0.0, 5.0, 1.0]], dtype=torch.float64)
    found = right.float()
    assert deviation(found, right).error < 1e-7
    tied = torch.tensor([[10.0, 0.0, 10.0001], [0.0, 5.0, 1.0]])
    assert deviation(tied, right).tolerable
    other = torch.tensor([[10.0, 0.0, 10.0], [0.0, 5.0, 5.1]])
    assert deviation(other, right).top1 == 0.5
    assert deviation(right.float() + 0.002, right).error == pytest.approx(2e-4, rel=1e-3)
    assert not deviation(right.float() + 0.002, right).tolerable
    assert not deviation(torch.full((2, 3), torch.nan), right).tolerable


def test_the_photographs_are_real_small_and_always_the_same() -> None:
    pictures = real_pictures(32, 40, 60)
    assert pictures.shape == (32, 40, 60, 3)
    assert pictures.equal(real_pictures(32, 40, 60))
    assert len({picture.numpy().tobytes() for picture in pictures}) == 32
    assert all(picture.float().std() > 20 for picture in pictures)
    folder = Path(ti.__file__).parent / "data" / "real_pictures"
    assert sum((folder / f"{name}.jpg").stat().st_size for name in NAMES) <= 100_000


def test_two_classes_may_swap_if_each_can_move_by_the_tolerance() -> None:
    right = torch.tensor([[5.0, 4.81, 0.0], [5.0, 4.79, 0.0], [5.0, 0.0, 5.0]], dtype=torch.float64)
    found = torch.tensor([[4.9, 4.91, 0.0], [4.9, 4.91, 0.0], [5.0, 0.0, 5.1]])
    assert same_top1(found, right, 0.1).tolist() == [True, False, True]
    assert same_top1(right, right, 0.0).all()
