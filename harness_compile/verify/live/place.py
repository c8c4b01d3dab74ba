"""A throw-away project and home, with harmless stand-ins for programs first on PATH.

A stand-in writes its arguments to a log outside the project and prints a line; it never does anything else.
`git` and the interpreters are handed to the real ones only where a harness or the guard runs them for itself:
in the throw-away home, git with a sub-command that only looks, python with the flags of the guard's launcher.
Not covered: programs that are named by an absolute path (see `probes`, which does not attempt such calls).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

# What only reads or only starts another program: the real ones serve, and their effect is seen otherwise.
READERS = frozenset(
    "cat head tail ls grep wc echo printf true false test [ pwd dirname basename sleep".split()
)
STARTERS = frozenset("sh bash dash env xargs timeout nice nohup setsid time command exec eval".split())
BUILTIN = frozenset(
    "cd export set unset shift read local return exit source . : trap alias wait pushd popd".split()
)
LOOKING = (
    "rev-parse|status|branch|config|log|remote|symbolic-ref|ls-files|worktree|diff|show|for-each-ref|"
    "merge-base|check-ignore|cat-file|rev-list|--version|version|var|describe"
)
OWN = frozenset("git node python python3 rg".split())  # what harnesses run for themselves
FIELD, END = "\x1f", "\x1e\n"

SCRIPT = """#!/bin/sh
{{ printf '%s' {name}; for word do printf '\\037%s' "$word"; done; printf '\\036\\n'; }} >>{log}
{more}printf 'stand-in: %s\\n' {name}" $*"
"""
HOME = """case "$PWD/" in {home}/*) exec {real} "$@";; esac
"""
NODE = """case "$1" in {own}/*) exec {real} "$@";; esac
"""
GIT = """real={real}
sub=
skip=
for word do
  if [ -n "$skip" ]; then skip=; continue; fi
  case "$word" in
    -C|-c|--git-dir|--work-tree) skip=1;;
    --version) sub=version; break;;
    -*) ;;
    *) sub=$word; break;;
  esac
done
case "$sub" in {looking}) exec "$real" "$@";; esac
"""
PYTHON = """case "$1$2" in -I-S) exec {real} "$@";; esac
"""
SUDO = """while case "$1" in -*) true;; *) false;; esac; do shift; done
exec "$@"
"""


@dataclass(frozen=True)
class Place:
    """Where one run of a harness happens. `bin` holds the stand-ins, `log` what they were called with."""

    top: Path
    project: Path
    home: Path
    bin: Path
    log: Path

    def ran(self) -> list[list[str]]:
        """The argv of every stand-in that was started, in order."""
        if not self.log.exists():
            return []
        text = self.log.read_text(encoding="utf-8", errors="replace")
        return [line.split(FIELD) for line in text.split(END) if line]

    def branch(self, name: str) -> None:
        """Make `name` the branch of the project."""
        (self.project / ".git" / "HEAD").write_text(f"ref: refs/heads/{name}\n")

    def environment(self, *front: Path) -> dict[str, str]:
        """A clean environment: nothing of the user's but a language."""
        folders = [self.bin, *front, *real_folders()]
        return {
            "HOME": str(self.home),
            "PATH": os.pathsep.join(map(str, folders)),
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "SHELL": shutil.which("bash") or "/bin/sh",
            "USER": "agent",
            "TMPDIR": str(self.top / "tmp"),
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "XDG_CACHE_HOME": str(self.home / ".cache"),
            "XDG_DATA_HOME": str(self.home / ".local/share"),
            "GIT_CONFIG_NOSYSTEM": "1",
            "NO_COLOR": "1",
            "DO_NOT_TRACK": "1",
            "CI": "1",
        }


def real_folders() -> list[str]:
    """The folders of the system's own programs."""
    return [folder for folder in ("/usr/local/bin", "/usr/bin", "/bin") if os.path.isdir(folder)]


@contextlib.contextmanager
def throw_away(
    programs: Iterable[str], front: Sequence[Path] = (), own: Path | None = None
) -> Iterator[Place]:
    """A new place with stand-ins for `programs`; gone when the block ends. `front` are folders of programs
    that the harness brings, `own` is where its scripts are. Raises OSError."""
    top = Path(tempfile.mkdtemp(prefix="harness-live-")).resolve()
    place = Place(top, top / "project", top / "home", top / "bin", top / "ran.log")
    try:
        for folder in (place.project, place.home, place.bin, top / "tmp"):
            folder.mkdir()
        environment = {**place.environment(), "PATH": os.pathsep.join(real_folders())}
        said = subprocess.run(
            ["git", "init", "-q", "-b", "feature", str(place.project)], env=environment, capture_output=True
        )
        if said.returncode:
            (place.project / ".git").mkdir(exist_ok=True)  # no git here: the guard reads HEAD by itself
        place.branch("feature")
        for name in sorted(set(programs)):
            stand_in(place, name, front, own)
        yield place
    finally:
        shutil.rmtree(top, ignore_errors=True)


def stand_in(place: Place, name: str, front: Sequence[Path] = (), own: Path | None = None) -> None:
    """A program that only says that it was called. A name with a slash lies in the project."""
    base = name.rpartition("/")[2]
    if not base or base in READERS | STARTERS | BUILTIN or "\0" in name:
        return
    path = place.project / name if "/" in name else place.bin / name
    if "/" in name and place.project not in path.resolve().parents:
        return
    more, real = "", shutil.which(base, path=os.pathsep.join((*map(str, front), *real_folders())))
    if base in OWN and real:  # what the harness keeps in its home is its own business
        more = HOME.format(home=shlex.quote(str(place.home)), real=shlex.quote(real))
    if base == "node" and real and own is not None:
        more += NODE.format(own=shlex.quote(str(own)), real=shlex.quote(real))
    if base == "git" and real:
        more += GIT.format(real=shlex.quote(real), looking=LOOKING)
    elif base in ("python", "python3"):
        more += PYTHON.format(real=shlex.quote(real or shutil.which("python3") or base))
    elif base == "sudo":
        more = SUDO
    path.parent.mkdir(parents=True, exist_ok=True)
    text = SCRIPT.format(name=shlex.quote(name), log=shlex.quote(str(place.log)), more=more)
    path.write_text(text, encoding="utf-8", errors="surrogateescape")
    path.chmod(0o755)
