import math
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from data_fixtures import encode, listing, tiny_classifier, write_classes
from store_fixtures import Notes
from torch import Tensor

from torchinception.data.crops import crops
from torchinception.data.folder import scan
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError, UsageError
from torchinception.evaluation import Evaluation, evaluate, measure

MODEL_CLASSES = tuple("gbdfaecz")  # neither sorted nor all in the folder
UNCHANGED = Preprocess(size=4, crop=1)
COUNTS = dict(a=5, b=3, c=4, d=6, e=2, f=7, g=3)
TABLE = np.random.default_rng(0).normal(0, 2, (30, len(MODEL_CLASSES))).astype(np.float32)


@dataclass
class Fake:
    """Knows each picture by its grey level and answers from a table."""

    classes: tuple[str, ...] = MODEL_CLASSES
    preprocess: Preprocess = UNCHANGED
    trained_on: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return self.classes

    def logits(self, batch: Tensor) -> Tensor:
        return torch.from_numpy(TABLE)[batch[:, 0, 0, 0].long()][:, : len(self.classes)]


@pytest.fixture
def levels(tmp_path: Path) -> Path:
    """30 pictures, of levels 0 to 29."""
    level = 0
    for name, count in COUNTS.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        for _ in range(count):
            picture = np.full((4, 4, 3), level, np.uint8)
            (tmp_path / "data" / name / f"{level:02}.png").write_bytes(encode(picture))
            level += 1
    return tmp_path / "data"


def test_every_figure_equals_a_count_by_hand(levels: Path) -> None:
    found = evaluate(Fake(), levels, batch=7)
    truths = [name for name, count in COUNTS.items() for _ in range(count)]
    right, among_five, loss = 0, 0, 0.0
    right_of = dict.fromkeys(COUNTS, 0)
    confusion: dict[str, dict[str, int]] = {name: {} for name in COUNTS}
    wrong = []
    for level, truth in enumerate(truths):
        row = [float(value) for value in TABLE[level]]
        ranking = sorted(range(len(row)), key=lambda i: -row[i])
        named = MODEL_CLASSES[ranking[0]]
        confusion[truth][named] = confusion[truth].get(named, 0) + 1
        right += named == truth
        right_of[truth] += named == truth
        among_five += truth in [MODEL_CLASSES[i] for i in ranking[:5]]
        exponentials = [math.exp(value) for value in row]
        loss -= math.log(exponentials[MODEL_CLASSES.index(truth)] / sum(exponentials))
        if named != truth:
            wrong.append((exponentials[ranking[0]] / sum(exponentials), f"{level:02}.png", named))
    rounding = 1e-6  # sums of 30 float32
    assert (found.pictures, found.crops, found.classes, found.split) == (30, 1, MODEL_CLASSES, "all")
    assert found.top1 == pytest.approx(right / 30, rel=rounding)
    assert found.top5 == pytest.approx(among_five / 30, rel=rounding)
    assert found.loss == pytest.approx(loss / 30, rel=rounding)
    assert found.per_class == pytest.approx({name: right_of[name] / COUNTS[name] for name in COUNTS}, rel=rounding)
    assert found.confusion == confusion
    wrong = sorted(wrong, reverse=True)[:24]
    assert [(m.sample.path.name, m.guesses[0]) for m in found.mistakes] == [(name, named) for _, name, named in wrong]
    assert [m.probabilities[0] for m in found.mistakes] == pytest.approx([p for p, *_ in wrong], rel=rounding)


def figures(found: Evaluation) -> tuple[object, ...]:
    return found.top1, found.top5, found.loss, found.confusion, [m.sample.path.name for m in found.mistakes]


@pytest.mark.parametrize(("batch", "workers"), [(1, 0), (29, 0), (100, 0), (4, 2)])
def test_neither_batches_nor_workers_change_a_figure(levels: Path, batch: int, workers: int) -> None:
    expected = evaluate(Fake(), levels, batch=30)
    assert figures(evaluate(Fake(), levels, batch=batch, workers=workers)) == figures(expected)


def test_classes_are_matched_by_name_whatever_their_order(levels: Path) -> None:
    def column(name: str) -> list[float]:
        return TABLE[:, MODEL_CLASSES.index(name)].tolist()

    order = tuple(sorted(MODEL_CLASSES, reverse=True))
    shuffled = Fake(order)
    answers = torch.tensor([column(name) for name in order]).T
    shuffled.logits = lambda batch: answers[batch[:, 0, 0, 0].long()]  # type: ignore[method-assign]
    one, other = evaluate(Fake(), levels), evaluate(shuffled, levels)
    assert (other.top1, other.top5, other.per_class) == (one.top1, one.top5, one.per_class)


