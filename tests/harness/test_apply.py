"""Apply and rollback on real files: identity to the byte, hand edits in between, refusals, locks, kills."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from distill.errors import DistillError, OverwriteError, RecordError, StaleError, UsageError
from distill.records import Span, digest, write_json
from harness_compile.apply import apply, recover, rollback
from harness_compile.changes import plan_changes, plan_entries, render
from harness_compile.install.records import ChangeSet, Installed
from harness_compile.install.spans import SettingsError
from harness_compile.install.store import BusyError, Store
from harness_compile.rules import Always, Bundle, Control, EmittedFile, Rule
from harness_compile.status import status

GUARD = b"#!/usr/bin/env python3\nprint('guard')\n"
SETTINGS = b'{\n  "model": "x",\n  "permissions": {\n    "deny": ["mine"]\n  }\n}\n'


def deny(
    value: Any, path: str = "settings.json", pointer: str = "/permissions/deny/-", fmt: Any = "json"
) -> Installed:
    return Installed(rules=("r",), path=path, pointer=pointer, value=value, format=fmt)


def whole(path: str = "hooks/guard.py", data: bytes = GUARD, executable: bool = True) -> Installed:
    return Installed(path=path, value=digest(data), format="file", mechanism="hook", executable=executable)


def block(body: str, path: str = "CLAUDE.md") -> Installed:
    from harness_compile.install.blocks import lines, mark_of

    return Installed(path=path, pointer=mark_of("m", body), value=lines(body), format="text")


ALL = [
    deny("ours"),
    deny({"command": "g"}, pointer="/hooks/PreToolUse/-"),
    whole(),
    block("Use tabs."),
    deny("ours", "deep/er/c.toml", "/deny/-", "toml"),
]


def plan(root: Path, entries: Sequence[Installed], harness: str = "h", *blobs: bytes) -> ChangeSet:
    return plan_entries(
        entries, root, harness=harness, blobs={digest(data): data for data in (GUARD, *blobs)}
    )


def install(root: Path, entries: Sequence[Installed], harness: str = "h", *blobs: bytes) -> str:
    return apply(plan(root, entries, harness, *blobs), root).id


def tree(root: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a root but our own state, with its bytes and mode."""
    return {
        path.relative_to(root).as_posix(): (path.read_bytes(), stat.S_IMODE(path.stat().st_mode))
        for path in sorted(root.rglob("*"))
        if path.is_file() and ".harness-compile" not in path.parts
    }


def folders(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_dir() and ".harness-compile" not in path.parts}


