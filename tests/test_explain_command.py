import json
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from data_fixtures import encode, noise, tiny_classifier
from PIL import Image
from typer.testing import CliRunner

from torchinception.cli_explain import explain
from torchinception.errors import InceptionError, MissingInputError, SaveError, UsageError


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model, three pictures in a folder, one of them broken; the current folder."""
    tiny_classifier("bag", "boot", "hat").save(tmp_path / "model.safetensors")
    (tmp_path / "photos").mkdir()
    for seed, name in enumerate(("a.png", "b.png", "c.png")):
        (tmp_path / "photos" / name).write_bytes(encode(noise(seed, 40, 40)))
    (tmp_path / "photos" / "b.png").write_bytes(encode(noise(1, 40, 40))[:200])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(explain)
    return CliRunner().invoke(app, ["model.safetensors", *arguments])


def failure(result: Result) -> InceptionError:
    assert isinstance(result.exception, InceptionError), result.exception
    return result.exception


def rows(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_picture_gets_a_row_and_a_sheet(folder: Path) -> None:
    result = run("photos/a.png")
    assert result.exit_code == 0, result.output
    (row,) = (line for line in result.stdout.splitlines() if "photos/a.png" in line)
    assert row.split()[1] in ("bag", "boot", "hat")
    assert "sheet.png" in result.stdout
    with Image.open("sheet.png") as sheet:
        assert sheet.size == (1224, 360)


def test_a_bad_picture_gets_one_line_and_65_and_the_others_are_explained(folder: Path) -> None:
    result = run("photos", "--out", "new/found.png")
    assert result.exit_code == 65
    (line,) = (line for line in result.stderr.splitlines() if "photos/b.png" in line)
    assert line.startswith("error: photos/b.png: broken")
    assert "error: 1 of 3 pictures could not be read" in result.stderr
    with Image.open("new/found.png") as sheet:
        assert sheet.size == (1224, 2 * 360)


def test_if_all_are_bad_there_is_no_sheet(folder: Path) -> None:
    result = run("photos/b.png", "photos/d.png")
    assert (result.exit_code, Path("sheet.png").exists()) == (65, False)
    assert "error: photos/d.png: missing" in result.stderr


@pytest.mark.parametrize("method", ["gradcam", "integrated-gradients", "occlusion", "layer-activations"])
def test_json_is_one_object_a_picture_with_what_the_sheet_shows(folder: Path, method: str) -> None:
    result = run("photos", "--json", "--method", method)
    first, bad, last = rows(result)
    assert [row["path"] for row in (first, bad, last)] == [f"photos/{name}.png" for name in "abc"]
    assert bad["error"].startswith("broken")
    for row in (first, last):
        assert (row["method"], row["size"], row["heads"]) == (method, 28, {})
        assert row["class"] == row["predictions"][0]["class"]
        assert sum(one["probability"] for one in row["predictions"]) == pytest.approx(1)
        assert all(0 <= place < 28 for place in row["peak"])
    assert Path("sheet.png").exists()


def test_a_class_and_a_stage_can_be_asked_for(folder: Path) -> None:
    (row,) = rows(run("photos/a.png", "--json", "--class", "hat", "--stage", "inception_2a"))
    assert (row["class"], row["stage"]) == ("hat", "inception_2a")


def test_more_than_twenty_pictures_fill_several_sheets(folder: Path) -> None:
    for number in range(21):
        (folder / f"{number:02}.png").write_bytes(encode(noise(number, 30, 30)))
    result = run("[0-2]*.png", "--out", "found.png")
    assert result.exit_code == 0, result.output
    assert "Look at   found.png  found-2.png" in result.stdout
    heights = []
    for name in ("found.png", "found-2.png"):
        with Image.open(name) as sheet:
            heights.append(sheet.height // 360)
    assert heights == [20, 1]


@pytest.mark.parametrize(
    ("options", "kind", "text"),
    [
        (("--class", "boat"), UsageError, "nearest to boat: boot"),
        (("--stage", "mixed_7c"), UsageError, "stages: conv_1, inception_1a"),
        (("--method", "lime"), UsageError, "methods: gradcam, integrated-gradients"),
        (("--out", "sheet.jpg"), UsageError, "does not end in .png"),
        (("--out", "photos/a.png/sheet.png"), SaveError, "cannot write"),
        (("--device", "abacus"), UsageError, "no device named abacus"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    folder: Path, options: tuple[str, ...], kind: type[InceptionError], text: str
) -> None:
    before = sorted(folder.rglob("*"))
    error = failure(run("photos/a.png", *options))
    assert isinstance(error, kind)
    assert text in str(error)
    assert sorted(folder.rglob("*")) == before


def test_an_old_sheet_is_replaced_but_no_other_picture(folder: Path) -> None:
    assert [run("photos/c.png").exit_code for _ in range(2)] == [0, 0]
    before = Path("photos/a.png").read_bytes()
    error = failure(run("photos/c.png", "--out", "photos/a.png"))
    assert (error.exit_code, "photos/a.png exists and is no sheet" in str(error)) == (2, True)
    assert Path("photos/a.png").read_bytes() == before


def test_pictures_that_are_not_there_are_missing_input(folder: Path) -> None:
    assert isinstance(failure(run("nowhere.png")), MissingInputError)
