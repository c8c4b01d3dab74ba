"""Every argv that real bash executes is one that the guard saw, over generated command lines.

Bash runs in a folder of its own with `env -i`, a PATH that holds only stand-ins which write down their argv
and obey a little (`env`, `sudo` and the like run what follows), restricted by construction: the generator
knows no absolute path, no `..`, no `/`-program and no redirection out of the folder. An argv of a word list
that bash would split or glob is compared word for word; where the guard said that a word is known only at run
time, any text fits.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from harness_compile.runtime import guard

BASH = shutil.which("bash")
pytestmark = pytest.mark.skipif(BASH is None, reason="no bash here")

PLAIN = "git npm rm cat ls make terraform pytest gh grep sed tee mv".split()
RUNS = "env sudo nohup timeout nice xargs setsid".split()
STAND_IN = """#!/bin/sh
printf '%s\\0' "${{0##*/}}" "$@" '\x01' >> "$STANDIN_LOG"
case "${{0##*/}}" in
  env|sudo)
    while :; do case "${{1-}}" in *=*|-i|-E|-n) shift ;; *) break ;; esac; done
    [ $# -gt 0 ] && exec "$@" ;;
  nohup|setsid) exec "$@" ;;
  timeout) shift; exec "$@" ;;
  nice) [ "${{1-}}" = -n ] && shift 2; exec "$@" ;;
  xargs) set -f; words=; while read -r line; do words="$words $line"; done; exec "$@" $words ;;
  tee) while IFS= read -r line; do printf '%s\\n' "$line"; done ;;
  cat) [ $# -gt 0 ] || while IFS= read -r line; do printf '%s\\n' "$line"; done ;;
  sh|bash) exec {bash} "$@" ;;
