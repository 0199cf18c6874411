"""Drawings: what stands in them is what the networks are, nothing is cut off, and the bytes do not change."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from torchinception.cli_draw import draw as command
from torchinception.drawing import draw
from torchinception.drawing.canvas import Box, Drawing, Text, text_width
from torchinception.errors import UsageError
from torchinception.models import NETWORKS, create

app = typer.Typer()
app.command()(command)
SOME_BLOCKS = (
    ("googlenet", "inception_3a"),
    ("inception_v3", "mixed_5b"),
    ("inception_v3", "mixed_6a"),
    ("inception_v3", "mixed_7c"),
    ("inception_v4", "mixed_7b"),
    ("inception_resnet_v2", "block_35"),
    ("inception_resnet_v2", "block_8_last"),
    ("xception", "block_2"),
    ("xception", "block_4"),
)


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Text)]


def extent(text: Text) -> tuple[float, float, float, float]:
    """Left, top, right, bottom."""
    length = text_width(text.text, text.size)
    before = {"start": 0.0, "middle": length / 2, "end": length}[text.anchor]
    half = text.size / 2
    if text.upward:
        return text.x - half, text.y - (length - before), text.x + half, text.y + before
    return text.x - before, text.y - half, text.x - before + length, text.y + half


def assert_readable(drawing: Drawing) -> None:
    """No text leaves the page or lies on another one; no box leaves the page or lies half on another one."""
    places = [(shape.text, *extent(shape)) for shape in drawing.shapes if isinstance(shape, Text)]
    for text, left, top, right, bottom in places:
        assert min(left, top) >= 0, text
        assert right <= drawing.width, text
        assert bottom <= drawing.height, text
    boxes = [s for s in drawing.shapes if isinstance(s, Box)]
    places += [("a box", b.x, b.y, b.x + b.width, b.y + b.height) for b in boxes]
    for index, (text, left, top, right, bottom) in enumerate(places):
        for other, left2, top2, right2, bottom2 in places[index + 1 :]:
            inside = (left2 <= left and right <= right2 and top2 <= top and bottom <= bottom2) or (
                left <= left2 and right2 <= right and top <= top2 and bottom2 <= bottom
            )
            if other == "a box" and (text == "a box" or inside):
                assert inside or right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top
            elif other != "a box":
                assert right <= left2 or right2 <= left or bottom <= top2 or bottom2 <= top, (text, other)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_shows_all_its_stages_and_nothing_is_cut_off_or_covered(name: str) -> None:
    drawing = draw(name)
    assert {"input", *create(name).trunk._modules, "pool", "logits"} <= set(words(drawing))
    assert words(drawing).count("auxiliary head") == len(NETWORKS[name].aux)
    assert_readable(drawing)


@pytest.mark.parametrize(("name", "stage"), SOME_BLOCKS)
def test_a_block_can_be_read(name: str, stage: str) -> None:
    assert_readable(draw(name, stage))


def test_inception_3a_is_figure_2b_with_the_filters_of_table_1() -> None:
    found = words(draw("googlenet", "inception_3a"))
    channels = [int(text.split()[0]) for text in found if text.endswith("channels")]
    assert sorted(channels) == sorted([64, 96, 128, 16, 32, 32])
    assert [text for text in found if "×" in text and "conv" in text].count("1×1 conv") == 4
    assert {"3×3 conv", "5×5 conv", "3×3 max pool", "pool_2 · 192 × 28 × 28", "concat · 256 × 28 × 28"} <= set(found)


def test_a_residual_block_shows_its_scale_and_how_often_it_comes() -> None:
    assert {"+", "× 0.17", "10 times", "ReLU", "concat · 128 × 35 × 35"} <= set(
        words(draw("inception_resnet_v2", "block_35"))
    )
    last = words(draw("inception_resnet_v2", "block_8_last"))
    assert "+" in last
    assert not any(re.match(r"× \d", text) or text.endswith("times") or text == "ReLU" for text in last)


def test_nested_branches_go_into_the_one_concatenation() -> None:
    found = words(draw("inception_v3", "mixed_7c"))
    assert [text for text in found if text.startswith("concat")] == ["concat · 2048 × 8 × 8"]
    assert (found.count("1×3 conv"), found.count("3×1 conv")) == (2, 2)


def test_maps_are_to_scale() -> None:
    boxes = [shape for shape in draw("googlenet").shapes if isinstance(shape, Box)]
    by_side = {224: boxes[0], 112: boxes[1], 56: boxes[2], 28: boxes[5], 14: boxes[8], 7: boxes[14]}
    for side, box in by_side.items():
        assert box.height == pytest.approx(boxes[0].height * (side / 224) ** 0.5)


def test_auxiliary_heads_are_left_out_where_the_size_does_not_suit_them() -> None:
    assert "auxiliary head" not in words(draw("googlenet", size=320))


def test_the_same_network_is_the_same_bytes() -> None:
    first, second = draw("inception_v3", "mixed_6b"), draw("inception_v3", "mixed_6b")
    assert first.svg() == second.svg()
    assert first.png() == second.png()


def test_the_svg_is_well_formed_loads_nothing_and_follows_dark_mode() -> None:
    text = draw("tiny_inception").svg()
    ET.fromstring(text)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "@media (prefers-color-scheme: dark)" in text


def test_the_png_has_twice_the_drawings_size_and_something_on_it() -> None:
    drawing = draw("tiny_inception", "downsample_1")
    with Image.open(io.BytesIO(drawing.png())) as image:
        assert image.size == (round(drawing.width * 2), round(drawing.height * 2))
        assert len(image.getcolors(1 << 20)) > 20


def test_an_unknown_stage_lists_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no stage named mixed_9z in tiny_inception; stages: conv_1, inception_1a"):
        draw("tiny_inception", "mixed_9z")
    with pytest.raises(UsageError, match="needs pictures of at least 75 px"):
        draw("inception_v3", size=74)


def test_the_command_writes_by_suffix_and_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(app, ["tiny_inception"]).exit_code == 0
    assert CliRunner().invoke(app, ["tiny_inception", "--stage", "inception_3a", "--out", "a.png"]).exit_code == 0
    assert Path("tiny_inception.svg").read_text("utf-8") == draw("tiny_inception").svg()
    assert Path("a.png").read_bytes() == draw("tiny_inception", "inception_3a").png()
    refused = CliRunner().invoke(app, ["tiny_inception", "--out", "a.pdf"])
    assert isinstance(refused.exception, UsageError)
    assert not Path("a.pdf").exists()
