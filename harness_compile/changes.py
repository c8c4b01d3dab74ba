"""What installing a bundle would change in a project: entries of the bundle, the change set, and its diff.

A bundle's files are put in place whole, or their entries are merged one by one into what the user has
(`EmittedFile.how`). Nothing here writes, except that a change which was cut off is finished first. Covers
JSON, JSONC, JSON5, TOML, YAML and text files; which is read off the name of the file in the bundle
(`openclaw.json5` may go to `openclaw.json`, because that harness reads JSON5). Not covered: asking the user
(`cli`), writing (`apply`), and whether the harness understands what is emitted (`verify`).
"""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from rich.text import Text

from distill.errors import RecordError, StaleError, printable
from distill.records import Span, digest, digest_of, read_json
from harness_compile.install import blocks
from harness_compile.install.entries import Format, locate
from harness_compile.install.merge import merge
from harness_compile.install.places import check_writable, read, real_path
from harness_compile.install.records import ChangeSet, Edit, Installed, Receipt, Source
from harness_compile.install.spans import SpanFault, canon, line_column, plain_value, pointer_of, pointer_text
from harness_compile.install.store import Store
from harness_compile.rules import Bundle, Control, EmittedFile

__all__ = ["ChangeSet", "Edit", "Installed", "Source", "entries_of", "plan_changes", "plan_entries", "render"]

FORMATS: dict[str, Format] = {
    ".json": "json",
    ".jsonc": "jsonc",
    ".json5": "json5",
    ".toml": "toml",
    ".yaml": "yaml",
    ".yml": "yaml",
}
STYLES = {"+": "green", "-": "red", "@": "cyan"}


def plan_changes(bundle: str | Path, root: str | Path, *, home: str | Path | None = None) -> ChangeSet:
    """What installing the bundle in a folder would change in `root` (`~/` paths: in `home`).

    Reads the bundle, the receipts and the files. Raises RecordError and StaleError (the bundle is damaged),
    SettingsError (a file of the user's cannot be edited: named with line and column), OverwriteError
    (something of the user's is in the way), BusyError, OSError.
    """
    folder = Path(bundle)
    said = read_json(folder / "bundle.json", Bundle, mend="compile the bundle again")
    entries, blobs = entries_of(said, folder)
    spans = {rule.id: (rule.unit, rule.span) for rule in said.rules}
    return plan_entries(
        entries,
        root,
        harness=said.harness,
        bundle=folder,
        blobs=blobs,
        spans=spans,
        home=home,
        mark=digest_of(said),
    )


def plan_entries(
    entries: Sequence[Installed],
    root: str | Path,
    *,
    harness: str,
    bundle: str | Path = "",
    blobs: Mapping[str, bytes] | None = None,
    spans: Mapping[str, tuple[str, Span]] | None = None,
    home: str | Path | None = None,
    mark: str | None = None,
) -> ChangeSet:
    """`plan_changes` for entries at hand. `blobs` are whole files' bytes by digest, `spans` the memory lines
    of the rules. Raises as it does.
    """
    root = Path(root).resolve()
    home = Path(home).expanduser().resolve() if home else Path.home()
    store = Store(root)
    store.check()
    notes = store.recover()
    known = latest(store.receipts()).get(harness)
    old, made = (known.installed, known.containers) if known else ((), ())
    wanted, there = by_path(entries), by_path(old)
    edits, installed, containers = [], [], []
    for path in dict.fromkeys((*wanted, *there)):
        real = real_path(root, home, path)
        before = read(real, path)
        result = merge(
            path,
            before,
            there.get(path, []),
            [one for one in made if one.path == path],
            list(_unique(wanted.get(path, []))),
            blobs=blobs or {},
            revive=True,
        )
        installed += result.installed
        containers += result.containers
        notes += result.notes
        if result.after != before:
            check_writable(real, path)
            fmt = (wanted.get(path) or there[path])[0].format
            executable = any(entry.executable for entry in result.installed)
            edits.append(
                Edit(path=path, format=fmt, before=before, after=result.after, executable=executable)
            )
    # Whole files first: a hook must not be there before the guard that it calls. Taken away, the other way.
    edits.sort(key=lambda edit: (edit.after is None, edit.format != "file"))
    return ChangeSet(
        root=str(root),
        home=str(home),
        bundle=str(Path(bundle).resolve()) if bundle else "",
        harness=harness,
        digest=mark or digest_of(list(entries)),
        edits=tuple(edits),
        installed=tuple(installed),
        containers=tuple(containers),
        sources=tuple(_sources(root, spans or {})),
        notes=tuple(notes),
        replaces=known.id if known else None,
    )


