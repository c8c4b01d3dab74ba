"""The history of lines: followed through renames, moves and rewritings, read from real git repositories."""

import os
import subprocess
from pathlib import Path

import pytest

from distill.memory import read
from distill.memory.evidence.history import from_git, with_history
from distill.memory.evidence.lineage import Lineage

DAY = "2026-03-{:02d}T12:00:00+00:00"
PORT = "- The relay listens on port 6120."
BUILD = "- Build the site with `mkdocs build` before you look at it."
LAST = "- The mascot is a heron called Ulla."


def commit(root: Path, day: int, **files: str | None) -> None:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(exist_ok=True)
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    stamp = DAY.format(day)
    dates = {"GIT_COMMITTER_DATE": stamp, "GIT_AUTHOR_DATE": stamp}
    names = {
        f"GIT_{who}_{what}": "a@b.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    for command in (["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True, env={**os.environ, **dates, **names})


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    return tmp_path


def lines(text: str, root: Path, name: str = "AGENTS.md") -> dict[str, tuple[str, str, int, int]]:
    found, warnings = from_git([root / name])
    assert warnings == ()
    history = found[root / name].lines
    return {
        line: (known.first_seen[8:10], known.last_changed[8:10], known.edits, known.stood)
        for line, known in zip(text.split("\n"), history, strict=True)
        if known is not None
    }


def test_a_line_is_followed_through_a_rewriting_a_move_and_a_rename(repository: Path) -> None:
    first = f"{PORT}\n{BUILD}\n{LAST}\n"
    commit(repository, 1, NOTES_md=first)
    commit(repository, 2, NOTES_md=f"{PORT.replace('6120', '6121')}\n{BUILD}\n{LAST}\n")
    commit(repository, 3, NOTES_md=None, AGENTS_md=f"{LAST}\n{BUILD}\n{PORT.replace('6120', '6121')}\n")
    text = f"{LAST}\n{BUILD}\n{PORT.replace('6120', '6122')}"
    commit(repository, 4, AGENTS_md=text)
    assert lines(text, repository) == {
        LAST: ("01", "01", 0, 3),
        BUILD: ("01", "01", 0, 3),
        PORT.replace("6120", "6122"): ("01", "04", 2, 0),
    }


def test_a_line_keeps_its_history_when_it_moves_to_another_memory_file(repository: Path) -> None:
    commit(repository, 1, CLAUDE_md=f"{PORT}\n{BUILD}\n{LAST}\n{PORT} Twice.\n")
    commit(repository, 5, CLAUDE_md=f"{PORT}\n{LAST}\n{PORT} Twice.\n", AGENTS_md=f"# New here\n\n{BUILD}")
    known = lines(f"# New here\n\n{BUILD}", repository)
    assert known[BUILD] == ("01", "01", 0, 1)
    assert known["# New here"] == ("05", "05", 0, 0)


def test_what_is_not_committed_has_no_history(repository: Path) -> None:
    commit(repository, 1, AGENTS_md=f"{PORT}\n{LAST}")
    (repository / "AGENTS.md").write_text(f"{PORT}\n{BUILD}\n{LAST}")
    assert set(lines(f"{PORT}\n{BUILD}\n{LAST}", repository)) == {PORT, LAST}
    (repository / "GEMINI.md").write_text(BUILD)
    assert lines(BUILD, repository, "GEMINI.md") == {}


def test_many_commits_of_one_day_count_once(repository: Path) -> None:
    for number in range(4):
        commit(repository, 1, AGENTS_md=f"{PORT}\n- Entry number {number} of this list.")
    assert lines(f"{PORT}\n- Entry number 3 of this list.", repository) == {
        PORT: ("01", "01", 0, 0),
        "- Entry number 3 of this list.": ("01", "01", 3, 0),
    }


def test_a_merge_counts_when_it_arrives(repository: Path) -> None:
    commit(repository, 1, AGENTS_md=PORT)
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
    subprocess.run([*git, "checkout", "-qb", "side"], cwd=repository, check=True)
    commit(repository, 2, AGENTS_md=f"{PORT}\n{LAST}")
    subprocess.run([*git, "checkout", "-q", "-"], cwd=repository, check=True)
    commit(repository, 3, other_md="x")
    stamp = {**os.environ, "GIT_COMMITTER_DATE": DAY.format(9), "GIT_AUTHOR_DATE": DAY.format(9)}
    subprocess.run([*git, "merge", "-q", "--no-edit", "side"], cwd=repository, check=True, env=stamp)
    assert lines(f"{PORT}\n{LAST}", repository)[LAST][:2] == ("09", "09")


def test_units_get_what_their_lines_know(repository: Path) -> None:
    commit(repository, 1, AGENTS_md=f"# Notes\n\n{PORT}\n{BUILD}\n")
    commit(repository, 2, AGENTS_md=f"# Notes\n\n{PORT.replace('6120', '6121')}\n{BUILD}\n")
    memory, pasts, warnings = with_history(read([("auto", repository)]), repository)
    port, build = memory.units
    assert (port.first_seen, port.last_changed, port.edits) == (DAY.format(1), DAY.format(2), 1)
    assert (build.last_changed, build.edits, pasts[build.id].stood) == (DAY.format(1), 0, 1)
    assert port.spans[0].revision and len(port.spans[0].revision) == 40
    assert pasts[port.id].kept == (0.5,) and warnings == ()


def test_without_a_repository_there_is_a_sentence_and_no_history(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text(PORT)
    memory, pasts, (warning,) = with_history(read([("auto", tmp_path)]), tmp_path)
    assert pasts == {} and memory.units[0].first_seen is None
    assert "no history" in warning and "words alone" in warning


def test_without_git_there_is_a_sentence(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(repository, 1, AGENTS_md=PORT)
    monkeypatch.setenv("PATH", "")
    found, (warning,) = from_git([repository / "AGENTS.md"])
    assert found == {} and "there is no git here" in warning


def test_nothing_that_a_repository_names_is_started(repository: Path) -> None:
    bait = f"touch {repository / 'started'}"
    (repository / ".gitattributes").write_text("*.md diff=bait filter=bait\n")
    commit(repository, 1, AGENTS_md=PORT)
    for key in ("diff.bait.textconv", "diff.external", "core.fsmonitor", "core.pager", "gpg.program",
                "filter.bait.clean", "filter.bait.smudge", "alias.log", "diff.bait.command"):  # fmt: skip
        subprocess.run(["git", "config", key, bait if key != "alias.log" else f"!{bait}"], cwd=repository)
    subprocess.run(["git", "config", "log.showSignature", "true"], cwd=repository)
    assert PORT in lines(PORT, repository)
    assert not (repository / "started").exists()


@pytest.mark.parametrize(
    "name", ["with space.md", 'quo"te.md', "ü.md", "line\nbreak.md", ":(top)x.md", "-n.md"]
)
def test_odd_names_are_names(repository: Path, name: str) -> None:
    (repository / name).write_text(PORT)
    commit(repository, 1)
    assert PORT in lines(PORT, repository, name)


def test_lines_of_one_word_do_not_move() -> None:
    followed = Lineage()
    followed.step("a", DAY.format(1), {"x": "}\n- Keep the tests green at all times."})
    followed.step("b", DAY.format(2), {"x": "- Keep the tests green at all times.", "y": "}"})
    now = followed.now("y")
    assert now and now.lines[0] and now.lines[0].first_seen == DAY.format(2)
