import pytest

from torchinception.data.labels import match_classes, readable
from torchinception.errors import DataError
from torchinception.weights.imagenet import classes, names


def test_a_class_is_found_by_its_id_or_its_name() -> None:
    found = match_classes(["n02123045", "goldfish"], classes(), names())
    assert found == {"n02123045": 281, "goldfish": 1}


def test_two_labels_of_one_class_are_refused() -> None:
    with pytest.raises(DataError, match="n02123045 and tabby are the same class, n02123045"):
        match_classes(["n02123045", "goldfish", "tabby"], classes(), names())


def test_an_id_is_stronger_than_a_name() -> None:
    assert match_classes(["a"], ["b", "a"], ["a", "c"]) == {"a": 1}


def test_an_ambiguous_name_is_refused_with_the_ids_to_choose_from() -> None:
    with pytest.raises(DataError, match=r"2 classes are called crane; .* id: n02012849, n03126707"):
        match_classes(["crane"], classes(), names())
    assert match_classes(["n03126707"], classes(), names()) == {"n03126707": 517}


def test_unknown_classes_are_all_named_with_the_nearest_and_not_a_thousand_others() -> None:
    with pytest.raises(DataError, match="golden retreiver, x; nearest to golden retreiver: golden retriever") as caught:
        match_classes(["golden retreiver", "tench", "x"], classes(), names())
    assert str(caught.value).endswith("and 980 more")


def test_readable_names_are_all_different() -> None:
    found = readable(classes(), names())
    assert len(set(found)) == 1000
    assert (found[0], found[134], found[517]) == ("tench", "crane (n02012849)", "crane (n03126707)")
