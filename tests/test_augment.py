"""Training's interpolation, RandAugment and color; crops and mirroring are in test_transforms."""

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
import torch
from data_fixtures import noise
from pydantic import ValidationError
from torch import Tensor
from torchvision.transforms.v2 import functional

from torchinception.data.augment import Augment
from torchinception.data.images import Picture

WHOLE = {"area": (1, 1), "aspect": (1, 1), "flip": 0}
COLOR = {"brightness": 32 / 255, "contrast": 0.5, "saturation": 0.5, "hue": 0.2}  # TF-slim's
ALL = Augment(interpolation="random", rand_augment=2, magnitude=9, **COLOR)
SQUARE = noise(0, 40, 40)
PLAIN = torch.from_numpy(SQUARE).permute(2, 0, 1)


def flat(red: int, green: int, blue: int, side: int = 8) -> Picture:
    return np.full((side, side, 3), (red, green, blue), np.uint8)


def cuts(picture: Picture, count: int, size: int, **settings: object) -> list[Tensor]:
    augment = Augment.model_validate(WHOLE | settings)
    return [augment.cut(picture, size, Random(seed)) for seed in range(count)]


def test_the_same_key_gives_the_same_bytes_and_another_key_another_picture() -> None:
    first = [ALL.cut(SQUARE, 20, Random(seed)) for seed in range(20)]
    torch.manual_seed(5)
    again = [ALL.cut(SQUARE, 20, Random(seed)) for seed in reversed(range(20))][::-1]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({cut.numpy().tobytes() for cut in first}) == 20
    assert {(cut.dtype, tuple(cut.shape)) for cut in first} == {(torch.uint8, (3, 20, 20))}


def test_the_global_random_numbers_of_torch_are_neither_used_nor_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda _: pytest.fail("the GPUs were seeded"))
    before = torch.get_rng_state()
    for seed in range(20):
        ALL.cut(SQUARE, 20, Random(seed))
    assert torch.equal(torch.get_rng_state(), before)


def test_cutting_with_everything_leaves_the_picture_alone() -> None:
    for seed in range(20):
        ALL.cut(SQUARE, 40, Random(seed)).zero_()
    assert np.array_equal(SQUARE, noise(0, 40, 40))


def test_whatever_is_off_changes_nothing() -> None:
    assert all(torch.equal(cut, PLAIN) for cut in cuts(SQUARE, 5, 40, magnitude=30))
    assert all(torch.equal(cut, PLAIN) for cut in cuts(SQUARE, 9, 40, interpolation="random"))  # nothing to resize


def by_hand(mode: str) -> Callable[[], Tensor]:
    kind = functional.InterpolationMode(mode)
    return lambda: functional.resize(PLAIN, [25, 25], kind, antialias=True)


def area_by_hand() -> Tensor:
    """Each output pixel the mean of the whole pixels it touches: 40 / 25 = 1.6 of them a side."""
    spans = [slice(8 * i // 5, -(-8 * (i + 1) // 5)) for i in range(25)]
    means = [[SQUARE[rows, columns].mean((0, 1)) for columns in spans] for rows in spans]
    return torch.tensor(np.array(means)).permute(2, 0, 1)


def test_random_interpolation_is_each_of_the_four_equally_often() -> None:
    found = cuts(SQUARE, 400, 25, interpolation="random")
    exact = [by_hand(mode)() for mode in ("bilinear", "bicubic", "nearest-exact")]
    counts = [sum(torch.equal(cut, one) for cut in found) for one in exact]
    area = area_by_hand()
    counts.append(sum(bool((cut - area).abs().max() <= 0.5 + 1e-4) for cut in found))  # rounded, of float32 means
    assert sum(counts) == 400
    assert max(abs(count - 100) for count in counts) < 4 * (400 * 3 / 16) ** 0.5  # four standard deviations


def test_brightness_is_shifted_by_up_to_its_fraction_of_the_full_range() -> None:
    shifts = [int(cut[0, 0, 0]) - 128 for cut in cuts(flat(128, 128, 128), 300, 8, brightness=32 / 255)]
    assert -32 <= min(shifts) < -30
    assert 30 < max(shifts) <= 32
    assert {int(cut.min()) for cut in cuts(flat(250, 250, 250), 50, 8, brightness=1)} >= {255}  # clipped, not wrapped


def test_contrast_scales_distances_from_the_mean() -> None:
    halves = flat(78, 78, 78)
    halves[:4] = 178
    spread = [int(cut[0, 0, 0]) - int(cut[0, 7, 0]) for cut in cuts(halves, 300, 8, contrast=0.5)]
    assert 49 <= min(spread) < 55  # 100 times 0.5 to 1.5, and the rounding of two levels
    assert 145 < max(spread) <= 151


def test_saturation_scales_distances_from_grey_and_leaves_grey_alone() -> None:
    spread = [int(cut[0, 0, 0]) - int(cut[2, 0, 0]) for cut in cuts(flat(150, 125, 100), 300, 8, saturation=0.5)]
    assert 24 <= min(spread) < 28  # 50 times 0.5 to 1.5, and the rounding of two levels
    assert 72 < max(spread) <= 76
    assert {int(v) for cut in cuts(flat(99, 99, 99), 20, 8, saturation=1) for v in cut.unique()} <= {98, 99}


def test_hue_turns_by_up_to_its_fraction_of_the_circle() -> None:
    red, green, blue = torch.stack([cut[:, 0, 0] for cut in cuts(flat(200, 0, 0), 300, 8, hue=0.2)]).T
    assert (torch.maximum(red, torch.maximum(green, blue)) == 200).all()
    assert 159 <= red.min() < 165  # a fifth of the circle: a fifth of a sixth past yellow or magenta, of 200 levels
    assert (int(green.max()), int(blue.max())) == (200, 200)  # both ways


def test_the_order_of_the_colors_is_drawn() -> None:
    steps = {"brightness": 0.2, "contrast": 0.5}
    augment = Augment.model_validate(WHOLE | steps)
    near = Random(0)
    near.uniform = lambda low, high: high  # type: ignore[method-assign]
    near.randint = lambda low, high: low  # type: ignore[method-assign]
    assert len({augment.cut(SQUARE, 40, near).numpy().tobytes() for _ in range(30)}) == 2


def test_rand_augment_changes_more_with_more_magnitude_and_operations() -> None:
    def changed(operations: int, magnitude: int) -> int:
        found = cuts(SQUARE, 100, 40, rand_augment=operations, magnitude=magnitude)
        return sum(not torch.equal(cut, PLAIN) for cut in found)

    assert changed(1, 0) < 30  # of the 14 operations only equalize and solarize do something at 0
    assert 70 < changed(1, 30) < changed(3, 30)  # 12 of 14: not identity, nor autocontrast of what has all levels


def test_rand_augment_fills_with_mid_grey() -> None:
    found = cuts(flat(128, 128, 128), 50, 8, rand_augment=1, magnitude=9)
    moved = [cut for cut in found if len(cut.unique()) > 1]  # a turned or moved grey picture stays grey
    assert not moved


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, value) for name in COLOR for value in (-0.1, 1.1, float("nan"), "much")),
        ("hue", 0.6),
        ("interpolation", "area"),
        ("rand_augment", -1),
        ("rand_augment", 1.5),
        ("magnitude", 31),
        ("color", 0.5),
    ],
)
def test_an_impossible_value_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValidationError, match=f"(?s)Augment\n{name}\n"):
        Augment.model_validate({name: value})