def latest(receipts: Sequence[Receipt]) -> dict[str, Receipt]:
    """The receipt that is in force for each harness."""
    return {receipt.harness: receipt for receipt in receipts if not receipt.undone}


def by_path(entries: Sequence[Installed]) -> dict[str, list[Installed]]:
    """Entries by the file they are in, in their order."""
    found: dict[str, list[Installed]] = defaultdict(list)
    for entry in entries:
        found[entry.path].append(entry)
    return found


def _unique(entries: Sequence[Installed]) -> Iterator[Installed]:
    """Entries that are the same thing in the same place become one, of all their rules."""
    found: dict[str, Installed] = {}
    for entry in entries:
        key = f"{entry.pointer} {canon(entry.value)}"
        if key in found:
            rules = tuple(dict.fromkeys((*found[key].rules, *entry.rules)))
            found[key] = found[key].model_copy(update={"rules": rules})
        else:
            found[key] = entry
    return iter(found.values())


def _sources(root: Path, spans: Mapping[str, tuple[str, Span]]) -> Iterator[Source]:
    """The memory lines of the rules, and whether they can be seen from here at all. Raises RecordError."""
    files: dict[str, bytes | None] = {}
    for rule, (unit, span) in spans.items():
        if span.source not in files:
            try:
                files[span.source] = (root / span.source).read_bytes()
            except OSError:
                files[span.source] = None
            except ValueError:  # a NUL byte, or half of a character: no system has such a name
                raise RecordError(
                    f"the rule {printable(rule)} names a source that is no path",
                    file=printable(span.source).encode("utf-8", "replace").decode(),
                    line=span.line,
                    mend="compile the bundle again",
                ) from None
        data = files[span.source]
        seen = data is not None and digest(data[span.start : span.end]) == span.digest
        yield Source(rule=rule, unit=unit, span=span, seen=seen)


def entries_of(bundle: Bundle, folder: Path) -> tuple[list[Installed], dict[str, bytes]]:
    """The entries of a bundle, and the bytes of its whole files by digest. Raises RecordError, StaleError."""
    entries: list[Installed] = []
    blobs: dict[str, bytes] = {}
    controls: dict[str, list[Control]] = defaultdict(list)
    for control in bundle.controls:
        controls[control.path].append(control)
    for file in bundle.files:
        if file.how == "none":
            continue
        data = _bytes(folder, file)
        mine = [*controls[file.to], *(controls[file.path] if file.path != file.to else ())]
        if file.how == "whole":
            rules, mechanism = _all_rules(mine)
            blobs[file.digest] = data
            entries.append(
                Installed(
                    rules=rules,
                    mechanism=mechanism or "extension",
                    path=file.to,
                    value=file.digest,
                    format="file",
                    executable=file.executable,
                )
            )
        else:
            entries += _merged(file, data, mine)
    return entries, blobs


def _bytes(folder: Path, file: EmittedFile) -> bytes:
    path = folder / file.path
    if ".." in PurePosixPath(file.path).parts or not path.resolve().is_relative_to(folder.resolve()):
        raise RecordError(
            f"names a file outside it, {file.path}", file=folder / "bundle.json", mend="compile again"
        )
    try:
        data = path.read_bytes()
    except OSError:
        raise StaleError(
            "a file of the bundle is missing", file=path, mend="compile the bundle again"
        ) from None
    if digest(data) != file.digest:
        raise StaleError("was changed since it was compiled", file=path, mend="compile the bundle again")
    return data


def _all_rules(controls: Sequence[Control]) -> tuple[tuple[str, ...], str]:
    return tuple(dict.fromkeys(one.rule for one in controls)), controls[0].mechanism if controls else ""


