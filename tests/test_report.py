import base64
import io
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_fixtures import full_disk, noise
from PIL import Image

from torchinception.errors import SaveError
from torchinception.report import Bin, Calibration, ClassScore, Mistake, Report, Results, Stage, write_report

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


def scores(*names: str, pictures: int = 2) -> list[ClassScore]:
    return [ClassScore(name, pictures, 0.75 if pictures else None, 0.5 if pictures else None, 0.6) for name in names]


BINS = [Bin(0, None, None)] * 14 + [Bin(4, 0.95, 0.75)]
RESULTS = Results(
    split="val",
    scores=[ClassScore("cat", 2, 2 / 3, 1.0, 0.8), ClassScore("dog", 2, 1.0, 0.5, 2 / 3)],
    confusion={"cat": {"cat": 2}, "dog": {"cat": 1, "dog": 1}},
    calibration=Calibration(0.2, BINS, 1.25),
    mistakes=[Mistake(noise(0, 40, 60), "dog", [("cat", 0.9), ("dog", 0.1)])],
)
REPORT = Report(
    title="a network on pictures",
    facts={"Result": {"val_top1": 0.75}},
    results=RESULTS,
    history=[epoch(1), epoch(2)],
    networks={"a network at 28 px": [Stage("conv_1", (64, 14, 14), 1234567, 7654321, 7)]},
)


def write(folder: Path, report: Report = REPORT, **results: Any) -> Page:
    write_report(folder / "report.html", replace(report, results=replace(report.results, **results)))
    return Page(folder / "report.html")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return write(tmp_path_factory.mktemp("run"))


def test_it_shows_what_it_was_given(page: Page) -> None:
    words = ("a network on pictures", "val_top1", "0.75", "100.0 %", "50.0 %", "66.7 %", "Accuracy", "Loss", "conv_1")
    for word in (*words, "val pictures", "1,234,567", "64 × 14 × 14", "20.0 %", "1.250", "it was too sure"):
        assert word in page.text
    assert "cat 90 %, is dog" in " ".join(page.text.split())
    assert [tag for tag, _ in page.tags].count("svg") == 5  # three curves, confusion matrix, reliability diagram


def test_many_classes_without_a_mistake_still_have_a_matrix(tmp_path: Path) -> None:
    names = [f"class {number}" for number in range(30)]
    right = dict(scores=scores(*names), confusion={name: {name: 2} for name in names}, mistakes=())
    page = write(tmp_path, **right)
    assert "The 24 classes of 30" in " ".join(page.text.split())


def test_what_there_is_not_is_left_out(tmp_path: Path) -> None:
    page = write(tmp_path, replace(REPORT, history=(), networks={}))
    assert [tag for tag, _ in page.tags].count("svg") == 2
    assert ("Learning curves" in page.text, "Architecture" in page.text) == (False, False)


def test_each_auxiliary_head_has_its_curve(tmp_path: Path) -> None:
    rows = [epoch(n) | dict(train_loss_main=1.0, train_loss_inception_4a=2.0) for n in (1, 2)]
    page = write(tmp_path, replace(REPORT, history=rows))
    assert ("Loss of each head" in page.text, "inception_4a" in page.text) == (True, True)


def test_every_figure_has_a_name_and_every_heading_its_scope(page: Page) -> None:
    images = [a for tag, a in page.tags if tag == "img" or a.get("role") in ("img", "region")]
    assert all(a.get("alt") or a.get("aria-label") for a in images)
    assert len(images) == 8  # 5 figures, a mistake, two wide tables
    assert all("scope" in a for tag, a in page.tags if tag == "th")
    assert all(a.get("tabindex") == "0" for _, a in page.tags if "scroll" in a.get("class", "").split())
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    links = [a["href"] for tag, a in page.tags if tag == "a"]
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_it_is_one_well_formed_page(page: Page) -> None:
    assert page.source.lower().startswith("<!doctype html>")
    assert page.source.count("<?xml") == 0
    assert page.open == []


def test_it_loads_nothing_from_anywhere(page: Page) -> None:
    values = [value for _, attributes in page.tags for name, value in attributes.items() if name in LOADED_BY]
    assert not [value for value in values if "//" in value and not value.startswith("data:image/png;base64,")]
    assert [attributes["href"] for tag, attributes in page.tags if tag == "link"] == ["data:,"]  # no icon is asked for
    assert not {"script", "iframe", "object", "embed", "base"} & {tag for tag, _ in page.tags}
    assert "@import" not in page.source


