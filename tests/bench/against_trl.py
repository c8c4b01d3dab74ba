"""Ours beside TRL's trainer for privileged context (`trl.experimental.sdft`), by TRL's own code.

    python -m tests.bench.against_trl targets   # teacher targets: ours, a full forward a row, TRL's own
    python -m tests.bench.against_trl whole     # a whole distillation: seconds, final KL, peak memory

`make bench-trl` makes the environment that it needs. Seconds are of the processor, as in `speed.py`; ours and
TRL's take turns, and each whole distillation has a process of its own.

What TRL gets: no limit on the prompt; no gradient checkpointing, logging, evaluation or checkpoints; logits
at the answer alone; float32, as ours; one model, the base below the adapter being the teacher; where both
learn from given answers, these for nothing in place of what it would generate (`_generate`, the one method
that is replaced). Its loss is the forward KL over the whole vocabulary, which ours tends to with k; it means
over the tokens of an answer and then over answers, ours over all tokens. Not covered: its vLLM server, which
scores with the student as it stands and never with the base.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import typer

from distill.synth.teacher import Reader
from distill.train.adapter import add_lora
from distill.train.loop import Sample, batch_loss, train
from distill.train.model import Base, load_base, prompt_text
from distill.train.targets import build_prefix, score, top
from tests.bench.memories import facts, text
from tests.bench.speed import ANSWER, QUESTION, SAMPLES, K, base_of, ids_of, naive, seconds, show, spread

app = typer.Typer(add_completion=False, no_args_is_help=True)
RANK, ALPHA, LR, WARMUP, STEP = 16, 32, 4.0e-3, 0.05, 16  # of both; STEP: samples of an optimiser step
NEW = 48  # most tokens of an answer
MIN_P = 0.1  # as our sampling has it


def sdft(
    base: Base, rows: Sequence[dict[str, str]], given: dict[tuple[int, ...], list[int]] | None, **kw: Any
) -> Any:
    """TRL's trainer over `base`. `rows` have `prompt` and `privileged_context`; the context comes first, as
    in our teacher's system turn. `given`: the answer of each prompt, by its ids, in place of generation."""
    from datasets import Dataset

    trl: Any = importlib.import_module("trl.experimental.sdft")

    class Given(trl.SDFTTrainer):
        def _generate(self, prompt_ids: list[list[int]]) -> Any:
            if given is None:
                return super()._generate(prompt_ids)
            return prompt_ids, [given[tuple(ids)] for ids in prompt_ids]

    lora = kw.pop("lora", None)
    args = trl.SDFTConfig(
        **{
            "output_dir": tempfile.gettempdir(),
            "use_cpu": base.device.type == "cpu",
            "bf16": False,
            "gradient_checkpointing": False,
            "report_to": "none",
            "logging_strategy": "no",
            "save_strategy": "no",
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
            "max_prompt_length": None,
            "max_completion_length": NEW,
            "num_generations": 1,
            "teacher_prompt_template": "{privileged_context}{prompt}",
            "distillation_mode": "full_logits",
            "distillation_alpha": 0.0,  # forward KL
            **kw,
        }
    )
    data = Dataset.from_list(list(rows))
    return Given(base.model, args, data, processing_class=base.tokenizer, peft_config=lora)


def trl_targets(
    trainer: Any, prompts: Sequence[list[int]], answers: Sequence[list[int]], batch: int
) -> list[Any]:
    """The teacher's logits as the trainer's loss asks for them, of rows of one length; then our top-k."""
    out = []
    for at in range(0, len(prompts), batch):
        pairs = zip(prompts[at : at + batch], answers[at : at + batch], strict=True)
        ids = torch.tensor([p + a for p, a in pairs], device=trainer.accelerator.device)
        with torch.no_grad(), trainer._get_teacher_context_for_self_distillation():
            mask = torch.ones_like(ids)
            logits = trainer._forward_logits(trainer.teacher_model, ids, mask, len(answers[at]))
            out += [tuple(x.cpu() for x in top(row, K)) for row in logits]
    return out


