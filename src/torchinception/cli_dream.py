"""The command `inception dream`."""

from pathlib import Path
from typing import Annotated

import typer

from torchinception.cli_predict import Device, Model
from torchinception.console import Screen, err, out
from torchinception.errors import UsageError

MOST_CHANNELS = 256  # of one sheet


def dream(
    model: Model,
    picture: Annotated[str, typer.Argument(metavar="IMAGE|noise", help="What to begin with.")],
    stage: Annotated[str, typer.Option(help="What to excite: a name from: inception summary NETWORK")],
    channel: Annotated[int | None, typer.Option(min=0, help="One channel of the stage.")] = None,
    channels: Annotated[
        str | None, typer.Option(metavar="FROM:TO", help="A sheet of channels FROM to TO - 1, each by itself.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(min=1, help="Longer side in pixels; by default IMAGE's, of at most 1,000,000 pixels.")
    ] = None,
    octaves: Annotated[
        int, typer.Option(min=1, max=12, help="Sizes, from coarse to fine, each 1.4 times as large.")
    ] = 4,
    steps: Annotated[int, typer.Option(min=1, help="Steps an octave.")] = 40,
    rate: Annotated[float, typer.Option(min=0.0001, max=1, help="Mean change of a pixel in a step, of 1.")] = 0.03,
    jitter: Annotated[int, typer.Option(min=0, help="Pixels that a step may be shifted by.")] = 16,
    smoothness: Annotated[float, typer.Option(min=0, max=10, help="Weight of total variation.")] = 0.05,
    seed: Annotated[int, typer.Option(min=0, help="Of noise and jitter.")] = 0,
    path: Annotated[Path, typer.Option("--out", metavar="FILE", help="A .png file.")] = Path("dream.png"),
    device: Device = "auto",
) -> None:
    """Change a picture, or noise, so that it excites a stage or a channel: DeepDream, feature visualisation."""
    from torchinception.classifier import load
    from torchinception.devices import resolve_device
    from torchinception.dreaming import Ascent, Dream, contact_sheet, dream, dream_channels
    from torchinception.files import write_atomically

    if path.suffix.lower() != ".png":
        raise UsageError(f"dreams are .png files, not {path.name}")
    if channel is not None and channels is not None:
        raise UsageError("--channel is one picture, --channels a sheet; give one of them")
    wanted = None if channels is None else _range(channels)
    start = None if picture == "noise" else picture
    ascent = Ascent(octaves, steps, rate, jitter, smoothness)
    with Screen() as screen:
        loaded = load(model, resolve_device(device), listener=screen)
        dreams: tuple[Dream, ...]
        if wanted is None:
            dreams = (dream(loaded, start, stage, channel, size=size, ascent=ascent, seed=seed, listener=screen),)
        else:
            dreams = dream_channels(loaded, start, stage, wanted, size=size, ascent=ascent, seed=seed, listener=screen)
    labels = [f"channel {number}" for number in wanted or ()]
    write_atomically(path, dreams[0].png() if wanted is None else contact_sheet(dreams, labels))
    for number, found in zip(wanted or [channel], dreams, strict=True):
        what = stage if number is None else f"{stage} channel {number}"
        out.print(f"{what}: activation {found.before:.4g} to {found.after:.4g}")
        if found.after <= found.before:
            err.print(f"note: {what} was not excited; try another seed, picture or more steps")
    out.print(f"Wrote {path}")


def _range(text: str) -> range:
    """`0:16` as a range."""
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal() and int(first) < int(last)):
        raise UsageError(f"--channels takes FROM:TO, as 0:16, not {text}")
    found = range(int(first), int(last))
    if len(found) > MOST_CHANNELS:
        raise UsageError(f"a sheet has at most {MOST_CHANNELS} channels, not {len(found)}")
    return found