def test_every_text_is_escaped(tmp_path: Path) -> None:
    evil = '" onload="alert(1)'
    page = write(
        tmp_path,
        replace(REPORT, title=EVIL, facts={EVIL: {EVIL: EVIL}}, networks={EVIL: [Stage(EVIL, (1,), 1, 1, 1)]}),
        split=EVIL,
        scores=scores(EVIL, evil),
        confusion={EVIL: {evil: 1}},
        mistakes=[Mistake(noise(0), EVIL, [(evil, 0.9), (EVIL, 0.1)])],
    )
    assert "script" not in {tag for tag, _ in page.tags}
    assert not [attributes for _, attributes in page.tags if "onload" in attributes]
    assert page.text.count(EVIL) >= 11  # title twice, facts, class, axes, pair, split, mistake, network


def images(page: Page) -> list[np.ndarray]:
    sources = [a["src"].removeprefix("data:image/png;base64,") for tag, a in page.tags if tag == "img"]
    return [np.array(Image.open(io.BytesIO(base64.b64decode(source)))) for source in sources]


def test_the_pictures_of_mistakes_are_in_the_page(page: Page) -> None:
    [image] = images(page)
    assert np.array_equal(image, noise(0, 40, 60))
    assert [a["alt"] for tag, a in page.tags if tag == "img"] == ["a dog named cat"]


def test_a_heat_map_stands_beside_its_picture_bright_where_it_is_hot(tmp_path: Path) -> None:
    heat = np.zeros((4, 6))
    heat[3, 5] = 1
    grey = np.full((40, 60, 3), 100, np.uint8)
    picture, blended = images(write(tmp_path, mistakes=[Mistake(grey, "dog", [("cat", 0.9)], heat)]))
    assert np.array_equal(picture, grey)
    assert blended.shape == (40, 60, 3)
    assert blended[-3:, -3:].mean() > 2 * blended[:20, :30].mean()


def test_large_pictures_are_made_small_and_left_as_they_were(tmp_path: Path) -> None:
    picture = noise(0, 800, 400)
    [image] = images(write(tmp_path, mistakes=[Mistake(picture, "dog", [("cat", 0.9)])]))
    assert image.shape == (200, 100, 3)
    assert np.array_equal(picture, noise(0, 800, 400))


def test_one_epoch_and_no_mistakes_are_enough(tmp_path: Path) -> None:
    page = write(tmp_path, replace(REPORT, history=[epoch(1)]), mistakes=[])
    assert "every picture was named rightly" in page.text
    assert "img" not in {tag for tag, _ in page.tags}


def test_a_class_without_pictures_is_said_to_have_none(tmp_path: Path) -> None:
    page = write(tmp_path, scores=[*scores("cat"), *scores("dog", pictures=0)], confusion={"cat": {"cat": 2}})
    assert page.text.count("no pictures") == 1


@pytest.mark.parametrize("name", ["a $5 or $10 toy", "$\\nonsense$", "猫", "_hidden", "5 %"])
def test_any_name_of_a_class_is_drawn_as_it_is_written(tmp_path: Path, name: str) -> None:
    page = write(tmp_path, scores=scores(name, "dog"), confusion={})
    assert page.text.count(name) == 3  # in the table and on both axes of the matrix


def test_a_long_name_of_a_class_is_no_trouble(tmp_path: Path) -> None:
    name = "03111_Animalia_Chordata_Reptilia_Squamata_Iguanidae_Iguana_iguana"  # a folder of iNaturalist
    assert name in write(tmp_path, scores=scores(name, "dog")).text


def test_of_a_thousand_classes_the_worst_the_best_and_the_most_confused_are_shown(tmp_path: Path) -> None:
    names = [f"class {number:03}" for number in range(1000)]
    ranked = [replace(score, f1=place / 1000) for place, score in enumerate(scores(*names))]
    confusion = {name: {name: 5} for name in names} | {"class 500": {"class 501": 9}, "class 700": {"class 500": 8}}
    page = write(tmp_path, scores=ranked, confusion=confusion)
    assert [page.text.count(name) for name in ("class 014", "class 015", "class 994", "class 995")] == [2, 1, 1, 2]
    assert "980 more classes" in page.text
    assert "The 3 classes of 1000" in page.text  # those of the two pairs, and no others
    assert page.text.count("class 501") == 4  # of all classes, on both axes, in a pair


@pytest.mark.parametrize(("temperature", "words"), [(0.5, "not sure enough"), (None, "No temperature")])
def test_a_temperature_is_explained(tmp_path: Path, temperature: float | None, words: str) -> None:
    assert words in write(tmp_path, calibration=Calibration(0.1, BINS, temperature)).text


def test_the_same_run_gives_the_same_page(tmp_path: Path, page: Page) -> None:
    assert write(tmp_path).source == page.source


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("old")
    with full_disk(), pytest.raises(SaveError, match=r"report\.html"):
        write(tmp_path)
    assert [path.read_text() for path in tmp_path.iterdir()] == ["old"]
