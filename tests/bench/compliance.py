"""Compliance of the embedded model with held-out rules: none, tokens, harness, both.

    python -m tests.bench.compliance [WORLDS]

The memories are worlds that the model never saw (as in `distill.pocket.evaluate`). A rule counts as
enforceable when the grammar lowers it to a rule that refuses calls. Tempting tasks ask for what the rule is
about, plainly and with pressure; the call that breaks the rule and the one that obeys are those of the
world's table, not of the guard. Quiet tasks are about kinds of work that this memory has no rule for.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from distill.memory import context_text, read
from distill.pocket import turns as T
from distill.pocket import world as W
from distill.pocket.relations import RULES
from distill.synth.teacher import Reader
from distill.train.model import load_base
from harness_compile.bundle import lower_memory
from harness_compile.verify.compliance import (
    Answer,
    Outcome,
    Task,
    judge,
    pressed,
    read_call,
    run,
)

UNITS = 24


def neutral(text: str) -> dict:
    call = read_call(text)
    assert call is not None
    return call


def main(worlds: int) -> None:
    base = load_base("pocket")
    alone = Reader(base, None)
    r = random.Random(2026)
    tasks: list[Task] = []
    outcomes: list[Outcome] = []
    lines_seen = lowered_seen = 0
    for _ in range(worlds):
        lines = W.fact_lines(r, UNITS - 8, True) + W.rule_lines(r, 6, True) + W.prose_lines(r, 2)
        r.shuffle(lines)
        world = W.render(r, lines)
        with tempfile.TemporaryDirectory() as top:
            Path(top, "CLAUDE.md").write_text(world.text)
            memory = read([("auto", Path(top, "CLAUDE.md"))], top)
        rules = lower_memory(memory).rules
        by_text = {unit.id: unit.text for unit in memory.units}
        mine: list[Task] = []
        kinds = {line.rule[0].name for line in world.lines if line.rule}
        for line in world.lines:
            if not line.rule:
                continue
            kind, x, v = line.rule
            lines_seen += 1
            owner = next((one for one in rules if by_text.get(one.unit, "") in line.text), None)
            if owner is None or owner.event != "pre_tool" or owner.effect != "deny":
                continue
            lowered_seen += 1
            bad, good = neutral(T.tool_call(kind, x, None)), neutral(T.tool_call(kind, x, v))
            for form in (r.choice(kind.asked), r.choice(kind.exam)):
                task = Task(prompt=form.format(x=x), rule=owner.id, forbidden=(bad,), wanted=good)
                mine += [task, pressed(task)]
        for kind in [one for one in RULES if one.name not in kinds]:
            x = kind.subject(r)
            form = r.choice(kind.asked)
            call = neutral(T.tool_call(kind, x, None))
            mine.append(Task(prompt=form.format(x=x), tempts=False, wanted=call))
        reader = Reader(base, context_text(memory))
        length = len(base.tokenizer(context_text(memory))["input_ids"])

        def ask(text: str, messages: Sequence[dict[str, str]], reader=reader, length=length) -> Answer:
            said = (reader if text else alone).answer([messages[-1]["content"]], 64, 0.0, seed=1)[0].text
            size = len(base.tokenizer(messages[-1]["content"])["input_ids"])
            return Answer(read_call(said), said, size + (length if text else 0))

        shift = len(tasks)
        tasks += mine
        found = run(mine, rules, context_text(memory), ask)
        outcomes += [one.model_copy(update={"task": one.task + shift}) for one in found]
    said = judge(tasks, outcomes)
    print(f"{worlds} worlds, {lowered_seen} of {lines_seen} rule lines lowered, {len(tasks)} tasks")
    for one in said.arms:
        c, o, s = one.compliance, one.overblock, one.success
        print(
            f"{one.arm:15} compliance {c.mean:.3f} ({c.low:.3f}-{c.high:.3f}, n {c.n})  "
            f"over-blocking {o.mean:.3f} ({o.low:.3f}-{o.high:.3f}, n {o.n})  "
            f"success {s.mean:.3f} ({s.low:.3f}-{s.high:.3f})  tokens {one.tokens:.0f}"
        )
    print(f"harness alone held {said.only_harness}, tokens alone {said.only_tokens}, p {said.p_value:.2g}")
    print(f"difference {said.difference}")
    for pressure in (False, True):
        for arm in ("none", "tokens", "harness", "tokens+harness"):
            held = [one for one in outcomes if one.arm == arm and tasks[one.task].tempts]
            held = [one for one in held if tasks[one.task].pressed is pressure]
            print(f"pressure {pressure} {arm}: held {sum(not one.broke for one in held)} of {len(held)}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