@app.command()
def targets(sizes: str = "512,2048,8192", rounds: int = 3, samples: int = SAMPLES, batch: int = 2) -> None:
    """Teacher targets of given answers. A full forward and TRL are timed on fewer rows, each as long."""
    base, rows = base_of(), []
    trainer = sdft(base, [{"prompt": "a", "privileged_context": "b"}], {}, teacher_model_kind="live")
    base.model.eval()
    for size in map(int, sizes.split(",")):
        memory = ids_of(base, size, 1)
        prompts = [memory + ids_of(base, QUESTION, 100 + i) for i in range(samples)]
        answers = [ids_of(base, ANSWER, 9_000 + i) for i in range(samples)]
        few = max(2, min(16, 16_384 // size))
        some = prompts[:few], answers[:few]
        ways: dict[str, tuple[int, Callable[[], list[Any]]]] = {
            "ours": (samples, partial(shared, base, memory, prompts, answers)),
            "full": (few, partial(naive, base, *some, batch)),
            "TRL": (few, partial(trl_targets, trainer, *some, batch)),
        }
        took: dict[str, list[float]] = {name: [] for name in ways}
        gap = 0.0
        for _ in range(rounds):
            said: dict[str, list[Any]] = {name: [] for name in ways}
            for name, (count, work) in ways.items():
                once = seconds(base, lambda out=said[name], work=work: out.extend(work()))
                took[name].append(once * samples / count)
            pairs = zip(said["ours"][:few], said["TRL"], strict=True)
            gap = max(gap, *(float((a[1] - b[1]).abs().max()) for a, b in pairs))
        for name, (count, _) in ways.items():
            over = spread([b / a for a, b in zip(took["ours"], took[name], strict=True)])
            apart = f"{gap:.1e}" if name == "TRL" else ""
            many = str(count) if count < samples else "all"
            rows.append(
                [f"{size:,}: {name}", spread(took[name]), "" if name == "ours" else over, many, apart]
            )
            print(*rows[-1], sep=" | ", file=sys.stderr, flush=True)
    title = f"Teacher targets of {samples} samples, {QUESTION} + {ANSWER} tokens each"
    title += f"; full forwards and TRL {batch} at once, timed on fewer rows and scaled; trl {version('trl')}"
    columns = ["memory", "seconds", "times ours", "rows timed", "largest difference to ours"]
    show(title, columns, rows, base)


def shared(base: Base, memory: list[int], prompts: list[list[int]], answers: list[list[int]]) -> list[Any]:
    return score(base, build_prefix(base, memory), prompts, answers, K, 32)


def study(folder: Path, tokens: int, samples: int, held: int) -> Path:
    """What both learn from, in one file: a memory of about so many tokens, two questions about each of some
    facts, and the teacher's likeliest answers. A third question about each is held out."""
    base, told, r = load_base("pocket"), facts(400, 1), random.Random(1)
    memory = next(
        said
        for count in range(8, len(told))
        if len(base.tokenizer(said := text(told[:count]))["input_ids"]) >= tokens
    )
    about = r.sample([f for f in told if f.line in memory], max(samples // 2, held))
    forms = [r.sample(f.relation.asked, 3) for f in about]
    asked = [form.format(e=f.entity) for f, three in zip(about, forms, strict=True) for form in three[:2]]
    other = [three[2].format(e=f.entity) for f, three in zip(about, forms, strict=True)]
    questions = asked[:samples] + other[:held]
    answers = Reader(base, memory).answer(questions, NEW)
    made = [{"question": q, "ids": a.ids} for q, a in zip(questions, answers, strict=True)]
    path = folder / "study.json"
    path.write_text(json.dumps({"memory": memory, "train": made[:samples], "held": made[samples:]}))
    return path


def samples_of(base: Base, memory: str, asked: Sequence[dict[str, Any]], k: int) -> list[Sample]:
    """The teacher's targets of given answers, over one shared prefix."""
    teacher, student = Reader(base, memory), Reader(base, None)
    questions = [one["question"] for one in asked]
    answers = [one["ids"] for one in asked]
    found = score(base, teacher.prefix(), teacher.prompts(questions), answers, k, 32)
    return [Sample(p, a, *t) for p, a, t in zip(student.prompts(questions), answers, found, strict=True)]


def learn(base: Base, samples: Sequence[Sample], epochs: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        train(
            base,
            samples,
            Path(folder),
            "bench",
            lr=LR,
            epochs=epochs,
            batch_size=STEP,
            batch_tokens=16_384,
            accumulate=1,
            warmup=WARMUP,
            max_steps=None,
            eval_every=1 << 30,
            patience=0,
            checkpoint_every=1 << 30,
            seed=seed,
        )


def ours(base: Base, said: dict[str, Any], epochs: int, seed: int, answering: bool) -> None:
    """Given answers are scored over the shared prefix; where they are asked for, targets come with them."""
    if answering:
        questions = [one["question"] for one in said["train"]]
        found = Reader(base, said["memory"]).answer(questions, NEW, 1.0, seed, K, 64)
        prompts = Reader(base, None).prompts(questions)
        targets = [
            Sample(p, a.ids, a.top_ids, a.top_logp, a.tail) for p, a in zip(prompts, found, strict=True)
        ]
    else:
        targets = samples_of(base, said["memory"], said["train"], K)
    learn(add_lora(base, RANK, ALPHA, seed), targets, epochs, seed)


def theirs(base: Base, said: dict[str, Any], epochs: int, seed: int, answering: bool, batch: int) -> None:
    """TRL's trainer on the same samples, or on its teacher's answers to the same questions at each step."""
    from peft import LoraConfig

    prompts = [prompt_text(base, one["question"], None) for one in said["train"]]
    whole = prompt_text(base, said["train"][0]["question"], said["memory"])
    assert whole.endswith(prompts[0])
    context = whole[: -len(prompts[0])]
    ids = base.tokenizer(prompts)["input_ids"]
    given = {tuple(row): one["ids"] for row, one in zip(ids, said["train"], strict=True)}
    assert len(given) == len(ids)
    steps = epochs * -(-len(prompts) // STEP)
    trainer = sdft(
        base,
        [{"prompt": p, "privileged_context": context} for p in prompts],
        None if answering else given,
        lora=LoraConfig(
            r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        teacher_model_kind="base",
        generate_from_teacher=answering,
        min_p=MIN_P,
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=STEP // batch,
        steps_per_generation=1,  # rows are padded to those that they are generated with
        max_steps=steps,
        learning_rate=LR,
        lr_scheduler_type="linear",
        warmup_steps=round(WARMUP * steps),
        adam_beta2=0.95,
        weight_decay=0.0,
        max_grad_norm=1.0,
        seed=seed,
    )
    trainer.train()
    assert trainer.state.global_step == steps
    base.model = trainer.model


def peak() -> float:
    """Most memory that this process has held, MB (its own, unlike what `getrusage` says after a fork)."""
    (line,) = [x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("VmHWM")]
    return int(line.split()[1]) * 1024 / 1e6


@torch.no_grad()
def kl(base: Base, memory: str, held: Sequence[dict[str, Any]]) -> float:
    """Forward KL to the teacher over the whole vocabulary, in nats a token of held-out answers."""
    base.model.eval()
    off = getattr(base.model, "disable_adapter", contextlib.nullcontext)
    with off():
        exact = samples_of(base, memory, held, 1 << 30)
    parts = [exact[i : i + 8] for i in range(0, len(exact), 8)]
    total = sum(float(batch_loss(base.model, part, base.device, base.pad)) for part in parts)
    return total / sum(len(sample.ids) for sample in exact)


@app.command(hidden=True)
def one(way: str, study: Path, epochs: int, seed: int, answering: bool = False, batch: int = 1) -> None:
    """One distillation in this process; prints what it took, as JSON."""
    said = json.loads(study.read_text())
    needed = ["peft", "accelerate", *(["trl.experimental.sdft.sdft_trainer"] if way == "theirs" else [])]
    for name in needed:  # what is imported is not timed
        importlib.import_module(name)
    base = load_base("pocket")
    before, start, wall = peak(), time.process_time(), time.perf_counter()
    if way == "theirs":
        theirs(base, said, epochs, seed, answering, batch)
    else:
        ours(base, said, epochs, seed, answering)
    took, passed, most = time.process_time() - start, time.perf_counter() - wall, peak()
    found = {"seconds": took, "wall": passed, "before": before, "peak": most}
    print(json.dumps({**found, "kl": kl(base, said["memory"], said["held"])}))


def run(way: str, study: Path, epochs: int, seed: int, answering: bool, batch: int) -> dict[str, float]:
    words = [sys.executable, "-W", "ignore", "-m", "tests.bench.against_trl", "one", way, str(study)]
    words += [str(epochs), str(seed), *(["--answering"] if answering else []), "--batch", str(batch)]
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(words, capture_output=True, text=True, env=env, cwd=Path(__file__).parents[2])
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found = json.loads(done.stdout.splitlines()[-1])
    print(way, seed, found, file=sys.stderr, flush=True)
    return found


@app.command()
def whole(
    tokens: int = 2_048,
    samples: int = 128,
    held: int = 64,
    epochs: int = 3,
    rounds: int = 3,
    answering: bool = True,
    batch: int = 1,
) -> None:
    """A whole distillation of the embedded model from the same samples in as many steps, ours and TRL's."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = study(Path(folder), tokens, samples, held)
        said = json.loads(path.read_text())
        floor = kl(load_base("pocket"), said["memory"], said["held"])
        cases = [(f"{epochs} epochs", False, epochs, rounds)]
        if answering:
            cases.append(("1 epoch, with answering", True, 1, 1))
        for title, asked, turns, times in cases:
            found: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
            for seed in range(times):
                for way, all_of in found.items():
                    all_of.append(run(way, path, turns, seed, asked, batch))
            pairs = zip(found["ours"], found["theirs"], strict=True)
            ratio = spread([b["seconds"] / a["seconds"] for a, b in pairs])
            for way, all_of in found.items():
                took, left = (spread([x[of] for x in all_of]) for of in ("seconds", "kl"))
                most, before = (
                    f"{statistics.median(x[of] for x in all_of):.0f}" for of in ("peak", "before")
                )
                name = f"{title}: {'TRL' if way == 'theirs' else 'ours'}"
                rows.append([name, took, ratio if way == "theirs" else "", left, most, before])
    read = f"{len(load_base('pocket').tokenizer(said['memory'])['input_ids']):,}"
    title = f"A distillation of {samples} samples at a memory of {read} tokens, {STEP} samples a step"
    title += f"; KL of {held} held out {floor:.2f} without an adapter; trl {version('trl')}"
    columns = ["way", "seconds", "TRL/ours", "KL held out", "peak, MB", "before, MB"]
    show(title, columns, rows, load_base("pocket"))


if __name__ == "__main__":
    app()
