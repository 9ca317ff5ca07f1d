"""One model on several ranks: sharded by FSDP2, or whole on each with gradients added up.

torch's ``fully_shard`` is called directly. accelerate calls it too, but on GPUs only, where nothing of it
could be tested without them.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.modeling_layers import GradientCheckpointingLayer

from trainers.errors import UserError
from trainers.inputs import TokenLayout
from trainers.precision import HALF_WEIGHTS, DType
from trainers.ranks import ALONE, Ranks


class Spread:
    """A module that ranks train together.

    Attributes:
        module: what passes run on; each rank's is a part of the weights where they are sharded.
    """

    def __init__(
        self,
        module: Any,
        ranks: Ranks = ALONE,
        device: torch.device | None = None,
        dtype: DType = "float32",
    ) -> None:
        """Moves the module to the device, and shards it in place if the ranks ask for it.

        Args:
            module: a model, value network or critic.
            ranks: the processes.
            device: of this process's part; None: where the module is.
            dtype: the training's number format. Under "bfloat16-weights" each rank keeps its part in float32,
                and passes get copies in bfloat16.
        """
        self.module = module
        self.ranks = ranks
        self._plain: Any = None
        device = device or next(module.parameters()).device
        if not ranks.sharded:
            if dtype == HALF_WEIGHTS:
                raise UserError(f"--dtype {HALF_WEIGHTS}: its copies come from sharding: not in one process.")
            module.to(device)
            return
        without_weights = {
            id(p): nn.Parameter(torch.empty_like(p, device="meta"), requires_grad=p.requires_grad)
            for p in module.parameters()
        }
        self._plain = copy.deepcopy(module, without_weights)
        self._plain._apply(lambda t: t if t.is_meta else t.to(device))
        mesh = init_device_mesh(device.type, (ranks.count,))
        formats = MixedPrecisionPolicy()
        if dtype == HALF_WEIGHTS:  # gradients are added up in float32, over ranks and micro-batches
            formats = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
        for part in [*module.modules()][1:]:
            if isinstance(part, GradientCheckpointingLayer):
                fully_shard(part, mesh=mesh, reshard_after_forward=True, mp_policy=formats)
        # The rest's weights are freed too: left as they are, a pass without a backward pass would keep them.
        fully_shard(module, mesh=mesh, reshard_after_forward=True, mp_policy=formats)
        for buffer in module.buffers():
            buffer.data = buffer.data.to(device)

    @contextmanager
    def whole(self, change: bool = False) -> Iterator[Any]:
        """A block in which each rank has an ordinary module with all weights. All ranks enter it together.

        Args:
            change: whether weights that the block changes, alike on all ranks, become the module's.
        """
        if self._plain is None:
            yield self.module
            return
        pairs = list(zip(self.module.modules(), self._plain.modules(), strict=True))
        gathered: dict[int, nn.Parameter] = {}
        sharded: dict[int, Tensor] = {}
        empty: list[tuple[nn.Module, str, nn.Parameter]] = []
        for own, plain in pairs:
            for name, weight in own.named_parameters(recurse=False):
                sharded[id(weight)] = weight
                if id(weight) not in gathered:  # tied weights stay tied
                    full = whole_tensor(weight.detach())
                    gathered[id(weight)] = nn.Parameter(full, requires_grad=weight.requires_grad)
                empty.append((plain, name, getattr(plain, name)))
                setattr(plain, name, gathered[id(weight)])
        try:
            yield self._plain
            if change:
                with torch.no_grad():
                    for key, weight in sharded.items():
                        weight.copy_(shard_like(gathered[key].detach(), weight))
        finally:
            for plain, name, nothing in empty:
                setattr(plain, name, nothing)


def lockstep_layout(layout: TokenLayout, ranks: Ranks) -> TokenLayout:
    """The layout of a model's inputs where every pass of one rank waits for the others'.

    Raises:
        UserError: the model reads its padding, so that the number of passes depends on the rows.
    """
    if not ranks.sharded:
        return layout
    if layout.equal_lengths:
        raise UserError(
            "This model reads its padding, so that its rows are computed by length and can't be sharded over "
            "GPUs: give --parallel replicated, or one GPU per cell; and no --dtype bfloat16-weights."
        )
    return layout.in_one_pass()


def add_gradients(parameters: Iterable[Tensor], ranks: Ranks) -> None:
    """Makes each gradient the sum of the ranks' own, where none are sharded."""
    if ranks.alone or ranks.sharded:
        return
    trained = [p for p in parameters if p.requires_grad]
    has = torch.tensor([p.grad is not None for p in trained], dtype=torch.int32)
    dist.all_reduce(has)  # a weight without a gradient here, such as an idle expert's, may have one elsewhere
    wanted = [p for p, count in zip(trained, has.tolist(), strict=True) if count]
    for p in wanted:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    works = [dist.all_reduce(p.grad, async_op=True) for p in wanted]
    for work in works:
        work.wait()


def whole_tensor(tensor: Tensor) -> Tensor:
    """All of a tensor, on every rank."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, like: Tensor) -> Tensor:
    """This rank's part of a whole tensor that all ranks have, as ``like`` is sharded."""
    if not isinstance(like, DTensor):
        return tensor
    tensor = tensor.to(like.device)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def keep_whole_states(optimiser: torch.optim.Optimizer, ranks: Ranks) -> None:
    """Makes an optimiser's state dict the one of a process alone, so that any number of ranks can resume."""
    if not ranks.sharded:
        return

    def gather(_: Any, state: dict[str, Any]) -> dict[str, Any]:
        found = {
            number: {name: _kept(whole_tensor(v)) if isinstance(v, Tensor) else v for name, v in own.items()}
            for number, own in state["state"].items()
        }
        return {**state, "state": found}

    def scatter(of: torch.optim.Optimizer, state: dict[str, Any]) -> dict[str, Any]:
        numbers = [number for group in state["param_groups"] for number in group["params"]]
        parameters = [p for group in of.param_groups for p in group["params"]]
        by_number = dict(zip(numbers, parameters, strict=True))
        found = {
            number: {
                name: shard_like(v, by_number[number])
                if isinstance(v, Tensor) and v.shape == by_number[number].shape
                else v
                for name, v in own.items()
            }
            for number, own in state["state"].items()
        }
        return {**state, "state": found}

    def _kept(tensor: Tensor) -> Tensor:
        return tensor.cpu() if ranks.first else torch.empty(0)

    optimiser.register_state_dict_post_hook(gather)
    optimiser.register_load_state_dict_pre_hook(scatter)
