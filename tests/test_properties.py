"""What must hold for any number of pictures, batch size, number of processes, place of interruption and names."""

import pickle
import random
from collections.abc import Callable, Iterator
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import pytest
import torch
from data_fixtures import write_classes
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import Tensor

from torchinception.data.augment import Augment
from torchinception.data.folder import Folder, scan
from torchinception.data.labels import match_classes
from torchinception.data.module import Blocks, Key, Keyed, KeyedSampler, Pictures, ResumableLoader
from torchinception.data.samples import Sample, Samples
from torchinception.data.transforms import Preprocess
from torchinception.errors import DataError, UsageError
from torchinception.progress import Listener
from torchinception.training.plan import check_shares, choose
from torchinception.training.recipe import load_recipe

COUNT, BATCH, WORLD, SEED, EPOCH = (st.integers(*span) for span in ((0, 90), (2, 12), (1, 4), (0, 9), (0, 9)))
EPOCHS = 3
Property = Callable[[Any], None]
Batches = list[list[Key]]


@pytest.fixture
def holds(full: bool, survived: Callable[[str], None]) -> Property:
    """Call a property with 1,000 examples, or the same 100 each time."""

    def hold(check: Any) -> None:
        inner = check.hypothesis.inner_test

        def counted(*drawn: Any, **named: Any) -> None:
            inner(*drawn, **named)
            survived(f"property: {check.__name__.replace('_', ' ')}")

        check.hypothesis.inner_test = counted
        settings(max_examples=1000 if full else 100, deadline=None, derandomize=not full, database=None)(check)()

    return hold


