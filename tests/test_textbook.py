import doctest
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from torchinception.errors import UsageError
from torchinception.layers import Layer, avg_pool, chain, concat, conv, conv_bias
from torchinception.models import create, googlenet
from torchinception.textbook import Factorized, Inceptionv1, Inceptionv2, NaiveInception, inception_v3

V1 = """\
Inceptionv1(
  (branch1x1): BasicConv2d(
    (conv): Conv2d(3, 64, kernel_size=(1, 1), stride=(1, 1))
  )
  (branch3x3): Sequential(
    (0): BasicConv2d(
      (conv): Conv2d(3, 32, kernel_size=(1, 1), stride=(1, 1))
    )
    (1): BasicConv2d(
      (conv): Conv2d(32, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
    )
  )
  (branch5x5): Sequential(
    (0): BasicConv2d(
      (conv): Conv2d(3, 64, kernel_size=(1, 1), stride=(1, 1))
    )
    (1): BasicConv2d(
      (conv): Conv2d(64, 96, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2))
    )
  )
  (branch_pool): Sequential(
    (0): MaxPool2d(kernel_size=3, stride=1, padding=1, dilation=1, ceil_mode=False)
    (1): BasicConv2d(
      (conv): Conv2d(3, 32, kernel_size=(1, 1), stride=(1, 1))
    )
  )
)"""

V2 = """\
Inceptionv2(
  (branch1): BasicConv2d(
    (conv): Conv2d(192, 96, kernel_size=(1, 1), stride=(1, 1))
    (bn): BatchNorm2d(96, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
  )
  (branch2): Sequential(
    (0): BasicConv2d(
      (conv): Conv2d(192, 48, kernel_size=(1, 1), stride=(1, 1))
      (bn): BatchNorm2d(48, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
    )
    (1): BasicConv2d(
      (conv): Conv2d(48, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (bn): BatchNorm2d(64, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
    )
  )
  (branch3): Sequential(
    (0): BasicConv2d(
      (conv): Conv2d(192, 64, kernel_size=(1, 1), stride=(1, 1))
      (bn): BatchNorm2d(64, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
    )
    (1): BasicConv2d(
      (conv): Conv2d(64, 96, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (bn): BatchNorm2d(96, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
    )
    (2): BasicConv2d(
      (conv): Conv2d(96, 96, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))
      (bn): BatchNorm2d(96, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
    )
  )
  (branch4): Sequential(
    (0): AvgPool2d(kernel_size=3, stride=1, padding=1)
    (1): BasicConv2d(
      (conv): Conv2d(192, 64, kernel_size=(1, 1), stride=(1, 1))
      (bn): BatchNorm2d(64, eps=0.001, momentum=0.1, affine=True, track_running_stats=True)
    )
  )
)"""

Build, Size = Callable[[], nn.Module], tuple[int, ...]
MODULES: dict[str, tuple[Build, Size, Size]] = {
    "Inceptionv1": (lambda: Inceptionv1(3, 64, 32, 64, 64, 96, 32), (1, 3, 256, 256), (1, 256, 256, 256)),
    "Inceptionv2": (Inceptionv2, (1, 192, 32, 32), (1, 320, 32, 32)),
    "NaiveInception": (lambda: NaiveInception(192, 64, 128, 32), (1, 192, 28, 28), (1, 416, 28, 28)),
    "Factorized": (lambda: Factorized(16, 24, 7), (2, 16, 17, 9), (2, 24, 17, 9)),
}
each = pytest.mark.parametrize(("build", "size", "expected"), MODULES.values(), ids=MODULES)


def printed(module: nn.Module) -> list[str]:
    """Line by line; torch 2.14 tells of batch norm's bias, older ones do not."""
    return repr(module).replace("affine=True, bias=True,", "affine=True,").splitlines()


def of_the_family(layer: Layer, module: nn.Module, width: int) -> nn.Module:
    """What our networks are built of, with a module's weights but for the biases that batch norm takes out again."""
    ours, _ = layer(width)
    normalized = any(isinstance(m, nn.BatchNorm2d) for m in ours.modules())
    weights = [p for name, p in module.named_parameters() if not (normalized and name.endswith("conv.bias"))]
    for mine, weight in zip(ours.parameters(), weights, strict=True):
        mine.data.copy_(weight)
    return ours.double()


@pytest.mark.parametrize(
    ("module", "listing"),
    [(Inceptionv1(3, 64, 32, 64, 64, 96, 32), V1), (Inceptionv2(), V2)],
    ids=["Inceptionv1", "Inceptionv2"],
)
def test_a_module_prints_as_in_the_book(module: nn.Module, listing: str) -> None:
    assert printed(module) == listing.splitlines()


