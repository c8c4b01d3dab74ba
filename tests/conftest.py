"""Marks the tests that need torch by their folder, and does not collect them where there is no torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TORCH_FOLDERS = ("synth", "train", "pocket", "e2e", "life")
HAS_TORCH = importlib.util.find_spec("torch") is not None

collect_ignore = [] if HAS_TORCH else [str(HERE / name) for name in TORCH_FOLDERS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.relative_to(HERE).parts[0] in TORCH_FOLDERS:
            item.add_marker("torch")


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The folder of real memories beside the checkout; skips the test where it is absent."""
    folder = HERE.parents[1] / "shared" / "corpus" / "dev"
    if not folder.is_dir():
        pytest.skip("no corpus of real memories beside this checkout")
    return folder
