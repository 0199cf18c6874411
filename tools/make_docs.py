"""Write the generated pages of docs/.

`networks.md` and its drawings come from `summarize` and `draw`, `commands.md` from `--help`, `weights.md` from the
catalogue, `folders.md` from the odd folders of the tests, `studies.md` from the results in docs/studies.

python tools/make_docs.py            write them
python tools/make_docs.py --check    exit 1 if they are not current
"""

import argparse
import os
import sys
from inspect import getdoc, getmodule
from pathlib import Path
from types import ModuleType

from typer.testing import CliRunner
from weights_page import catalogue_page

DOCS = Path(__file__).parents[1] / "docs"
BLOCKS = {  # drawn below the networks that they are of
    "googlenet": "inception_3a",
    "inception_v3": "mixed_5b mixed_6a mixed_6b mixed_7c",
    "inception_v4": "mixed_7b",
    "inception_resnet_v2": "block_35 block_17",
    "xception": "block_2 block_4",
}
NOTE = "<!-- Made by tools/make_docs.py; edit the source, not this page. -->\n"


def networks() -> str:
    """A section per network: what it is, its paper, what differs, its table."""
    from torchinception.models import NETWORKS
    from torchinception.network import describe_sizes
    from torchinception.summary import summarize

    page = [NOTE, "# Networks\n"]
    page.append("| name | what it is | px | parameters | with auxiliary heads | MACs |")
    page.append("|---|---|--:|--:|--:|--:|")
    for name, spec in NETWORKS.items():
        s = summarize(name)
        aux = f"{s.parameters_with_aux:,}" if s.aux_rows else ""
        row = f"| [`{name}`](#{name}) | {spec.what} | {s.size} | {s.parameters:,} | {aux} | {s.macs:,} |"
        page.append(row)
    page.append("\nParameters are trainable values, batch norm's gamma and beta included. MACs are multiply-adds of")
    page.append("convolutions and linear layers for one picture. The receptive field is the side of the input square")
    page.append("that one cell of the output sees.\n")
    for name, spec in NETWORKS.items():
        s = summarize(name)
        page.append(f"## {name}\n\n{spec.what}. {spec.paper}.\n")
        differs = getdoc(home(name)) or ""
        if "Differs:" in differs:
            page.append(
                "Differs:\n\n" + differs.split("Differs:\n")[1].replace("\n    ", "\n").removeprefix("    ") + "\n"
            )
        page.append(f"At {s.size} px; takes pictures from {spec.min_size} px")
        if spec.aux:
            page.append(f"(with auxiliary heads: {describe_sizes(spec.aux_sizes)})")
        page.append(f"\n![{name} to scale](networks/{name}.svg)")
        page.append("\n| stage | output | parameters | MACs | receptive field |\n|---|---|--:|--:|--:|")
        for r in (*s.rows, *s.aux_rows):
            shape = " x ".join(map(str, r.shape))
            page.append(f"| `{r.stage}` | {shape} | {r.parameters:,} | {r.macs:,} | {r.receptive_field_px} |")
        page += [f"\n![{name} {stage}](networks/{name}-{stage}.svg)" for stage in BLOCKS.get(name, "").split()]
        page.append("")
    return "\n".join(page)


def drawings() -> dict[str, str]:
    """Every network to scale, and blocks as the papers draw them."""
    from torchinception.drawing import draw
    from torchinception.models import NETWORKS

    pages = {f"networks/{name}.svg": draw(name).svg() for name in NETWORKS}
    blocks = [(name, stage) for name, stages in BLOCKS.items() for stage in stages.split()]
    return pages | {f"networks/{name}-{stage}.svg": draw(name, stage).svg() for name, stage in blocks}


def home(name: str) -> ModuleType | None:
    """The module whose docstring tells of a network: the one its spec stands in."""
    from torchinception.models import NETWORKS

    modules = (m for n, m in sys.modules.items() if n.startswith("torchinception.models."))
    return next((m for m in modules if any(v is NETWORKS[name] for v in vars(m).values())), getmodule(networks))


def commands() -> str:
    """The help of every command."""
    os.environ |= {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    from torchinception.cli import app

    page = [NOTE, "# Commands\n"]
    names = [command.name or command.callback.__name__ for command in app.registered_commands]
    for name in ("", *names, "data check", "recipes", "recipes show"):
        text = CliRunner().invoke(app, [*name.split(), "--help"], prog_name="inception").output
        lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
        page.append(f"## inception {name}".rstrip() + f"\n\n```text\n{lines}\n```\n")
    return "\n".join(page)


def folders() -> str:
    """What comes of odd folders: each is a test."""
    sys.path.insert(0, str(DOCS.parent / "tests"))
    from folder_oddities import table

    return f"{NOTE}\n# Odd folders\n\nEach is built and read in `tests/test_folder_oddities.py`.\n\n{table()}\n"


def studies() -> str:
    """What each committed result says."""
    from torchinception.studies.page import page
    from torchinception.studies.records import read_result

    return f"{NOTE}\n{page([read_result(path) for path in (DOCS / 'studies').glob('*.json')])}"


def main() -> None:
    """Write or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is not current")
    check = parser.parse_args().check
    stale = []
    pages = {"networks.md": networks(), "commands.md": commands(), "weights.md": f"{NOTE}\n{catalogue_page()}"}
    pages |= {"folders.md": folders(), "studies.md": studies(), **drawings()}
    for name, text in pages.items():
        path = DOCS / name
        if check and (not path.exists() or path.read_text("utf-8") != text):
            stale.append(path.name)
        elif not check:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    if stale:
        sys.exit(f"not current: {', '.join(stale)}; run make docs")


if __name__ == "__main__":
    main()
