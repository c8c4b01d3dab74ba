"""Where adapters go: merged, and served."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from distill.life.merge import Switched
from distill.life.serving import served


def test_merged_answers_are_the_adapters(project: Path, command: Callable) -> None:
    done = command(project, "merge", "run")
    assert done.returncode in (0, 3), done.stderr
    place = project / "run/merged"
    assert (place / "model.safetensors").is_file() and (place / "tokenizer.json").is_file()
    assert "merged model: run/merged" in done.stdout
    alone = (project / "run/scores.jsonl").read_text().splitlines()[1:]
    merged = (place / "judged/scores.jsonl").read_text().splitlines()[1:]
    assert len(alone) == len(merged) > 0
    same = sum(a == b for a, b in zip(alone, merged, strict=True))
    assert same >= 0.9 * len(alone), "rounding may turn an answer, not many"
    before, after = (json.loads((p / "report.json").read_text()) for p in (project / "run", place / "judged"))
    assert {gate["name"] for gate in before["gates"]} == {gate["name"] for gate in after["gates"]}
    from transformers import AutoModelForCausalLM

    from distill.train.model import load_base

    model = AutoModelForCausalLM.from_pretrained(place)
    weights = dict(load_base("pocket").model.named_parameters())
    moved = [name for name, value in model.named_parameters() if not torch.equal(value, weights[name])]
    assert any("q_proj" in name for name in moved) and not any("embed" in name for name in moved)


def test_a_switched_model_is_the_base_where_the_adapter_is_off() -> None:
    model = Switched(lambda x: ("base", x), lambda x: ("merged", x))
    assert model(1) == ("merged", 1)
    with model.disable_adapter():
        assert model(2) == ("base", 2)
        with model.disable_adapter():
            assert model(3) == ("base", 3)
        assert model(4) == ("base", 4)
    assert model(5) == ("merged", 5)


def test_a_stale_adapter_is_not_merged(project: Path, command: Callable) -> None:
    text = (project / "AGENTS.md").read_text()
    (project / "AGENTS.md").write_text(text.replace("4417", "4418"))
    done = command(project, "merge", "run")
    assert done.returncode == 1 and "AGENTS.md changed since" in done.stderr
    for stage in ("read", "plan"):
        assert command(project, stage, "distill.yaml").returncode == 0
    done = command(project, "merge", "run")
    assert done.returncode == 1 and "run/adapter: is stale: memory, plan changed" in done.stderr
    assert not (project / "run/merged").exists()


def test_merge_without_an_adapter_is_one_sentence(tmp_path: Path, command: Callable) -> None:
    done = command(tmp_path, "merge", "nowhere")
    assert done.returncode == 1 and "is no run directory" in done.stderr


def config(adapter: Path, **changes: object) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, None),
        ({"r": 1024}, "rank 1024 is more than the 512 that vLLM takes"),
        ({"use_dora": True}, "use_dora is True"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save is"),
        ({"bias": "all"}, "bias is 'all'"),
        ({"use_rslora": True}, "use_rslora is not read by SGLang"),
        ({"layer_replication": [[0, 2]]}, "layer_replication is not read by either"),
        ({"target_modules": "all-linear"}, "not a list of names"),
        ({"target_modules": ["q_proj", "mystery"]}, "SGLang does not know the modules mystery"),
        ({"rank_pattern": {"q_proj": 4}}, "ranks or scales differ"),
        ({"peft_type": "IA3"}, "peft_type is IA3"),
        ({"r": 8}, "has another rank than 8"),
    ],
)
def test_what_servers_do_not_take_is_said(project: Path, changes: dict, fault: str | None) -> None:
    adapter = project / "run/adapter"
    config(adapter, **changes)
    found = served(adapter)
    assert (not found.faults) if fault is None else any(fault in said for said in found.faults), found
    if fault is None:
        vllm, sglang = found.commands
        assert "--max-lora-rank 16" in vllm and "--max-lora-rank 16" in sglang
        assert "down_proj gate_proj k_proj o_proj q_proj up_proj v_proj" in sglang


def test_plain_peft_and_plain_transformers_answer_as_the_run_did(project: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from distill.train.model import POCKET

    adapter = project / "run/adapter"
    base = AutoModelForCausalLM.from_pretrained(POCKET, dtype=torch.float32)
    plain = PeftModel.from_pretrained(base, str(adapter)).eval()
    config(adapter, base_model_name_or_path=str(POCKET))  # a hub id needs no such help
    alone = AutoModelForCausalLM.from_pretrained(adapter, dtype=torch.float32).eval()
    both: list[Any] = [plain, alone]
    tokenizer = AutoTokenizer.from_pretrained(POCKET)
    probes = {
        p["id"]: p for p in map(json.loads, (project / "run/probes.jsonl").read_text().splitlines()[1:])
    }
    rows = [json.loads(line) for line in (project / "run/scores.jsonl").read_text().splitlines()[1:]]
    said = {row["probe"]: row["detail"] for row in rows if row["arm"] == "weights"}
    assert said
    for probe, answer in said.items():
        asked = [{"role": "user", "content": probes[probe]["question"]}]
        ids = tokenizer.apply_chat_template(
            asked, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )["input_ids"]
        for model in both:
            out = model.generate(input_ids=ids, max_new_tokens=24, do_sample=False)[0, ids.shape[1] :]
            assert tokenizer.decode(out, skip_special_tokens=True).strip() == answer.strip()
