"""The types of a check's result: what an arm scored, what is concluded from it, and what a reader is shown.

All of it is data that has been decided elsewhere (`distill.check`); nothing here computes a statistic.
"""

from __future__ import annotations

from typing import Literal

from pydantic import JsonValue

from distill.records import Place, Record

Claim = Literal["weights", "deployed"]
Verdict = Literal["non_inferior", "inferior", "no_verdict"]


class Interval(Record):
    """A value and its 95% interval, all in the value's own unit."""

    value: float
    low: float
    high: float


class Summary(Record):
    """Mean score of one arm over `n` probes, 0 to 1, with its 95% interval."""

    n: int
    mean: float
    low: float
    high: float


class Score(Record):
    """What one arm scored on one probe, 0 to 1. `detail` is the answer it gave."""

    arm: str
    unit: str
    probe: str
    value: float
    detail: str


class Miss(Record):
    """A probe that the memory in context answers and the adapter does not."""

    question: str
    reference: str
    answer: str


class UnitResult(Record):
    """One unit: the mean score of each arm over its `n` probes. `retention` is None where the memory changes
    nothing; `place` is where the unit lives, `returned` that training did not keep it and it went back to
    the residual memory.
    """

    unit: str
    text: str
    source: str = ""
    line: int = 0
    n: int
    arms: dict[str, float]
    retention: float | None = None
    place: Place = "weights"
    returned: bool = False
    misses: tuple[Miss, ...] = ()


class Forgetting(Record):
    """What the adapter changed that it should not: answers that stay the base's own, and abstaining before
    and after.
    """

    agreement: Summary | None = None
    abstain_before: Summary | None = None
    abstain_after: Summary | None = None


class Gate(Record):
    """One threshold: `passed` is None where it could not be measured, or where `bound` is None: then it is
    only reported. `words` say what was asked and what was found; `unit` is what `value` and `bound` are in.
    """

    name: str
    value: Interval | None = None
    unit: Literal["share", "nats"] = "share"
    bound: float | None
    passed: bool | None
    words: str


class Pilot(Record):
    """What `n` dev probes say before the test probes are asked: the share on which the two arms differ, the
    design effect of units, and the probes that show non-inferiority with 80% power if the arms are equal.
    """

    n: int
    discordance: float
    design_effect: float
    needed: int


class Step(Record):
    """What a round of synthesis bought: samples per unit, and its adapter's score on the dev probes."""

    samples: float
    score: Summary


class Opened(Record):
    """When the test probes were first asked of this adapter, when of any, and of how many adapters."""

    at: str
    first: str
    times: int


class Cost(Record):
    """Tokens that memory and residual memory take in each call, tokens read by the build, calls until it is
    paid back (None where nothing is saved), seconds by stage, and the most bytes held.
    """

    memory: int
    residual: int
    build: int
    break_even: int | None
    seconds: dict[str, float]
    peak: int


class Table(Record):
    """What else a reader is shown, as it stands: every row has as many cells as there are columns."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Report(Record):
    """The whole result. Top-level `arms`, `retention` and `verdict` of its JSON are a contract.

    `about` is what the arms were scored for: what is retained, or how far rules are complied with. Of the
    latter there is no retention, and no unit is lost; the difference is that of harness and tokens.

    The verdict is about the arm `claim`: `difference` is that arm minus tokens with its 95% interval, `bound`
    the one-sided 95% lower bound that is held against `margin`, `exact` the p-value of a difference in either
    direction; `seeds` are its scores by training seed, where there are several. `beside` is the sentence on
    the adapter alone, where the claim is another. `lost` are ids of units, worst first.
    """

    title: str = ""
    about: Literal["retention", "compliance"] = "retention"
    inputs: dict[str, str] = {}
    arms: dict[str, Summary]
    retention: Interval | None
    verdict: Verdict
    verdict_text: str
    claim: Claim = "weights"
    beside: str = ""
    margin: float
    difference: Interval | None = None
    bound: float | None = None
    discordance: float | None = None
    exact: float | None = None
    needed: int | None = None
    gates: tuple[Gate, ...] = ()
    units: tuple[UnitResult, ...] = ()
    lost: tuple[str, ...] = ()
    forgetting: Forgetting | None = None
    seeds: tuple[float, ...] = ()
    steps: tuple[Step, ...] = ()
    pilot: Pilot | None = None
    opened: Opened | None = None
    cost: Cost | None = None
    synthesis: dict[str, JsonValue] = {}
    training: dict[str, JsonValue] = {}
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether the verdict is `non_inferior` and every gate with a threshold was measured and passed."""
        held = (gate.passed for gate in self.gates if gate.bound is not None)
        return self.verdict == "non_inferior" and all(held)
