"""Who may import whom, read off the source: the floor and the compiler never reach torch, not even through
others.

Imports inside functions of the floor count as well; `distill/cli.py` is the one module that may import heavy
ones there.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "safetensors",
    "tokenizers",
}
FLOOR = (
    "memory",
    "plan",
    "recipe",
    "report",
    "records",
    "stage",
    "errors",
    "screen",
    "bar",
    "starter",
    "yaml_lines",
)
COMMANDS = ("cli", "flow", "fleet", "ahead", "planned", "starter", "recipe", "life.commands")
KNOWING = {f"distill.{name}" for name in COMMANDS}
PACKAGES = [name for name in ("distill", "harness_compile") if (ROOT / name).is_dir()]
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for package in PACKAGES
    for path in (ROOT / package).rglob("*.py")
}


def imports(name: str) -> set[str]:
    """Every module that a module names in an import, wherever the import stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(MODULES[name].read_bytes())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} has a relative import"
            found.update({node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)})
    return {known for known in found if known in MODULES or known.split(".")[0] not in PACKAGES}


def in_floor(name: str) -> bool:
    parts = name.split(".")
    return parts[0] == "distill" and (len(parts) == 1 or parts[1] in FLOOR)


def modules(package: str) -> Iterator[str]:
    return (name for name in MODULES if name.split(".")[0] == package)


@pytest.mark.parametrize("name", [name for name in MODULES if in_floor(name)])
def test_the_floor_stands_on_itself(name: str) -> None:
    said = imports(name)
    assert {module for module in said if module.split(".")[0] in HEAVY} == set()
    assert {module for module in said if module in MODULES and not in_floor(module)} == set()


@pytest.mark.parametrize("name", list(modules("harness_compile")))
def test_the_compiler_imports_the_floor_and_nothing_else_of_distill(name: str) -> None:
    said = imports(name)
    assert {module for module in said if module.split(".")[0] in HEAVY} == set()
    assert {module for module in said if module.split(".")[0] == "distill" and not in_floor(module)} == set()


@pytest.mark.parametrize("name", list(modules("distill")))
def test_only_the_command_line_knows_the_compiler_and_the_recipe(name: str) -> None:
    if name not in KNOWING:
        assert not {
            module for module in imports(name) if module.startswith(("harness_compile", "distill.recipe"))
        }


def test_the_command_line_loads_without_anything_heavy() -> None:
    code = f"import sys; sys.modules.update(dict.fromkeys({sorted(HEAVY)})); import distill.cli"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
