"""The house holds what it says: README's tree and commands, targets, versions, recipes, no machine's paths.

Not covered: that the commands work (`.ci/run` runs them) and that README's figures are true.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import typer.main

import distill
from distill.cli import app
from distill.recipe import load

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CI = ROOT / ".ci" / "run"
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.M))
CODE = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", README, re.S))

# A path of one machine, or the address of a package registry. Fixtures are memories, which may hold anything.
FOREIGN = re.compile(
    r"""(?<![\w./~*-])/(work|root|opt/wheels|opt/pypi)/[\w.]"""
    r"""|files\.pythonhosted\.org|pypi\.org|registry\.npmjs\.org|deb\.debian\.org|download\.pytorch\.org"""
)


def tracked() -> list[Path]:
    """The files of the project: what git has or would add, or all of an export without git."""
    try:
        said = subprocess.run(
            ["git", "ls-files", "-coz", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        found = (path for path in ROOT.rglob("*") if ".venv" not in str(path) and "runs" not in path.parts)
        return [path for path in found if path.is_file()]
    return [path for name in said.split(b"\0") if name and (path := ROOT / os.fsdecode(name)).is_file()]


def tree() -> list[Path]:
    """The paths in README's tree, a folder before what is in it."""
    (block,) = re.findall(r"<!-- tree:.*?-->\n```\n(.*?)```", README, re.S)
    folders: list[str] = []
    paths = []
    for line in block.splitlines():
        drawn, name = re.match(r"((?:[│ ]   )*(?:[├└]── )?)(\S*)", line).groups()  # type: ignore[union-attr]
        if name:
            depth = len(drawn) // 4
            folders[depth:] = [name]
            paths.append(ROOT.joinpath(*folders))
    return paths


def test_one_version() -> None:
    assert PROJECT["version"] == distill.__version__
    try:
        assert metadata.version(PROJECT["name"]) == distill.__version__
    except metadata.PackageNotFoundError:
        pytest.skip("the distribution is not installed here")


def test_readmes_tree_is_the_tree() -> None:
    paths = tree()
    assert len(paths) > 20
    assert [path for path in paths if not path.exists()] == []
    here = {path for path in (ROOT / "distill").rglob("*.py") if path.name != "__init__.py"}
    assert here - set(paths) == set(), "files that README's tree does not name"


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", CODE + CI.read_text(encoding="utf-8")))
    assert {"quickstart", "test"} <= named <= TARGETS


def test_help_prints_every_target() -> None:
    said = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make (\S+)", said, re.M)) == TARGETS


def test_every_command_that_readme_names_exists() -> None:
    commands = set(typer.main.get_group(app).commands)
    named = set(re.findall(r"\bdistill ([a-z]+)\b", CODE))
    assert {"init", "run"} <= named <= commands
    assert commands <= named | {"read", "plan", "synth", "train", "check"}, "a command README does not name"


def test_ci_can_be_run() -> None:
    assert os.access(CI, os.X_OK)
    subprocess.run(["bash", "-n", CI], check=True)


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.name)
def test_recipes_load_and_open_with_their_command(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = load(path)
    assert [source.path for source in recipe.memory.sources if not source.path.exists()] == []
    opening = path.read_text(encoding="utf-8").split("\nversion:")[0]
    assert f"distill run recipes/{path.name}" in opening


def test_the_base_install_is_free_of_torch() -> None:
    names = {re.split(r"[\[<>=~! ]", text)[0] for text in PROJECT["dependencies"]}
    assert names.isdisjoint({"torch", "transformers", "peft", "accelerate", "bitsandbytes", "datasets"})


def test_constraints_are_exact_and_name_every_dependency() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.lower().split("==") for line in lines if not line.startswith("#"))
    assert pins["torch"] == "2.13.0"
    assert not [name for name in pins if name.startswith(("nvidia", "cuda", "triton"))]
    wanted = [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]
    names = {re.split(r"[\[<>=~!; ]", text)[0].lower() for text in wanted}
    assert names - {PROJECT["name"]} <= set(pins)


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = []
    for path in tracked():
        if (
            "fixtures" not in path.parts
            and path.suffix not in {".safetensors", ".png"}
            and path != Path(__file__)
        ):
            text = path.read_text(encoding="utf-8", errors="replace")
            found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in FOREIGN.finditer(text)]
    assert found == []