def _merged(file: EmittedFile, data: bytes, controls: Sequence[Control]) -> Iterator[Installed]:
    """The single entries of a settings file of a bundle: elements of lists, and members that hold none."""
    fmt = FORMATS.get(PurePosixPath(file.path).suffix.lower())
    try:
        text = data.decode("utf-8")
        root = locate(text, fmt) if fmt else None
    except UnicodeDecodeError:
        raise RecordError("is not UTF-8 text", file=file.path, mend="compile the bundle again") from None
    except SpanFault as fault:
        line, _ = line_column(data.decode("utf-8"), fault.offset)
        raise RecordError(fault.message, file=file.path, line=line, mend="compile the bundle again") from None
    if fmt is None:
        rules, mechanism = _all_rules(controls)
        mark = blocks.mark_of(PurePosixPath(file.path).stem, text)
        body = blocks.lines(text)
        yield Installed(
            rules=rules,
            mechanism=mechanism or "context",
            path=file.to,
            pointer=mark,
            value=body,
            format="text",
        )
        return
    found = list(_walk(plain_value(root) if root else {}, "", ""))
    owners = _owners([said for said, _, _ in found], controls)
    for said, pointer, value in found:
        rules, mechanism = _all_rules(owners[said])
        yield Installed(
            rules=rules,
            mechanism=mechanism or "permission",
            path=file.to,
            pointer=pointer,
            value=value,
            format=fmt,
            executable=file.executable,
        )


def _walk(value: Any, said: str, pointer: str) -> Iterator[tuple[str, str, Any]]:
    """Every entry below a value: its pointer in the bundle's file, its pointer in the user's, its value."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            step = pointer_text((key,))
            yield from _walk(inner, said + step, pointer + step)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield f"{said}/{index}", f"{pointer}/-", inner
    elif pointer:
        yield said, pointer, value


def _owners(entries: Sequence[str], controls: Sequence[Control]) -> dict[str, list[Control]]:
    """The controls of each entry: those that point at it, into it, or at what holds it."""
    found: dict[str, list[Control]] = {entry: [] for entry in entries}
    holders: dict[str, list[str]] = defaultdict(list)
    for entry in entries:
        parts = pointer_of(entry)
        for size in range(len(parts)):
            holders[pointer_text(parts[:size])].append(entry)
    for control in controls:
        if control.pointer and not control.pointer.startswith("/"):  # a name: it stands for the whole file
            targets = entries
        else:
            parts = pointer_of(control.pointer)
            above = [pointer_text(parts[:size]) for size in range(len(parts), -1, -1)]
            targets = next(([one] for one in above if one in found), holders[control.pointer])
        for target in targets:
            found[target].append(control)
    return found


def render(changes: ChangeSet) -> Text:
    """The change set as a unified diff, file by file, with what else there is to say. Control characters are
    made visible; nothing in a value is read as markup.
    """
    out = Text()
    for edit in changes.edits:
        out.append(f"{printable(edit.path)}", style="bold")
        what = "new" if edit.before is None else "goes" if edit.after is None else "changed"
        out.append(f"  ({what}{', executable' if edit.executable else ''})\n", style="dim")
        before, after = _shown(edit.before), _shown(edit.after)
        names = ("/dev/null" if edit.before is None else f"a/{edit.path}", f"b/{edit.path}")
        if edit.after is None:
            names = (names[0], "/dev/null")
        for line in difflib.unified_diff(before, after, *names, lineterm=""):
            out.append(printable(line) + "\n", style=STYLES.get(line[:1], ""))
    for note in changes.notes:
        out.append(f"note: {printable(note)}\n", style="yellow")
    if not changes.edits:
        out.append("nothing to change: what the bundle holds is installed\n")
    return out


def _shown(data: bytes | None) -> list[str]:
    """Lines of a file for a diff. A last line without a line break says so, as diff does."""
    if not data:
        return []
    text = data.decode("utf-8", "replace")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    else:
        lines[-1] += "  \\ no line break at the end"
    return [line.removesuffix("\r") for line in lines]
