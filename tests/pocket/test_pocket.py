"""The embedded base model: what ships, what its world holds, and the parts it is trained with."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import typer

from distill.pocket import turns as T
from distill.pocket import world as W
from distill.pocket.build import AGAIN, encode, new_model, train
from distill.pocket.circuit import shrink, widen
from distill.pocket.evaluate import answerable
from distill.pocket.muon import Muon
from distill.pocket.tokenizer import pieces
from distill.pocket.words import entity, is_heldout
from distill.synth.families import FAMILIES, UNKNOWN
from distill.train.model import POCKET, load_base

SMALL = Path(__file__).parent.parent / "fixtures" / "pocket-small"


def test_what_ships_is_small_and_complete() -> None:
    assert sum(p.stat().st_size for p in POCKET.rglob("*")) < 16 << 20
    assert {"model.safetensors", "tokenizer.json", "config.json", "README.md"} <= {
        p.name for p in POCKET.iterdir()
    }
    assert json.loads((POCKET / "config.json").read_text())["model_type"] == "qwen3"


def test_muon_is_torchs_muon() -> None:
    torch.manual_seed(0)
    start = [torch.randn(16, 16), torch.randn(48, 16), torch.randn(16, 48)]
    ours, theirs = ([torch.nn.Parameter(p.clone()) for p in start] for _ in range(2))
    one = Muon(ours, lr=0.02, momentum=0.95, weight_decay=0.01)
    two = torch.optim.Muon(theirs, lr=0.02, momentum=0.95, weight_decay=0.01, adjust_lr_fn="original")
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape)
            b.grad = a.grad.clone()
        one.step()
        two.step()
    for a, b in zip(ours, theirs, strict=True):  # theirs orthogonalises in bf16
        assert (a - b).abs().max() < 2e-3


def test_a_fresh_model_looks_back_and_finds_where_a_line_goes_on() -> None:
    """The head start, untrained: the first layer attends one, two and three tokens back, and the second finds
    the token after the words of a cloze, a turn's end later."""
    tok = load_base("pocket").tokenizer
    model = new_model(tok)
    model.set_attn_implementation("eager")
    r = random.Random(0)
    found = []
    for _ in range(6):
        memory = W.section(r, 60)
        shown, hidden = next(cut for x in memory.lines if (cut := T.cut(r, x.text)) and len(cut[0]) > 12)
        ids, [(start, *_)] = encode(tok, memory.text, [T.Turn(f"Complete: {shown}", hidden, "cloze")])
        with torch.no_grad():
            first, second, *_ = model(input_ids=torch.tensor([ids]), output_attentions=True).attentions
        for head, back in enumerate((1, 2, 3)):
            seen = first[0, head].argmax(-1)[4:]
            assert (seen == torch.arange(4, len(ids)) - back).float().mean() > 0.99
        found.append(ids[int(second[0, 1, start - 1].argmax())] == ids[start])
    assert sum(found) >= 4


@torch.no_grad()
def test_a_model_with_more_heads_says_what_it_said_before() -> None:
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.manual_seed(0)
    shape: dict[str, Any] = dict(vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            **shape,
            num_attention_heads=4,
            num_key_value_heads=4,
            head_dim=8,
            rope_parameters={"rope_type": "default", "rope_theta": 1e6},
        )
    ).eval()
    wider, ids = widen(model, 6).eval(), torch.randint(0, 64, (2, 12))
    mixed = wider.model.layers[1].self_attn.o_proj.weight[:, 4 * 8 :]
    assert mixed.abs().sum() > 0  # what `mix_heads` adds, and nothing else
    mixed.zero_()
    torch.testing.assert_close(wider(ids).logits, model(ids).logits)


