"""The base model: loading it, its digests, and turning a question into token ids in exactly one way.

Covers local directories, hub ids and `pocket`; nf4 and int8 through bitsandbytes. Not covered: adapters
(`adapter.py`),
generation (`synth/teacher.py`).
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging as python_logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from distill.errors import ModelError
from distill.records import digest
from distill.synth.families import MEMORY
from distill.train.ranks import local_device

POCKET = Path(__file__).parent.parent / "pocket" / "weights"


@dataclass
class Base:
    """A loaded base model. `context` is the number of tokens it can read; `model` may become a PeftModel.
    `offload`: the keys and values of a memory stay with the host. `spread`: the device of this process, where
    its layers will be spread over those of several; until then it is with the host."""

    name: str
    model: Any
    tokenizer: Any
    digest: str
    template_digest: str
    context: int
    quantize: str = "none"
    offload: bool = False
    spread: torch.device | None = None

    @property
    def device(self) -> torch.device:
        return self.spread or next(self.model.parameters()).device

    @property
    def pad(self) -> int:
        tok = self.tokenizer
        return tok.pad_token_id if tok.pad_token_id is not None else tok.eos_token_id

    @property
    def stops(self) -> set[int]:
        """Token ids that end an answer: the tokenizer's and the generation config's."""
        configured = getattr(self.model.generation_config, "eos_token_id", None)
        ids = configured if isinstance(configured, list) else [configured]
        return {i for i in [*ids, self.tokenizer.eos_token_id] if i is not None}

    def answer_ids(self, text: str) -> list[int]:
        """Ids of an answer that came as text, with the end token: what the template puts after the
        generation prompt."""
        turn = [{"role": "user", "content": "a"}]
        render = self.tokenizer.apply_chat_template
        head = render(turn, add_generation_prompt=True, tokenize=False, enable_thinking=False)
        whole = render(
            [*turn, {"role": "assistant", "content": text.strip()}], tokenize=False, enable_thinking=False
        )
        rest = whole[len(head) :] if whole.startswith(head) else text.strip() + self.tokenizer.eos_token
        ids = self.tokenizer(rest, add_special_tokens=False)["input_ids"]
        ends = [i for i, token in enumerate(ids) if token in self.stops]
        return list(ids[: ends[0] + 1] if ends else [*ids, self.tokenizer.eos_token_id])


def _folder_digest(folder: Path) -> str:
    """Names, sizes and content of config and tokenizer files; of weight files the first and last 4 MiB
    each."""
    total = hashlib.sha256()
    for path in sorted(folder.glob("*")):
        if (
            path.suffix not in (".json", ".jinja", ".model", ".txt", ".safetensors", ".bin")
            or path.name == "training.json"
        ):
            continue
        total.update(f"{path.name} {path.stat().st_size}\n".encode())
        with open(path, "rb") as file:
            total.update(file.read(4 << 20))
            if path.stat().st_size > 8 << 20:
                file.seek(-(4 << 20), 2)
                total.update(file.read())
    return "sha256:" + total.hexdigest()


def pick_device(device: str) -> str:
    if device != "auto":
        if device.startswith("cuda") and not torch.cuda.is_available():
            raise ModelError(
                f"base.device is {device}, but torch finds no GPU", mend="use `--set base.device=auto`"
            )
        return local_device(device)
    return local_device("cuda") if torch.cuda.is_available() else "cpu"


def number_of(dtype: str, device: torch.device) -> torch.dtype:
    """The number type that a recipe's word means on a device."""
    auto = torch.bfloat16 if device.type == "cuda" else torch.float32
    return auto if dtype == "auto" else getattr(torch, dtype)


def config_of(name: str, fault: object) -> Any:
    """The config of a model, whether or not its weights are here. Raises `fault`, or a ModelError that says
    it, where there is not even that."""
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(str(POCKET) if name == "pocket" else name)
    except Exception as other:  # the hub, the file system and the config parser each have their own classes
        if isinstance(fault, ModelError):
            raise fault from other
        raise ModelError(f"the config of '{name}' cannot be read: {fault}") from other


