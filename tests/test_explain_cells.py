import pytest
import torch
from torch import nn

from torchinception.explaining.cells import Cells, stage_cells
from torchinception.layers import SamePad
from torchinception.models import NETWORKS, create
from torchinception.summary import summarize


def averaging(module: nn.Module) -> None:
    """Convolutions add up what they see, pools take means: so a cell depends on all that it could depend on."""
    for name, child in module.named_children():
        if isinstance(child, nn.MaxPool2d):
            pool = nn.AvgPool2d(child.kernel_size, child.stride, child.padding, child.ceil_mode, False)
            setattr(module, name, pool)
        averaging(child)
    if isinstance(module, nn.Conv2d):
        nn.init.constant_(module.weight, 1 / module.weight[0].numel())
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    if isinstance(module, SamePad):
        module.value = 0.0
    if isinstance(module, nn.LocalResponseNorm):
        module.alpha = 0.0


@pytest.mark.parametrize("name", ["tiny_inception", "googlenet", "googlenet_slim", "inception_v4", "xception"])
def test_a_cell_lies_in_the_middle_of_what_it_sees(name: str) -> None:
    size = 4 * NETWORKS[name].size if NETWORKS[name].size < 99 else NETWORKS[name].size
    seen = {row.stage: row.receptive_field_px for row in summarize(name, size).rows}
    stages = [stage for stage in NETWORKS[name].stages if seen[stage] < size / 2]
    net, x = create(name).eval(), torch.ones(1, 3, size, size, requires_grad=True)
    averaging(net)
    for stage, output in net.endpoints(x, [stages[0], stages[len(stages) // 2], stages[-1]]).items():
        cells = stage_cells(net, size)[stage]
        assert output.shape[-1] == cells.count
        for cell in (cells.count // 2 - 1, cells.count // 2):
            (gradient,) = torch.autograd.grad(output[0, :, cell, cell].sum(), x, retain_graph=True)
            rows = gradient[0].abs().sum((0, 2)).nonzero()
            assert 0 < rows.min() < rows.max() < size - 1  # nothing of it is cut off
            assert (rows.max() + rows.min()) / 2 == cells.first + cell * cells.step


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("odd", [0, 1])
def test_every_stage_has_as_many_cells_as_it_puts_out(name: str, odd: int) -> None:
    size = NETWORKS[name].size + odd
    with torch.device("meta"):
        net, x = create(name).eval(), torch.empty(1, 3, size, size)
    found = {stage: cells.count for stage, cells in stage_cells(net, size).items()}
    assert found == {stage: output.shape[-1] for stage, output in net.endpoints(x).items()}


def test_enlarging_puts_each_cell_on_its_pixel_and_draws_lines_between() -> None:
    maps = torch.tensor([[[1.0, 2.0], [3.0, 6.0]]])
    found = Cells(count=2, first=2, step=4).enlarge(maps, 10)[0]
    assert (found[2, 2], found[6, 6]) == (1, 6)
    assert found[2].tolist() == [1, 1, 1, 1.25, 1.5, 1.75, 2, 2, 2, 2]
    assert found[:, 9].tolist() == [2, 2, 2, 3, 4, 5, 6, 6, 6, 6]
