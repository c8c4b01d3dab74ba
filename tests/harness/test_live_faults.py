"""Faults that are planted in a bundle are found before a harness is asked, by what would lie there.

The bundle's digests are made anew after each fault, as a compiler that errs would have done it. The same
faults in the real harness: `tests/live`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from harness_compile.verify.installed import faults
from tests.live.faults import CAUGHT_BEFORE, FAULTS, planted


@pytest.mark.parametrize("name", FAULTS)
def test_faults_are_found_without_the_harness(tmp_path: Path, name: str) -> None:
    found = list(faults(planted(tmp_path, name)))
    assert bool(found) is (name in CAUGHT_BEFORE)
