"""Whether servers load an adapter directory, by the limits that they document.

vLLM (docs, LoRA adapters; `vllm/lora/peft_helper.py` and `vllm/config/lora.py`): LoRA without DoRA, bias or
modules kept whole, a rank up to `--max-lora-rank`, which is one of a few numbers. SGLang (docs, LoRA serving;
`srt/lora/lora_config.py`): the target modules are among those it names, `--max-lora-rank` holds the rank, and
alpha over rank is the scale. Read on 30 November 2026. Nothing is started here; that their versions of today
load it is not shown by it. llama.cpp is: `export.py`.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distill.errors import RecordError

POCKET = Path(__file__).parent.parent / "pocket" / "weights"  # what servers call it
RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)  # of vLLM's --max-lora-rank
MODULES = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
TENSOR = re.compile(r"base_model\.model\.(?:model|language_model)\.[\w.]+\.lora_[AB]\.weight")


@dataclass(frozen=True)
class Served:
    """What stands in the way of serving, none if nothing does, and the commands that serve it."""

    faults: tuple[str, ...]
    commands: tuple[str, ...]


def served(adapter: Path, name: str = "memory") -> Served:
    """Judges an adapter directory. Raises RecordError where it is none."""
    from safetensors import SafetensorError, safe_open

    try:
        config = json.loads((adapter / "adapter_config.json").read_bytes())
        with safe_open(adapter / "adapter_model.safetensors", "np") as file:  # type: ignore[no-untyped-call]
            shapes = {key: file.get_slice(key).get_shape() for key in file.keys()}
    except (OSError, ValueError, SafetensorError) as fault:
        raise RecordError(
            "is no adapter directory", file=adapter, mend="run `distill train` again"
        ) from fault
    faults = tuple(_faults(config, shapes))
    rank = next((r for r in RANKS if r >= config.get("r", 0)), RANKS[-1])
    base = str(config.get("base_model_name_or_path"))
    base = shlex.quote(str(POCKET) if base == "pocket" else base)
    where = shlex.quote(f"{name}={adapter}")
    return Served(
        faults,
        (
            f"vllm serve {base} --enable-lora --max-lora-rank {rank} --lora-modules {where}",
            f"python -m sglang.launch_server --model-path {base} --enable-lora --max-lora-rank {rank} "
            f"--lora-target-modules {' '.join(sorted(config.get('target_modules') or ()))} "
            f"--lora-paths {where}",
        ),
    )


def _faults(config: dict[str, Any], shapes: dict[str, list[int]]) -> list[str]:
    rank, found = config.get("r", 0), []
    if config.get("peft_type") != "LORA":
        found.append(f"peft_type is {config.get('peft_type')}, not LORA")
    if rank > RANKS[-1]:
        found.append(f"rank {rank} is more than the {RANKS[-1]} that vLLM takes")
    found += [
        f"{key} is {config[key]!r}, which vLLM refuses"
        for key in ("modules_to_save", "use_dora")
        if config.get(key)
    ]
    if config.get("layer_replication"):
        found.append("layer_replication is not read by either: layers would be missing")
    if config.get("use_rslora"):
        found.append("use_rslora is not read by SGLang, which would scale by alpha over rank")
    if config.get("bias", "none") != "none":
        found.append(f"bias is {config['bias']!r}, which vLLM refuses")
    ranks = {**(config.get("rank_pattern") or {}), **(config.get("alpha_pattern") or {})}
    if ranks:
        found.append("ranks or scales differ between modules, which neither reads")
    targets = config.get("target_modules")
    if not isinstance(targets, list):
        found.append(f"target_modules is {targets!r}, not a list of names")
    elif strange := sorted(set(targets) - set(MODULES)):
        found.append(f"SGLang does not know the modules {', '.join(strange)}")
    odd = [key for key in shapes if not TENSOR.fullmatch(key)]
    if odd:
        found.append(f"{len(odd)} tensors have names that vLLM cannot read, {odd[0]} for one")
    other = [k for k, shape in shapes.items() if shape[0 if ".lora_A." in k else -1] != rank]
    if other:
        found.append(f"{other[0]} has another rank than {rank}")
    return found
