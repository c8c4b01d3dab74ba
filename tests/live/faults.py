"""Five faults that a compiler could make, planted in a bundle for Claude Code."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from distill.records import digest, read_json, write_json
from harness_compile.backends import backend
from harness_compile.backends.base import Options, folder
from harness_compile.bundle import compile_rules, write
from harness_compile.rules import Bundle, EmittedFile
from tests.live.rules import RULES

SETTINGS = ("settings.json", "settings.local.json")


def _hooks(place: Path, change: Callable[[dict], None]) -> None:
    """Change every hook group of both settings files."""
    for name in SETTINGS:
        said = json.loads((place / name).read_bytes())
        for groups in said["hooks"].values():
            for group in groups:
                change(group)
        (place / name).write_text(json.dumps(said))


def no_match(place: Path) -> None:
    """The matcher has the tool's name in lower case, which never matches."""
    _hooks(place, lambda group: group.update(matcher="bash"))


def no_run_bit(place: Path) -> None:
    """The hook is a script that nobody may run."""

    def change(group: dict) -> None:
        for hook in group["hooks"]:
            hook.update(command=f"./{folder('claude_code')}/guard.py", args=["--harness", "claude_code"])
            hook.pop("onFailure", None)

    _hooks(place, change)


def wrong_file(place: Path) -> None:
    """The hooks are in a file that the harness does not read."""
    said = read_json(place / "bundle.json", Bundle)
    names = {
        ".claude/settings.json": ".claude/hooks.json",
        ".claude/settings.local.json": ".claude/hooks.local.json",
    }
    files = tuple(one.model_copy(update={"to": names.get(one.to, one.to)}) for one in said.files)
    controls = tuple(one.model_copy(update={"path": names.get(one.path, one.path)}) for one in said.controls)
    write_json(place / "bundle.json", said.model_copy(update={"files": files, "controls": controls}))


def inverted(place: Path) -> None:
    """The guard lets through what it should refuse, and the other way round."""
    path = place / "guard.py"
    text = path.read_text()
    old = "    status, out, err = payloads.answer(shape, event, decision)\n"
    assert text.count(old) == 1
    new = 'decision["decision"] = "deny" if decision["decision"] == "allow" else "allow"'
    path.write_text(text.replace(old, f"    {new}\n{old}"))


def exits_1(place: Path) -> None:
    """The guard ends with status 1 before it looks at anything."""
    path = place / "guard.py"
    path.write_text(path.read_text().replace("import os\n", "import os\nraise SystemExit(1)\n", 1))


FAULTS: dict[str, Callable[[Path], None]] = {
    one.__name__: one for one in (no_match, no_run_bit, wrong_file, inverted, exits_1)
}
CAUGHT_BEFORE = {"no_run_bit", "wrong_file", "inverted", "exits_1"}  # without the harness itself


def planted(place: Path, name: str) -> Path:
    """A bundle with one fault, whose digests say that all is well."""
    few = [rule for rule in RULES if rule.id in ("commit-prefix", "lint-before-tag")]
    bundle = write(compile_rules(few, backend("claude_code"), Options()), place)
    FAULTS[name](bundle)
    said = read_json(bundle / "bundle.json", Bundle)
    files = tuple(_digested(bundle, one) for one in said.files)
    write_json(bundle / "bundle.json", said.model_copy(update={"files": files}))
    return bundle


def _digested(bundle: Path, file: EmittedFile) -> EmittedFile:
    return file.model_copy(update={"digest": digest((bundle / file.path).read_bytes())})