@torch.no_grad()
def test_a_model_that_is_cut_down_keeps_what_is_left_of_it() -> None:
    """With every layer, neuron and token it says what it said before; with fewer it is that much smaller."""
    base = load_base("pocket")
    layers, neurons = len(base.model.model.layers), base.model.config.intermediate_size
    ids = torch.arange(40, 72)[None]
    same = shrink(base.model, range(layers), neurons, [[i] for i in range(len(base.tokenizer))])
    assert torch.allclose(same(ids).logits, base.model(ids).logits, atol=1e-4)
    small = shrink(base.model, range(2), neurons // 2, [[i, i + 1] for i in range(100)])
    assert small.lm_head.weight.shape == (100, base.model.config.hidden_size)
    assert len(small.model.layers) == 2 and small.model.layers[1].mlp.up_proj.out_features == neurons // 2
    embed = base.model.model.embed_tokens.weight
    assert torch.allclose(small.model.embed_tokens.weight[7], (embed[7] + embed[8]) / 2)


def test_another_tokenizers_pieces_are_the_same_bytes() -> None:
    from transformers import AutoTokenizer

    tok = load_base("pocket").tokenizer
    small = AutoTokenizer.from_pretrained(SMALL)
    found = pieces(tok, small)
    assert len(found) == len(small) < len(tok)
    for at in range(0, len(small), 7):
        assert "".join(tok.convert_ids_to_tokens(found[at])) == small.convert_ids_to_tokens(at)


def test_training_never_says_a_heldout_name() -> None:
    r = random.Random(3)
    for _ in range(20):
        memory = W.world(r, 12)
        for line in memory.lines:
            if line.fact:
                relation, name, value = line.fact
                assert not is_heldout(name)
                assert relation.name in W.CLOSED or not is_heldout(value.strip("`"))


def test_evaluation_uses_heldout_names_alone() -> None:
    facts = [line.fact for line in W.fact_lines(random.Random(4), 24, True) if line.fact]
    assert len(facts) == 24
    assert all(is_heldout(name) for _, name, _ in facts)


@pytest.mark.parametrize("seed", range(5))
def test_answers_are_in_the_memory_or_unknown(seed: int) -> None:
    r = random.Random(seed)
    memory = W.world(r, 12)
    flat = memory.text.replace("\n", " ")
    for turn in T.turns(r, memory, 60):
        if turn.skill in ("recall", "reverse", "cloze", "quote"):
            assert turn.answer in flat
        elif turn.skill == "abstain":
            assert turn.answer == UNKNOWN
        elif turn.skill in ("tool", "default"):
            assert set(json.loads(turn.answer)) == {"tool", "input"}


def test_written_questions_are_answerable_by_the_same_tables() -> None:
    r = random.Random(6)
    for line in W.world(r, 30).lines:
        for family in ("recall", "apply", "reverse", "summary"):
            turn = T.write(r, line, family)
            if turn:
                assert turn.question == FAMILIES[family].format(line=line.statement)
                assert answerable(line, turn.answer)
    stranger = W.Line("x", (W.RELATIONS[0], "some-name", "1"))
    assert not answerable(stranger, "Which port does other-name use?")


def test_training_turns_are_what_the_chat_template_makes() -> None:
    base, r = load_base("pocket"), random.Random(8)
    memory = W.world(r, 4)
    turns = T.turns(r, memory, 3)
    ids, spans = encode(base.tokenizer, memory.text, turns)
    messages = [{"role": "system", "content": "Memory:\n" + memory.text}]
    for turn in turns:
        messages += [
            {"role": "user", "content": turn.question},
            {"role": "assistant", "content": turn.answer},
        ]
    assert ids == list(base.tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False))
    for (start, end, _), turn in zip(spans, turns, strict=True):
        assert base.tokenizer.decode(ids[start : end - 1]).strip() == turn.answer


def test_names_are_many() -> None:
    r = random.Random(1)
    assert len({entity(r) for _ in range(2000)}) > 1800


@pytest.mark.slow
def test_a_build_that_was_stopped_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(minutes: float, resume: bool) -> dict[str, Any]:
        train(tmp_path, minutes, 0, 1024, 2, 0.015, 0.004, resume, keep_every=0)
        return json.loads((tmp_path / "training.json").read_text())

    with pytest.raises(typer.BadParameter, match="no checkpoint"):
        build(0.05, resume=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self, **_: None)  # as killed: its checkpoint stays
        first = build(0.05, resume=False)
    second = build(0.1, resume=True)
    assert second["step"] > first["step"] > 0
    assert second["tokens"] > first["tokens"]
    assert load_base(str(tmp_path)).context == 4096
    assert not (tmp_path / "state.pt").exists()
    more = tmp_path / "more"
    train(more, 0.05, 0, 1024, 2, 0.015, 0.004, False, start=tmp_path)
    assert json.loads((more / "training.json").read_text())["level"] >= AGAIN
    assert (more / "tokenizer.json").read_bytes() == (tmp_path / "tokenizer.json").read_bytes()
    with pytest.raises(typer.BadParameter, match="no model in"):
        train(more, 0.05, 0, 1024, 2, 0.015, 0.004, False, start=tmp_path / "nowhere")
