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
from distill.life.export import FAMILIES, PAIRED, base_config, gguf_of, in_pairs
from distill.train.model import POCKET

gguf = pytest.importorskip("gguf")
llama = pytest.importorskip("xllamacpp")


def base_gguf(folder: Path, to: Path) -> Path:
    """A base as GGUF in float32, with the embedded model's tokenizer: what llama.cpp's own converter makes of
    it, for the families tested here."""
    from safetensors.torch import load_file

    config = base_config({"base_model_name_or_path": str(folder)})
    arch = FAMILIES[config.model_type]
    known = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(known[arch], config.num_hidden_layers)
    file = gguf.GGUFWriter(to, arch)
    file.add_block_count(config.num_hidden_layers)
    file.add_context_length(config.max_position_embeddings)
    file.add_embedding_length(config.hidden_size)
    file.add_feed_forward_length(config.intermediate_size)
    file.add_head_count(config.num_attention_heads)
    file.add_head_count_kv(config.num_key_value_heads)
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    file.add_key_length(width)
    file.add_value_length(width)
    file.add_rope_dimension_count(width)
    file.add_layer_norm_rms_eps(config.rms_norm_eps)
    rope = config.rope_parameters
    file.add_rope_freq_base(rope.get("full_attention", rope)["rope_theta"])
    if arch == "gemma3":
        file.add_sliding_window(config.sliding_window)
    file.add_vocab_size(config.vocab_size)
    tokenizer = json.loads((POCKET / "tokenizer.json").read_bytes())
    by_id = {at: token for token, at in tokenizer["model"]["vocab"].items()}
    special = {one["id"] for one in tokenizer["added_tokens"]}
    by_id |= {one["id"]: one["content"] for one in tokenizer["added_tokens"]}
    file.add_tokenizer_model("gpt2")
    file.add_tokenizer_pre("smollm")  # digits one by one, then GPT-2's words: what the embedded model's does
    file.add_token_list([by_id.get(at, f"[unused{at}]") for at in range(config.vocab_size)])
    file.add_token_types([3 if at in special else 1 for at in range(config.vocab_size)])
    file.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    file.add_eos_token_id(4)
    file.add_pad_token_id(0)
    file.add_add_bos_token(False)
    file.add_chat_template((POCKET / "chat_template.jinja").read_text())
    for name, tensor in load_file(folder / "model.safetensors").items():
        values, last = tensor.float().numpy(), name.split(".")[-2]
        if last in PAIRED and arch == "llama":
            values = in_pairs(values, getattr(config, PAIRED[last]))
        if last.endswith("norm") and arch == "gemma3":
            values = values + 1
        file.add_tensor(names.get_name(name, (".weight", ".bias")), values)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return to


class Llama:
    """A real llama.cpp in this process, its numbers all float32, with an adapter or without."""

    def __init__(self, base: Path, adapter: Path | None = None):
        said = llama.CommonParams()
        said.model.path = str(base)
        said.n_ctx, said.n_parallel, said.warmup, said.use_jinja = 1024, 1, False, True
        said.cpuparams.n_threads = 1
        said.cache_type_k = said.cache_type_v = llama.ggml_type.GGML_TYPE_F32
        said.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        if adapter:
            said.lora_adapters = [llama.CommonAdapterLoraInfo(str(adapter), 1.0)]
        self.server = llama.Server(said)

    def greedy(
        self, prompt: Sequence[int], most: int, top: int = 8
    ) -> tuple[list[int], list[dict[int, float]]]:
        """The ids it answers a prompt of ids with, and at each the log-probabilities of the likeliest."""
        asked = {"prompt": list(prompt), "max_tokens": most, "temperature": 0.0, "logprobs": top}
        rows = self.server.handle_completions(asked)["choices"][0]["logprobs"]["content"]
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
    bare, with_adapter = Llama(whole), Llama(whole, file)
    model = PeftModel.from_pretrained(base.model, str(project / "run/adapter")).eval()
    same, moved = 0, 0.0
    for question, ids in zip(questions, asked, strict=True):
        answer, likely = with_adapter.greedy(ids, 24)
        assert apart(model, ids, answer, likely) < 1e-3
        ours = model.generate(input_ids=torch.tensor([ids]), max_new_tokens=24, do_sample=False)
        same += ours[0, len(ids) :].tolist() == answer
        moved = max(moved, apart(model, ids, *bare.greedy(ids, 24)))
        served = httpx2.post(
            f"{with_adapter.server.listening_address}/v1/chat/completions",
            json={"messages": [{"role": "user", "content": question}], "temperature": 0.0, "max_tokens": 24},
            timeout=60,
        ).json()["choices"][0]["message"]["content"]
        assert served.strip() == base.tokenizer.decode(answer, skip_special_tokens=True).strip()
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
    said, likely = Llama(whole, file).greedy(prompt, 12)
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
