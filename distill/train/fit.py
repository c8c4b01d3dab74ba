"""What a training takes in memory, counted from the graph of a model without weights, and what fits a device.

The graph is run on torch's `meta` device with a LoRA on it; what autograd keeps for the way back is counted
at two lengths, with and without checkpointing (saved-tensor hooks), which gives bytes a token. Weights in
fewer bits are counted as bitsandbytes holds them: linear layers in 8 bits, or in 4 with a scale for every 64
values that is itself in 8 bits (Dettmers et al., 2305.14314).

Not covered: kernels' own workspace beyond a share of a tenth, and fragmentation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import AttentionInterface

from distill.train.loop import LOGITS
from distill.train.targets import AT_ONCE, prefix_bytes

MODES = ("none", "int8", "nf4")  # in the order in which they are preferred
BITS = {"int8": 8.0, "nf4": 4.127}  # of a weight of a linear layer
SPARE = 1.1  # what is asked for over what is counted
LEAST = {False: 2048, True: 512}  # tokens below which a pass is not made smaller, by checkpointing
FEWEST = 4  # rows generated at once below which there are never less
LENGTHS = (64, 128)  # tokens at which the graph is counted


@dataclass(frozen=True)
class Choice:
    """What can be changed where memory is short: recipe keys base.quantize, train.checkpointing,
    train.batch_tokens, synth.batch_size."""

    quantize: str
    checkpointing: bool
    batch_tokens: int
    batch_size: int


@dataclass(frozen=True)
class Graph:
    """A model as memory sees it. `saved` is, without and with checkpointing, bytes a token of a pass."""

    linear: int  # weights of linear layers
    other: int
    lora: int
    itemsize: int
    vocabulary: int
    layers: int
    prefix: int  # bytes of keys and values a token
    saved: tuple[float, float]
    layer: float  # bytes a token that one layer keeps: made anew on the way back where it is checkpointed

    def weights(self, quantize: str) -> int:
        bits = BITS.get(quantize, 8 * self.itemsize)
        return round(self.linear * bits / 8 + self.other * self.itemsize)

    def training(self, choice: Choice, step: int | None = None) -> int:
        """Bytes beside the weights: LoRA, its gradient and two moments in fp32, activations, logits. `step`:
        tokens of a whole optimizer step, of which a pass has no more."""
        tokens = min(choice.batch_tokens, step or choice.batch_tokens)
        positions = min(LOGITS, tokens)
        kept = self.activations(choice.checkpointing) * tokens
        return round(16 * self.lora + kept + positions * self.vocabulary * 16)

    def activations(self, checkpointing: bool) -> float:
        """Bytes a token that a pass keeps for the way back."""
        return self.saved[checkpointing] + (self.layer if checkpointing else 0.0)

    def generating(self, prefix: int, rows: int, width: int) -> int:
        """Bytes beside the weights: the shared prefix, each row's own keys and values, logits in fp32."""
        return self.prefix * (prefix + rows * width) + rows * self.vocabulary * 12

    def held(self, prefix: int, offload: bool) -> int:
        """Tokens of a prefix; of one that stays with the host, what the layers are that the device has at
        once."""
        return -(-prefix * min(AT_ONCE, self.layers) // self.layers) if offload else prefix

    def need(self, choice: Choice, prefix: int, width: int, step: int | None = None) -> int:
        """Bytes of the whole run at its worst: training and generating do not meet."""
        worst = max(self.training(choice, step), self.generating(prefix, choice.batch_size, width))
        return round(self.weights(choice.quantize) + SPARE * worst)


def graph_of(config: Any, dtype: torch.dtype, rank: int) -> Graph:
    """Counts the graph of a causal LM of this config. No weight is made."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config, dtype=dtype).requires_grad_(False)
        head = model.get_output_embeddings()
        linear = sum(
            m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head
        )
        everything = sum(p.numel() for p in model.parameters())
        lora = LoraConfig(r=rank, target_modules="all-linear", task_type="CAUSAL_LM")
        model = get_peft_model(model, lora)
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        inner = model.get_base_model()
        inner.train()
        inner.set_attn_implementation("counted")
        plain = _saved(inner)
        inner.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        inner.enable_input_require_grads()
        checked = _saved(inner)
    layers = inner.config.get_text_config().num_hidden_layers
    return Graph(
        linear=linear,
        other=everything - linear,
        lora=trained,
        itemsize=dtype.itemsize,
        vocabulary=inner.config.get_text_config().vocab_size,
        layers=layers,
        prefix=prefix_bytes(inner, 1),
        saved=(plain, checked),
        layer=plain / layers,
    )


class _Kernel(torch.autograd.Function):
    """What a fused attention keeps: its inputs and its output."""

    @staticmethod
    def forward(ctx: Any, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        out = q.new_empty(*q.shape[:-1], v.shape[-1])
        ctx.save_for_backward(q, k, v, out)
        return out


def _attention(
    module: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: Any, **kwargs: Any
) -> tuple[torch.Tensor, None]:
    out: Any = _Kernel.apply(query, key, value)
    return out.transpose(1, 2).contiguous(), None


AttentionInterface.register("counted", _attention)


def _saved(inner: Any) -> float:
    """Bytes a token that autograd keeps in a forward of all layers."""
    few, many = (_kept(inner, n) for n in LENGTHS)
    return (many - few) / (LENGTHS[1] - LENGTHS[0])


def _kept(inner: Any, tokens: int) -> int:
    known = {p.untyped_storage()._cdata for p in inner.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage()._cdata not in known:
            kept[tensor.untyped_storage()._cdata] = tensor  # kept alive: its address is not given again
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        out = inner.model(input_ids=torch.zeros(1, tokens, dtype=torch.long, device="meta"), use_cache=False)
        size = sum(t.untyped_storage().nbytes() for t in kept.values())
    del out
    return size


def choices(wanted: Choice) -> Iterator[Choice]:
    """From what the recipe says to what takes least memory: first smaller passes and checkpointing, which
    change no result, then fewer bits."""
    for quantize in MODES[MODES.index(wanted.quantize) :]:
        for checkpointing in (False, True):
            tokens = wanted.batch_tokens
            while not (wanted.checkpointing and not checkpointing):
                yield replace(wanted, quantize=quantize, checkpointing=checkpointing, batch_tokens=tokens)
                tokens //= 2
                if tokens < LEAST[checkpointing]:
                    break


def fitting(
    graph: Graph, wanted: Choice, left: int, prefix: int, width: int, step: int | None = None
) -> Choice | None:
    """The first choice that fits into `left` bytes; None where none does. Sequences of `width` tokens are
    generated over a shared prefix of `prefix` tokens, fewer at once where that alone does not fit."""
    for choice in choices(wanted):
        while graph.need(choice, prefix, width, step) > left:
            alone = graph.weights(choice.quantize) + SPARE * graph.generating(
                prefix, choice.batch_size, width
            )
            if alone <= left or choice.batch_size // 2 < FEWEST:
                break
            choice = replace(choice, batch_size=choice.batch_size // 2)
        if graph.need(choice, prefix, width, step) <= left:
            return choice
    return None
