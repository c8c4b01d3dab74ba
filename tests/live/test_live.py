"""The real harnesses, with a bundle that uses every mechanism. Run by `make live`, which installs them.

Each test starts binaries and takes minutes, so they run only where HARNESS_LIVE says where the harnesses are.
A harness that is not there is skipped as not verified, never passed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from distill.records import write_json
from harness_compile.backends import backend
from harness_compile.backends.base import Options
from harness_compile.bundle import compile_rules, effective, load, write
from harness_compile.rules import Mechanism
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.live import table
from harness_compile.verify.live.place import Place
from harness_compile.verify.live.verify import Live, install, verify_live
from tests.live.faults import FAULTS, planted
from tests.live.rules import HIDDEN, RULES

PROGRAMS = Path(os.environ.get("HARNESS_LIVE", ""))
HARNESSES = tuple(drivers())
pytestmark = pytest.mark.skipif(
    not os.environ.get("HARNESS_LIVE"), reason="the harnesses are for `make live`"
)


def bundle_of(harness: str, place: Path, ids: tuple[str, ...] = (), **options: object) -> Path:
    rules = [rule for rule in RULES if not ids or rule.id in ids]
    return write(compile_rules(rules, backend(harness), Options(**options)), place)  # type: ignore[arg-type]


def verified(bundle: Path, name: str, only: Mechanism | None = None) -> Live:
    live = verify_live(bundle, PROGRAMS, only=only, told=print)
    if live.state == "not verified":
        pytest.skip(live.why)
    table.show(live)
    results = PROGRAMS / "results"
    results.mkdir(exist_ok=True)
    write_json(results / f"{name}.json", live)
    return live


@pytest.mark.parametrize("harness", HARNESSES)
def test_every_case_comes_out_as_the_offline_verify_says(tmp_path: Path, harness: str) -> None:
    live = verified(bundle_of(harness, tmp_path), harness)
    assert live.version == live.pinned
    assert [row for row in live.rows if row.good is False] == []
    assert [one for one in live.questions if not one.good] == []
    assert len(live.questions) == 4 or live.unasked
    stopped = {row.rule for row in live.rows if row.good and row.wanted in ("refused", "told")}
    rules = {rule.id for rule in effective(load(tmp_path / harness))}
    left = {row.rule for row in live.rows if row.good is None}
    assert rules - stopped <= left, "a rule that was never seen to fire"


@pytest.mark.parametrize("harness", HARNESSES)
def test_a_tool_that_is_hidden_is_gone(tmp_path: Path, harness: str) -> None:
    bundle = write(compile_rules([HIDDEN], backend(harness), Options()), tmp_path)
    live = verified(bundle, f"{harness}-hidden")
    assert live.state == "verified" and [row for row in live.rows if row.good is not True] == []


@pytest.mark.parametrize(
    ("harness", "only"), [(name, only) for name, one in drivers().items() for only in one.only]
)
def test_the_second_mechanism_holds_alone(tmp_path: Path, harness: str, only: Mechanism) -> None:
    live = verified(bundle_of(harness, tmp_path), f"{harness}-{only}", only)
    assert [row for row in live.rows if row.good is False] == []
    assert any(row.mechanism == only for row in live.rows)


@pytest.mark.parametrize("name", FAULTS)
def test_planted_faults_are_caught(tmp_path: Path, name: str) -> None:
    live = verified(planted(tmp_path, name), f"fault-{name}")
    assert live.state == "failed" and [row for row in live.rows if row.good is False]


def without(change: str) -> object:
    """An installation whose guards are gone, raise, or never answer."""
    text = {"crashes": "raise RuntimeError('made up')\n", "hangs": "import time\ntime.sleep(3600)\n"}

    def installing(place: Place, bundle: Path) -> None:
        install(place, bundle)
        for top in (place.project, place.home):
            for path in top.rglob("guard.py"):
                path.unlink() if change == "missing" else path.write_text(text[change])

    return installing


@pytest.mark.parametrize("harness", HARNESSES)
@pytest.mark.parametrize("change", ["missing", "crashes", "hangs", "no python"])
def test_a_guard_that_fails_lets_nothing_through(tmp_path: Path, harness: str, change: str) -> None:
    from harness_compile.verify.live.failures import attempt

    if change == "no python" and harness == "deepagents":
        pytest.skip("its guard is run by the python that runs the agent")
    if change == "no python":
        bundle = bundle_of(harness, tmp_path, ("commit-prefix",), python="no-such-python")
        came = attempt(bundle, PROGRAMS, install)
    else:
        bundle = bundle_of(harness, tmp_path, ("commit-prefix",))
        came = attempt(bundle, PROGRAMS, without(change))  # type: ignore[arg-type]
    if came is None:
        pytest.skip(f"{harness} is not there")
    for one in came:
        print(harness, change, one.probe.call["input"], one.observed, one.mechanism, one.said[:200])
    assert len(came) == 2 and [one for one in came if one.observed == "runs"] == []
    named = [one.mechanism or re.search("guard|no-such-python", one.said) for one in came]
    assert all(named), "it stopped for another reason"
    assert load(bundle).on_error == "deny"
