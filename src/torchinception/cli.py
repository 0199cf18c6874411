"""The command line: parse, call the library, print. What needs torch is imported inside the command."""

import errno
import io
import os
import shlex
import signal
import sys
import traceback
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from torchinception.cli_bench import bench
from torchinception.cli_data import data_app
from torchinception.cli_draw import draw
from torchinception.cli_dream import dream
from torchinception.cli_evaluate import evaluate
from torchinception.cli_explain import explain
from torchinception.cli_export import export
from torchinception.cli_predict import Device, predict
from torchinception.cli_recipes import recipes_app
from torchinception.cli_study import study
from torchinception.cli_train import train
from torchinception.cli_weights import convert, list_weights
from torchinception.console import Screen, err, out, print_table, process_rank
from torchinception.errors import InceptionError, InterruptedRunError, SaveError

app = typer.Typer(
    name="inception",
    help="The Inception family of image networks: train, evaluate, predict. First time here: inception demo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# options behind any command, and the variable that each sets, which processes that read pictures inherit
EVERYWHERE = {"--debug": "", "--offline": "TORCHINCEPTION_OFFLINE", "--tiff": "TORCHINCEPTION_TIFF"}


Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback()
def _options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks; works behind any command.")] = False,
    tiff: Annotated[bool, typer.Option("--tiff", help="Read TIFF files too; works behind any command.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Download nothing; works behind any command.")] = False,
) -> None:
    pass


@app.command(epilog="Example: inception demo")
def demo(
    folder: Annotated[Path, typer.Option("--out", help="Run folder; an old demo is replaced.")] = Path("runs/demo"),
    device: Device = "auto",
) -> None:
    """Train a small network on real pictures, in a minute or two, and show what it learned."""
    from torchinception.training.demo import demo

    with Screen() as screen:
        model = demo(folder, device=device, listener=screen)
    metrics = model.spec.metrics
    print_table("\nClasses", ("class", "named rightly"), ((k, f"{v:.1%}") for k, v in metrics["per_class"].items()))
    place = shlex.quote(str(folder))
    pictures = sorted((folder / "data/test").glob("*/000.png"))
    rows = (
        (p.relative_to(folder), f"{r.classes[0]} {r.probabilities[0]:.0%}")
        for p, r in zip(pictures, model.predict(pictures, 1), strict=True)
    )
    print_table("\nA picture of each class", ("picture", "named"), rows)
    out.print(
        f"\nOn {metrics['test_pictures']} pictures it never saw: top-1 {metrics['test_top1']:.1%}, "
        f"top-5 {metrics['test_top5']:.1%}. Trained in {metrics['seconds']:.0f} s "
        f"at {metrics['images_per_second']:.0f} images/s.\n\n"
        f"Look at   {place}/report.html\n"
        f"Next      inception predict {place} {place}/data/test/bag\n"
        f"          inception evaluate {place} {place}/data\n"
        f"          inception train YOUR_FOLDER          one folder of pictures per class"
    )


@app.command(epilog="Examples: inception models --json   ·   inception models --weights")
def models(
    weights: Annotated[bool, typer.Option("--weights", help="List the published weights that can be loaded.")] = False,
    as_json: Json = False,
) -> None:
    """List the networks, or the published weights."""
    if weights:
        list_weights(as_json=as_json)
        return
    from torchinception.models import NETWORKS
    from torchinception.summary import summarize

    sums = {name: summarize(name) for name in NETWORKS}
    rows = [
        dict(name=n, parameters=sums[n].parameters, macs=sums[n].macs, size=s.size, paper=s.paper, what=s.what)
        for n, s in NETWORKS.items()
    ]
    if as_json:
        out.print_json(data=rows)
    else:
        values = (
            (name, f"{s.parameters / 1e6:.1f} M", f"{s.macs / 1e9:.2f} G", s.size, NETWORKS[name].what)
            for name, s in sums.items()
        )
        print_table("", ("network", "parameters", "MACs", "px", "what"), values, "parameters MACs px")


@app.command(epilog="Example: inception summary googlenet --size 224")
def summary(
    network: Annotated[str, typer.Argument(help="A name from: inception models")],
    size: Annotated[int | None, typer.Option(min=1, help="Side of the picture in pixels.")] = None,
    as_json: Json = False,
) -> None:
    """Show a network stage by stage: shapes, parameters, multiply-adds, receptive field."""
    from torchinception.summary import summarize

    found = summarize(network, size)
    totals = dict(parameters=found.parameters, parameters_with_aux=found.parameters_with_aux, macs=found.macs)
    if as_json:
        out.print_json(data=asdict(found) | totals)
        return
    rows = [
        (r.stage, " x ".join(map(str, r.shape)), f"{r.parameters:,}", f"{r.macs:,}", f"{r.receptive_field_px} px")
        for r in (*found.rows, *found.aux_rows)
    ]
    headings = ("stage", "output", "parameters", "MACs", "sees")
    print_table(f"{network} at {found.size} px", headings, rows, "parameters MACs sees")
    with_aux = f" ({found.parameters_with_aux:,} with auxiliary heads)" if found.aux_rows else ""
    out.print(f"\n{found.parameters:,} parameters{with_aux}, {found.macs:,} multiply-adds")


