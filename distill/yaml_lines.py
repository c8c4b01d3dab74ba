"""YAML read with the line of every key, as plain JSON values.

Scalars follow YAML 1.2 (`2e-4` is a number; `on`, `yes` and dates are words). Repeated keys, keys that are
not text and aliases are errors. It knows nothing about recipes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from distill.errors import RecipeError

KeyPath = tuple[str | int, ...]

MAX_DEPTH = 40


class _Loader(yaml.SafeLoader):
    """SafeLoader with the scalars of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}

for tag, pattern, first in (
    ("bool", r"^(?:true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^[-+]?[0-9]+$", "-+0123456789"),
    ("float", r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$", "-+.0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(pattern), first)


def _scalar(loader: _Loader, node: yaml.ScalarNode, file: str) -> Any:
    kind, line = node.tag.rsplit(":", 1)[-1], node.start_mark.line + 1
    if kind == "str":
        if re.search("[\0\ud800-\udfff]", node.value):
            raise RecipeError("holds a character that no file can have", file=file, line=line)
        return node.value
    if kind == "null":
        return None
    if kind == "bool":
        return node.value.lower() == "true"
    if kind in ("int", "float"):
        try:
            return int(node.value) if kind == "int" else float(node.value)
        except ValueError:
            raise RecipeError(f"{node.value[:40]} is not a number", file=file, line=line) from None
    raise RecipeError(f"the tag {node.tag} is not read here", file=file, line=line)


def _value(loader: _Loader, node: yaml.Node, place: KeyPath, lines: dict[KeyPath, int], file: str) -> Any:
    line = node.start_mark.line + 1
    lines.setdefault(place, line)
    if len(place) > MAX_DEPTH:
        raise RecipeError("is nested too deep", file=file, line=line)
    if isinstance(node, yaml.ScalarNode):
        return _scalar(loader, node, file)
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item, (*place, index), lines, file) for index, item in enumerate(node.value)]
    assert isinstance(node, yaml.MappingNode)
    mapping: dict[str, Any] = {}
    for key_node, value_node in node.value:
        key, line = key_node.value, key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or key_node.tag.rsplit(":", 1)[-1] != "str":
            raise RecipeError("a key must be a word", file=file, line=line)
        dotted = ".".join(map(str, (*place, key)))
        if key in mapping:
            first = lines[(*place, key)]
            raise RecipeError(
                f"{dotted} is said twice, first on line {first}", file=file, line=line, mend="keep one"
            )
        lines[(*place, key)] = line
        mapping[key] = _value(loader, value_node, (*place, key), lines, file)
    return mapping


def _read(text: str, file: str) -> tuple[Any, dict[KeyPath, int]]:
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                line = event.start_mark.line + 1
                raise RecipeError(
                    "aliases are not read here", file=file, line=line, mend="write the value out"
                )
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            lines: dict[KeyPath, int] = {}
            return (None if node is None else _value(loader, node, (), lines, file)), lines
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise RecipeError(
            f"not YAML: {error.problem}", file=file, line=mark.line + 1 if mark else None
        ) from None
    except yaml.YAMLError as error:
        raise RecipeError(f"not YAML: {str(error).splitlines()[0]}", file=file) from None
    except RecursionError:
        raise RecipeError("is nested too deep", file=file) from None


def read_text(text: str, name: str) -> Any:
    """One YAML value from a text that errors call `name`. Raises RecipeError."""
    return _read(text, name)[0]


def read_yaml(path: str | Path) -> tuple[dict[str, Any], dict[KeyPath, int]]:
    """A YAML file that is a mapping, and the line of each dotted place in it. Raises RecipeError, OSError."""
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise RecipeError("is not UTF-8 text", file=path, line=line, mend="save it as UTF-8") from None
    value, lines = _read(text, str(path))
    if not isinstance(value, dict):
        raise RecipeError("is empty" if value is None else "is not a mapping of keys to values", file=path)
    return value, lines
