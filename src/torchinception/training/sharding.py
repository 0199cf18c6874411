"""Weights, gradients and the optimizer's state in shares: each process keeps one, and borrows a stage's others.

Between processes this is torch's `fully_shard` (FSDP2; Zhao et al., arXiv 2304.11277). Lightning's own strategies
for it refuse the CPU, or read checkpoints past their digest. Here checkpoints hold whole tensors, as without
shares, and so either way of training goes on with the other's.

Never run on a GPU by this project: what is tested is gloo on the CPU.
"""

import copy
from typing import Any

import torch
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.utils._pytree import tree_map

from torchinception.errors import UsageError
from torchinception.models import Inception
from torchinception.training.recipe import Recipe


class Sharded(DDPStrategy):
    """Lightning's strategy for several processes, with shares in the place of copies."""

    def configure_ddp(self) -> None:
        """Share out the network once it has its weights; the optimizer is made after this."""
        net: Any = self.model.net  # type: ignore[union-attr]
        shard(net, init_device_mesh(self.root_device.type, (self.world_size,)))

    def lightning_module_state_dict(self) -> dict[str, Any]:
        """Whole tensors for the first process, which writes them."""
        return {name: self._for_file(value) for name, value in super().lightning_module_state_dict().items()}

    def optimizer_state(self, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Whole tensors for the first process, which writes them."""
        state: dict[str, Any] = tree_map(self._for_file, super().optimizer_state(optimizer))
        return state

    def load_optimizer_state_dict(self, checkpoint: Any) -> None:
        """Keep this process's share of a checkpoint's whole tensors."""
        super().load_optimizer_state_dict(checkpoint)
        for optimizer in self.optimizers:
            shares: dict[Any, dict[str, Any]] = optimizer.state
            for weight, state in shares.items():
                for name, value in state.items():
                    if isinstance(value, Tensor) and value.shape == weight.shape:
                        state[name] = distribute_tensor(
                            value, weight.device_mesh, weight.placements, src_data_rank=None
                        )

    def _for_file(self, value: Any) -> Any:
        """One at a time, lest a device should need room for all of them."""
        if not isinstance(value, DTensor):
            return value
        full = value.full_tensor()
        return full.cpu() if self.is_global_zero else None


def check_sharding(recipe: Recipe) -> None:
    """Refuse what cannot work on shares.

    Raises:
        UsageError: the setting that cannot be used.
    """
    if recipe.average.name != "none":
        raise UsageError(f"average.name = {recipe.average.name} needs whole weights: --strategy ddp, or set it to none")
    if recipe.compile:  # tried: compiling did not come to an end within three minutes
        raise UsageError("compile cannot be used with --strategy fsdp; set it to false, or use --strategy ddp")


def shard(net: Inception, mesh: Any) -> None:
    """Share out a network that is the same in all processes; one stage at a time is whole when it computes."""
    plain = copy.deepcopy(net).to("meta")
    object.__setattr__(net, "plain", plain)  # for `whole`; not a submodule
    net.to(memory_format=torch.contiguous_format)  # fully_shard takes no other
    for stage in net.trunk.children():
        fully_shard(stage, mesh=mesh)
    fully_shard(net, mesh=mesh)


def whole(net: Inception) -> Inception:
    """A network as it is; of a sharded one a whole copy in every process, for which all of them must ask."""
    plain: Any = vars(net).get("plain")
    if plain is None:
        return net
    copied: Inception = copy.deepcopy(plain)
    state = {name: v.full_tensor() if isinstance(v, DTensor) else v for name, v in net.state_dict().items()}
    copied.load_state_dict(state, assign=True)
    return copied.to(memory_format=torch.channels_last)


def own(weight: nn.Parameter) -> Tensor:
    """What this process has of a weight: all of it, or its share."""
    return weight.to_local() if isinstance(weight, DTensor) else weight