@app.command(epilog="Example: inception compare googlenet inception_v3 vgg16")
def compare(
    networks: Annotated[list[str], typer.Argument(help="Names from: inception models; alexnet vgg16 vgg19 resnet50.")],
    as_json: Json = False,
) -> None:
    """Show networks side by side: parameters, multiply-adds, layers with weights, megabytes."""
    from torchinception.summary import compare

    found = compare(networks)
    if as_json:
        out.print_json(data=[asdict(net) | dict(float32_megabytes=net.float32_megabytes) for net in found])
        return
    headings = ("network", "px", "depth", "parameters", "with-aux", "MACs", "MB")
    rows = []
    for n in found:
        counts = (f"{count:,}" for count in (n.parameters, n.parameters_with_aux, n.macs))
        rows.append((n.network, n.size, n.depth, *counts, f"{n.float32_megabytes:.1f}"))
    print_table("", headings, rows, " ".join(headings[1:]))


app.command(
    epilog="Examples: inception draw inception_v3   ·   inception draw googlenet --stage inception_3a --out 3a.png"
)(draw)


@app.command(epilog="Example: inception claims")
def claims(as_json: Json = False) -> None:
    """Check what the textbook says in figures against the primary sources and the networks here."""
    from torchinception.claims import check_claims

    found = check_claims()
    if as_json:
        out.print_json(data=[asdict(claim) for claim in found])
        return
    rows = [[f"{text}\n" for text in (c.textbook, c.source, c.computed, c.verdict)] for c in found]
    print_table("", ("textbook", "source (arXiv)", "computed here", "verdict"), rows)


app.add_typer(
    recipes_app, name="recipes", epilog="Examples: inception recipes   ·   inception recipes show inception-v3-2015"
)


app.add_typer(data_app, name="data", epilog="Example: inception data check flowers/")


app.command(
    epilog="Examples: inception train flowers/   ·   inception train flowers/ --recipe finetune --weights MODEL"
)(train)


app.command(
    epilog="Examples: inception convert inception_v3.pth model.safetensors   ·   inception convert runs/x out.pth "
    "--to torchvision"
)(convert)


app.command(
    epilog="Examples: inception export runs/flowers --out flowers.onnx   ·   inception export inception_v3.tf_in1k "
    "--to openvino --out v3.xml"
)(export)


app.command(
    epilog="Examples: inception evaluate runs/flowers flowers/val --out found/   ·   inception evaluate A B flowers/val"
)(evaluate)


app.command(epilog="Examples: inception predict runs/flowers photos/   ·   inception predict runs/flowers '**/*.jpg'")(
    predict
)


app.command(
    epilog="Examples: inception explain runs/flowers rose.jpg   ·   "
    "inception explain runs/flowers photos/ --class tulip"
)(explain)


app.command(
    epilog="Examples: inception dream MODEL photo.jpg --stage inception_4c   ·   inception dream MODEL noise --stage "
    "inception_4c --channels 0:16"
)(dream)


app.command(
    epilog="Examples: inception bench googlenet --batch 1,8 --peers   ·   inception bench runs/flowers --threads 1,2"
)(bench)


app.command(
    epilog="Examples: inception study batchnorm   ·   inception study all --data torchvision:FashionMNIST --seeds 5"
)(study)


@app.command(epilog="Example: inception doctor")
def doctor(as_json: Json = False) -> None:
    """Show versions, device and threads, what will be used, and what is wrong with this installation."""
    from torchinception.doctor import examine

    found = examine()
    if as_json:
        out.print_json(data=found)
    else:
        tables = ("versions", "problems", "engines", "chosen_engines")
        rows = [*found["versions"].items(), *((k, v) for k, v in found.items() if k not in tables)]
        rows += [(f"engine {name}", number) for name, number in found.get("engines", {}).items()]
        print_table("", ("what", "found"), rows)
        if found.get("chosen_engines"):
            out.print()
            print_table("", ("fastest engine for", "which"), found["chosen_engines"].items())
        out.print("\n" + ("\n".join(found["problems"]) or "No problems found."))
    if found["problems"]:
        raise typer.Exit(70)


def main() -> None:
    """Run the command line; deliberate errors are told in one line and set the exit code."""
    # libgomp's threads spin at every barrier; beside any other busy process training was 8 to 30 times slower
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no run
    debug = "--debug" in sys.argv
    for option in EVERYWHERE.keys() & set(sys.argv):
        if EVERYWHERE[option]:
            os.environ[EVERYWHERE[option]] = "1"
    sys.argv = [sys.argv[0], *(argument for argument in sys.argv[1:] if argument not in EVERYWHERE)]
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, _stop)
    warnings.showwarning = _show_warning
    try:
        app()
    except Exception as error:  # noqa: BLE001, the last door
        if debug:
            traceback.print_exc()
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO):
            error = SaveError(f"cannot write the output: {error.strerror}")
        known = isinstance(error, InceptionError)
        text = str(error) if known else f"internal error: {error!r}; --debug shows where, please report it"
        several = f"process {process_rank()}: " if process_rank() else ""
        err.print(f"{several}error: {text}" if known else f"{several}{text}")
        sys.exit(error.exit_code if isinstance(error, InceptionError) else 70)


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **_: Any) -> None:
    if category is UserWarning and "torchinception" in place[0]:
        err.print(f"note: {message}")
    else:
        sys.stderr.write(warnings.formatwarning(message, category, *place[:2]))


def _stop(signum: int, _frame: Any) -> None:
    raise InterruptedRunError(signum, f"stopped by {signal.Signals(signum).name}")
