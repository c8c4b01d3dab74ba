"""The device that a model is on: its name, the memory left on it, and the most that a piece of work held.

On a GPU the figures are torch's, on a processor those of this process: the memory of the machine, of its
control group and of `ulimit -v`, whichever is least. Not covered: several devices at once.
"""

from __future__ import annotations

import contextlib
import platform
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import torch

GROUPS = (  # limit and use of the control group, versions 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def device_name(device: torch.device) -> str:
    """The name of a GPU, or of the processor and how many threads torch takes."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread" + ("s" if threads > 1 else "")


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had on the device."""
    if device.type == "cuda":
        left, _ = torch.cuda.mem_get_info(device)
        return left + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    left = [psutil.virtual_memory().available]
    for limit, used in GROUPS:
        try:
            left.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    bound, _ = resource.getrlimit(resource.RLIMIT_AS)
    if bound != resource.RLIM_INFINITY:
        left.append(bound - psutil.Process().memory_info().vms)
    return max(0, min(left))


def used_memory(device: torch.device) -> int:
    """Bytes that this process holds on the device now."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device)
    return psutil.Process().memory_info().rss


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[list[int]]:
    """A list that holds, after the block, the most bytes that this process held on the device in it."""
    peak: list[int] = []
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
    else:
        _reset_high_water()
    try:
        yield peak
    finally:
        peak.append(torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _high_water())


def _reset_high_water() -> None:
    with contextlib.suppress(OSError):  # where it may not, the mark is that of the whole process
        Path("/proc/self/clear_refs").write_text("5")


def _high_water() -> int:
    try:
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    except (OSError, IndexError, ValueError):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def used_up(fault: BaseException) -> bool:
    """Whether a fault says that the device's memory is used up: torch's own class, or what its allocator of
    the processor says."""
    return isinstance(fault, torch.OutOfMemoryError) or (
        isinstance(fault, RuntimeError) and "can't allocate memory" in str(fault)
    )


def release(device: torch.device) -> None:
    """Gives back what torch holds and does not use."""
    if device.type == "cuda":
        torch.cuda.empty_cache()


def itemsize(model: Any) -> int:
    """Bytes of one number that the model computes with."""
    return model.dtype.itemsize if model.dtype.is_floating_point else 2
