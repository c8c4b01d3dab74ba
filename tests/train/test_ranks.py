"""A training that meets a full device or is shared out has the losses of one that was not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors import safe_open
from transformers import AutoModelForCausalLM

from distill.errors import ModelError
from distill.train.adapter import add_lora
from distill.train.loop import train
from distill.train.model import POCKET, Base, load_base
from tests.train.test_losses import OPTIONS, made_up, tiny

ROOT = Path(__file__).parents[2]
PORT = "--main_process_port"
TIMED = ("spent.json",)  # files that hold how long something took
CHILD = """
import contextlib, json, sys
from pathlib import Path
import torch
from tests.train.test_losses import OPTIONS, made_up, tiny
from distill.train.adapter import add_lora
from distill.train.loop import train
from distill.synth.teacher import Reader
from distill.train.ranks import leads, world
from distill.train.targets import build_prefix, reading
folder, options = Path(sys.argv[1]), json.loads(sys.argv[2])
said = []
state, best = train(add_lora(tiny(), 4, 8, 0), made_up(tiny(), 7), folder, "x",
    look=lambda: said.append(1) or 0.5, **{**OPTIONS, **options})

def spread():
    base = tiny()
    base.spread = torch.device("cpu")
    return add_lora(base, 4, 8, 0, checkpointing=True)

def kill(step, *rest):
    if step == 3:
        raise KeyboardInterrupt

options |= {"checkpoint_every": 2, "batch_tokens": 16}  # processes that have more passes than others
with contextlib.suppress(KeyboardInterrupt):
    train(spread(), made_up(tiny(), 7), folder / "spread", "x", progress=kill, **{**OPTIONS, **options})
base = spread()
again, same = train(base, made_up(tiny(), 7), folder / "spread", "x", **{**OPTIONS, **options})
shares = [p for n, p in base.model.named_parameters() if "base_layer" in n]
held = sum(p.to_local().numel() for p in shares) / sum(p.numel() for p in shares)
if not leads():  # what rounding does seldom: this process alone would answer otherwise
    with torch.no_grad():
        for p in (p for p in base.model.parameters() if p.requires_grad):
            p.add_(torch.randn_like(p))
base.model.eval()
reader, prefix = Reader(base, None, adapter=True), build_prefix(base, [])
with torch.no_grad(), reading(base, prefix):
    answers = [ids for ids, *_ in reader._batch(prefix, [[5, 6, 7], [8, 9]], 12, 0.0, [0.0, 0.0], 0)]
out = folder / f"rank{0 if leads() else 1}.json"
out.write_text(json.dumps({"losses": state.losses, "looks": len(said), "world": world(),
    "norm": sum(float(w.abs().sum()) for w in best.values()),
    "spread": again.losses, "moved": max(float((best[n] - w).abs().max()) for n, w in same.items()),
    "held": held, "answers": answers}))