def test_apply_writes_what_was_shown_and_rollback_takes_it_back(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    (tmp_path / "settings.json").chmod(0o640)
    (tmp_path / "CLAUDE.md").write_bytes(b"# Mine\r\n\r\nNo line break at the end")
    before = tree(tmp_path)
    changes = plan(tmp_path, ALL)
    assert tree(tmp_path) == before  # showing writes nothing
    receipt = apply(changes, tmp_path)
    after = tree(tmp_path)
    assert {edit.path: edit.after for edit in changes.edits} == {
        path: data for path, (data, _) in after.items()
    }
    assert json.loads(after["settings.json"][0])["permissions"]["deny"] == ["ours", "mine"]
    assert after["settings.json"][1] == 0o640 and after["hooks/guard.py"][1] & 0o100
    assert b"\r\n<!-- harness-compile m-" in after["CLAUDE.md"][0] and b"tabs.\r\n" in after["CLAUDE.md"][0]
    undone = rollback(tmp_path)
    assert tree(tmp_path) == before and folders(tmp_path) == set()
    assert undone.receipts == (receipt.id,) and undone.merged == () and undone.notes == ()
    assert set(undone.restored) == set(after)
    with pytest.raises(UsageError, match="nothing is installed"):
        rollback(tmp_path)


def test_applying_the_same_again_changes_nothing(tmp_path: Path) -> None:
    first = install(tmp_path, ALL)
    after = tree(tmp_path)
    changes = plan(tmp_path, ALL)
    assert changes.edits == () and changes.notes == ()
    assert apply(changes, tmp_path).id == first
    assert tree(tmp_path) == after


def test_a_second_apply_does_not_eat_the_first_preimage(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    before = tree(tmp_path)
    first = install(tmp_path, ALL)
    middle = tree(tmp_path)
    second = install(tmp_path, [deny("other"), ALL[1], whole(data=b"new guard")], "h", b"new guard")
    now = tree(tmp_path)
    assert set(now) == {"settings.json", "hooks/guard.py"} and now["hooks/guard.py"][0] == b"new guard"
    assert json.loads(now["settings.json"][0])["permissions"]["deny"] == ["other", "mine"]
    assert rollback(tmp_path).receipts == (second,)
    assert tree(tmp_path) == middle
    install(tmp_path, [deny("other")])
    assert rollback(tmp_path, first).receipts[-1] == first
    assert tree(tmp_path) == before and folders(tmp_path) == set()


def test_two_harnesses_in_one_file_go_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    one = install(tmp_path, [deny("one")], "one")
    install(tmp_path, [deny("two")], "two")
    undone = rollback(tmp_path, one)
    assert undone.merged == ("settings.json",)
    assert json.loads((tmp_path / "settings.json").read_bytes())["permissions"]["deny"] == ["two", "mine"]
    rollback(tmp_path)
    assert (tmp_path / "settings.json").read_bytes() == SETTINGS


# --- hand edits in between ---------------------------------------------------------------------------------


def test_what_the_user_changed_stays_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    install(tmp_path, ALL)
    path = tmp_path / "settings.json"
    path.write_bytes(path.read_bytes().replace(b'"x"', b'"y"').replace(b'"mine"', b'"mine", "more"'))
    (tmp_path / "hooks/guard.py").write_bytes(b"edited")
    (tmp_path / "deep/er/c.toml").unlink()
    note = tmp_path / "CLAUDE.md"
    note.write_bytes(note.read_bytes() + b"Mine, below.\n")
    undone = rollback(tmp_path)
    assert path.read_bytes() == SETTINGS.replace(b'"x"', b'"y"').replace(b'"mine"', b'"mine", "more"')
    assert note.read_bytes() == b"Mine, below.\n"
    assert (tmp_path / "hooks/guard.py").read_bytes() == b"edited"
    assert not (tmp_path / "deep/er/c.toml").exists()
    assert set(undone.merged) == {"settings.json", "hooks/guard.py", "CLAUDE.md"}
    said = "\n".join(undone.notes)
    assert "hooks/guard.py: was changed by hand and stays" in said
    assert "settings.json: was changed by hand; only what was installed is taken out" in said


def test_a_file_that_the_user_deleted_stays_deleted_and_is_said(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    install(tmp_path, ALL)
    (tmp_path / "settings.json").unlink()
    assert rollback(tmp_path).notes == ("settings.json: was deleted by hand and stays deleted",)
    assert tree(tmp_path) == {}


def test_an_entry_that_the_user_changed_stays_and_is_said(tmp_path: Path) -> None:
    install(tmp_path, [deny("ours"), deny("second"), block("Text.")])
    for name, old, new in (("settings.json", b"ours", b"mine now"), ("CLAUDE.md", b"Text.", b"My text.")):
        path = tmp_path / name
        path.write_bytes(path.read_bytes().replace(old, new))
    undone = rollback(tmp_path)
    assert json.loads((tmp_path / "settings.json").read_bytes()) == {"permissions": {"deny": ["mine now"]}}
    assert b"My text." in (tmp_path / "CLAUDE.md").read_bytes()
    assert any('/permissions/deny "ours" is not there as it was installed' in note for note in undone.notes)
    assert any("was changed by hand and stays" in note for note in undone.notes)


def test_applying_again_puts_back_what_was_taken_away(tmp_path: Path) -> None:
    install(tmp_path, [deny("ours"), whole(), block("Text.")])
    after = tree(tmp_path)
    (tmp_path / "settings.json").write_bytes(b"{}")
    (tmp_path / "hooks/guard.py").write_bytes(b"disarmed")
    (tmp_path / "CLAUDE.md").unlink()
    disarmed = tree(tmp_path)
    changes = plan(tmp_path, [deny("ours"), whole(), block("Text.")])
    assert sum("put back" in note for note in changes.notes) == 2
    apply(changes, tmp_path)
    now = tree(tmp_path)
    assert now["hooks/guard.py"] == after["hooks/guard.py"] and now["CLAUDE.md"] == after["CLAUDE.md"]
    assert json.loads(now["settings.json"][0]) == {"permissions": {"deny": ["ours"]}}
    rollback(tmp_path)
    assert tree(tmp_path) == disarmed


EDITS: list[tuple[str, Callable[[str], str]]] = [
    ("a key at the head", lambda text: text.replace("{", '{\n  "head": 1,', 1)),
    ("an element at the end", lambda text: text.replace('"mine"', '"mine",\n    "more"')),
    ("white space at the end", lambda text: text + "\n\n"),
    ("another model", lambda text: text.replace('"model": "x"', '"model":   "z"')),
    ("nothing", lambda text: text),
]


@pytest.mark.parametrize("inner", ['["mine"]', '[\n      "mine"\n    ]', '[ "mine" ]', '["a", "mine"]'])
@pytest.mark.parametrize(("name", "edit"), EDITS, ids=[name for name, _ in EDITS])
@pytest.mark.parametrize("again", [False, True])
def test_an_edit_before_or_after_comes_to_the_same(
    tmp_path: Path, inner: str, name: str, edit: Callable[[str], str], again: bool
) -> None:
    """Editing and then taking out gives the bytes of editing a file in which nothing was ever installed."""
    original = SETTINGS.decode().replace('["mine"]', inner)
    path = tmp_path / "settings.json"
    path.write_text(original)
    first = install(tmp_path, ALL)
    path.write_text(edit(path.read_text()))
    if again:
        install(tmp_path, [*ALL[1:], deny("another"), deny(True, pointer="/flag")])
    rollback(tmp_path, first)
    assert path.read_text() == edit(original)


values = st.sampled_from(["a", "b", 'q"\n\x1b[0m*/</script>', {"x": [1, "é"]}, 3, True])
pointers = st.sampled_from(["/permissions/deny/-", "/hooks/Stop/-", "/one/two/three/-"])
bundles = st.lists(st.tuples(pointers, values), max_size=5, unique_by=str)
files = st.sampled_from(
    [
        ("s.json", None),
        ("s.json", b""),
        ("s.json", b" \r\n"),
        ("s.json", b"{}"),
        ("s.json", b'\xef\xbb\xbf{"hooks": {"Stop": []}}\n'),
        ("s.json", b'{\r\n\t"permissions": {"deny": [ ]},\r\n\t"x": null\r\n}'),
        ("s.jsonc", b'// a\n{"hooks": {/* b */}, "one": {"two": {}}, // c\n}\n'),
        ("s.json5", b"{hooks: {Stop: ['a', // mine\n]}}"),
        ("s.yaml", None),
        ("s.yaml", b""),
        ("s.yaml", b"# only a comment"),
        ("s.yaml", b"---\nhooks:\n  Stop:\n  # mine\n  - a   # why\nlast: |\n  text\n"),
        ("s.yaml", b"hooks: {Stop: [a]}\r\npermissions:\r\n  deny:\r\n"),
        ("s.toml", None),
        ("s.toml", b"# only a comment"),
        ("s.toml", b'a = 1\r\n[hooks]\r\nStop = ["a"] # mine\r\n[[x]]\r\ny = 1'),
        ("s.toml", b"[one.two]\nthree = [\n  # nothing\n]\n"),
    ]
)


@given(files, st.lists(bundles, min_size=1, max_size=3))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_rollback_of_any_applies_is_identity(file: tuple[str, bytes | None], said: Any) -> None:
    name, data = file
    fmt = name.split(".")[1]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        path = root / name
        if data is not None:
            path.write_bytes(data)
        steps = [data]
        for entries in said:
            install(root, [deny(value, name, pointer, fmt) for pointer, value in entries])
            steps.append(path.read_bytes() if path.exists() else None)
        receipts = [receipt.id for receipt in Store(root.resolve()).receipts()]
        while receipts:
            undone = rollback(root)
            receipts = receipts[: -len(undone.receipts)]
        assert (path.read_bytes() if path.exists() else None) == data
        # The same without the preimages: entry by entry, as after a hand edit that was taken back again.
        install(root, [deny(value, name, pointer, fmt) for pointer, value in said[0]])
        store = Store(root.resolve())
        receipt = store.receipts()[-1]
        if receipt.changes:
            other = receipt.changes[0].model_copy(update={"after": digest("not this")})
            store.write_receipt(receipt.model_copy(update={"changes": (other,)}))
            rollback(root)
            assert (path.read_bytes() if path.exists() else None) == data


# --- refusals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "../out.json",
        "/etc/out.json",
        "a/../../out.json",
        "a\\b.json",
        "",
        ".",
        "a\nb.json",
        "link/out.json",
        "file.json",
        ".harness-compile/state/receipts/x.json",
        ".harness-compile/state",
        "~/../x.json",
        "loop/x",
    ],
)
def test_a_path_that_leaves_the_root_is_refused(tmp_path: Path, path: str) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    (root / "link").symlink_to(out)
    (out / "file.json").write_text("{}")
    (root / "file.json").symlink_to(out / "file.json")
    (root / "loop").symlink_to("loop")
    with pytest.raises(SettingsError):
        plan(root, [whole("hooks/guard.py"), deny("x", path, "/a/-")])
    assert (out / "file.json").read_text() == "{}" and len(list(out.iterdir())) == 1
    assert not (root / "hooks").exists()


def test_a_link_inside_the_root_is_followed_and_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "real.md").write_bytes(b"text\n")
    (tmp_path / "CLAUDE.md").symlink_to("real.md")
    install(tmp_path, [block("ours")])
    assert (tmp_path / "CLAUDE.md").is_symlink() and b"ours" in (tmp_path / "real.md").read_bytes()
    rollback(tmp_path)
    assert (tmp_path / "CLAUDE.md").is_symlink() and (tmp_path / "real.md").read_bytes() == b"text\n"


