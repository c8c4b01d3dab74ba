"""Several processes of one run, as `torchrun` and `accelerate launch` start them: one leads, all agree.

In training each takes its share of a step's sequences, and DDP adds up the gradients of the LoRA, which is
all that is trained. The frozen base is whole in each process, or its layers are spread over them by FSDP2
(`spread`). Where the teacher works, the leader does what it does alone, and all answer its batches (`led`,
`shared`). Only the leader writes files; machines must see the same file system.

Not covered: a teacher whose base is spread.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch

from distill.errors import ModelError

Method = TypeVar("Method", bound=Callable[..., list[Any]])
LONGEST = timedelta(days=2)  # for which a process waits for another


def world() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def leads() -> bool:
    """Whether this process is the one that writes."""
    return rank() == 0


def local_device(device: str) -> str:
    """The GPU of this process where there are several."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" and world() > 1 else device


def spreads(said: bool) -> bool:
    """Whether the base is to be spread over the processes: the recipe says so, or what `accelerate launch`
    was given does."""
    return world() > 1 and (said or os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true")


def _state() -> Any:
    """The process group, made on the first call."""
    from accelerate import PartialState

    waits = {"timeout": LONGEST} if world() > 1 else {}
    return PartialState(cpu=not torch.cuda.is_available(), **waits)


def finished() -> None:
    """Ends the process group when all work is done: its threads must not outlive it, or the process may abort
    as it exits. A process that fails leaves it alone, so as not to wait for the others."""
    if world() > 1 and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


@contextmanager
def leader_first() -> Iterator[None]:
    """The leader goes through the block before all others, which then find its files."""
    if world() == 1:
        yield
        return
    with _state().main_process_first():
        yield


def spread(model: Any, device: torch.device) -> None:
    """Spreads the frozen layers of a model with a LoRA over the devices of all processes; what it has beside
    them moves there whole. A layer is whole only while it is read. The LoRA must be on the model."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FSDPModule, fully_shard

    inner = model.get_base_model()
    if not isinstance(inner.model, FSDPModule):  # as it is where another seed was trained before
        names = set(inner._no_split_modules or ())
        layers = [m for m in inner.model.modules() if type(m).__name__ in names]
        if not layers:
            raise ModelError(
                f"a {inner.config.model_type} model does not say which layers it can be spread by",
                mend="leave out train.shard",
            )
        _state()
        mesh = init_device_mesh(device.type, (world(),))
        trained = {p for p in model.parameters() if p.requires_grad}
        for layer in layers:
            fully_shard(layer, mesh=mesh, ignored_params=trained)
        shares = {p for layer in layers for p in layer.parameters()}
        fully_shard(inner.model, mesh=mesh, ignored_params=set(inner.model.parameters()) - shares | trained)
    model.to(device)


class _Touch(torch.nn.Module):
    """Holds the trained parameters, for DDP to add up what their gradients have become."""

    def __init__(self, params: Sequence[torch.nn.Parameter]):
        super().__init__()
        self.params = torch.nn.ParameterList(params)

    def forward(self) -> torch.Tensor:
        return torch.stack([p.flatten()[0] for p in self.params]).sum() * 0.0


class Ranks:
    """What the processes of a training do together. Alone, all of it is nothing. Where the base is spread,
    all take as many passes, and look together: a layer comes from all."""

    def __init__(self, params: Sequence[torch.nn.Parameter], spread: bool = False):
        self.world, self.rank, self.spread = world(), rank(), spread
        self._touch: Any = None
        if self.world > 1:
            self._device = _state().device
            self._touch = torch.nn.parallel.DistributedDataParallel(_Touch(params))

    def share(self, rows: Sequence[int]) -> Sequence[int]:
        """This process's rows of a step; there may be none."""
        return rows[self.rank :: self.world]

    def even(self, pieces: list[list[int]]) -> list[list[int]]:
        """The pieces of this process, and empty ones up to what the process with most has, where all must
        take as many passes."""
        if not self.spread:
            return pieces
        return pieces + [[] for _ in range(round(self._all(len(pieces), "MAX")) - len(pieces))]

    def sum_gradients(self) -> None:
        """Every process gets the sum of all gradients. They were gathered without DDP's knowledge, so that a
        process may take as many passes as it needs."""
        if self._touch is not None:
            (self._touch() * 1.0).backward()
            for p in self._touch.parameters():
                p.grad *= self.world  # DDP takes the mean

    def sum(self, value: float) -> float:
        return value if self.world == 1 else self._all(value, "SUM")

    def first(self, value: Callable[[], float]) -> float:
        """What the leader finds, told to all."""
        if self.world == 1:
            return value()
        return _told(value() if self.rank == 0 or self.spread else None)

    def all_said(self, notes: list[str]) -> list[str]:
        """The notes of all processes, each once."""
        parts = _gathered(notes) if self.world > 1 else [notes]
        return list(dict.fromkeys(note for part in parts for note in part))

    def _all(self, value: float, how: str) -> float:
        held = torch.tensor(value, dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(held, getattr(torch.distributed.ReduceOp, how))
        return float(held)


def _told(value: Any) -> Any:
    """What the leader says, in all processes."""
    said = [value]
    torch.distributed.broadcast_object_list(said)
    return said[0]


def agreed(tokens: torch.Tensor, spread: bool) -> torch.Tensor:
    """The leader's tokens, in all processes, where the base is spread: a process whose rounding picks another
    one would take more passes than the others, and wait for them for ever."""
    if spread and world() > 1:
        torch.distributed.broadcast(tokens, 0)
    return tokens


def _gathered(value: Any) -> list[Any]:
    """What each process found, by rank."""
    found: list[Any] = [None] * world()
    torch.distributed.all_gather_object(found, value)
    return found


_together = False  # whether the leader's work is shared out at present


def led(work: Callable[[], Any], helper: Callable[[Any], Any]) -> Any:
    """What `work` returns in the leader. The others meanwhile do their part of every call of a `shared`
    method, on the object that `helper` makes of its `key`, and return None. A process that fails ends the
    run."""
    global _together
    if world() == 1:
        return work()
    _state()
    _together = True
    if leads():
        done = work()
        _told(None)
    else:
        done = None
        while (asked := _told(None)) is not None:
            key, name, args, options = asked
            one = helper(key)
            _gathered(getattr(type(one), name).__wrapped__(one, *args, **options))
    _together = False
    return done


def part(rows: list[int], batch: int) -> list[int]:
    """This process's rows of a `shared` method: every so many-th batch. Batches are what they are in one
    process, so that what comes out is the same."""
    return [row for at, row in enumerate(rows) if at // batch % world() == rank()] if _together else rows


def shared(method: Method) -> Method:
    """Has all processes do their part of a method whose list has None where a row is not theirs. The object
    has a `key` that says all that it is made from; functions among the options stay with the leader."""

    @functools.wraps(method)
    def whole(self: Any, *args: Any, **options: Any) -> list[Any]:
        if not _together:
            return method(self, *args, **options)
        _told((self.key, method.__name__, args, {k: v for k, v in options.items() if not callable(v)}))
        parts = _gathered(method(self, *args, **options))
        return [next((x for x in row if x is not None), None) for row in zip(*parts, strict=True)]

    return whole  # type: ignore[return-value]