esac
exit 0
"""


class Lines:
    """Seeded command lines: nothing in them can leave the folder that they run in."""

    def __init__(self, seed: int) -> None:
        self.r = random.Random(seed)

    def word(self) -> str:
        r = self.r
        return r.choice(
            [
                lambda: r.choice(
                    "push commit status install add run apply origin main -f --force -m --x=1 -rf a b".split()
                ),
                lambda: "'" + r.choice(["a b", "x;y", "$a", "*", "", "do not push", "`b`", '"q"']) + "'",
                lambda: (
                    '"'
                    + r.choice(["a b", "$v", "${v}x", "x;y", "\\$v", '\\"q\\"', "$(ls q)", "`ls w`", "*"])
                    + '"'
                ),
                lambda: r.choice(
                    [
                        "$v",
                        "$w",
                        "${v}",
                        "${w:-def}",
                        "${unset_x:-push}",
                        "$v$w",
                        "pre$v",
                        "${v}post",
                        "$unset_x",
                    ]
                ),
                lambda: r.choice(
                    [
                        "f.*",
                        "f?.txt",
                        "*.txt",
                        "nomatch*",
                        "[fg]1.txt",
                        "{a,b}",
                        "x{1..3}y",
                        "{p,q}{r,s}",
                        "~",
                    ]
                ),
                lambda: r.choice(
                    [
                        "a\\ b",
                        "\\$v",
                        "pu''sh",
                        'pu""sh',
                        "g\\it",
                        "$'a\\tb'",
                        "$'it\\'s'",
                        "a#b",
                        "x=y",
                        "--",
                    ]
                ),
                lambda: "$(" + self.simple(1) + ")",
                lambda: r.choice(
                    ["$(echo push)", "`echo one two`", '"$(echo one two)"', "$((1+2))", "$(cat f1.txt)"]
                ),
            ]
        )()

    def simple(self, depth: int) -> str:
        r = self.r
        program = r.choice(PLAIN)
        if r.random() < 0.08:
            program = r.choice(["'git'", "\\git", 'g"i"t', "$g", "${g}"])
        words = [program, *(self.word() for _ in range(r.randint(0, 3)))] if depth < 3 else [program, "a"]
        line = " ".join(words)
        if r.random() < 0.12:
            line = r.choice(["v=1 ", "A=b C='d e' ", "v=$w "]) + line
        if r.random() < 0.2:
            line = r.choice(["env ", "sudo ", "nohup ", "timeout 5 ", "nice -n 3 ", "env A=1 ", "command ",
                             "exec ", "setsid ",
                             "sudo env B=2 nice ", "builtin echo x; ", "! ", "time "]) + line  # fmt: skip
        if r.random() < 0.15:
            line += r.choice(
                [" > out1", " >> out2", " 2>&1", " < f1.txt", " 2> out3", " &> out4", " <<< 'some text'"]
            )
        return line

    def command(self, depth: int = 0) -> str:
        r = self.r
        if depth > 2 or r.random() < 0.5:
            return self.simple(depth)
        inner = lambda: self.command(depth + 1)  # noqa: E731
        return r.choice(
            [
                lambda: f"{inner()} && {inner()}",
                lambda: f"{inner()} || {inner()}",
                lambda: f"{inner()}; {inner()}",
                lambda: f"{inner()} | {inner()}",
                lambda: f"({inner()})",
                lambda: f"{{ {inner()}; }}",
                lambda: f"if {inner()}; then {inner()}; else {inner()}; fi",
                lambda: f"for v in {self.word()} {self.word()}; do {inner()}; done",
                lambda: f"for i in 1 2; do v=$i{r.choice('ab')}; {inner()}; done; {self.simple(2)}",
                lambda: f"case {self.word()} in p*) {inner()};; *) {inner()};; esac",
                lambda: f"v={self.word()}; {inner()}",
                lambda: f"w='{r.choice(['push --force', 'one', 'a  b'])}'; {inner()}",
                lambda: f"[ a = {r.choice('ab')} ] && v={r.choice(['new', '--force'])}; {self.simple(2)}",
                lambda: f'fn() {{ git $1 "$@"; }}; fn {self.word()} {self.word()}',
                lambda: f"sh -c {guard.quote(self.simple(2))}",
                lambda: f"bash -c {guard.quote(self.simple(2))} zero one",
                lambda: f"bash -ec 'git \"$1\" $2' zero {self.word()} two",
                lambda: f"eval {guard.quote(self.simple(2))}",
                lambda: f"echo {r.choice(['push', 'one two', 'x'])} | xargs git",
                lambda: f"cat <<E\ntext $v $({self.simple(2)})\nE\n{self.simple(2)}",
                lambda: f"cat <<'E'\ntext $v $(ls no)\nE\n{self.simple(2)}",
                lambda: f"cat <<-E | {self.simple(2)}\n\ttext\n\tE",
                lambda: f"bash <<E\ngit {self.r.choice(['push', 'status'])} --force\nE",
                lambda: "echo 'git push -f' | sh",
                lambda: f"cd sub && {inner()}",
                lambda: f"a=(x 'y z' --force); git \"${{a[@]}}\" {self.word()}",
                lambda: f'set -- {self.word()} two; git "$@" $1',
                lambda: f"while read l; do git $l; done < f1.txt; {self.simple(2)}",
                lambda: f"{self.simple(2)} # comment ; git push",
                lambda: f"{self.simple(2)} &\n{self.simple(2)}\nwait",
                lambda: f"[[ {self.word()} == p* ]] && {inner()}",
                lambda: f"n=3; (( n++ )); git $n {self.word()}",
                lambda: f"trap {guard.quote(self.simple(2))} EXIT",
                lambda: f"cat <({self.simple(2)}) > out5",
                lambda: f"v+={r.choice('xy')}; git $v",
                lambda: f"export v={self.word()}; sh -c 'git $v'",
                lambda: f"git \\\n  push {self.word()}",
                lambda: f"until true; do git never; done; {inner()}",
                lambda: f"unset v; git $v {self.word()}",
                lambda: f"g=npm; {inner()}; unset g; $g git x",
                lambda: f"alias git=npm; {self.simple(2)}",
                lambda: f"local x=1; declare y=$v; git $y $({self.simple(2)})",
                lambda: "for v in *.txt; do git $v && break; done; git after $v",
                lambda: "printf -v v '%s' push; git $v",
                lambda: f"IFS=:; w=a:b; git $w {self.word()}",
                lambda: f"git ${{v/p/q}} ${{#v}} ${{v^^}} ${{v%x}} {self.word()}",
            ]
        )()


def folder(tmp_path: Path) -> tuple[Path, Path]:
    """A folder to run in and the folder of stand-ins."""
    work, bin_ = tmp_path / "work", tmp_path / "bin"
    work.mkdir()
    bin_.mkdir()
    for name in [*PLAIN, *RUNS, "sh", "bash"]:
        path = bin_ / name
        path.write_text(STAND_IN.format(bash=BASH))
        path.chmod(0o755)
    return work, bin_


def fresh(work: Path) -> None:
    shutil.rmtree(work)
    (work / "sub").mkdir(parents=True)
    for name in ("f1.txt", "f2.txt", "g1.txt", "f.md"):
        (work / name).write_text("line one\nline two\n")
    (work / "sub" / "s.txt").write_text("s\n")


def executed(lines: list[str], work: Path, bin_: Path) -> list[list[list[str]]]:
    """What bash executed of each line, run one after the other, each in a bash of its own."""
    fresh(work)
    found = []
    for number, line in enumerate(lines):
        log = (
            work.parent / f"log{number}"
        )  # one each: a background job may still write when the next line runs
        log.write_bytes(b"")
        subprocess.run(
            [BASH or "bash", "--noprofile", "--norc", "-c", line],
            cwd=work, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=20,
            env={"PATH": str(bin_), "STANDIN_LOG": str(log), "HOME": str(work), "v": "", "w": "", "g": "git"},
        )  # fmt: skip
        argvs, now = [], []
        for word in log.read_bytes().decode("utf-8", "replace").split("\0")[:-1]:
            if word == "\1":
                argvs.append(now)
                now = []
            else:
                now.append(word)
        found.append(argvs)
        log.unlink()
        for path in [*work.iterdir(), *(work / "sub").iterdir()]:
            if path.name not in ("sub", "f1.txt", "f2.txt", "g1.txt", "f.md", "s.txt"):
                path.unlink()
    return found


def fits(argv: list[str], action: guard.Action) -> bool:
    """Whether this argv is one that the action stands for."""
    if action.loose:
        return True
    seen: set[tuple[int, int]] = set()
    words = action.argv or []

    def step(i: int, j: int) -> bool:
        if (i, j) in seen:
            return False
        seen.add((i, j))
        if j == len(words):
            return i == len(argv)
        word = words[j]
        if i < len(argv) and guard.meet(guard.tokens(word, False), list(argv[i])) and step(i + 1, j + 1):
            return True
        if guard.MANY in word:
            if step(i, j + 1):
                return True
            return i < len(argv) and (
                step(i + 1, j) or any(step(k, j + 1) for k in range(i + 1, len(argv) + 1))
            )
        return False

    if words and argv and "/" in words[0]:
        words = [guard.base(words[0]), *words[1:]]
    return step(0, 0)


def seen(line: str, work: Path) -> list[guard.Action]:
    fresh(work)
    disk = guard.Disk(str(work), home=str(work))
    return guard.Walk(str(work), disk).line(line, (str(work),), ())


def missed(argvs: list[list[str]], actions: list[guard.Action]) -> list[list[str]]:
    return [argv for argv in argvs if not any(fits(argv, action) for action in actions)]


def check(seed: int, count: int, tmp_path: Path) -> tuple[list[str], int, int]:
    """Lines that were missed, how many argv were compared, and in how many lines any command might have
    run.
    """
    lines = Lines(seed)
    work, bin_ = folder(tmp_path)
    texts = [lines.command() for _ in range(count)]
    wrong, compared, loose = [], 0, 0
    for text, argvs in zip(texts, executed(texts, work, bin_), strict=True):
        compared += len(argvs)
        actions = seen(text, work)
        loose += any(action.loose for action in actions)
        lost = missed(argvs, actions)
        if lost:
            wrong.append(f"{text!r}: {lost}")
    return wrong, compared, loose


def test_every_argv_that_bash_executes_was_seen(tmp_path: Path) -> None:
    wrong, compared, loose = check(7, 300, tmp_path)
    assert wrong == []
    assert compared > 300
    assert loose < 30, "a guard that calls everything undecided sees nothing"


ROWS = [
    ("g=push; git $g --force", [["git", "push", "--force"]]),
    ("env A=1 sudo timeout 5 git push", [["git", "push"]]),
    ("sh -c 'git push; ls'", [["git", "push"], ["ls"]]),
    ("echo one two | xargs git", [["git", "one", "two"]]),
    ('cd sub && fn() { git $1 "$@"; }; fn \'*\' "*"', [["git", "s.txt", "*", "*"]]),
]


@pytest.mark.parametrize(("line", "argvs"), ROWS, ids=[row[0] for row in ROWS])
def test_rows(line: str, argvs: list[list[str]], tmp_path: Path) -> None:
    work, bin_ = folder(tmp_path)
    (got,) = executed([line], work, bin_)
    assert [argv for argv in argvs if argv not in got] == []
    assert missed(got, seen(line, work)) == []


def test_a_command_that_the_guard_did_not_see_is_noticed(tmp_path: Path) -> None:
    work, _ = folder(tmp_path)
    assert missed([["git", "push"], ["rm", "a"]], seen("git push", work)) == [["rm", "a"]]


@pytest.mark.slow
def test_ten_thousand_lines(tmp_path: Path) -> None:
    wrong, compared, loose = check(int(os.environ.get("BASH_SEED", "11")), 10_000, tmp_path)
    assert wrong == []
    assert compared > 10_000
    assert loose < 1_000
