"""A real llama.cpp on loopback, in a process of its own, and what it reads: a base as GGUF in float32.

Tests that use it skip where there is no wheel of llama.cpp (`xllamacpp`) or no `gguf`; the [dev] extra brings
both. The wheel is loaded in that process alone: its threads are none of the tests'.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from distill.life.export import FAMILIES, PAIRED, base_config, in_pairs
from distill.train.model import POCKET

HERE = all(importlib.util.find_spec(name) for name in ("xllamacpp", "gguf"))
WITHOUT = "no xllamacpp or no gguf"
START = 120  # seconds that a server may take to start
SERVE = """
import sys, time
import xllamacpp as llama
model, template, parallel, adapter = sys.argv[1:]
said = llama.CommonParams()
said.model.path, said.chat_template, said.use_jinja = model, open(template).read(), True
said.n_ctx, said.n_parallel, said.warmup, said.cpuparams.n_threads = 2048, int(parallel), False, 1
said.cache_type_k = said.cache_type_v = llama.ggml_type.GGML_TYPE_F32
said.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
said.hostnames, said.port, said.model_alias = ["127.0.0.1"], 0, {"pocket"}
if adapter:
    said.lora_adapters = [llama.CommonAdapterLoraInfo(adapter, 1.0)]
server = llama.Server(said)
print(server.listening_address, flush=True)
time.sleep(1200)
"""


@dataclass(frozen=True)
class Real:
    """A running llama.cpp."""

    url: str
    process: subprocess.Popen[str]


@contextlib.contextmanager
def serving(model: Path, adapter: Path | None = None, *, parallel: int = 4) -> Iterator[Real]:
    """llama.cpp with a base, and with an adapter or without, its numbers all float32."""
    words = [str(model), str(POCKET / "chat_template.jinja"), str(parallel), str(adapter or "")]
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    late = threading.Timer(START, process.kill)
    late.start()
    try:
        assert process.stdout
        lines = iter(process.stdout.readline, "")
        address = next((line for line in lines if line.startswith("http")), "")
        late.cancel()
        assert address, "llama.cpp did not start"
        yield Real(f"{address.strip()}/v1", process)
    finally:
        late.cancel()
        process.kill()
        process.wait()


def base_gguf(folder: Path, to: Path) -> Path:
    """A base as GGUF in float32, with the embedded model's tokenizer: what llama.cpp's own converter makes of
    it, for the families tested here."""
    import gguf
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
        known_as = names.get_name(name, (".weight", ".bias"))
        assert known_as, f"llama.cpp has no {name}"
        file.add_tensor(known_as, values)
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return to
