"""What an 8B model reaches on a GPU at a long memory, beside the GPU's own rates; random weights, offline.

    python -m tests.bench.speed_gpu --out figures.json
    python -m tests.bench.speed_gpu --tiny      # the same command on any device, in seconds: does it run?

Each share is of a rate measured in the same run: a large bf16 product for reading and training, a copy for
writing token by token, which reads all weights and the memory's keys and values at each step. A training step
of a frozen base is one forward and one way back to the activations; with checkpointing the forward comes once
more, and its share is said beside. The whole build is extrapolated from these rates, for a recipe as it is by
default. Without a GPU it says "not measured". Not covered: several GPUs, the time of the check.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from transformers import __version__ as transformers

from distill.recipe import Synth, Train
from distill.train.adapter import add_lora
from distill.train.device import device_name, peak_memory, release
from distill.train.loop import batch_loss
from distill.train.model import Base
from distill.train.packing import kernel_for
from distill.train.targets import build_prefix, new_rows, reading, score, top
from tests.bench.speed import QUESTION, K, base_of, ids_of, operations, packed, seconds, step_of

QWEN3_8B = dict(
    vocab_size=151_936,
    hidden_size=4_096,
    intermediate_size=12_288,
    num_hidden_layers=36,
    num_attention_heads=32,
    num_key_value_heads=8,
    head_dim=128,
)
TINY = {
    **QWEN3_8B,
    "vocab_size": 16_384,
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 64,
}
ANSWER = 100  # tokens of an answer that is scored
UNIT, QUESTIONS, REPLY = 25, 24, 48  # tokens of a unit of the memory, of a question, of its answer


def gpu(
    memory: int = 20_000,
    samples: int = 512,
    rows: Annotated[int, typer.Option(help="Sequences generated at once.")] = 256,
    tiny: Annotated[bool, typer.Option(help="A tiny model, on any device: figures mean nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="A JSON file for the figures.")] = None,
) -> None:
    """An 8B configuration at a long memory, in bf16 and nf4, beside the device's own rates."""
    if not torch.cuda.is_available() and not tiny:
        raise SystemExit("not measured: torch finds no GPU here")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    shape = QWEN3_8B
    if tiny:
        memory, samples, rows, shape = 256, 8, 4, TINY
    found, lines = {}, []
    rate, bandwidth = matrix_rate(device, 256 if tiny else 8192), copy_rate(device, 1 << (20 if tiny else 31))
    for quantize in ("none", "nf4"):
        base = base_of(shape, device, quantize)
        figures = one_gpu(base, memory, samples, rows)
        found[quantize] = figures
        for what, (value, unit, used, limit) in figures.items():
            most = {"matrix": rate, "bandwidth": bandwidth}.get(limit)
            lines.append(
                [quantize, what, f"{value:,.4g} {unit}", f"{used / most:.0%} of {limit}" if most else ""]
            )
        kernel = kernel_for(base.model, base.device).__name__
        del base
        release(torch.device(device))
    title = f"{'a tiny' if tiny else 'Qwen3-8B'} shape, {memory:,} tokens, packed by {kernel}"
    rates = f"matrix {rate / 1e12:.3g} Tflop/s, {bandwidth / 1e12:.3g} TB/s"
    where = f"{device_name(torch.device(device))}; torch {torch.__version__}, transformers {transformers}"
    Console(width=130).print(f"{title}; {rates}\n{where}")
    table = Table("weights", "what", "figure", "share", box=None)
    for line in lines:
        table.add_row(*line)
    Console(width=130).print(table)
    if out:
        out.write_text(json.dumps({"matrix": rate, "bandwidth": bandwidth, "figures": found}, indent=1))


def each_of(device: str, times: int, work: Callable[[], Any]) -> float:
    """Seconds of one call, after a first that is not counted."""
    for count in (1, times):
        start = time.perf_counter()
        for _ in range(count):
            work()
        if device == "cuda":
            torch.cuda.synchronize()
    return (time.perf_counter() - start) / times  # type: ignore[possibly-undefined]


def matrix_rate(device: str, n: int) -> float:
    """Operations a second of a large bf16 product."""
    a, b = (torch.randn(n, n, device=device, dtype=torch.bfloat16) for _ in range(2))
    return 2 * n**3 / each_of(device, 20, lambda: a @ b)


