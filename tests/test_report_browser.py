"""The report in a real browser: nothing sticks out on a phone, nothing is complained of, and it can be seen.

Skipped where there is no Chromium (Debian's package `chromium`).
"""

import html
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data_fixtures import noise
from PIL import Image
from test_report import REPORT, epoch, scores

from torchinception.report import Mistake, write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")
MEASURE = """
<script>
addEventListener("load", () => {
  const page = document.querySelector("iframe").contentDocument;
  const wide = [...page.querySelectorAll("body, body *")].filter(
    (e) => e.getBoundingClientRect().right > 360.5 && !e.closest(".scroll > *") && !e.closest("details:not([open])"));
  const names = wide.map((e) => e.tagName + "." + e.className);
  document.title = JSON.stringify([page.documentElement.scrollWidth, page.querySelectorAll("*").length, names]);
});
</script>
"""


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    words = [str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    words += ["--enable-logging=stderr", f"--user-data-dir={page.parent / 'profile'}", *options, page.as_uri()]
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, env=os.environ | dict(HOME=str(page.parent))
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a report can hold, with many classes of long names."""
    path = tmp_path_factory.mktemp("browser") / "report.html"
    names = [f"Animalia_Chordata_Reptilia_Squamata_Iguanidae_Iguana_iguana_{number}" for number in range(60)]
    results = replace(
        REPORT.results,
        scores=scores(*names),
        confusion={name: {name: 2, names[0]: 1} for name in names},
        mistakes=[Mistake(noise(0, 90, 40), names[0], [(names[1], 0.9), (names[2], 0.1)], np.eye(5))] * 5,
    )
    facts = {"Result": {"top-1": "75 %"}, "Made with": {"fingerprint": "ab" * 32, "data": "/a" * 80}}
    history = [epoch(n) | dict(train_loss_main=1.0, train_loss_inception_4a=2.0) for n in range(1, 60)]
    write_report(path, replace(REPORT, results=results, facts=facts, history=history))
    return path


def test_on_a_phone_nothing_sticks_out(page: Path) -> None:
    frame = page.with_name("frame.html")
    inner = html.escape(page.read_text("utf-8"))
    style = "width: 360px; height: 9000px; border: 0"
    frame.write_text(
        f'<!DOCTYPE html><title></title>{MEASURE}<iframe style="{style}" srcdoc="{inner}"></iframe>', "utf-8"
    )
    found = browse(frame, "--dump-dom")
    assert "CONSOLE" not in found.stderr
    told = re.search(r"<title>\[(\d+),(\d+),(.*?)\]</title>", found.stdout)
    assert told, found.stdout[:500]
    assert int(told[2]) > 500  # the whole page was looked at
    assert (int(told[1]), told[3]) == (360, "[]")


@pytest.mark.parametrize("name", ["desktop", "dark"])
def test_it_can_be_seen_by_day_and_by_night(page: Path, name: str) -> None:
    shot = page.with_name(f"{name}.png")
    dark = ["--blink-settings=preferredColorScheme=0"] if name == "dark" else []
    found = browse(page, "--window-size=1280,3000", f"--screenshot={shot}", *dark)
    assert "CONSOLE" not in found.stderr
    with Image.open(shot) as image:
        grey = np.asarray(image.convert("L"), float)
    paper = np.median(grey)
    assert (paper < 60) == (name == "dark")
    assert 0.01 < (abs(grey - paper) > 90).mean() < 0.5  # ink on it


def test_it_can_be_printed(page: Path) -> None:
    browse(page, f"--print-to-pdf={page.with_name('report.pdf')}")
    assert page.with_name("report.pdf").read_bytes().startswith(b"%PDF")
