"""Several processes of one training, as `torchrun` and `accelerate launch` start them: one leads, all agree.

Every process holds the whole base and takes its share of each step's sequences; DDP adds up the gradients of
the LoRA, which are all that is trained. Only the leader writes files. Not covered: a base that is sharded
over devices (FSDP2), several processes of synthesis or check.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch

LONGEST = timedelta(days=2)  # for which a process waits for another


def world() -> int:
    """How many processes there are."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Whether this process is the one that writes."""
    return int(os.environ.get("RANK", "0")) == 0


def local_device(device: str) -> str:
    """The GPU of this process where there are several."""
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if device == "cuda" and world() > 1 else device


def _accelerator() -> Any:
    from accelerate import Accelerator, InitProcessGroupKwargs

    waits = InitProcessGroupKwargs(timeout=LONGEST)
    return Accelerator(
        device_placement=False,
        cpu=not torch.cuda.is_available(),
        kwargs_handlers=[waits] if world() > 1 else [],
    )


@contextmanager
def leader_first() -> Iterator[None]:
    """The leader goes through the block before all others, which then find its files."""
    if world() == 1:
        yield
        return
    accelerator = _accelerator()
    with accelerator.main_process_first():
        yield


class _Touch(torch.nn.Module):
    """Holds the trained parameters, for DDP to add up what their gradients have become."""

    def __init__(self, params: Sequence[torch.nn.Parameter]):
        super().__init__()
        self.params = torch.nn.ParameterList(params)

    def forward(self) -> torch.Tensor:
        return torch.stack([p.flatten()[0] for p in self.params]).sum() * 0.0


class Ranks:
    """What the processes of a training do together. Alone, all of it is nothing."""

    def __init__(self, params: Sequence[torch.nn.Parameter]):
        self.accelerator = _accelerator()
        self.world, self.rank = world(), int(os.environ.get("RANK", "0"))
        self._touch: Any = self.accelerator.prepare(_Touch(params)) if self.world > 1 else None

    def share(self, rows: Sequence[int]) -> Sequence[int]:
        """This process's rows of a step; there may be none."""
        return rows[self.rank :: self.world]

    def sum_gradients(self) -> None:
        """Every process gets the sum of all gradients. They were gathered without DDP's knowledge, so that a
        process may take as many passes as it needs."""
        if self._touch is not None:
            (self._touch() * 1.0).backward()
            for p in self._touch.parameters():
                p.grad *= self.world  # DDP takes the mean

    def sum(self, value: float) -> float:
        if self.world == 1:
            return value
        held = torch.tensor(value, dtype=torch.float64, device=self.accelerator.device)
        return float(self.accelerator.reduce(held, "sum"))

    def first(self, value: Callable[[], float]) -> float:
        """What the leader finds, told to all."""
        if self.world == 1:
            return value()
        from accelerate.utils import broadcast_object_list

        said: list[Any] = [value() if self.rank == 0 else None]
        return broadcast_object_list(said)[0]
