"""What in a picture speaks for a class: captum's methods, on our networks and in bounded memory."""

from collections.abc import Callable

import captum.attr as captum
import torch
from torch import Tensor, nn

from torchinception.network import Inception
from torchinception.progress import Listener

STEPS = (32, 64, 128, 256, 512)  # of integrated gradients, until they sum to the difference they explain
TOLERANCE = 0.01  # of that difference
PIXELS = 4 * 299**2  # at a time, if they are to be remembered for the way back: a few 100 MB in the largest networks


def gradcam(net: Inception, pictures: Tensor, targets: Tensor, stage: str) -> Tensor:
    """Grad-CAM (arXiv:1610.02391): where `stage` speaks for a class, 0 and more.

    The stages up to `stage` run once and nothing of them is kept; captum sees the rest of the network. With the last
    stage that makes it hardly slower than a prediction.

    Args:
        net: in evaluation mode.
        pictures: float (N, 3, H, W), as `Preprocess.normalize` makes them.
        targets: int64 (N,), the class of each.
        stage: name of a stage.

    Returns:
        (N, h, w), the cells of the stage.

    Raises:
        UsageError: no such stage.
    """
    begin, later = nn.Identity(), _stages_after(net, stage)

    def rest(features: Tensor) -> Tensor:
        x = begin(features)
        for module in later:
            x = module(x)
        logits: Tensor = net.classifier(x.mean((2, 3)))
        return logits

    with torch.inference_mode(False), torch.no_grad():
        features = net.endpoints(pictures, [stage])[stage]
        found = captum.LayerGradCam(rest, begin).attribute(
            features.requires_grad_(), target=targets, relu_attributions=True
        )
    return found[:, 0].detach()  # type: ignore[no-any-return]


def _stages_after(net: Inception, stage: str) -> list[nn.Module]:
    names = list(net.trunk._modules)
    return list(net.trunk)[names.index(stage) + 1 :] if stage in names else []


def layer_activations(net: Inception, pictures: Tensor, stage: str) -> Tensor:
    """How much of anything `stage` sees at each place: the mean size of its channels.

    Args:
        net: in evaluation mode.
        pictures: float (N, 3, H, W), as `Preprocess.normalize` makes them.
        stage: name of a stage.

    Returns:
        (N, h, w), the cells of the stage, 0 and more.

    Raises:
        UsageError: no such stage.
    """
    net.endpoints(pictures[:0], [stage])
    with torch.no_grad():
        found: Tensor = captum.LayerActivation(net, net.trunk.get_submodule(stage)).attribute(pictures)
    return found.abs().mean(1)


def integrated_gradients(
    net: Inception, picture: Tensor, target: int, listener: Listener | None = None
) -> tuple[Tensor, float]:
    """Integrated gradients (arXiv:1703.01365) from a grey picture: what each value adds to the logit of a class.

    Grey is 0 to the network, the mean of what it was trained on. The path has 32 steps by Gauss and Legendre's rule,
    or up to 512, until the gap is within 1 % of the difference.

    Args:
        net: in evaluation mode.
        picture: float (1, 3, H, W), as `Preprocess.normalize` makes it.
        target: the class.
        listener: hears of progress.

    Returns:
        (3, H, W), which sums to the logit of the picture less that of grey, but for the gap; and the gap, as a
        fraction of that difference.
    """
    listener = listener or Listener()
    with torch.no_grad():
        difference = (net(picture) - net(torch.zeros_like(picture)))[0, target].item()
    at_once = max(1, PIXELS // picture[0, 0].numel())
    for steps in STEPS:
        forward = _counting(net, f"Integrated gradients, {steps} steps", steps, listener)
        with torch.inference_mode(False):
            found = captum.IntegratedGradients(forward).attribute(
                picture, target=target, n_steps=steps, internal_batch_size=min(at_once, steps)
            )[0]
        gap = abs(found.sum(dtype=torch.float64).item() - difference) / max(abs(difference), 1e-12)
        if gap <= TOLERANCE:
            break
    return found.detach(), gap


def occlusion(
    forward: Callable[[Tensor], Tensor], picture: Tensor, target: int, listener: Listener | None = None
) -> Tensor:
    """Occlusion (arXiv:1311.2901): by how much the logit of a class falls when a grey square covers a place.

    The square has a seventh of the picture's side and moves by half of its own.

    Args:
        forward: from (N, 3, H, W) to logits (N, classes).
        picture: float (1, 3, H, W), as `Preprocess.normalize` makes it.
        target: the class.
        listener: hears of progress.

    Returns:
        (H, W): for each pixel the mean over the squares that covered it.
    """
    side = picture.shape[-1]
    window = max(1, round(side / 7))
    stride = -(-window // 2)
    times = (-(-(side - window) // stride) + 1) ** 2
    counted = _counting(forward, "Occlusion", times + 1, listener or Listener())
    with torch.no_grad():
        found: Tensor = captum.Occlusion(counted).attribute(
            picture,
            sliding_window_shapes=(3, window, window),
            strides=(3, stride, stride),
            target=target,
            perturbations_per_eval=max(1, 2 * PIXELS // side**2),
        )
    return found[0, 0]


def _counting(
    forward: Callable[[Tensor], Tensor], task: str, total: int, listener: Listener
) -> Callable[[Tensor], Tensor]:
    """`forward`, which tells how many pictures it was given."""
    done = 0

    def counted(pictures: Tensor) -> Tensor:
        nonlocal done
        done += len(pictures)
        listener.progress(task, min(done, total), total)
        return forward(pictures)

    return counted
