"""The demonstration: the embedded sample through the ordinary path of a user's folder."""

from pathlib import Path

from torchinception.classifier import Classifier
from torchinception.data.sample import CLASSES, write_sample
from torchinception.errors import UsageError
from torchinception.progress import Listener
from torchinception.training.run import train
from torchinception.training.run_folder import check_out


def demo(out: str | Path = "runs/demo", *, device: str = "auto", listener: Listener | None = None) -> Classifier:
    """Write the sample to `out`/data, train on it with the recipe `demo`, and replace an earlier demo in `out`."""
    listener, out = listener or Listener(), Path(out)
    if (out / "recipe.toml").exists() and not (out / "data" / "train" / CLASSES[0]).is_dir():
        raise UsageError(f"{out} holds a run that is not a demo; choose another --out")
    check_out(out, out / "data", resume=False, overwrite=True)
    listener.say("Writing 3,500 pictures of Fashion-MNIST (MIT licence)")
    data = write_sample(out / "data")
    return train(data, recipe="demo", out=out, overwrite=True, device=device, listener=listener)