def test_a_folder_may_have_fewer_classes_than_the_model(levels: Path) -> None:
    for name in "acdef":
        shutil.rmtree(levels / name)
    found = evaluate(Fake(), levels)
    assert (found.pictures, sorted(found.per_class), sorted(found.confusion)) == (6, ["b", "g"], ["b", "g"])


def test_classes_stand_in_the_order_of_the_model(levels: Path) -> None:
    found = evaluate(Fake(), levels)
    rows = [found.per_class, found.confusion, *found.confusion.values()]
    assert all(list(row) == sorted(row, key=MODEL_CLASSES.index) for row in rows)
    assert max(len(row) for row in rows) > 2


def test_of_a_thousand_classes_those_that_occur_are_told(levels: Path) -> None:
    few, many = evaluate(Fake(), levels), Fake((*MODEL_CLASSES, *map(str, range(1000))))
    many.logits = lambda batch: torch.nn.functional.pad(Fake().logits(batch), (0, 1000), value=-99.0)  # type: ignore[method-assign]
    found = evaluate(many, levels)
    assert (found.top1, found.top5, found.confusion) == (few.top1, few.top5, few.confusion)
    assert sum(len(row) for row in found.confusion.values()) <= found.pictures  # and not the square of the classes


def test_fewer_than_five_classes_are_always_among_the_first_five(levels: Path) -> None:
    for name in "cdefg":
        shutil.rmtree(levels / name)
    found = evaluate(Fake(("b", "x", "a")), levels)
    assert (found.top5, len(found.mistakes[0].guesses)) == (1, 3)


def test_an_unknown_class_stops_the_evaluation_with_its_name(levels: Path) -> None:
    with pytest.raises(DataError, match="does not know the classes f, g; it knows e, d, c, b, a") as caught:
        evaluate(Fake(tuple("edcba")), levels)
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    ("parts", "split"),
    [
        (["train", "val", "test"], "test"),
        (["train", "val"], "val"),
        (["train", "test"], "test"),
        (["train", "valid"], "val"),
        (["val"], "val"),
        (["train"], "train"),
        (["."], "all"),
    ],
)
def test_the_pictures_kept_from_training_are_evaluated_if_there_are_such(
    tmp_path: Path, parts: list[str], split: str
) -> None:
    numbers = {part: 2 + number for number, part in enumerate(parts)}
    write_classes(tmp_path, **{f"{part}/{name}": count for part, count in numbers.items() for name in "ab"})
    found = evaluate(tiny_classifier("a", "b"), tmp_path)
    assert (found.split, found.pictures) == (split, 2 * (numbers.get(split) or numbers[parts[-1]]))


def test_a_class_that_the_evaluated_pictures_lack_is_no_trouble(tmp_path: Path) -> None:
    write_classes(tmp_path, **{"train/a": 2, "train/b": 2, "train/new": 2, "val/a": 1, "val/b": 1})
    assert evaluate(tiny_classifier("a", "b"), tmp_path).pictures == 2


def test_the_pictures_it_was_trained_on_by_other_names_are_counted_with_a_word(levels: Path, notes: Notes) -> None:
    model = Fake(trained_on=scan(levels).training_fingerprint)
    for path in levels.glob("*/*.png"):
        path.rename(path.with_name(f"renamed {path.name}"))
    assert evaluate(model, levels, listener=notes).split == "all"
    told = "is not what the model was trained on, or no longer: all is counted"
    assert [told in line for line in notes.said] == [True]


def test_a_folder_that_has_grown_since_training_is_counted_with_a_word(levels: Path, notes: Notes) -> None:
    model = Fake(trained_on=scan(levels).training_fingerprint)
    first = next(levels.glob("*/*.png"))
    shutil.copy(first, first.with_name("new.png"))
    assert evaluate(model, levels, listener=notes).split == "all"
    assert "the figures are too good" in " ".join(notes.said)
    notes.said.clear()
    evaluate(Fake(trained_on=""), levels, listener=notes)  # of published weights nobody knows
    assert notes.said == []


@pytest.mark.parametrize("place", ["data", "copy"])
def test_of_the_folder_it_was_trained_on_only_the_held_out_pictures_count(levels: Path, place: str) -> None:
    folder = scan(levels)
    model = Fake(trained_on=folder.training_fingerprint)
    shutil.copytree(levels, levels.parent / "copy")
    found = evaluate(model, levels.parent / place)
    assert (found.split, found.pictures) == ("val", len(folder.for_training()["val"]))
    (levels.parent / place / "a" / "00.png").unlink()
    assert evaluate(model, levels.parent / place).split == "all"


