"""The command `inception train`."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

import typer

from torchinception.console import Screen, out, process_rank
from torchinception.errors import UsageError


def train(
    data: Annotated[str, typer.Argument(help="Class folders, a table, shards, a URL, or torchvision:NAME.")],
    network: Annotated[str | None, typer.Option(help="Default: chosen by the pictures' size.")] = None,
    recipe: Annotated[str | None, typer.Option(help="A name from: inception recipes; or a TOML file.")] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="MODEL", help="A model file, run or published name to begin with.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Times through the pictures.")] = None,
    budget: Annotated[str | None, typer.Option(metavar="TIME", help="As many epochs as fit: 90s, 10m, 1h30m.")] = None,
    patience: Annotated[
        int | None, typer.Option(metavar="EPOCHS", help="Stop after so many in vain; 0: never.")
    ] = None,
    batch: Annotated[int | None, typer.Option(help="Pictures a step, of all processes together.")] = None,
    find_batch: Annotated[
        bool, typer.Option("--find-batch", help="Measure which batch is fastest, and take it.")
    ] = False,
    bad_images: Annotated[
        Literal["refuse", "skip"] | None, typer.Option(help="Files that cannot be used: refuse all, or skip and tell.")
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the pictures in pixels.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same machine: same network.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that read pictures; changes no result.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    precision: Annotated[str | None, typer.Option(help="auto, fp32, bf16 or fp16; fp64 for checks.")] = None,
    folder: Annotated[Path | None, typer.Option("--out", help="Run folder; default: runs/NAME_OF_DATA.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier run.")] = False,
    checkpoint_every: Annotated[int, typer.Option(metavar="STEPS", help="Besides one at each epoch's end.")] = 500,
    checkpoint_minutes: Annotated[float, typer.Option(metavar="MINUTES", help="The most between checkpoints.")] = 15,
    process_timeout: Annotated[float, typer.Option(metavar="SECONDS", help="Wait for another process.")] = 60,
    logger: Annotated[list[str] | None, typer.Option(metavar="NAME", help="Also: tensorboard, mlflow, wandb.")] = None,
    strategy: Annotated[str, typer.Option(help="Several processes: ddp, or fsdp for less memory.")] = "ddp",
    set_: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any recipe value.")] = None,
) -> None:
    """Train a classifier on your own pictures; Ctrl-C saves, --resume goes on. Several processes: see torchrun."""
    from torchinception.data.folder import name_of
    from torchinception.training.recipe import parse_settings
    from torchinception.training.run import train

    if budget and epochs:
        raise UsageError("--budget chooses the epochs; leave --epochs out")
    if find_batch and batch:
        raise UsageError("--find-batch chooses the batch; leave --batch out")
    named = dict(network=network, weights=weights, epochs=epochs, patience=patience, batch=batch, size=size, seed=seed)
    named |= dict(precision=precision, bad_images=bad_images)
    settings = {key: value for key, value in named.items() if value is not None} | parse_settings(set_ or [])
    folder = folder or Path("runs") / name_of(data)
    with Screen() as screen:
        model = train(
            data,
            recipe=recipe,
            settings=settings,
            out=folder,
            resume=resume,
            overwrite=overwrite,
            workers=workers,
            device=device,
            budget=budget,
            find_batch=find_batch,
            checkpoint_every=checkpoint_every,
            checkpoint_minutes=checkpoint_minutes,
            process_timeout=process_timeout,
            loggers=logger or (),
            strategy=strategy,
            listener=screen,
        )
    if process_rank():
        return  # the first process speaks for all
    metrics = model.spec.metrics
    split = "test" if "test_top1" in metrics else "val"
    place = shlex.quote(str(folder))
    top5 = f", top-5 {metrics[f'{split}_top5']:.1%}" if len(model.classes) > 5 else ""
    out.print(
        f"\nOn {metrics[f'{split}_pictures']} held-out pictures: top-1 {metrics[f'{split}_top1']:.1%}{top5}\n\n"
        f"Look at   {place}/report.html\n"
        f"Next      inception predict {place} PICTURE…"
    )
