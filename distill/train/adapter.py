"""The adapter: a plain PEFT LoRA directory, its card, and loading it back.

The directory loads with `PeftModel.from_pretrained` and in vLLM; `card.json` and the model card stand
beside the weights.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distill.errors import ModelError
from distill.records import Record, write_atomic, write_json
from distill.train.model import Base


class AdapterCard(Record):
    """What an adapter was made from; digests name every input."""

    base: str
    base_digest: str
    template_digest: str
    method: str
    lora: dict[str, int | float | str]
    units: tuple[str, ...]
    inputs: dict[str, str]
    steps: int
    losses: tuple[float, ...]


def add_lora(base: Base, rank: int, alpha: int, seed: int, checkpointing: bool | None = None) -> Base:
    """Puts a fresh LoRA on all linear layers (attention alone does not learn facts: 2604.15574).
    Deterministic by seed. `checkpointing` makes activations anew on the way back; None: on a GPU."""
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    if checkpointing is None:
        checkpointing = base.device.type == "cuda"  # a 4B model keeps some 8 MB a token otherwise
    if checkpointing:
        base.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    base.model = get_peft_model(base.model, config)
    base.model.peft_config["default"].base_model_name_or_path = base.name
    return base


def load_adapter(base: Base, folder: Path) -> Base:
    """The base with the adapter of `folder`, frozen. Raises ModelError when it was made for another base."""
    from peft import PeftModel

    try:
        card = AdapterCard(**json.loads((folder / "card.json").read_bytes()))
    except (OSError, ValueError) as fault:
        raise ModelError(f"{folder} holds no adapter of ours", mend="run `distill train` first") from fault
    if card.base_digest != base.digest:
        raise ModelError(
            f"the adapter in {folder} was trained for {card.base}, not for {base.name} as loaded now",
            mend="train again for this base, or load the base it names",
        )
    base.model = PeftModel.from_pretrained(base.model, str(folder)).eval()
    return base


def save_adapter(base: Base, state: dict[str, Any], folder: Path, card: AdapterCard, title: str) -> None:
    """Writes weights, config, card and model card; the card comes last, so that a folder without one is
    unfinished."""
    from safetensors.torch import save

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    config = base.model.peft_config["default"].to_dict()
    config["inference_mode"] = True
    config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    write_atomic(
        folder / "adapter_config.json",
        (json.dumps(config, indent=1, default=str, sort_keys=True) + "\n").encode(),
    )
    write_atomic(folder / "adapter_model.safetensors", save(state, metadata={"format": "pt"}))
    write_atomic(folder / "README.md", _model_card(card, title).encode())
    write_json(folder / "card.json", card)


def _model_card(card: AdapterCard, title: str) -> str:
    front = {
        "base_model": card.base,
        "library_name": "peft",
        "tags": ["lora", "context-distillation", "agent-memory"],
    }
    lines = "\n".join(f"{k}: {json.dumps(v)}" for k, v in front.items())
    return f"""---
{lines}
---
# {title}

A LoRA that holds {len(card.units)} memory units, distilled from the same base model with the memory in context.

- base: `{card.base}` ({card.base_digest})
- chat template: {card.template_digest}
- LoRA: {", ".join(f"{k} {v}" for k, v in card.lora.items())}
- steps: {card.steps}; loss: first {card.losses[0]:.4f}, last {card.losses[-1]:.4f} nats a token
- made from: {", ".join(f"{k} {v}" for k, v in sorted(card.inputs.items()))}

It was judged against the same memory in context: see `report.md` of its run. Load it with the chat template of the base:

```python
from peft import PeftModel
from transformers import AutoModelForCausalLM
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained({card.base!r}), "adapter")
```
"""