def test_ten_crops_equal_a_plain_loop(sample: Path) -> None:
    model = tiny_classifier(*sorted(path.name for path in (sample / "test").iterdir()), size=24)
    folder = scan(sample)
    samples = folder.splits["test"][::40]
    found = measure(model, folder, samples, "test", batch=7, crops=10)
    right, loss, wrong = 0, 0.0, []
    for each in samples:
        ten = torch.stack(
            [model.logits(crop[None])[0].softmax(0) for crop in crops(model.preprocess, each.picture(), 10)]
        )
        average = ten.mean(0)
        right += int(average.argmax()) == each.label
        loss -= math.log(average[each.label])
        wrong += [(float(average.max()), each.path)] if int(average.argmax()) != each.label else []
    wrong = sorted(wrong, reverse=True)[:24]
    rounding = 1e-5  # of float32 through a network, in batches of other sizes
    assert (found.pictures, found.crops, found.top1) == (len(samples), 10, right / len(samples))
    assert found.loss == pytest.approx(loss / len(samples), rel=rounding)
    assert [m.probabilities[0] for m in found.mistakes] == pytest.approx([p for p, _ in wrong], rel=rounding)
    assert found.loss != measure(model, folder, samples, "test").loss


@pytest.mark.parametrize("count", [10, 144])
@pytest.mark.parametrize("scale", [1, 100])  # at 100 many a probability is 0 in float32, and its logarithm must not be
def test_crops_that_look_alike_change_nothing(levels: Path, count: int, scale: float) -> None:
    model = Fake()
    model.logits = lambda batch: scale * Fake().logits(batch)  # type: ignore[method-assign]
    one, many = evaluate(model, levels), evaluate(model, levels, crops=count)
    assert (many.top1, many.top5, many.per_class, many.confusion) == (one.top1, one.top5, one.per_class, one.confusion)
    assert many.loss == pytest.approx(one.loss, rel=1e-5)  # rounding of float32


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (32, 1), (1, 10), (7, 10), (32, 10), (32, 144), (500, 144)])
def test_the_network_is_given_a_batch_at_most(levels: Path, batch: int, count: int) -> None:
    model, given = Fake(), []
    model.logits = lambda inputs: given.append(len(inputs)) or Fake().logits(inputs)  # type: ignore[method-assign,func-returns-value]
    assert figures(evaluate(model, levels, batch=batch, crops=count))[:2] == figures(evaluate(Fake(), levels))[:2]
    assert (max(given) <= batch, sum(given)) == (True, 30 * count)


@pytest.mark.parametrize("workers", [0, 2])
def test_neither_batches_nor_workers_change_a_figure_of_crops(levels: Path, workers: int) -> None:
    expected = evaluate(Fake(), levels, batch=1000, crops=10)
    assert figures(evaluate(Fake(), levels, batch=27, workers=workers, crops=10)) == figures(expected)


def test_evaluating_changes_nothing_in_the_folder(levels: Path) -> None:
    before = listing(levels)
    assert evaluate(Fake(), levels).pictures == 30
    assert listing(levels) == before


@pytest.mark.parametrize("options", [dict(batch=0), dict(workers=-1), dict(crops=0), dict(crops=2)])
def test_impossible_numbers_are_a_usage_error_before_any_picture_is_read(options: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"at least 1|1, 10 or 144"):
        evaluate(Fake(), "nowhere", **options)  # type: ignore[arg-type]


def test_pictures_of_one_class_alone_can_be_evaluated(levels: Path) -> None:
    for name in set(COUNTS) - {"f"}:
        shutil.rmtree(levels / name)
    assert evaluate(Fake(), levels).pictures == COUNTS["f"]


def test_folders_match_imagenets_classes_by_id_or_by_name(tmp_path: Path) -> None:
    model = tiny_classifier("n01440764", "n02012849", "n03126707", names=("tench", "crane", "crane"))
    for name in ("tench", "n03126707"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.png").write_bytes(encode(np.zeros((28, 28, 3), np.uint8)))
    found = evaluate(model, tmp_path / "data")
    assert found.per_class.keys() == {"tench", "crane (n03126707)"}
    (tmp_path / "data" / "n03126707").rename(tmp_path / "data" / "crane")
    with pytest.raises(DataError, match="2 classes are called crane"):
        evaluate(model, tmp_path / "data")
