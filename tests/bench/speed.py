"""How fast distillation is beside what it could be. Ratios come from one run; figures are medians.

    python -m tests.bench.speed targets    # teacher targets over one shared prefix, beside full forwards
    python -m tests.bench.speed student    # a training step, beside the bare forward and backward
    python -m tests.bench.speed growth     # time against samples and against memory, with the fitted exponent

Rates on a GPU are `speed_gpu.py`'s. On a processor seconds are of this process's processor time, which a busy
machine changes least; on a GPU they are of the wall, with the device waited for. The processor's model has
the embedded model's shape, random weights and room for long memories: what weights say changes no speed.
Operations are counted as multiply and add: linear layers, attention to what is before a token, logits where
there is a target.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table
from torch.nn import functional as F

from distill.train.adapter import add_lora
from distill.train.device import device_name
from distill.train.loop import Sample, batch_loss
from distill.train.model import POCKET, Base
from distill.train.packing import hidden_states
from distill.train.targets import build_prefix, score, top

app = typer.Typer(add_completion=False, no_args_is_help=True)
SAMPLES = 256
QUESTION, ANSWER, K = 24, 24, 20
SIZES = (512, 2_048, 8_192)
ROUNDS = 3


def base_of(shape: dict[str, Any] | None = None, device: str = "cpu", quantize: str = "none") -> Base:
    """A model of the embedded one's shape, or of `shape`, with random weights and the embedded tokenizer."""
    from transformers import AutoConfig, AutoTokenizer, BitsAndBytesConfig, Qwen3Config, Qwen3ForCausalLM

    config: Any = AutoConfig.from_pretrained(POCKET) if shape is None else Qwen3Config(**shape)
    config.max_position_embeddings = 65_536
    number = torch.bfloat16 if device == "cuda" else torch.float32
    torch.manual_seed(0)
    torch.set_default_dtype(number)
    with torch.device(device):
        model: Any = Qwen3ForCausalLM(config)
    torch.set_default_dtype(torch.float32)
    if quantize == "nf4":
        bits = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=number,
            bnb_4bit_use_double_quant=True,
        )
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(folder)
            del model
            torch.cuda.empty_cache()
            options: dict[str, Any] = {"quantization_config": bits, "device_map": {"": device}}
            model = Qwen3ForCausalLM.from_pretrained(folder, **options)
    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    model = model.eval().requires_grad_(False)
    return Base("random", model, tokenizer, "sha256:0", "sha256:1", 65_536, quantize)


def ids_of(base: Base, count: int, seed: int) -> list[int]:
    draw = torch.Generator().manual_seed(seed)
    return torch.randint(8, len(base.tokenizer), (count,), generator=draw).tolist()


def seconds(base: Base, work: Callable[[], Any]) -> float:
    """Of the processors on a CPU, of the wall on a GPU."""
    if base.device.type == "cuda":
        torch.cuda.synchronize()
        start = time.perf_counter()
        work()
        torch.cuda.synchronize()
        return time.perf_counter() - start
    start = time.process_time()
    work()
    return time.process_time() - start


def linear_weights(base: Base) -> int:
    config = base.model.config.get_text_config()
    h, i = config.hidden_size, config.intermediate_size
    q, kv = config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim
    return config.num_hidden_layers * (2 * h * q + 2 * h * kv + 3 * h * i)


def operations(base: Base, before: int, new: int, targets: int) -> float:
    """Of one sequence that reads `new` tokens after `before`, with logits at `targets` of them."""
    config = base.model.config.get_text_config()
    linear = linear_weights(base)
    width = config.num_attention_heads * config.head_dim
    attention = 4 * width * config.num_hidden_layers * new * (before + (new + 1) / 2)
    return 2.0 * linear * new + attention + 2.0 * targets * config.vocab_size * config.hidden_size


@torch.no_grad()
def naive(base: Base, prompts: Sequence[list[int]], answers: Sequence[list[int]], batch: int) -> list[Any]:
    """A full forward of each row, logits at the answer alone: what there is without a shared prefix."""
    out = []
    for at in range(0, len(prompts), batch):
        rows = [p + a for p, a in zip(prompts[at : at + batch], answers[at : at + batch], strict=True)]
        n = len(answers[at])  # all rows here are of one length
        logits = base.model(input_ids=torch.tensor(rows, device=base.device), logits_to_keep=n + 1).logits
        out += [tuple(x.cpu() for x in top(row[:-1], K)) for row in logits]
    return out


def spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.3g} ({min(values):.3g} to {max(values):.3g})"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], base: Base | None) -> None:
    machine = device_name(base.device if base else torch.device("cpu"))
    table = Table(title=f"{title}\n{machine}; torch {torch.__version__}", title_justify="left", box=None)
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=130).print(table)