def test_a_link_put_there_after_the_diff_is_refused(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    changes = plan(root, ALL)
    (root / "hooks").symlink_to(out)
    with pytest.raises(SettingsError, match="leaves"):
        apply(changes, root)
    assert list(out.iterdir()) == [] and tree(root) == {}


def test_paths_of_the_home_stay_in_the_home(tmp_path: Path) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    root.mkdir()
    home.mkdir()
    changes = plan_entries([deny("x", "~/.pi/s.json", "/a/-")], root, harness="h", home=home)
    apply(changes, root)
    assert json.loads((home / ".pi/s.json").read_bytes()) == {"a": ["x"]}
    rollback(root)
    assert list(home.iterdir()) == []


def test_a_state_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    root, out = tmp_path / "root", tmp_path / "out"
    root.mkdir()
    out.mkdir()
    (root / ".harness-compile").symlink_to(out)
    with pytest.raises(SettingsError, match="is not a folder of its own"):
        plan(root, ALL)
    assert list(out.iterdir()) == []


@pytest.mark.parametrize("what", ["file", "folder"])
def test_read_only_is_refused_and_all_stays(tmp_path: Path, what: str) -> None:
    folder = tmp_path / "deep"
    folder.mkdir()
    (folder / "s.json").write_bytes(b"{}")
    place = folder / "s.json" if what == "file" else folder
    place.chmod(0o555)
    try:
        with pytest.raises(SettingsError, match="read-only"):
            plan(tmp_path, [whole(), deny("x", "deep/s.json")])
        assert tree(tmp_path) == {"deep/s.json": (b"{}", stat.S_IMODE((folder / "s.json").stat().st_mode))}
    finally:
        place.chmod(0o755)


@pytest.mark.parametrize("change", ["edit", "create", "delete"])
def test_a_file_changed_since_the_diff_is_refused(tmp_path: Path, change: str) -> None:
    path = tmp_path / "settings.json"
    if change != "create":
        path.write_bytes(SETTINGS)
    changes = plan(tmp_path, ALL)
    if change == "delete":
        path.unlink()
    else:
        path.write_bytes(b'{"mine": 1}')
    before = tree(tmp_path)
    with pytest.raises(StaleError, match=r"settings\.json: was changed since the differences were shown"):
        apply(changes, tmp_path)
    assert tree(tmp_path) == before


def test_a_change_set_is_for_one_root_and_one_moment(tmp_path: Path) -> None:
    changes = plan(tmp_path, [deny("x")])
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(UsageError, match="were shown for"):
        apply(changes, other)
    install(tmp_path, [whole()])
    with pytest.raises(StaleError, match="another apply has been here"):
        apply(changes, tmp_path)


def test_files_of_somebody_else_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks/guard.py").write_bytes(b"mine")
    with pytest.raises(OverwriteError, match=r"hooks/guard\.py: a file of somebody else's"):
        plan(tmp_path, ALL)
    (tmp_path / "hooks/guard.py").unlink()
    (tmp_path / "hooks/guard.py").mkdir()
    with pytest.raises(SettingsError, match="not a regular file"):
        plan(tmp_path, ALL)


def test_one_broken_file_stops_a_rollback_before_it_begins(tmp_path: Path) -> None:
    install(tmp_path, ALL)
    (tmp_path / "settings.json").write_bytes(b'{"permissions": ')
    before = tree(tmp_path)
    with pytest.raises(SettingsError, match=r"settings\.json:1: is not valid JSON"):
        rollback(tmp_path)
    assert tree(tmp_path) == before


def test_a_lost_preimage_is_said_and_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    install(tmp_path, ALL)
    before = tree(tmp_path)
    blob = Store(tmp_path.resolve()).folder / "blobs" / digest(SETTINGS).removeprefix("sha256:")
    blob.write_bytes(b"damaged")
    with pytest.raises(RecordError, match="preimage is damaged"):
        rollback(tmp_path)
    assert tree(tmp_path) == before


def test_an_unknown_receipt_is_named(tmp_path: Path) -> None:
    first = install(tmp_path, [deny("x")])
    with pytest.raises(UsageError, match=f"nope is not here; those in force are {first}"):
        rollback(tmp_path, "nope")


# --- one at a time, all or nothing ------------------------------------------------------------------------


def test_a_lock_keeps_others_out(tmp_path: Path) -> None:
    changes = plan(tmp_path, ALL)
    with Store(tmp_path.resolve()).lock():
        # flock holds between open files, so a second one in this process is as good as another process
        with pytest.raises(BusyError, match="another harness-compile"):
            apply(changes, tmp_path)
        with pytest.raises(BusyError):
            rollback(tmp_path)
    assert tree(tmp_path) == {}
    apply(changes, tmp_path)


def test_a_fault_in_the_middle_puts_everything_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    before = tree(tmp_path)
    changes = plan(tmp_path, ALL)
    replace, count = os.replace, 0

    def full(source: Any, target: Any) -> None:
        nonlocal count
        if ".harness-compile.tmp" in str(source):
            count += 1
            if count == 3:
                raise OSError(28, "No space left on device", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space"):
        apply(changes, tmp_path)
    assert tree(tmp_path) == before and folders(tmp_path) == set()
    assert recover(tmp_path) == [] and Store(tmp_path.resolve()).receipts() == []


def killed(step: int, work: Callable[[], Any]) -> bool:
    """Run `work` in a child that is killed (-9) at its nth change of the disk; whether it was."""
    child = os.fork()
    if child == 0:
        count = 0

        def deadly(function: Any) -> Any:
            def counted(*arguments: Any, **named: Any) -> Any:
                nonlocal count
                count += 1
                if count == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                return function(*arguments, **named)

            return counted

        for name in ("fsync", "replace", "unlink", "rmdir", "mkdir"):
            setattr(os, name, deadly(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("what", ["apply", "second", "rollback"])
def test_a_kill_at_any_moment_leaves_all_or_nothing(tmp_path: Path, what: str) -> None:
    states: list[bool] = []
    changes, dead, step = None, True, 0
    while dead:
        step += 1
        root = tmp_path / str(step)
        root.mkdir()
        (root / "settings.json").write_bytes(SETTINGS)
        original = tree(root)
        if what != "apply":
            install(root, ALL)
        before = tree(root)
        second = [deny("other"), whole(data=b"new")]
        if what == "rollback":
            dead = killed(step, lambda root=root: rollback(root))
        else:
            changes = plan(root, ALL if what == "apply" else second, "h", b"new")
            dead = killed(step, lambda root=root, changes=changes: apply(changes, root))
        recover(root)
        now = tree(root)
        states.append(now == before)
        receipts = [one for one in Store(root.resolve()).receipts() if not one.undone]
        if what == "rollback":
            assert now == (before if receipts else original)
        else:
            assert changes is not None and (len(receipts) == (what == "second")) == (now == before)
            if now != before:
                assert now == {
                    edit.path: (edit.after, now[edit.path][1])
                    for edit in changes.edits
                    if edit.after is not None
                }
        assert not list(root.rglob("*.harness-compile.tmp"))
        while any(not one.undone for one in Store(root.resolve()).receipts()):
            rollback(root)
        assert tree(root) == original and folders(root) == set()
    assert len(states) > 10
    assert states[0] and not states[-1] and True in states and False in states[:-1]


def test_a_change_by_somebody_else_after_a_kill_is_kept(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    changes = plan(tmp_path, ALL)
    step = 1
    while not (Store(tmp_path.resolve()).journal.exists() and (tmp_path / "hooks/guard.py").exists()):
        assert killed(step, lambda: apply(changes, tmp_path))
        step += 1
    (tmp_path / "settings.json").write_bytes(b'{"mine": 1}')
    said = recover(tmp_path)
    assert said[0] == "a change that was cut off has been undone"
    assert said[1] == "settings.json: was changed by somebody else meanwhile, and stays"
    assert {path: data for path, (data, _) in tree(tmp_path).items()} == {"settings.json": b'{"mine": 1}'}


def test_state_that_came_with_a_repository_writes_nothing(tmp_path: Path) -> None:
    """A journal and receipts that somebody planted, as a clone of a hostile repository could hold them."""
    home, made, clone = tmp_path / "home", tmp_path / "made", tmp_path / "clone"
    for folder in (home, made):
        folder.mkdir()
    changes = plan_entries([deny("x", "~/s.json", "/a/-")], made, harness="h", home=home)
    step = 1
    while not Store(made).journal.exists():
        assert killed(step, lambda: apply(changes, made))
        step += 1
    shutil.copytree(made, clone)
    (home / "s.json").unlink(missing_ok=True)
    with pytest.raises(RecordError, match=r"journal\.json: was not written in this folder"):
        plan(clone, ALL)
    recover(made)
    assert (home / "s.json").exists()
    shutil.rmtree(clone)
    shutil.copytree(made, clone)
    with pytest.raises(RecordError, match="changes the home and was not written here"):
        rollback(clone)
    assert (home / "s.json").exists()
    rollback(made)
    assert list(home.iterdir()) == []


def test_a_project_that_was_moved_can_be_rolled_back(tmp_path: Path) -> None:
    root, moved = tmp_path / "root", tmp_path / "moved"
    root.mkdir()
    (root / "settings.json").write_bytes(SETTINGS)
    before = tree(root)
    install(root, ALL)
    shutil.copytree(root, moved)
    rollback(moved)
    assert tree(moved) == before and tree(root) != before


def test_a_bundle_from_shown_to_gone(tmp_path: Path) -> None:
    """The whole way of a compiled bundle, with a guard, settings, a memory line and the status in between."""
    root, made = tmp_path / "root", tmp_path / "bundle"
    root.mkdir()
    made.mkdir()
    memory = b"- Never force-push.\n"
    (root / "CLAUDE.md").write_bytes(memory)
    (root / ".claude").mkdir()
    (root / ".claude/settings.json").write_bytes(SETTINGS)
    before = tree(root)
    data = {
        "settings.json": json.dumps({"permissions": {"deny": ["Bash(git push -f*)"]}}).encode(),
        "guard.py": GUARD,
    }
    for name, content in data.items():
        (made / name).write_bytes(content)
    span = Span(source="CLAUDE.md", start=2, end=19, line=1, digest=digest(memory[2:19]))
    said = Bundle(
        harness="claude_code",
        harness_version="2",
        rules=(Rule(id="push", when=Always(), effect="deny", message="no", unit="u", span=span),),
        files=(
            EmittedFile(
                path="settings.json",
                to=".claude/settings.json",
                digest=digest(data["settings.json"]),
                how="entries",
            ),
            EmittedFile(path="guard.py", to=".claude/guard.py", digest=digest(GUARD), executable=True),
        ),
        controls=(
            Control(
                rule="push",
                mechanism="permission",
                path=".claude/settings.json",
                pointer="/permissions/deny/0",
            ),
            Control(rule="push", mechanism="hook", path=".claude/guard.py"),
        ),
    )
    write_json(made / "bundle.json", said)
    changes = plan_changes(made, root)
    assert [edit.path for edit in changes.edits] == [".claude/guard.py", ".claude/settings.json"]
    assert '+    "deny": ["Bash(git push -f*)", "mine"]' in render(changes).plain
    receipt = apply(changes, root)
    assert plan_changes(made, root).edits == ()
    found = status(root)
    assert found.sound and [(rule.rule, rule.unit, rule.memory) for rule in found.rules] == [
        ("push", "u", "same")
    ]
    assert rollback(root, receipt.id).notes == () and tree(root) == before


def test_a_thousand_controls_are_fast(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_bytes(SETTINGS)
    many = [deny(f"Bash(git push --force{number}*)") for number in range(1000)]
    many += [deny(f"x{number}", "c.toml", "/deny/-", "toml") for number in range(1000)]
    many += [deny(f"x{number}", "c.yaml", "/deny/-", "yaml") for number in range(1000)]
    begun = time.process_time()
    first = install(tmp_path, many)
    (tmp_path / "settings.json").write_bytes((tmp_path / "settings.json").read_bytes() + b"\n")
    install(tmp_path, [*many[500:], deny("new")])
    rollback(tmp_path, first)
    spent = time.process_time() - begun
    assert (tmp_path / "settings.json").read_bytes() == SETTINGS + b"\n"
    assert spent < 12, f"{spent:.1f} s for two applies and a rollback of 3,000 entries"


def test_every_fault_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_bytes(b"{]")
    with pytest.raises(DistillError) as caught:
        plan(tmp_path, [deny("x", "s.json")])
    assert str(caught.value) == (
        "s.json:1: is not valid JSON at column 2: ']' where a key in quotes should be; "
        "mend it by hand; nothing was changed"
    )
    assert "\n" not in str(caught.value) and sys.getsizeof(str(caught.value)) < 1000
