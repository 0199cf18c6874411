"""What `create` makes of every row of `NETWORKS`: sizes that are exact, and initial weights as published."""

import math
from fnmatch import fnmatch

import pytest
import torch
from torch import Tensor, nn

from torchinception.errors import UsageError
from torchinception.models import NETWORKS, Inception, create
from torchinception.models.initialization import caffe_xavier
from torchinception.network import UNBOUNDED

every = pytest.mark.parametrize("name", NETWORKS)
headed = pytest.mark.parametrize("name", [name for name, spec in NETWORKS.items() if spec.aux])
BY_SIGMAS = [name for name, spec in NETWORKS.items() if "sigmas" in getattr(spec.initialize, "keywords", {})]
NORMALIZED = [name for name, spec in NETWORKS.items() if spec.initialize is not caffe_xavier]
SPREAD = 0.005  # five times the standard error of a variance over the five million weights of these networks, or more
ROUNDING = 1 + 1e-6  # float32


def on_meta(name: str, classes: int | None = None, channels: int = 3) -> Inception:
    with torch.device("meta"):
        return create(name, classes, aux=True, channels=channels).eval()


def computes(net: Inception, height: int, width: int, *, aux: bool) -> bool:
    """Whether the layers' arithmetic allows pictures of that size, whatever the network says it needs."""
    net.min_size, net.aux_sizes = 0, range(UNBOUNDED + 2)
    try:
        net(torch.empty(1, 3, height, width, device="meta"), aux=aux)
    except RuntimeError:  # PyTorch's own; ours are UsageError
        return False
    return True


@every
@pytest.mark.parametrize(("classes", "channels"), [(1, 1), (7, 4)])
def test_networks_build_at_any_number_of_classes_and_channels(name: str, classes: int, channels: int) -> None:
    net, spec = on_meta(name, classes, channels), NETWORKS[name]

    logits, opinions = net(torch.empty(3, channels, spec.size, spec.size, device="meta"), aux=True)

    assert {logits.shape, *(opinion.shape for opinion in opinions.values())} == {(3, classes)}


@every
def test_the_published_size_suits_trunk_and_heads(name: str) -> None:
    spec = NETWORKS[name]

    assert spec.size >= spec.min_size
    assert not spec.aux or spec.size in spec.aux_sizes


@every
def test_the_smallest_size_is_exact(name: str) -> None:
    net, smallest = on_meta(name), NETWORKS[name].min_size

    assert [computes(net, side, side, aux=False) for side in (smallest - 1, smallest)] == [False, True]


@headed
def test_the_sizes_of_auxiliary_heads_are_exact(name: str) -> None:
    net = on_meta(name)
    shortest, longest = net.aux_sizes.start, net.aux_sizes.stop - 1
    beyond = longest + 1 if longest + 1 < UNBOUNDED else shortest - 1

    allowed = [computes(net, side, side, aux=True) for side in (shortest - 1, shortest, longest, beyond)]

    assert allowed == [False, True, True, False]


@headed
def test_the_sizes_of_auxiliary_heads_hold_for_oblong_pictures(name: str) -> None:
    net = on_meta(name)

    assert computes(net, net.aux_sizes.start, net.aux_sizes.stop - 1, aux=True)


@every
def test_heads_weigh_something_where_there_are_any(name: str) -> None:
    assert bool(NETWORKS[name].aux) == bool(NETWORKS[name].aux_weight) == bool(NETWORKS[name].aux_sizes)


@every
def test_a_network_on_the_meta_device_takes_no_memory(name: str) -> None:
    assert {tensor.device.type for tensor in on_meta(name).state_dict().values()} == {"meta"}


