"""What gates are about and no probe shows: unrelated prompts, what the memory does not say, near misses and
stale facts. Measured with the model, kept in `gates.json`, set against thresholds in `gates.py`.

Not covered: capability suites for large bases.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from distill.check.beside import gates
from distill.check.beside import ifeval as following
from distill.check.beside.forgetting import forgetting
from distill.check.beside.ifeval import Followed
from distill.check.beside.likelihood import divergence, log_probabilities
from distill.check.beside.locality import Missed, NearMiss, missed, near_misses
from distill.check.beside.stale import (
    Changed,
    changes,
    earlier,
    in_history,
    preferred,
    prefers_old,
    remember,
    stale,
)
from distill.check.probes import Probe
from distill.check.scorers import abstains
from distill.records import Header, MemoryUnit, Record, digest, digest_file, digest_of, write_json
from distill.report.model import Forgetting, Gate
from distill.stage import fresh
from distill.synth.families import FAMILIES
from distill.synth.filter import normal
from distill.synth.teacher import Reader

if TYPE_CHECKING:
    from distill.work import Tell, Work

GENERIC = 64  # prompts of each kind
NEAR = 96  # near misses


class Measured(Record):
    """All that was measured beside the probes; what was not asked for is empty or None. `stale` is by digest
    of the old unit's id; of the `changed` units, `in_git` are known from its history alone.
    """

    forgetting: Forgetting | None = None
    divergence: tuple[float, ...] = ()
    near: tuple[NearMiss, ...] = ()
    missed: tuple[Missed | None, ...] = ()
    stale: dict[str, tuple[bool, bool]] | None = None
    changed: int = 0
    in_git: int = 0
    ifeval: tuple[tuple[Followed, Followed], ...] = ()


def measure(
    work: Work,
    asked: Sequence[str],
    by_arm: Mapping[str, Reader],
    probes: Sequence[Probe],
    *,
    wanted: Sequence[str],
    before: Path | None,
    root: Path | None,
    ifeval: Path | None,
    inputs: Mapping[str, str],
    tell: Tell,
) -> Measured:
    """What the gates `wanted` are about. `asked` are the questions of training, `before` an earlier run;
    where it is None, what this run judged last. `root` is what the memory's paths start from: what its files
    said at earlier commits counts as well. `ifeval` is a file of IFEval's prompts. Raises RecordError where
    `before` holds no units or a line of `ifeval` is no prompt.
    """
    path = work.out / "gates.json"
    now = [*work.units, *work.others]
    past = (before or remember(work.out)) if "stale" in wanted else None
    since = changes(earlier(past), now) if past else []
    in_git = in_history(root, _paths(work.out), now, since) if root and "stale" in wanted else []
    gone = digest_of([bool(past), *(old.id for old, _ in (*since, *in_git))])
    said = {**inputs, "gates": ",".join(wanted), "before": gone}
    if ifeval:
        said["ifeval"] = digest_file(ifeval)
    if fresh(path, said):
        return Measured(**json.loads(path.read_bytes())["measured"])
    found: dict[str, object] = {}
    if {"forgetting", "divergence", "false_claims"} & set(wanted):
        found["forgetting"], found["divergence"] = _unrelated(work, asked, by_arm, tell)
    if "locality" in wanted:
        near = near_misses(
            [p for p in probes if p.split == "test"], work.units, work.memory, most=NEAR, seed=work.seed
        )
        questions = [one.question for one in near]
        tell("near misses", 0, len(near))
        answers = (work.answers(by_arm[arm], questions) for arm in ("none", "weights"))
        found["near"], found["missed"] = tuple(near), tuple(missed(near, *answers))
        tell("near misses", len(near), len(near))
    if past or in_git:
        found["stale"] = _stale(work, by_arm, probes, [*since, *in_git])
        found["changed"], found["in_git"] = len(since) + len(in_git), len(in_git)
    if ifeval:
        found["ifeval"] = _followed(work, by_arm, ifeval, tell)
    result = Measured.model_validate(found)
    write_json(path, {"inputs": said, "measured": result.model_dump(mode="json")})
    return result


def gates_of(
    found: Measured, wanted: Sequence[str], limits: Mapping[str, float | None], since: str
) -> tuple[Gate, ...]:
    """The gates on what was measured, in the order of `wanted`, without that on forgetting; IFEval last."""
    made: dict[str, Callable[[], Gate]] = {
        "divergence": lambda: gates.divergence(found.divergence, limits["divergence"]),
        "false_claims": lambda: gates.false_claims(found.forgetting, limits["false_claims"]),
        "locality": lambda: gates.locality(found.near, found.missed, limits["locality"]),
        "stale": lambda: gates.stale(found.stale, found.changed, limits["stale"], since, found.in_git),
    }
    told = [made[name]() for name in wanted if name in made]
    return (*told, gates.ifeval(found.ifeval, limits["ifeval"])) if found.ifeval else tuple(told)


def beside_questions(units: Sequence[MemoryUnit]) -> list[str]:
    """Prompts for questions that the memory does not answer, each about a unit; of many units, some."""
    lines = [units[i * 7919 % len(units)].statement for i in range(2 * GENERIC)]
    return [FAMILIES["abstain"].format(line=line) for line in lines]


def _unrelated(
    work: Work, asked: Sequence[str], by_arm: Mapping[str, Reader], tell: Tell
) -> tuple[Forgetting, tuple[float, ...]]:
    """What the adapter changes outside the memory, on prompts that training did not have. An answer of the
    base that comes to no end is none, and not compared."""
    known = {normal(q) for q in asked}

    def new(questions: Sequence[str]) -> list[str]:
        return [q for q in dict.fromkeys(questions) if q and "\n" not in q and normal(q) not in known]

    prompts = new(
        work.answers(
            by_arm["none"], [FAMILIES["replay"]] * (2 * GENERIC), 1.0, work.seed + 77, tell, "generic prompts"
        )
    )
    strangers = new(
        work.answers(
            by_arm["tokens"],
            beside_questions(work.units),
            1.0,
            work.seed + 78,
            tell,
            "questions the memory does not answer",
        )
    )
    said = work.answers(by_arm["tokens"], strangers)
    strangers = [q for q, a in zip(strangers, said, strict=True) if abstains(a)][:GENERIC]
    base = by_arm["none"].answer([*prompts, *strangers], work.limit, batch_size=work.batch_size)
    ended = [(q, a) for q, a in zip(prompts, base, strict=False) if a.ended][:GENERIC]
    unknown = [(q, a.text) for q, a in zip(strangers, base[len(prompts) :], strict=True)]
    result = forgetting(
        [(q, a.text) for q, a in ended], unknown, lambda qs: work.answers(by_arm["weights"], qs)
    )
    return result, tuple(divergence(work.base, [(a.prompt, a.ids) for _, a in ended]))


def _paths(run: Path) -> list[str]:
    """The files that the run's memory was read from."""
    with open(run / "memory.jsonl", "rb") as file:
        return list(Header.model_validate_json(file.readline()).inputs)