"""


def limited(base: Base, most: int, where: str) -> Base:
    """The base on a device whose memory holds `most` tokens in one pass: beyond it raises what a GPU raises,
    on the way forward or on the way back."""

    def refuse(tokens: int) -> None:
        if tokens > most:
            raise torch.cuda.OutOfMemoryError(f"CUDA out of memory: {tokens} tokens")

    layer = base.model.get_base_model().model.layers[1].mlp.down_proj
    if where == "forward":
        layer.register_forward_pre_hook(lambda module, given: refuse(given[0].numel() // given[0].shape[-1]))
    else:
        layer.register_full_backward_hook(
            lambda module, given, out: refuse(out[0].numel() // out[0].shape[-1])
        )
    return base


@pytest.mark.parametrize("where", ["forward", "backward"])
def test_where_memory_is_used_up_passes_are_halved_and_nothing_changes(tmp_path: Path, where: str) -> None:
    samples = made_up(tiny(), 20)
    options: dict[str, Any] = {**OPTIONS, "batch_tokens": 64, "batch_size": 10}
    whole, weights = train(add_lora(tiny(), 4, 8, 0), samples, tmp_path / "whole", "x", **options)
    said: list[str] = []
    base = limited(add_lora(tiny(), 4, 8, 0), 40, where)
    state, broken = train(base, samples, tmp_path / "broken", "x", say=said.append, **options)
    assert state.losses == pytest.approx(whole.losses, rel=1e-5)
    for name, tensor in weights.items():
        assert torch.allclose(tensor, broken[name], atol=1e-6)
    assert len(said) == 1 and "the result is the same" in said[0]
    assert state.notes == said  # which the report repeats
    assert state.batch_tokens is not None and state.batch_tokens <= 40


def test_checkpointing_changes_no_loss(tmp_path: Path) -> None:
    def losses(checkpointing: bool) -> list[float]:
        base = add_lora(tiny(), 4, 8, 0, checkpointing=checkpointing)
        return train(base, made_up(tiny(), 20), tmp_path / str(checkpointing), "x", **OPTIONS)[0].losses  # type: ignore[arg-type]

    assert losses(True) == pytest.approx(losses(False), rel=1e-5)


def test_a_sequence_that_does_not_fit_alone_is_one_sentence(tmp_path: Path) -> None:
    base = limited(add_lora(tiny(), 4, 8, 0), 3, "forward")
    with pytest.raises(
        ModelError, match=r"does not hold one sequence of \d+ tokens in training; hold the base"
    ):
        train(base, made_up(tiny(), 4), tmp_path, "x", **OPTIONS)  # type: ignore[arg-type]


def test_a_base_in_fewer_bits_is_not_spread() -> None:
    with pytest.raises(ModelError, match=r"held in full, not in nf4; use `--set base\.quantize=none`"):
        load_base("pocket", "nf4", device="cpu", spread=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


TORCHRUN = ("torch.distributed.run", "--nproc-per-node", "{}", "--master-port")
ACCELERATE = ("accelerate.commands.launch", "--use_fsdp", "--fsdp_version", "2", "--num_processes", "{}")


def launched(processes: int, *words: str, cwd: Path = ROOT, by: Sequence[str] = TORCHRUN) -> None:
    """Runs Python words in so many processes, and fails with what they said. One is started as always."""
    head = ["-m", *(word.format(processes) for word in by), str(free_port())] if processes > 1 else []
    env = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", *head, *words],
        cwd=cwd,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.slow
def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """The last step of each epoch has one row: a process without any takes part all the same. With the base
    spread over both, and a kill in the middle, the losses are the same again. Its answers are the leader's,
    whatever the other process would say: both take as many passes."""
    more = {"batch_size": 3, "epochs": 2, "max_steps": None, "eval_every": 2}
    options: dict[str, Any] = {**OPTIONS, **more}
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    folder = tmp_path / "two"
    folder.mkdir()
    launched(2, str(script), str(folder), json.dumps(more))
    state, best = train(
        add_lora(tiny(), 4, 8, 0),
        made_up(tiny(), 7),
        tmp_path / "one",
        "x",
        look=lambda: 0.5,
        **options,
    )
    first, second = (json.loads((folder / f"rank{i}.json").read_text()) for i in (0, 1))
    assert first["world"] == 2 and (first["looks"], second["looks"]) == (3, 0)
    assert first["losses"] == pytest.approx(state.losses, rel=1e-5)
    assert first["losses"] == second["losses"] and first["norm"] == second["norm"]
    assert first["norm"] == pytest.approx(sum(float(w.abs().sum()) for w in best.values()), rel=1e-5)
    for one in (first, second):
        assert one["spread"] == pytest.approx(state.losses, rel=1e-5)
        assert one["moved"] < 1e-6 and one["held"] == 0.5
    assert first["answers"] == second["answers"] and all(first["answers"])
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint.pt", "rank0.json", "rank1.json", "spread"]


def content(path: Path) -> Any:
    """The bytes of a file; of safetensors, which write their metadata in any order, what is in them."""
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with safe_open(path, "pt") as file:
        return file.metadata(), {name: file.get_tensor(name).tolist() for name in file.keys()}


@pytest.mark.slow
def test_the_commands_in_two_processes_make_what_one_makes(tmp_path: Path) -> None:
    """`torchrun -m distill.cli synth` writes the bytes that `distill synth` does; then `accelerate launch
    --use_fsdp -m distill.cli train` has the losses of `distill train`, its files, and an adapter that plain
    PEFT reads and that answers as the other one."""

    def run(folder: Path, *words: str) -> None:
        launched(1, "-m", "distill.cli", *words, cwd=folder)

    (tmp_path / "AGENTS.md").write_text(
        "- amber-heron runs on port 4417.\n- quiet-fox is owned by Maya Lund.\n"
    )
    (tmp_path / "distill.yaml").write_text(
        "version: 1\nout: run\nmemory: {sources: [{format: agents_md, path: AGENTS.md}]}\n"
        "synth: {per_unit: 4, temperature: 1.0, max_new_tokens: 24, replay: 0.3, batch_size: 3}\n"
        "train: {epochs: 2, lr: 4.0e-3, batch_size: 4, eval_every: 2, checkpoint_every: 1}\n"
        "check: {probes_per_unit: 2, min_probes: 4}\n"
    )
    alone = tmp_path.parent / "alone"
    shutil.copytree(tmp_path, alone, dirs_exist_ok=True)
    run(alone, "synth", "distill.yaml")
    launched(2, "-m", "distill.cli", "synth", "distill.yaml", cwd=tmp_path)
    made = [
        {str(p.relative_to(f)): content(p) for p in f.rglob("*") if p.is_file() and p.name not in TIMED}
        for f in (alone, tmp_path)
    ]
    assert made[0] == made[1] and sum(name.endswith(".safetensors") for name in made[0]) > 1
    run(alone, "train", "distill.yaml")
    launched(2, "-m", "distill.cli", "train", "distill.yaml", cwd=tmp_path, by=(*ACCELERATE, PORT))
    one, two = (json.loads((f / "run" / "train" / "curve.json").read_text()) for f in (alone, tmp_path))
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-4)
    assert [step for step, _ in two["looks"]] == [step for step, _ in one["looks"]]
    files = [{str(p.relative_to(f)) for p in f.rglob("*") if p.is_file()} for f in (alone, tmp_path)]
    assert files[0] == files[1]
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    said = []
    for folder in (alone, tmp_path):
        plain = AutoModelForCausalLM.from_pretrained(POCKET, dtype=torch.float32)
        with torch.no_grad():
            said.append(PeftModel.from_pretrained(plain, folder / "run" / "adapter").eval()(ids).logits)
    assert torch.allclose(*said, atol=1e-3)
