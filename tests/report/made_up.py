"""Made-up checks: scores of the arms on invented units, through the real judge."""

from __future__ import annotations

import random
from typing import Any

from distill.check.beside import gates
from distill.check.beside.locality import Missed, NearMiss
from distill.check.judge import judge
from distill.check.probes import Probe, make
from distill.records import MemoryUnit, Span
from distill.report.model import Cost, Forgetting, Opened, Pilot, Report, Score, Step, Summary

RATES = {"none": 0.03, "tokens": 0.98, "weights": 0.96, "both": 0.98}


def checked(
    units: int = 48,
    per_unit: int = 8,
    weak: int = 4,
    texts: tuple[str, ...] = (),
    seed: int = 3,
    **options: object,
) -> tuple[list[Score], list[Probe], list[MemoryUnit]]:
    r = random.Random(seed)
    made, probes, scores = [], [], []
    for number in range(units):
        name = f"{r.choice(('amber', 'brisk', 'calm'))}-{r.choice(('kestrel', 'harbor', 'quarry'))}-{number}"
        port = str(r.randint(1000, 9999))
        text = texts[number] if number < len(texts) else f"The {name} service listens on port {port}."
        span = Span(
            source="CLAUDE.md", start=number * 60, end=number * 60 + 50, line=number + 3, digest="sha256:0"
        )
        made.append(MemoryUnit(id=f"u{number}", text=text, heading=("Services",), spans=(span,)))
        for at in range(per_unit):
            probes.append(
                make(f"u{number}", f"Give the port number for {name} ({at}).", port, "contains", "written")
            )
    for arm, rate in RATES.items():
        for probe in probes:
            number = int(probe.unit[1:])
            lower = 0.2 if arm == "weights" and number < weak else rate
            right = r.random() < lower
            answer = probe.reference if right else "I do not know."
            scores.append(Score(arm=arm, unit=probe.unit, probe=probe.id, value=float(right), detail=answer))
    return scores, probes, made


NEAR = [NearMiss(f"u{at % 40}", f"Which port has n{at}?", "1", "name") for at in range(90)]


def whole(title: str = "Working notes") -> Report:
    """A check with everything in it: six arms, every gate, rounds of synthesis, what it cost."""
    scores, probes, units = checked(weak=3)
    left = {f"u{number}" for number in range(40, 48)}
    more = []
    for score in scores:
        if score.arm == "weights":
            kept = score.value if score.unit not in ("u1", *left) else 1.0
            more.append(score.model_copy(update={"arm": "deployed", "value": kept}))
            more.append(
                score.model_copy(
                    update={"arm": "retrieval", "value": float(int(score.probe[:4], 16) % 3 > 0)}
                )
            )
    share = Summary(n=64, mean=0.985, low=0.93, high=0.998)
    return judge(
        [*scores, *more], probes, units, margin=0.05, min_retention=0.9, max_forgetting=0.02, min_probes=371,
        resamples=300, seed=0, title=title, returns=0.05, places=dict.fromkeys(left, "tokens"),
        returned={"u1"}, forgetting=Forgetting(agreement=share, abstain_before=share, abstain_after=share),
        measured=[
            gates.divergence([0.02, 0.05, 0.03, 0.04] * 16, None),
            gates.false_claims(Forgetting(abstain_after=share, abstain_before=share), 0.05),
            gates.locality(NEAR, [Missed(n, "1", True) if i < 9 else None for i, n in enumerate(NEAR)], 0.05),
            gates.stale({f"u{at}": (False, False) for at in range(12)}, 14, 0.0, "runs/notes-41"),
        ],
        steps=[
            Step(samples=8, score=Summary(n=80, mean=0.71, low=0.60, high=0.80)),
            Step(samples=14.2, score=Summary(n=80, mean=0.86, low=0.77, high=0.93)),
            Step(samples=19.9, score=Summary(n=80, mean=0.94, low=0.86, high=0.98)),
        ],
        pilot=Pilot(n=80, discordance=0.05, design_effect=1.4, needed=173),
        opened=Opened(at="2026-03-01T12:00:00+00:00", first="2026-03-01T12:00:00+00:00", times=1),
        cost=Cost(
            memory=1840, residual=212, build=3_420_000, break_even=2101, peak=1_610_000_000,
            seconds={"synthesis": 61.0, "training": 190.4, "check": 22.0},
        ),
        inputs={"memory": "sha256:" + "ab" * 32, "adapter": "sha256:" + "cd" * 32},
        synthesis={"samples": 1152, "dropped": {"duplicate": 210, "unsupported": 14}},
        training={"steps": 240, "loss first": 2.31, "loss last": 0.0412},
        warnings=["2 of 48 units have no probe and are not judged: u8, u9"],
    )  # fmt: skip


def report(title: str = "Quickstart memory", **options: Any) -> Report:
    scores, probes, units = checked(**options)
    share = Summary(n=120, mean=0.99, low=0.955, high=0.998)
    return judge(
        scores, probes, units, margin=0.05, min_retention=0.9, max_forgetting=0.02, min_probes=371,
        resamples=300, seed=0, title=title,
        inputs={"memory": "sha256:" + "ab" * 32, "adapter": "sha256:" + "cd" * 32},
        forgetting=Forgetting(agreement=share, abstain_before=share, abstain_after=share),
        synthesis={"samples": 1152, "dropped": {"duplicate": 210, "unsupported": 14}, "least of a unit": 20},
        training={"steps": 240, "loss first": 2.31, "loss last": 0.0412},
    )  # fmt: skip
