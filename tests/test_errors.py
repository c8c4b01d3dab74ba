"""One sentence and one exit code for every fault of a user; a traceback for ours."""

import errno

import pytest

from distill.errors import (
    BadMemoryError,
    DistillError,
    PendingError,
    UsageError,
    printable,
    user_faults,
)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DistillError("broke"), "broke"),
        (DistillError("broke", mend="mend it"), "broke; mend it"),
        (DistillError("broke", file="a.md"), "a.md: broke"),
        (DistillError("broke", file="a.md", line=3, mend="mend it"), "a.md:3: broke; mend it"),
    ],
)
def test_the_sentence_says_where_what_and_the_mend(error: DistillError, sentence: str) -> None:
    assert str(error) == sentence


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (BadMemoryError("is empty", file="a.md"), 1, "error: a.md: is empty\n"),
        (UsageError("no meaning"), 2, "error: no meaning\n"),
        (PendingError("two edits"), 4, "error: two edits\n"),
        (KeyboardInterrupt(), 130, "stopped; `distill run r.yaml` resumes\n"),
        (
            OSError(errno.ENOSPC, "No space left on device", "out/x"),
            1,
            "error: out/x: the disk is full; free some space and run the same command again\n",
        ),
        (
            PermissionError(errno.EACCES, "x", "out/x"),
            1,
            "error: out/x: permission denied; check who owns it\n",
        ),
        (
            ModuleNotFoundError("No module named 'torch'", name="torch"),
            1,
            "error: this command needs torch, which is not installed; install memory-distill[train]\n",
        ),
        (OSError(errno.EIO, "Input/output error", "x"), 1, "error: x: input/output error\n"),
    ],
)
def test_a_users_fault_is_one_sentence(fault: BaseException, code: int, said: str, capsys) -> None:
    with pytest.raises(SystemExit) as left, user_faults("distill run r.yaml"):
        raise fault
    assert left.value.code == code
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("x"),
        OSError("a library's own words"),
        KeyError("x"),
        ModuleNotFoundError("No module named 'ours'", name="ours"),
    ],
)
def test_a_bug_keeps_its_traceback(bug: Exception) -> None:
    with pytest.raises(type(bug)), user_faults("distill run r.yaml"):
        raise bug


def test_debug_shows_the_traceback(capsys) -> None:
    with pytest.raises(SystemExit), user_faults("distill", debug=True):
        raise BadMemoryError("is empty")
    assert "Traceback" in capsys.readouterr().err


def test_a_terminal_gets_no_control_characters() -> None:
    assert printable("a\x1b[31mb\u202ec\td") == "a\ufffd[31mb\ufffdc\td"
