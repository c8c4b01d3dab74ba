"""Faults that are planted in a bundle are found before a harness is asked, by what would lie there.

The bundle's digests are made anew after each fault, as a compiler that errs would have done it. The same
faults in the real harness: `tests/live`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness_compile.verify.harnesses import drivers
from harness_compile.verify.harnesses.install import unpinned
from harness_compile.verify.installed import faults
from tests.live.faults import CAUGHT_BEFORE, FAULTS, planted


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_found_without_the_harness(tmp_path: Path, name: str) -> None:
    found = list(faults(planted(tmp_path, name)))
    assert bool(found) is (name in CAUGHT_BEFORE)


@pytest.mark.parametrize(
    ("package", "name"),
    [
        ("deepagents==0.7.32", "deepagents"),
        ("@anthropic-ai/claude-code@2.1.330", "@anthropic-ai/claude-code"),
        ("openclaw@2026.9.6", "openclaw"),
    ],
)
def test_the_newest_version_is_asked_for_by_the_name_alone(package: str, name: str) -> None:
    assert unpinned(package) == name


def test_every_pinned_package_names_the_version_that_is_known() -> None:
    for driver in drivers().values():
        assert driver.package.endswith(driver.pinned)
