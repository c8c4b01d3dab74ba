"""IFEval's gate in a check of a real run: prompts of our own, the embedded model, its adapter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

pytest.importorskip("if_verifiable")

ASKED = [  # a prompt, an instruction about it, and the same in words of our own
    ("Which port does amber-heron use?", "keywords:existence", {"keywords": ["4417"]}, lambda a: "4417" in a),
    ("Who owns quiet-fox?", "keywords:existence", {"keywords": ["Maya"]}, lambda a: "maya" in a.lower()),
    ("Which port does amber-heron use?\nNo comma.", "punctuation:no_comma", {}, lambda a: "," not in a),
    ("Who owns elm?", "keywords:forbidden_words", {"forbidden_words": ["know"]}, lambda a: "know" not in a),
    (
        "Which port does quiet-fox use? Use more than two words.", "length_constraints:number_words",
        {"num_words": 3, "relation": "at least"}, lambda a: len(a.replace("-", " ").split()) >= 3,
    ),
]  # fmt: skip


def test_what_the_adapter_follows_beside_its_base(project: Path, command: Callable) -> None:
    from peft import PeftModel

    from distill.train.model import load_base, prompt_ids

    rows = [
        {"key": at, "prompt": prompt, "instruction_id_list": [name], "kwargs": [kwargs]}
        for at, (prompt, name, kwargs, _) in enumerate(ASKED)
    ]
    (project / "ifeval.jsonl").write_text("".join(json.dumps(one) + "\n" for one in rows))
    own = ["--set", "check.gates=[]", "--set", "check.ifeval=ifeval.jsonl"]
    done = command(project, "check", "distill.yaml", *own)
    assert done.returncode in (0, 3), done.stderr
    said = {gate["name"]: gate for gate in json.loads((project / "run/report.json").read_text())["gates"]}
    base = load_base("pocket")
    model = PeftModel.from_pretrained(base.model, str(project / "run/adapter")).eval()

    def share() -> float:
        held = []
        for prompt, _, _, holds in ASKED:
            ids = prompt_ids(base, prompt, None)
            out = model.generate(input_ids=torch.tensor([ids]), max_new_tokens=1024, do_sample=False)
            held.append(holds(base.tokenizer.decode(out[0, len(ids) :], skip_special_tokens=True).strip()))
        return sum(held) / len(held)

    after = share()
    with model.disable_adapter():
        before = share()
    gate = said["instructions"]
    assert gate["value"]["value"] == pytest.approx(before - after) and 0 < before < 1
    assert gate["passed"] == (before - after <= 0.05)
    assert gate["words"].startswith(
        f"{after * 100:.0f}% of 5 prompts of IFEval followed, {before * 100:.0f}% by the base"
    )
    for page in ("report.md", "report.html"):
        assert "IFEval" in (project / "run" / page).read_text()
    (project / "ifeval.jsonl").write_text('{"key": 1}\n')
    done = command(project, "check", "distill.yaml", *own)
    assert done.returncode == 1 and "ifeval.jsonl:1: is no prompt of IFEval: prompt: " in done.stderr
    done = command(project, "check", "distill.yaml", "--set", "check.ifeval=nowhere.jsonl")
    assert done.returncode == 1 and "nowhere.jsonl" in done.stderr and "Traceback" not in done.stderr