def _stale(
    work: Work, by_arm: Mapping[str, Reader], probes: Sequence[Probe], pairs: Sequence[Changed]
) -> dict[str, tuple[bool, bool]]:
    """What is preferred by unit. No word of an old unit is kept: it may have gone for a reason."""
    asked = stale(
        pairs, [p for p in probes if p.split == "test"], work.memory, {unit.id for unit in work.units}
    )
    either = [(one.question, value) for one in asked for value in (one.old, one.new)]

    def of(arm: str) -> list[tuple[bool, bool]]:
        likely = log_probabilities(work.base, either, adapter=arm == "weights")
        answers = work.answers(by_arm[arm], [one.question for one in asked])
        return preferred(asked, list(zip(likely[::2], likely[1::2], strict=True)), answers)

    found = prefers_old(asked, of("weights"), of("none"))
    return {digest(unit): held for unit, held in found.items()}


def _followed(
    work: Work, by_arm: Mapping[str, Reader], path: Path, tell: Tell
) -> tuple[tuple[Followed, Followed], ...]:
    """Which of IFEval's prompts the base and the adapter follow. Answers may be longer than the memory's."""
    prompts = following.prompts_of(path)
    asked = [one.prompt for one in prompts]
    said = []
    for arm in ("none", "weights"):
        tell(f"IFEval, arm {arm}", 0, len(asked))
        made = by_arm[arm].answer(asked, max(work.limit, following.LONGEST), batch_size=work.batch_size)
        said.append([answer.text for answer in made])
        tell(f"IFEval, arm {arm}", len(asked), len(asked))
    return following.compared(prompts, *said)
