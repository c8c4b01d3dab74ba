"""The exported adapter in a real llama.cpp, beside peft: the same probes, and a tiny model of each family."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import torch

from distill.errors import ModelError
from distill.life.export import FAMILIES, base_config, gguf_of
from distill.train.model import POCKET
from tests.llama_cpp import HERE, WITHOUT, Real, base_gguf, serving

gguf = pytest.importorskip("gguf")
pytestmark = pytest.mark.skipif(not HERE, reason=WITHOUT)


def greedy(
    server: Real, prompt: Sequence[int], most: int, top: int = 8
) -> tuple[list[int], list[dict[int, float]]]:
    """The ids it answers a prompt of ids with, and at each the log-probabilities of the likeliest."""
    asked = {"prompt": list(prompt), "max_tokens": most, "temperature": 0.0, "logprobs": top}
    said = httpx2.post(f"{server.url}/completions", json=asked, timeout=60).raise_for_status().json()
    rows = said["choices"][0]["logprobs"]["content"]
    likely = [{one["id"]: one["logprob"] for one in row["top_logprobs"]} for row in rows]
    return [row["id"] for row in rows], likely


@torch.no_grad()
def apart(
    model: Any, prompt: Sequence[int], said: Sequence[int], likely: Sequence[dict[int, float]]
) -> float:
    """The largest difference of a log-probability to what the model holds likely there."""
    ids = torch.tensor([[*prompt, *said]])
    own = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float().log_softmax(-1)
    return max(
        abs(float(own[at, token]) - value) for at, row in enumerate(likely) for token, value in row.items()
    )


def test_llama_cpp_answers_the_probes_as_peft_does(project: Path, command: Callable, tmp_path: Path) -> None:
    from peft import PeftModel

    from distill.train.model import load_base, prompt_ids

    done = command(project, "export", "run", "--to", "gguf")
    assert done.returncode == 0, done.stderr
    file = project / "run/gguf/adapter.gguf"
    assert "--lora run/gguf/adapter.gguf" in done.stdout
    fields = gguf.GGUFReader(file).fields
    said = {key: fields[key].contents() for key in ("general.type", "general.architecture", "adapter.type")}
    assert said == {"general.type": "adapter", "general.architecture": "qwen3", "adapter.type": "lora"}
    base = load_base("pocket")
    questions = [
        json.loads(x)["question"] for x in (project / "run/probes.jsonl").read_text().splitlines()[1:]
    ]
    asked = [prompt_ids(base, question, None) for question in questions]
    whole = base_gguf(POCKET, tmp_path / "base.gguf")
    model = PeftModel.from_pretrained(base.model, str(project / "run/adapter")).eval()
    same, moved = 0, 0.0
    with serving(whole, parallel=1) as bare, serving(whole, file, parallel=1) as with_adapter:
        for question, ids in zip(questions, asked, strict=True):
            answer, likely = greedy(with_adapter, ids, 24)
            assert apart(model, ids, answer, likely) < 1e-3
            ours = model.generate(input_ids=torch.tensor([ids]), max_new_tokens=24, do_sample=False)
            same += ours[0, len(ids) :].tolist() == answer
            moved = max(moved, apart(model, ids, *greedy(bare, ids, 24)))
            said = {"messages": [{"role": "user", "content": question}], "temperature": 0.0, "max_tokens": 24}
            served = httpx2.post(f"{with_adapter.url}/chat/completions", json=said, timeout=60).json()
            text = served["choices"][0]["message"]["content"]
            assert text.strip() == base.tokenizer.decode(answer, skip_special_tokens=True).strip()
    assert same == len(asked) >= 8
    assert moved > 0.5, "the adapter must be what is answered with"


def family(name: str) -> Any:
    """A model that nobody trained, of one family; more queries than keys, so that their order counts."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(
        name, vocab_size=3072, hidden_size=64, intermediate_size=96, num_hidden_layers=6, head_dim=16,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=512, pad_token_id=0,
        eos_token_id=4, bos_token_id=None, tie_word_embeddings=True, initializer_range=0.05,
        sliding_window=16 if "gemma" in name else None, query_pre_attn_scalar=16,
    )  # fmt: skip
    torch.manual_seed(1)
    return AutoModelForCausalLM.from_config(config).eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_answered_as_by_peft(name: str, tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model

    bare = family(name)
    bare.save_pretrained(tmp_path / "base")
    lora = LoraConfig(
        r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    model = get_peft_model(bare, lora).eval()
    model.peft_config["default"].base_model_name_or_path = str(tmp_path / "base")
    model.save_pretrained(str(tmp_path / "adapter"))
    config = json.loads((tmp_path / "adapter/adapter_config.json").read_bytes())
    file = tmp_path / "adapter.gguf"
    file.write_bytes(gguf_of(tmp_path / "adapter", config, base_config(config)))
    whole = base_gguf(tmp_path / "base", tmp_path / "base.gguf")
    prompt = [int(x) for x in np.random.default_rng(2).integers(5, 3072, 40)]
    with serving(whole, file, parallel=1) as server:
        said, likely = greedy(server, prompt, 12)
    assert apart(model, prompt, said, likely) < 1e-3
    with model.disable_adapter():
        assert apart(model, prompt, said, likely) > 0.5


@pytest.mark.parametrize(
    ("changes", "family", "fault"),
    [
        ({"use_dora": True}, "qwen3", "the adapter has use_dora, which llama.cpp's LoRA does not know"),
        ({"rank_pattern": {"q_proj": 4}}, "qwen3", "the adapter has rank_pattern"),
        ({}, "gpt2", "a base of the family gpt2 is not exported as GGUF, only qwen2, qwen3"),
    ],
)
def test_what_llama_cpp_does_not_take_is_not_exported(
    built: Path, changes: dict, family: str, fault: str
) -> None:
    adapter = built / "run/adapter"
    config = json.loads((adapter / "adapter_config.json").read_bytes()) | changes
    base = base_config(config)
    base.model_type = family
    with pytest.raises(ModelError, match=fault):
        gguf_of(adapter, config, base)


def test_an_export_needs_a_run_that_holds(project: Path, command: Callable) -> None:
    done = command(project, "export", "nowhere")
    assert done.returncode == 1 and "nowhere" in done.stderr
    weights = project / "run/adapter/adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    done = command(project, "export", "run")
    assert done.returncode == 3 and "run: is not exported: adapter/adapter_model.safetensors" in done.stderr
    assert not (project / "run/gguf").exists()
