import base64
import io
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_fixtures import full_disk, noise
from PIL import Image

from torchinception.errors import SaveError
from torchinception.report import write_report

EVIL = "<script>alert(1)</script>"
NEVER_CLOSED = {"meta", "img", "link", "br", "hr", "input"}
LOADED_BY = {"src", "srcset", "href", "xlink:href", "action", "data", "poster", "background", "style", "onload"}


class Page(HTMLParser):
    """Tags with their attributes, the text that is seen, and whether every tag is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text, self.open = "", list[str]()
        self.source = path.read_text("utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))
        if tag not in NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attributes}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, text: str) -> None:
        self.text += text


def epoch(number: int) -> dict[str, float]:
    figures = ("learning_rate", "train_loss", "train_top1", "val_loss", "val_top1", "seconds")
    return dict(epoch=number, step=number) | dict.fromkeys(figures, 1 / number)


@pytest.fixture(scope="module")
def arguments(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return dict(
        path=tmp_path_factory.mktemp("run") / "report.html",
        title="a network on pictures",
        facts={"Result": {"val_top1": 0.75}},
        history=[epoch(1), epoch(2)],
        per_class={"cat": 1.0, "dog": 0.5},
        confusion=[[2, 0], [1, 1]],
        split="val",
        mistakes=[(noise(0, 40, 60), "dog", [("cat", 0.9), ("dog", 0.1)])],
    )


def write(arguments: dict[str, Any], **changes: Any) -> Page:
    write_report(**arguments | changes)
    return Page(arguments["path"])


@pytest.fixture(scope="module")
def page(arguments: dict[str, Any]) -> Page:
    return write(arguments)


def test_it_shows_what_it_was_given(page: Page) -> None:
    for words in ("a network on pictures", "val_top1", "0.75", "100.0 %", "50.0 %", "Accuracy", "Loss", "val pictures"):
        assert words in page.text
    assert "cat 90 %, is dog" in " ".join(page.text.split())
    assert [tag for tag, _ in page.tags].count("svg") == 2  # curves and confusion matrix


def test_it_is_one_well_formed_page(page: Page) -> None:
    assert page.source.lower().startswith("<!doctype html>")
    assert page.source.count("<?xml") == 0
    assert page.open == []


def test_it_loads_nothing_from_anywhere(page: Page) -> None:
    values = [value for _, attributes in page.tags for name, value in attributes.items() if name in LOADED_BY]
    assert not [value for value in values if "//" in value and not value.startswith("data:image/png;base64,")]
    assert not {"script", "link", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert "@import" not in page.source


def test_every_text_is_escaped(arguments: dict[str, Any]) -> None:
    page = write(
        arguments,
        title=EVIL,
        facts={EVIL: {EVIL: EVIL}},
        per_class={EVIL: 1.0, '" onload="alert(1)': 0.5},
        split=EVIL,
        mistakes=[(noise(0), EVIL, [('" onload="alert(1)', 0.9), (EVIL, 0.1)])],
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if "onload" in attributes]
    assert page.text.count(EVIL) >= 9  # title twice, three facts, class, split, mistake, axis


def test_the_pictures_of_mistakes_are_in_the_page(page: Page) -> None:
    (image,) = [attributes for tag, attributes in page.tags if tag == "img"]
    content = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.array(Image.open(io.BytesIO(content))), noise(0, 40, 60))
    assert image["alt"] == "a dog named cat"


def test_large_pictures_are_made_small_and_left_as_they_were(arguments: dict[str, Any]) -> None:
    picture = noise(0, 800, 400)
    page = write(arguments, mistakes=[(picture, "dog", [("cat", 0.9)])])
    (image,) = [attributes["src"] for tag, attributes in page.tags if tag == "img"]
    assert Image.open(io.BytesIO(base64.b64decode(image.split(",")[1]))).size == (80, 160)
    assert np.array_equal(picture, noise(0, 800, 400))


def test_one_epoch_and_no_mistakes_are_enough(arguments: dict[str, Any]) -> None:
    page = write(arguments, history=[epoch(1)], mistakes=[], per_class={"cat": 1.0, "dog": 1.0})
    assert "every picture was named rightly" in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_a_class_without_pictures_is_said_to_have_none(arguments: dict[str, Any]) -> None:
    page = write(arguments, per_class={"cat": 1.0, "dog": None}, confusion=[[2, 0], [0, 0]], mistakes=[])
    assert page.text.count("no pictures") == 1


@pytest.mark.parametrize("name", ["a $5 or $10 toy", "$\\nonsense$", "猫", "_hidden", "5 %"])
def test_any_name_of_a_class_is_drawn_as_it_is_written(arguments: dict[str, Any], name: str) -> None:
    page = write(arguments, per_class={name: 1.0, "dog": 0.5})
    assert page.text.count(name) == 3  # in the table and on both axes of the matrix


def test_a_long_name_of_a_class_is_no_trouble(arguments: dict[str, Any]) -> None:
    name = "03111_Animalia_Chordata_Reptilia_Squamata_Iguanidae_Iguana_iguana"  # a folder of iNaturalist
    assert name in write(arguments, per_class={name: 1.0, "dog": 0.5}).text


def test_many_classes_are_drawn_without_numbers(arguments: dict[str, Any]) -> None:
    names, confusion = [f"class {number}" for number in range(26)], np.full((26, 26), 4567).tolist()
    page = write(arguments, per_class=dict.fromkeys(names, 1.0), confusion=confusion)
    assert (page.text.count("class 25"), page.text.count("4567")) == (3, 0)


def test_the_same_run_gives_the_same_page(arguments: dict[str, Any], page: Page) -> None:
    assert write(arguments).source == page.source


def test_a_page_that_cannot_be_written_leaves_the_old_one(arguments: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    with full_disk(), pytest.raises(SaveError, match=r"report\.html"):
        write_report(**arguments | dict(path=tmp_path / "report.html"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