@each
def test_a_module_keeps_the_grid_and_widens(build: Build, size: Size, expected: Size) -> None:
    assert build()(torch.zeros(size)).shape == expected


@each
def test_a_gradient_reaches_the_input_and_every_parameter(build: Build, size: Size, expected: Size) -> None:
    torch.manual_seed(0)
    module, x = build(), torch.randn(size, requires_grad=True)
    module(x).square().sum().backward()
    reached = {name: p.grad is not None for name, p in module.named_parameters()}
    assert (all(reached.values()), bool(x.grad is not None and x.grad.any())) == (True, True), reached


@each
def test_a_module_moves_to_another_device_and_leaves_nothing_behind(build: Build, size: Size, expected: Size) -> None:
    moved = build().to("meta")
    assert moved(torch.empty(size, device="meta")).shape == expected


@each
def test_a_module_survives_pickling(build: Build, size: Size, expected: Size) -> None:
    module = build().eval()
    x = torch.randn(size)
    with torch.no_grad():
        assert torch.equal(pickle.loads(pickle.dumps(module))(x), module(x))


@pytest.mark.parametrize(
    ("module", "layer"),
    [
        (Inceptionv1(192, 64, 96, 128, 16, 32, 32), googlenet.reduced(conv_bias)(64, 96, 128, 16, 32, 32)),
        (NaiveInception(192, 64, 128, 32), googlenet.naive(conv_bias)(64, 0, 128, 0, 32, 0)),
        (
            Inceptionv2(),  # of Inception-ResNet-v2's mixed_5b a 3x3 for the 5x5
            concat([conv(96)], [conv(48), conv(64, 3)], [conv(64), conv(96, 3), conv(96, 3)], [avg_pool(), conv(64)]),
        ),
        (Factorized(192, 64, 7), chain(conv(192, (1, 7)), conv(64, (7, 1)))),
    ],
    ids=MODULES,
)
def test_a_module_computes_what_the_networks_do(module: nn.Module, layer: Layer) -> None:
    torch.manual_seed(0)
    ours, x = of_the_family(layer, module, 192), torch.randn(2, 192, 9, 8, dtype=torch.double)
    with torch.no_grad():
        torch.testing.assert_close(module.double()(x), ours(x), rtol=0, atol=1e-9)  # double's 1e-16, 192 * 25 terms


def test_version_3_has_the_books_7x7_in_its_head_and_nothing_else_differs() -> None:
    with torch.device("meta"):
        book, published = (inception_v3(5, kernel).state_dict() for kernel in (7, 5))
        ours = create("inception_v3", 5, aux=True).state_dict()
    shapes, books = ({name: tuple(value.shape) for name, value in state.items()} for state in (ours, book))
    assert {name: tuple(value.shape) for name, value in published.items()} == shapes
    assert dict(books.items() - shapes.items()) == {"aux.mixed_6e.2.conv.weight": (768, 128, 7, 7)}


def test_the_ring_of_the_books_7x7_meets_nothing_but_padding() -> None:
    torch.manual_seed(0)
    net = inception_v3(5)
    head, x = net.aux["mixed_6e"], torch.rand(2, 768, 17, 17)  # what mixed_6e puts out at 299 px
    head(x).square().sum().backward()
    reached = net.get_parameter("aux.mixed_6e.2.conv.weight").grad.abs().sum((0, 1)) > 0  # type: ignore[union-attr]
    assert (reached.shape, bool(reached[1:-1, 1:-1].all()), int(reached.sum())) == ((7, 7), True, 5 * 5)


def test_version_3_is_initialized_as_published() -> None:
    torch.manual_seed(0)
    published = create("inception_v3", 5, aux=True)
    torch.manual_seed(0)
    ours = inception_v3(5, aux_kernel=5)
    assert all(map(torch.equal, ours.state_dict().values(), published.state_dict().values()))


@pytest.mark.parametrize("kernel", [1, 3, 4, 6])
def test_a_head_that_cannot_be_built_is_refused(kernel: int) -> None:
    with pytest.raises(UsageError, match=f"aux_kernel is 5 .* not {kernel}"):
        inception_v3(aux_kernel=kernel)


def test_the_pages_examples_are_true() -> None:
    page = Path(__file__).parents[1] / "docs" / "textbook.md"
    failed, attempted = doctest.testfile(str(page), module_relative=False)
    assert (failed, attempted) == (0, 8)
