"""An adapter as a GGUF file, which llama.cpp loads beside a GGUF of the base: `llama-server --lora`.

Tensor names and the file's layout are the `gguf` package's. Covered are the families whose linear layers
llama.cpp holds as transformers does, or, for Llama and Mistral, with the rows of queries and keys in another
order; each was answered by llama.cpp as by peft (`tests/life/test_gguf.py`). Not covered: the base
(llama.cpp's own `convert_hf_to_gguf.py` writes it), mixtures of experts, what llama.cpp's LoRA has no place
for.
"""

from __future__ import annotations

import json
import shlex
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from distill.errors import CheckError, DistillError, ModelError
from distill.life.verify import verify
from distill.records import write_atomic

FAMILIES = {  # transformers' model_type: llama.cpp's architecture
    "qwen2": "qwen2",
    "qwen3": "qwen3",
    "llama": "llama",
    "mistral": "llama",
    "gemma3_text": "gemma3",
}
PAIRED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}  # reordered where it is llama
REFUSED = ("use_dora", "use_rslora", "modules_to_save", "rank_pattern", "alpha_pattern", "lora_bias")
LORA = "base_model.model."


def export(run: Path, place: Path) -> tuple[str, ...]:
    """Writes the adapter of a run to `place`, as GGUF in float32; returns the commands that use it.

    Raises CheckError where the run's provenance is broken, StaleError where it has none, ModelError for a
    base or an adapter that llama.cpp does not take, DistillError without the `gguf` package.
    """
    broken = verify(run)[-1]
    if broken.fault:
        raise CheckError(f"is not exported: {broken.fault}", file=run, mend="run `distill run` again")
    adapter = run / "adapter"
    config = json.loads((adapter / "adapter_config.json").read_bytes())
    write_atomic(place, gguf_of(adapter, config, base_config(config)))
    base = Path(str(config["base_model_name_or_path"])).name
    return (
        f"python convert_hf_to_gguf.py BASE_DIRECTORY --outfile {base}.gguf  # of llama.cpp; once",
        f"llama-server -m {base}.gguf --lora {shlex.quote(str(place))}",
    )


def base_config(config: dict[str, Any]) -> Any:
    """The config of an adapter's base. Raises ModelError where it cannot be read."""
    from distill.train.model import config_of

    return config_of(str(config["base_model_name_or_path"]), "it is neither here nor to be reached")


def gguf_of(adapter: Path, config: dict[str, Any], base: Any) -> bytes:
    """The bytes of the file. `config` is the adapter's, `base` the config of its base."""
    try:
        import gguf
    except ImportError as fault:
        raise DistillError("gguf is not installed", mend="pip install 'memory-distill[gguf]'") from fault
    from safetensors.torch import load_file

    if base.model_type not in FAMILIES:
        raise ModelError(
            f"a base of the family {base.model_type} is not exported as GGUF, only {', '.join(FAMILIES)}",
            mend="`distill merge` writes a whole model, which llama.cpp's own converter may take",
        )
    if odd := [key for key in REFUSED if config.get(key)]:
        raise ModelError(f"the adapter has {', '.join(odd)}, which llama.cpp's LoRA does not know")
    arch = FAMILIES[base.model_type]
    known = {name: kind for kind, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(known[arch], base.num_hidden_layers)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "adapter.gguf"
        writer = gguf.GGUFWriter(path, arch)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
        writer.add_base_model_count(1)
        writer.add_base_model_name(0, str(config["base_model_name_or_path"]))
        for name, tensor in sorted(load_file(adapter / "adapter_model.safetensors").items()):
            module, _, which = name.removeprefix(LORA).removesuffix(".weight").rpartition(".lora_")
            found = names.get_name(module)
            if not found or which not in ("A", "B"):
                raise ModelError(f"llama.cpp has no place for the adapter's tensor {name}")
            heads = PAIRED.get(module.rpartition(".")[2]) if arch == "llama" and which == "B" else None
            values = tensor.float().numpy()
            writer.add_tensor(
                f"{found}.weight.lora_{which.lower()}",
                in_pairs(values, getattr(base, heads)) if heads else values,
            )
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path.read_bytes()


def in_pairs(rows: np.ndarray, heads: int) -> np.ndarray:
    """Rows of queries or keys (heads x width, any) as llama.cpp's Llama holds them: the two values that
    rotate together stand side by side, where transformers has them half a head apart."""
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, rows.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(rows.shape))