def load_base(
    model: str,
    quantize: str = "none",
    dtype: str = "auto",
    device: str = "auto",
    offload: bool = False,
    spread: bool = False,
) -> Base:
    """Loads a causal LM and its tokenizer, frozen and in eval mode; what `offload` and `spread` mean is said
    at `Base`.

    Raises:
        ModelError: the model is not there, cannot be reached, is no causal LM, or has no chat template; or it
        is to be spread in fewer bits.
    """
    if spread and quantize != "none":
        raise ModelError(
            f"train.shard spreads a base that is held in full, not in {quantize}",
            mend="use `--set base.quantize=none`, or leave out train.shard (and `--use_fsdp`)",
        )
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    python_logging.getLogger("bitsandbytes").setLevel(python_logging.ERROR)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    where = str(POCKET) if model == "pocket" else model
    target = pick_device(device)
    number = number_of(dtype, torch.device(target))
    # `accelerate launch --use_fsdp` has all processes but one load zeros, for its own FSDP to fill
    os.environ.pop("FSDP_CPU_RAM_EFFICIENT_LOADING", None)
    options: dict[str, Any] = {"dtype": number}
    if quantize != "none":
        from transformers import BitsAndBytesConfig

        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=quantize == "nf4",
            load_in_8bit=quantize == "int8",
            bnb_4bit_quant_type="nf4",
            bnb_4bit_compute_dtype=number,
            bnb_4bit_use_double_quant=True,
        )
        options["device_map"] = {"": target}
    try:
        AutoConfig.from_pretrained(where)  # the tokenizer's class would ask an absent hub twice
        tokenizer = AutoTokenizer.from_pretrained(where)
        loaded: Any = AutoModelForCausalLM.from_pretrained(where, **options)
    except Exception as fault:  # the hub, the file system and the config parser each have their own classes
        if isinstance(fault, (KeyboardInterrupt, torch.cuda.OutOfMemoryError)):
            raise
        reason = str(fault).strip().splitlines()[0][:200] if str(fault).strip() else type(fault).__name__
        raise ModelError(
            f"base model '{model}' cannot be loaded: {reason}",
            mend="give a model directory, a hub id that this machine can reach, or `--set base.model=pocket`",
        ) from fault
    config = loaded.config.get_text_config()
    if (
        getattr(config, "final_logit_softcapping", None)
        or getattr(config, "logits_scaling", None) not in (None, 1)
        or getattr(config, "logit_scale", None) not in (None, 1)
    ):
        raise ModelError(
            f"base model '{model}' rescales its logits, which the training here does not do",
            mend="take a base of another family, Qwen3 for instance",
        )
    if not tokenizer.chat_template:
        raise ModelError(
            f"base model '{model}' has no chat template", mend="use its instruct or chat variant"
        )
    if quantize == "none" and not spread:
        loaded.to(target)
    if target == "cpu":
        _mend_four_bits(loaded)
    loaded.eval().requires_grad_(False)
    folder = Path(where)
    weights = (
        _folder_digest(folder)
        if folder.is_dir()
        else digest(json.dumps([where, getattr(loaded.config, "_commit_hash", None)]))
    )
    context = getattr(loaded.config.get_text_config(), "max_position_embeddings", 1 << 20)
    return Base(
        model,
        loaded,
        tokenizer,
        weights,
        digest(tokenizer.chat_template),
        context,
        quantize,
        offload,
        torch.device(target) if spread else None,
    )


def _mend_four_bits(model: Any) -> None:
    """bitsandbytes 0.50 on a processor: its repacking for AVX512-BF16 at the first forward can't be trained
    through, and its kernel reads weights wrongly whose rows do not end with a block; flat they are right."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        if state is not None and state.shape[-1] % state.blocksize:
            module.forward = functools.partial(_flat_forward, module, tuple(state.shape))
            state.shape = torch.Size([1, state.shape.numel()])


def _flat_forward(module: Any, shape: tuple[int, ...], x: torch.Tensor) -> torch.Tensor:
    from bitsandbytes.functional import dequantize_4bit

    weight = dequantize_4bit(module.weight.data, module.weight.quant_state).view(shape)
    return torch.nn.functional.linear(x, weight.to(x.dtype), module.bias)


def prompt_text(base: Base, question: str, memory: str | None) -> str:
    """One user turn as the chat template writes it, up to where the answer begins; with `memory` in the
    system turn, or without one.

    The template is rendered once, here, for teacher, student and every arm. Thinking is switched off where a
    template knows the word.
    """
    messages = [{"role": "user", "content": question}]
    if memory is not None:
        messages.insert(0, {"role": "system", "content": MEMORY.format(memory=memory)})
    return base.tokenizer.apply_chat_template(
        messages, add_generation_prompt=True, tokenize=False, enable_thinking=False
    )


def prompt_ids(base: Base, question: str, memory: str | None) -> list[int]:
    """Token ids of `prompt_text`."""
    return list(base.tokenizer(prompt_text(base, question, memory), add_special_tokens=False)["input_ids"])


class Prompts:
    """The token ids of many questions over one memory, which is tokenised once.

    No token reaches across a special token, so what stands before the last one that all prompts share has
    the same ids in each.
    """

    def __init__(self, base: Base, memory: str | None):
        self.base, self.memory = base, memory
        one, other = (prompt_text(base, q, memory) for q in ("Which?", "a 1"))
        shared = one[: next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)]
        marks = [shared.rfind(mark) for mark in base.tokenizer.all_special_tokens]
        self.head = shared[: max([0, *marks])] if memory is not None else ""
        self.ids = base.tokenizer(self.head, add_special_tokens=False)["input_ids"] if self.head else []
        if self("a 1") != prompt_ids(base, "a 1", memory):  # a special token that takes the blanks beside it
            self.head, self.ids = "", []

    def __call__(self, question: str) -> list[int]:
        text = prompt_text(self.base, question, self.memory)
        if not text.startswith(self.head):
            return prompt_ids(self.base, question, self.memory)
        rest = self.base.tokenizer(text[len(self.head) :], add_special_tokens=False)["input_ids"]
        return [*self.ids, *rest]


def check_context(base: Base, memory: str, room: int) -> int:
    """Tokens of the memory in the system turn. Raises ModelError when memory and `room` do not fit: nothing
    is ever cut."""
    used = len(prompt_ids(base, "", memory))
    if used + room > base.context:
        raise ModelError(
            f"the memory takes {used:,} tokens and {room:,} more are needed, "
            f"but {base.name} reads {base.context:,}",
            mend="give fewer `memory.sources`, route units to tokens by `route.overrides`, "
            "or take a base with a longer context",
        )
    return used
