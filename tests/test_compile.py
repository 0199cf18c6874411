"""torch.compile computes what the network does."""

import shutil
from itertools import islice
from pathlib import Path

import pytest
import torch

import torchinception as ti
from torchinception.errors import UsageError
from torchinception.models import Inception, find_spec
from torchinception.training.module import Training
from torchinception.training.recipe import load_recipe


def training(compiled: bool) -> Training:
    torch.manual_seed(0)
    recipe = load_recipe("default", {"network": "tiny_inception", "size": 28, "epochs": 1, "compile": compiled})
    stages = dict(islice(find_spec("tiny_inception").stages.items(), 2))  # of all of them it takes a minute
    net = Inception("first stages", stages, 3)
    return Training(net, None, recipe, 1, "").double()


@pytest.mark.skipif(not shutil.which("g++"), reason="torch.compile needs a C++ compiler")
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own compiler
def test_a_compiled_step_has_the_same_losses_gradients_and_statistics() -> None:
    pictures = torch.randn(4, 3, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    found = []
    for compiled in (False, True):
        module = training(compiled).train()
        losses, _ = module.losses(pictures, torch.arange(4) % 3)
        losses["main"].backward()
        gradients = [parameter.grad for parameter in module.net.parameters()]
        found.append([losses["main"].detach(), *gradients, *module.net.state_dict().values()])
    assert len(found[0]) > 10
    assert max(float((one - two).abs().max()) for one, two in zip(*found, strict=True)) < 1e-12  # float64, reordered


def test_compiling_leaves_the_names_of_weights_alone() -> None:
    assert training(True).state_dict().keys() == training(False).state_dict().keys()


def test_compile_and_activation_checkpointing_are_refused_together(split: Path, tmp_path: Path) -> None:
    settings = {"network": "tiny_inception", "compile": True, "activation_checkpointing": True}
    with pytest.raises(UsageError, match="use it without activation_checkpointing"):
        ti.train(split, settings=settings, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
