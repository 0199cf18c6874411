"""The demonstration: the embedded sample through the ordinary path of a user's folder."""

from pathlib import Path

from torchinception.classifier import Classifier
from torchinception.data.sample import write_sample
from torchinception.progress import Listener
from torchinception.training.run import check_out, train


def demo(out: str | Path = "runs/demo", *, device: str = "auto", listener: Listener | None = None) -> Classifier:
    """Write the sample to `out`/data, train on it with the recipe `demo`, and replace an earlier demo in `out`."""
    listener = listener or Listener()
    check_out(Path(out), Path(out) / "data", resume=False, overwrite=True)
    listener.say("Writing 3,500 pictures of Fashion-MNIST (MIT licence)")
    data = write_sample(Path(out) / "data")
    return train(data, recipe="demo", out=out, overwrite=True, device=device, listener=listener)