class Numbers(Keyed):
    """Hands out the key that it is asked for."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: Key) -> tuple[Tensor, int]:
        return torch.tensor(key[0]), key[1]


def loaders(count: int, batch: int, world: int, seed: int, *, train: bool) -> list[ResumableLoader]:
    shares = [(rank, world) for rank in range(world)]
    return [ResumableLoader(Numbers(count, seed), batch, 0, train=train, share=share) for share in shares]


def batches(loader: ResumableLoader, epoch: int) -> Batches:
    loader.sampler.set_epoch(epoch)
    return [list(zip(*map(Tensor.tolist, batch), strict=True)) for batch in loader]


def test_training_takes_no_picture_twice_and_leaves_out_only_what_fills_no_batch(holds: Property) -> None:
    @example(count=3, batch=2, world=1, seed=0, epoch=0)  # one would remain
    @example(count=13, batch=12, world=1, seed=0, epoch=0)
    @example(count=2, batch=2, world=4, seed=0, epoch=0)  # more processes than pictures
    @example(count=9, batch=2, world=4, seed=0, epoch=0)
    @given(count=COUNT, batch=BATCH, world=WORLD, seed=SEED, epoch=EPOCH)
    def training_batches(count: int, batch: int, world: int, seed: int, epoch: int) -> None:
        each = [batches(loader, epoch) for loader in loaders(count, batch, world, seed, train=True)]
        assert [[len(keys) for keys in mine] for mine in each] == [[batch] * (count // world // batch)] * world
        taken = [key for mine in each for keys in mine for key in keys]
        assert len(set(taken)) == len(taken)
        assert {epoch for epoch, _ in taken} <= {epoch}
        assert {index for _, index in taken} <= set(range(count))
        assert count - len(taken) < batch * world

    holds(training_batches)


def test_evaluation_takes_every_picture_exactly_once(holds: Property) -> None:
    @example(count=1, batch=2, world=4, seed=0, epoch=0)
    @given(count=COUNT, batch=st.integers(1, 12), world=WORLD, seed=SEED, epoch=EPOCH)
    def evaluation_batches(count: int, batch: int, world: int, seed: int, epoch: int) -> None:
        each = [batches(loader, epoch) for loader in loaders(count, batch, world, seed, train=False)]
        assert sorted(key for mine in each for keys in mine for key in keys) == [(epoch, i) for i in range(count)]
        for mine in each:
            assert [len(keys) for keys in mine[:-1]] == [batch] * (len(mine) - 1)
            assert list(chain.from_iterable(mine)) == sorted(chain.from_iterable(mine))

    holds(evaluation_batches)


def test_processes_together_take_what_one_would(holds: Property) -> None:
    @given(data=st.data(), count=st.integers(1, 90), world=WORLD, seed=SEED, epoch=EPOCH, balanced=st.booleans())
    def shares(data: st.DataObject, count: int, world: int, seed: int, epoch: int, *, balanced: bool) -> None:
        number = st.lists(st.integers(0, 5), min_size=count, max_size=count)
        weights = 1 + torch.tensor(data.draw(number)).double() if balanced else None
        lie = data.draw(st.none() | number)
        blocks = None if lie is None else Blocks(torch.tensor(lie), data.draw(st.integers(1, 3)))

        def order(rank: int, world: int) -> list[Key]:
            sampler = KeyedSampler(count, seed, shuffle=True, weights=weights, share=(rank, world), blocks=blocks)
            sampler.set_epoch(epoch)
            found = list(sampler)
            assert len(found) == len(sampler) == count // world
            return found

        alone = order(0, 1)
        together = [key for keys in zip_longest(*(order(rank, world) for rank in range(world))) for key in keys]
        assert together == alone[: count // world * world]
        assert balanced or sorted(alone) == [(epoch, index) for index in range(count)]

    holds(shares)


def test_resuming_at_any_batch_and_again_equals_never_stopping(holds: Property) -> None:
    def run(loader: ResumableLoader, epoch: int = 0) -> Iterator[list[Key]]:
        """In the order of calls that Lightning makes."""
        while epoch < EPOCHS:
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                yield list(zip(*map(Tensor.tolist, batch), strict=True))
            epoch += 1

    @given(data=st.data(), count=COUNT, batch=BATCH, world=WORLD, seed=SEED, stops=st.integers(1, 3))
    def resumed(data: st.DataObject, count: int, batch: int, world: int, seed: int, stops: int) -> None:
        rank = data.draw(st.integers(0, world - 1))

        def fresh() -> ResumableLoader:
            return loaders(count, batch, world, seed, train=True)[rank]

        expected = list(run(fresh()))
        places = sorted(data.draw(st.lists(st.integers(0, len(expected)), min_size=stops, max_size=stops)))
        loader, going = fresh(), 0
        seen: Batches = []
        for place in places:
            running = run(loader, going)
            seen += [next(running) for _ in range(place - len(seen))]
            state = loader.state_dict()
            loader = fresh()
            loader.load_state_dict(state)
            going = state["epoch"]
        assert seen + list(run(loader, going)) == expected

    holds(resumed)


def test_a_run_that_is_allowed_never_trains_on_one_picture_and_every_process_takes_as_many_steps(
    holds: Property,
) -> None:
    def folder_of(count: int) -> Folder:
        one = (Sample(Path("data", str(number)), number % 2, f"{number:064x}") for number in range(count))
        samples = Samples.gather(Path("data"), one)
        return Folder(Path("data"), ("a", "b"), {"train": samples, "val": samples[:1]}, 28)

    @example(count=3, batch=2, world=1)
    @example(count=3, batch=8, world=2)
    @example(count=5, batch=4, world=1)
    @example(count=2, batch=None, world=4)
    @example(count=9, batch=1, world=1)
    @given(count=st.integers(1, 90), batch=st.none() | st.integers(1, 40), world=WORLD)
    def allowed_runs(count: int, batch: int | None, world: int) -> None:
        wanted = load_recipe("default", dict(network="tiny_inception", epochs=1) | (dict(batch=batch) if batch else {}))
        folder = folder_of(count)
        try:
            recipe = choose(wanted, folder, folder.splits, torch.device("cpu"), Listener())
            check_shares(recipe, world)
        except UsageError as error:
            assert "needs at least 2 pictures" in str(error) or "cannot share a batch" in str(error)  # noqa: PT017
            assert 1 in (count, batch) or world > 1
            return
        share = (recipe.batch or 0) // world
        steps = [batches(loader, 0) for loader in loaders(count, share, world, 0, train=True)]
        assert {len(mine) for mine in steps} == {count // world // share}
        assert len(steps[0]) >= 1
        assert {len(keys) for mine in steps for keys in mine} == {share}
        assert share >= 2

    holds(allowed_runs)


WORD = st.text("abc", min_size=1, max_size=2)
VOCABULARY = st.lists(st.tuples(WORD, WORD), min_size=1, max_size=6, unique_by=lambda pair: pair[0])


def matched(vocabulary: list[tuple[str, str]], labels: set[str]) -> dict[str, int] | None:
    ids, names = zip(*vocabulary, strict=True)
    try:
        return match_classes(labels, ids, names)
    except DataError:
        return None


def test_a_label_means_the_class_of_its_id_or_else_the_only_one_of_its_name(holds: Property) -> None:
    @given(vocabulary=VOCABULARY, label=WORD)
    def single_labels(vocabulary: list[tuple[str, str]], label: str) -> None:
        ids, names = zip(*vocabulary, strict=True)
        called = [place for place, name in enumerate(names) if name == label]
        places = [ids.index(label)] if label in ids else called
        assert matched(vocabulary, {label}) == ({label: places[0]} if len(places) == 1 else None)

    holds(single_labels)


def test_a_class_map_is_one_to_one_or_an_error(holds: Property) -> None:
    @given(vocabulary=VOCABULARY, data=st.data())
    def class_maps(vocabulary: list[tuple[str, str]], data: st.DataObject) -> None:
        known = sorted({word for pair in vocabulary for word in pair})
        labels = data.draw(st.sets(st.sampled_from(known), min_size=1))
        singly = [matched(vocabulary, {label}) for label in labels]
        found = matched(vocabulary, labels)
        places = [place for one in singly if one for place in one.values()]
        if len(places) == len(set(places)) == len(labels):
            assert found == {label: place for one in singly if one for label, place in one.items()}
        else:
            assert found is None

    holds(class_maps)


AUGMENTS = (
    Augment(interpolation="random"),
    Augment(rand_augment=2),
    Augment(brightness=32 / 255, contrast=0.5, saturation=0.5, hue=0.2),
)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    return scan(write_classes(tmp_path_factory.mktemp("data"), side=12, a=3, b=3)).splits["all"]


def test_what_a_network_sees_depends_on_seed_epoch_and_index_alone(few: Samples, holds: Property) -> None:
    indices = st.lists(st.integers(0, 5), min_size=1, max_size=4)

    @given(
        seed=SEED,
        epoch=EPOCH,
        indices=indices,
        workers=st.integers(1, 4),
        augment=st.sampled_from(AUGMENTS),
        data=st.data(),
    )
    def draws(seed: int, epoch: int, indices: list[int], workers: int, augment: Augment, data: st.DataObject) -> None:
        pictures = Pictures(few, Preprocess(size=8), augment, seed)
        expected = {index: pictures[epoch, index][0] for index in indices}
        copies: list[Any] = [pickle.loads(pickle.dumps(pictures)) for _ in range(workers)]
        for number, index in enumerate(data.draw(st.permutations(indices))):
            random.seed(number)
            torch.manual_seed(data.draw(SEED))
            worker = copies[data.draw(st.integers(0, workers - 1))]
            assert torch.equal(worker[epoch, index][0], expected[index])

    holds(draws)


def test_another_seed_or_epoch_draws_others(few: Samples, holds: Property) -> None:
    keys = st.tuples(SEED, EPOCH)

    @given(keys=st.lists(keys, min_size=2, max_size=2, unique=True), index=st.integers(0, 5))
    def other_draws(keys: list[tuple[int, int]], index: int) -> None:
        one, other = (Pictures(few, Preprocess(size=8), AUGMENTS[2], seed)[epoch, index][0] for seed, epoch in keys)
        assert not torch.equal(one, other)

    holds(other_draws)