@app.command()
def targets(sizes: str = "512,2048,8192", rounds: int = ROUNDS, samples: int = SAMPLES) -> None:
    """Teacher targets of given answers, ours and naive. Naive is timed on fewer rows, each as long."""
    base, rows = base_of(), []
    for size in map(int, sizes.split(",")):
        memory = ids_of(base, size, 1)
        tails = [ids_of(base, QUESTION, 100 + i) for i in range(samples)]
        answers = [ids_of(base, ANSWER, 9_000 + i) for i in range(samples)]
        prompts = [memory + tail for tail in tails]
        few = max(2, min(16, 16_384 // size))
        ours, plain, ratios, gap = [], [], [], 0.0
        for _ in range(rounds):
            said: list[Any] = []

            def shared(said: list[Any] = said) -> None:
                prefix = build_prefix(base, memory)  # noqa: B023
                said.extend(score(base, prefix, prompts, answers, K, 32))  # noqa: B023

            ours.append(seconds(base, shared))
            full: list[Any] = []
            once = seconds(base, lambda full=full: full.extend(naive(base, prompts[:few], answers[:few], 2)))  # noqa: B023
            plain.append(once / few * samples)
            ratios.append(plain[-1] / ours[-1])
            gap = max(gap, *(float((a[1] - b[1]).abs().max()) for a, b in zip(said[:few], full, strict=True)))
        each = QUESTION + ANSWER
        ideal = (
            samples
            * operations(base, 0, size + each, ANSWER)
            / (operations(base, 0, size, 0) + samples * operations(base, size, each, ANSWER))
        )
        share = statistics.median(ratios) / ideal
        cells = [f"{size:,}", spread(ours), spread(plain), spread(ratios), f"{ideal:.1f}", f"{share:.2f}"]
        rows.append([*cells, f"{gap:.1e}"])
    columns = ["memory", "ours, s", "naive, s", "ratio", "by operations", "share", "largest difference"]
    show(f"Teacher targets of {samples} samples, {QUESTION} + {ANSWER} tokens each", columns, rows, base)


def packed(base: Base, count: int) -> list[Sample]:
    """Samples of the lengths of a real dataset: 20 to 60 tokens, a third of them the answer's."""
    made = []
    for i in range(count):
        n = 20 + i * 7919 % 41
        whole, answer = ids_of(base, n, i), n // 3
        logits = torch.randn(answer, 64, generator=torch.Generator().manual_seed(i))
        made.append(Sample(whole[:-answer], whole[-answer:], *top(logits, K)))
    return made


def bare(base: Base, samples: Sequence[Sample]) -> torch.Tensor:
    """Cross-entropy of the same packed tokens, logits at the answers alone."""
    inner = base.model.get_base_model()
    whole = [s.prompt + s.ids for s in samples]
    hidden = hidden_states(inner, inner.model, whole, base.device)
    where, at = [], 0
    for s, ids in zip(samples, whole, strict=True):
        where += range(at + len(s.prompt) - 1, at + len(ids) - 1)
        at += len(ids)
    label = torch.tensor([i for s in samples for i in s.ids], device=base.device)
    logits = inner.lm_head(hidden[torch.tensor(where, device=base.device)])
    return F.cross_entropy(logits.float(), label, reduction="sum")


def step_of(base: Base, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    def work() -> None:
        base.model.zero_grad(set_to_none=True)
        loss().backward()

    return work


@app.command()
def student(tokens: int = 4096, rounds: int = 7) -> None:
    """Forward and backward of the distillation loss, beside cross-entropy on the same tokens."""
    base = add_lora(base_of(), 16, 32, 0)
    base.model.train()
    samples = packed(base, tokens // 40)
    total = sum(len(s.prompt) + len(s.ids) for s in samples)
    ways = {
        "distillation": step_of(base, lambda: batch_loss(base.model, samples, base.device, 0, packed=True)),
        "bare": step_of(base, lambda: bare(base, samples)),
    }
    for work in ways.values():
        work()
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):  # in turns, so that what else the machine does falls on both
        for name, work in ways.items():
            took[name].append(seconds(base, work))
    ratios = [a / b for a, b in zip(took["distillation"], took["bare"], strict=True)]
    rows = [
        [name, spread(values), f"{total / statistics.median(values):,.0f}"] for name, values in took.items()
    ]
    rows.append(["ratio", spread(ratios), ""])
    show(f"A training step of {total:,} packed tokens", ["way", "seconds", "tokens a second"], rows, base)


def exponent(x: Sequence[float], y: Sequence[float]) -> float:
    return float(np.polyfit(np.log(x), np.log(y), 1)[0])


@app.command()
def growth(rounds: int = ROUNDS) -> None:
    """Time of teacher targets against the number of samples, and against the memory's length."""
    base, rows = base_of(), []
    cases = {
        "samples, memory of 2,048": [(n, 2_048) for n in (64, 128, 256, 512)],
        "memory, 64 samples": [(64, n) for n in (1_024, 2_048, 4_096, 8_192)],
    }
    for name, sizes in cases.items():
        took = []
        for count, size in sizes:
            memory = ids_of(base, size, 1)
            prompts = [memory + ids_of(base, QUESTION, 100 + i) for i in range(count)]
            answers = [ids_of(base, ANSWER, 9_000 + i) for i in range(count)]

            def work(memory: list[int] = memory, prompts: Any = prompts, answers: Any = answers) -> None:
                score(base, build_prefix(base, memory), prompts, answers, K, 32)

            took.append(statistics.median(seconds(base, work) for _ in range(rounds)))
        moved = [max(pair) if name.startswith("samples") else pair[1] for pair in sizes]
        moved = [pair[0] for pair in sizes] if name.startswith("samples") else moved
        cells = ", ".join(f"{n:,}: {t:.2f} s" for n, t in zip(moved, took, strict=True))
        rows.append([name, cells, f"{exponent(moved, took):.2f}"])
    show("Growth of the time of teacher targets", ["against", "seconds", "exponent"], rows, base)


if __name__ == "__main__":
    app()
