"""A made-up check: scores of four arms on invented units, through the real judge."""

from __future__ import annotations

import random
from typing import Any

from distill.check.judge import judge
from distill.check.probes import Probe, make
from distill.records import MemoryUnit, Span
from distill.report.model import Forgetting, Report, Score, Summary

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