def layers(net: Inception) -> dict[str, nn.Conv2d | nn.Linear]:
    return {name: module for name, module in net.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def fan_in(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.weight[0].numel()


@pytest.fixture(scope="module", params=NETWORKS)
def net(request: pytest.FixtureRequest) -> Inception:
    """Fresh, in memory that held NaN before."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)  # fills memory that is asked for
    try:
        return create(request.param, classes=5, aux=True)
    finally:
        torch.use_deterministic_algorithms(False)


def test_initialization_reaches_every_tensor(net: Inception) -> None:
    assert [key for key, tensor in net.state_dict().items() if not tensor.isfinite().all()] == []


def test_the_same_seed_gives_the_same_weights(net: Inception) -> None:
    torch.manual_seed(0)
    again = create(net.name, classes=5, aux=True).state_dict()

    assert [key for key, tensor in net.state_dict().items() if not torch.equal(tensor, again[key])] == []


@pytest.mark.parametrize("net", NORMALIZED, indirect=True)
def test_batch_norm_begins_as_identity(net: Inception) -> None:
    norms = [module for module in net.modules() if isinstance(module, nn.BatchNorm2d)]

    ones = [tensor for norm in norms for tensor in (norm.weight, norm.running_var)]
    zeros = [tensor for norm in norms for tensor in (norm.bias, norm.running_mean, norm.num_batches_tracked)]

    assert norms
    assert all((tensor == 1).all() for tensor in ones)
    assert all((tensor == 0).all() for tensor in zeros)


@pytest.mark.parametrize("net", ["googlenet"], indirect=True)
def test_caffe_xavier_is_uniform_with_variance_1_over_fan_in(net: Inception) -> None:
    scaled = torch.cat([(layer.weight * math.sqrt(fan_in(layer))).flatten() for layer in layers(net).values()])

    assert scaled.abs().max() <= math.sqrt(3) * ROUNDING
    assert scaled.var().item() == pytest.approx(1, abs=SPREAD)


@pytest.mark.parametrize("net", ["googlenet"], indirect=True)
def test_caffe_biases_begin_at_a_fifth_and_those_of_classifiers_at_0(net: Inception) -> None:
    begun = {name: layer.bias.unique().tolist() for name, layer in layers(net).items()}

    zero = [name for name, values in begun.items() if values == [0]]
    assert zero == ["aux.inception_4a.6", "aux.inception_4d.6", "classifier"]
    assert {value for name, (value,) in begun.items() if name not in zero} == {torch.tensor(0.2).item()}


@pytest.mark.parametrize("net", ["googlenet_bn"], indirect=True)
def test_he_truncated_is_cut_at_two_sigma_and_has_variance_2_over_fan_in(net: Inception) -> None:
    scaled = torch.cat([(layer.weight * math.sqrt(fan_in(layer) / 2)).flatten() for layer in layers(net).values()])

    assert scaled.abs().max() <= 2 * math.sqrt(1.3) * ROUNDING
    assert scaled.var().item() == pytest.approx(1.3 * 0.7737, abs=SPREAD)  # 0.7737: what the cut leaves; 1.3 makes up


@pytest.mark.parametrize("net", ["xception"], indirect=True)
def test_glorot_uniform_has_variance_2_over_fan_in_and_fan_out(net: Inception) -> None:
    fans = {layer: fan_in(layer) + len(layer.weight) * layer.weight[0, 0].numel() for layer in layers(net).values()}

    scaled = torch.cat([(layer.weight * math.sqrt(fan / 2)).flatten() for layer, fan in fans.items()])

    assert scaled.abs().max() <= math.sqrt(3) * ROUNDING
    assert scaled.var().item() == pytest.approx(1, abs=SPREAD)


@pytest.mark.parametrize("net", BY_SIGMAS, indirect=True)
def test_every_pattern_of_sigmas_fits_layers_and_sets_theirs(net: Inception) -> None:
    patterns = NETWORKS[net.name].initialize.keywords["sigmas"]
    sigmas = {pattern: sigma for pattern, sigma in patterns.items() if net.aux or not pattern.startswith("aux.")}
    claimed: dict[str, list[Tensor]] = {pattern: [] for pattern in sigmas}
    for name, layer in layers(net).items():
        for pattern in [pattern for pattern in sigmas if fnmatch(name, pattern)][:1]:  # the first that fits
            claimed[pattern].append(layer.weight.flatten())

    # of a normal cut at two sigma, a thousand draws come within a tenth of the cut, and these layers have more
    assert {
        p: round(torch.cat(weights).abs().max().item() / sigmas[p]) for p, weights in claimed.items()
    } == dict.fromkeys(sigmas, 2)


def test_an_unknown_network_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        UsageError, match=r"no network named googlenet_bm; did you mean googlenet_bn\? networks: googlenet, "
    ):
        create("googlenet_bm")


@pytest.mark.parametrize("numbers", [dict(classes=0), dict(channels=0)])
def test_a_network_of_no_classes_or_channels_is_refused(numbers: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="needs whole numbers of classes and channels from 1"):
        create("tiny_inception", **numbers)


def test_the_constant_of_every_batch_norm_can_be_set() -> None:
    net = create("tiny_inception", bn_eps=1e-5)

    assert {module.eps for module in net.modules() if isinstance(module, nn.BatchNorm2d)} == {1e-5}
