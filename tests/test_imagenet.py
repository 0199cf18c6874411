from collections import Counter
from importlib.resources import files

import pytest

from torchinception.weights.imagenet import classes, names


def test_there_are_a_thousand_classes_with_unique_ids_in_ascending_order() -> None:
    assert len(set(classes())) == len(names()) == 1000
    assert list(classes()) == sorted(classes())


def test_exactly_crane_and_maillot_name_two_classes() -> None:
    assert {name: n for name, n in Counter(names()).items() if n > 1} == {"crane": 2, "maillot": 2}


def test_the_well_known_outputs_are_where_everyone_knows_them() -> None:
    spots = {0: "tench", 1: "goldfish", 207: "golden retriever", 281: "tabby", 388: "giant panda", 954: "banana"}
    assert {position: names()[position] for position in spots} == spots
    assert classes()[999] == "n15075141"  # toilet tissue


def test_ids_and_their_order_are_those_of_timm() -> None:
    pytest.importorskip("timm")
    assert classes() == tuple(files("timm.data._info").joinpath("imagenet_synsets.txt").read_text().split())


def test_names_are_those_of_torchvision_in_the_same_order_but_for_the_two_it_tells_apart() -> None:
    from torchvision.models import GoogLeNet_Weights

    theirs = GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]
    differing = {ours: their for ours, their in zip(names(), theirs, strict=True) if ours != their}
    # older releases of torchvision have "crane" and "maillot" twice, as here
    assert differing in ({}, {"crane": "crane bird", "maillot": "maillot tank suit"})