def copy_rate(device: str, n: int) -> float:
    """Bytes a second that a copy of n bytes reads and writes."""
    a = torch.empty(n, dtype=torch.uint8, device=device)
    b = torch.empty_like(a)
    return 2 * n / each_of(device, 10, lambda: b.copy_(a))


def one_gpu(base: Base, size: int, samples: int, count: int) -> dict[str, tuple[float, str, float, str]]:
    """Figures by name: value, unit, and what it used of which of the device's rates."""
    memory = ids_of(base, size, 1)
    prompts = [memory + ids_of(base, QUESTION, 100 + i) for i in range(samples)]
    answers = [ids_of(base, ANSWER, 9_000 + i) for i in range(samples)]
    figures: dict[str, tuple[float, str, float, str]] = {}
    with peak_memory(base.device) as peak:
        build_prefix(base, memory[:256])
        took = seconds(base, lambda: build_prefix(base, memory))
        figures["prefix"] = (size / took, "tokens/s", operations(base, 0, size, 0) / took, "matrix")
        prefix = build_prefix(base, memory)
        score(base, prefix, prompts[:32], answers[:32], K, 32)
        took = seconds(base, lambda: score(base, prefix, prompts, answers, K, 32))
        each = QUESTION + ANSWER
        done = samples * operations(base, size, each, ANSWER)
        figures["scored"] = (samples * each / took, "tokens/s", done / took, "matrix")
        steps = 64
        generate(base, prefix, count, 2)
        took = seconds(base, lambda: generate(base, prefix, count, steps))
        moved = steps * (weight_bytes(base) + (prefix.layers[0][0].nbytes * 2 * len(prefix.layers or [])))  # type: ignore[index]
        figures[f"generated, {count} at once"] = (count * steps / took, "tokens/s", moved / took, "bandwidth")
        written = count * steps / took
    figures["peak, teacher"] = (peak[0] / 1e9, "GB", 0.0, "")
    prefix.layers = None
    add_lora(base, 16, 32, 0)
    base.model.train()
    many = packed(base, 32) * (max(1, samples // 32))
    tokens = sum(len(s.prompt) + len(s.ids) for s in many)
    with peak_memory(base.device) as peak:
        work = step_of(base, lambda: batch_loss(base.model, many, base.device, 0, packed=True))
        work()
        took = statistics.median(seconds(base, work) for _ in range(5))
    answered = sum(len(s.ids) for s in many)
    once = len(many) * operations(base, 0, tokens // len(many), answered // len(many))
    figures["trained"] = (
        tokens / took,
        "tokens/s",
        2 * once / took,
        "matrix",
    )
    figures["trained, with what is made anew"] = (tokens / took, "tokens/s", 3 * once / took, "matrix")
    figures["peak, student"] = (peak[0] / 1e9, "GB", 0.0, "")
    asked = size / UNIT * Synth().per_unit * 1.5  # the filters keep two of three
    kept = asked / 1.5 * (1 + Synth().replay + Train().excerpts)
    parts = {
        "prefix": size / figures["prefix"][0],
        "self-study": asked * (QUESTION + REPLY) / written,
        "training": Train().epochs * kept * (QUESTION + REPLY) / figures["trained"][0],
    }
    for name, value in parts.items():
        figures[f"whole build: {name}"] = (value / 60, "min", 0.0, "")
    figures["whole build"] = (sum(parts.values()) / 60, "min", 0.0, "")
    return figures


def weight_bytes(base: Base) -> int:
    return sum(p.nbytes for p in base.model.parameters())


@torch.no_grad()
def generate(base: Base, prefix: Any, count: int, steps: int) -> None:
    """So many rows, token by token over the shared prefix, targets captured."""
    with reading(base, prefix):
        rows = new_rows(base, prefix, count)
        ids = torch.tensor([ids_of(base, QUESTION, i) for i in range(count)], device=base.device)
        real = torch.ones_like(ids, dtype=torch.bool)
        for _ in range(steps):
            logits = rows.forward(base.model, ids, real, 1)[:, -1]
            top(logits, K)
            ids, real = logits.argmax(-1)[:, None], torch.ones(count, 1, dtype=torch.bool, device=base.device)


if __name__ == "__main__":
    typer.run(gpu)
