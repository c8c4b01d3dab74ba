"""Where adapters go: merged, served, and carried over to a base of another shape with another tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from distill.errors import UsageError
from distill.life.manifest import rows_of
from distill.life.merge import Switched
from distill.life.port import carried
from distill.life.serving import served
from distill.records import digest_file


@pytest.fixture(scope="module")
def other_base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model nobody trained: half as wide as the pocket model, and with a tokenizer of its own."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from distill.pocket.tokenizer import train_tokenizer

    tokenizer = train_tokenizer(seed=5, size=700, samples=60)
    torch.manual_seed(3)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, head_dim=16,
            num_attention_heads=2, num_key_value_heads=1, max_position_embeddings=4096, pad_token_id=0,
            eos_token_id=4, bos_token_id=None, tie_word_embeddings=True,
        )
    )  # fmt: skip
    place = tmp_path_factory.mktemp("base") / "other"
    model.save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


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


def test_a_port_keeps_the_questions_and_nothing_that_the_old_base_said(
    project: Path, other_base: Path, command: Callable
) -> None:
    old = project / "run"
    before = digest_file(old / "report.json")
    done = command(project, "port", "run", "--to", str(other_base), "--out", "ported")
    if done.returncode == 1:  # a model that nobody trained may answer nothing that passes
        assert "the self-study kept no sample" in done.stderr
    new = project / "ported"
    ours = [json.loads(x) for x in (old / "probes.jsonl").read_text().splitlines()]
    theirs = [json.loads(x) for x in (new / "probes.jsonl").read_text().splitlines()]
    assert ours[1:] == theirs[1:] and ours[0] != theirs[0]
    assert (new / "plan.jsonl").read_bytes() == (old / "plan.jsonl").read_bytes()
    assert digest_file(old / "report.json") == before, "the old run stays as it is"
    if done.returncode != 1:
        assert {r["question"] for r in rows_of(new)} <= {r["question"] for r in rows_of(old)}
        assert {r["teacher"] for r in rows_of(new)} == {str(other_base)}
        text = (new / "port.md").read_text()
        assert "| weights |" in text and "| retention |" in text
        assert command(project, "verify", "ported").returncode == 0


def test_a_port_to_a_base_that_knows_more(project: Path, command: Callable, tmp_path: Path) -> None:
    """The pocket model under another name: what it answers as its own successor is kept, row for row."""
    import shutil

    from distill.train.model import POCKET

    shutil.copytree(POCKET, tmp_path / "successor")
    done = command(project, "port", "run", "--to", str(tmp_path / "successor"), "--out", "ported")
    assert done.returncode in (0, 3), done.stderr
    old, new = rows_of(project / "run"), rows_of(project / "ported")
    assert [(r["question"], r["answer"]) for r in old] == [(r["question"], r["answer"]) for r in new]
    assert {r["teacher"] for r in new} == {str(tmp_path / "successor")}
    assert f"# From pocket to {tmp_path / 'successor'}" in (project / "ported/port.md").read_text()
    assert command(project, "verify", "ported").returncode == 0


def test_a_port_goes_to_another_base_and_another_place(built: Path) -> None:
    with pytest.raises(UsageError, match="is of pocket already"):
        carried(built / "run", "pocket", built / "ported")
    with pytest.raises(UsageError, match="would overwrite the run"):
        carried(built / "run", "another", built / "run")


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


def test_the_adapter_loads_in_plain_peft(built: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from distill.train.model import POCKET

    base = AutoModelForCausalLM.from_pretrained(POCKET)
    model = PeftModel.from_pretrained(base, str(built / "run/adapter"))
    assert model.peft_config["default"].r == 16  # type: ignore[union-attr]
