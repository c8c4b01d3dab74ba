"""The pocket tokenizer: byte-level BPE trained on the world, with a chat template.

Every turn begins with a space (`<|user|> Which …`), so that a word has the same tokens inside a memory and
at the start of
an answer: quoting is then copying of tokens. Digits are single tokens, so numbers copy digit by digit.
"""

from __future__ import annotations

import random
from typing import Any

from distill.pocket import turns as T
from distill.pocket import world as W
from distill.synth.families import MEMORY

PAD, SYSTEM, USER, ASSISTANT, END = "<|pad|>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL = [PAD, SYSTEM, USER, ASSISTANT, END]
CHAT_TEMPLATE = (
    "{% for m in messages %}"
    "{% if m['role'] == 'system' %}{{ '<|system|>\n' + m['content'] + '<|end|>' }}"
    "{% elif m['role'] == 'user' %}{{ '<|user|> ' + m['content'] + '<|end|>' }}"
    "{% else %}{{ '<|assistant|> ' + m['content'] + '<|end|>' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)


def pieces(old: Any, new: Any) -> list[list[int]]:
    """For each token of `new`, in the order of its ids, the ids that `old` has for the same bytes."""
    known, bpe = old.get_vocab(), old.backend_tokenizer.model
    tokens = new.convert_ids_to_tokens(list(range(len(new))))
    return [[known[t]] if t in known else [piece.id for piece in bpe.tokenize(t)] for t in tokens]


def train_tokenizer(seed: int = 0, size: int = 3072, samples: int = 3000) -> Any:
    """A PreTrainedTokenizerFast of `size` entries, trained on `samples` generated memories and
    conversations."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    bpe.decoder = decoders.ByteLevel()
    r = random.Random(seed)

    def texts() -> Any:
        for i in range(samples):
            w = W.section(r, 120) if i % 3 == 0 else W.world(r, 12)
            yield "\n" + MEMORY.format(memory=w.text)
            for t in T.turns(r, w, 8):
                yield f" {t.question}"
                yield f" {t.answer}"
        for sentence in W.reference_sentences():
            yield " " + sentence

    bpe.train_from_iterator(
        texts(),
        trainers.BpeTrainer(
            vocab_size=size,
            special_tokens=SPECIAL,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tok = PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=END, clean_up_tokenization_spaces=False
    )
    tok.chat_template = CHAT_TEMPLATE
    return tok
