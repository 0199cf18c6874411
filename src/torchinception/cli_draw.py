"""The command `inception draw`."""

from pathlib import Path
from typing import Annotated

import typer

from torchinception.console import out
from torchinception.errors import UsageError


def draw(
    network: Annotated[str, typer.Argument(help="A name from: inception models")],
    stage: Annotated[str | None, typer.Option(help="One stage, as its branches; see: inception summary")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the picture in pixels.")] = None,
    path: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help=".svg or .png; NETWORK[_STAGE].svg if left out.")
    ] = None,
) -> None:
    """Draw a network stage by stage, or one stage as its branches."""
    from torchinception.drawing import draw
    from torchinception.files import write_atomically

    path = path or Path(f"{network}_{stage}.svg" if stage else f"{network}.svg")
    if path.suffix.lower() not in (".svg", ".png"):
        raise UsageError(f"drawings are .svg or .png files, not {path.name}")
    drawing = draw(network, stage, size=size)
    write_atomically(path, drawing.svg() if path.suffix.lower() == ".svg" else drawing.png())
    out.print(f"Wrote {path}")
