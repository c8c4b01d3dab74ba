"""Every error a user can meet, and what the command line turns it into: one sentence and an exit code.

A class here is a kind of fault that somebody handles differently, or that has its own exit code; it is not
one per message. Faults of this program (a bug) are not in here: they keep their traceback.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class Exit(IntEnum):
    """Exit codes of `distill` and `harness-compile`."""

    DONE = 0
    FAILED = 1  # bad input, stale input, I/O
    USAGE = 2  # the command line itself is wrong
    BELOW = 3  # a check, verification or threshold failed
    PENDING = 4  # changes are pending (`diff --exit-code`)
    INTERRUPTED = 130  # Ctrl-C


class DistillError(Exception):
    """Base of all: what is wrong, where, and what mends it. `str()` is one sentence without a final stop."""

    exit_code: Exit = Exit.FAILED

    def __init__(
        self,
        message: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        mend: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.file, self.line, self.mend = message, file, line, mend

    def __str__(self) -> str:
        where = (
            "" if self.file is None else f"{self.file}:" if self.line is None else f"{self.file}:{self.line}:"
        )
        return " ".join(part for part in (where, self.message) if part) + (
            f"; {self.mend}" if self.mend else ""
        )


class UsageError(DistillError):
    """The command line asks for something that has no meaning (`--set` without `=`)."""

    exit_code = Exit.USAGE


class RecipeError(DistillError):
    """A recipe cannot be read: not YAML, an unknown or repeated key, a wrong type, a value out of range."""


class BadMemoryError(DistillError):
    """A memory cannot be read: missing, empty, binary, not UTF-8, too big, an import cycle."""


class RecordError(DistillError):
    """A file of the run directory is torn, edited or of another version."""


class StaleError(DistillError):
    """A stage's input is missing from the run directory, or was made from what has changed since."""


class OverwriteError(DistillError):
    """A file of the user's would be overwritten and nobody said `--force`."""


class ModelError(DistillError):
    """A base model or teacher does not exist, cannot be reached, or cannot hold the memory in its context."""


class CheckError(DistillError):
    """Something is below its threshold, or does not hold what it should."""

    exit_code = Exit.BELOW


class PendingError(DistillError):
    """Changes are pending and the caller asked to be told by the exit code."""

    exit_code = Exit.PENDING


CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")

EXTRA = {"torch", "transformers", "peft", "accelerate", "datasets", "pyarrow", "safetensors", "bitsandbytes"}
OS_FAULTS = {
    errno.ENOSPC: ("the disk is full", "free some space and run the same command again"),
    errno.EDQUOT: ("the disk quota is used up", "free some space and run the same command again"),
    errno.EFBIG: ("a file may not grow that large here", "raise the limit (`ulimit -f`) and run it again"),
    errno.EACCES: ("permission denied", "check who owns it"),
    errno.EPERM: ("operation not permitted", "check who owns it"),
    errno.EROFS: ("the file system is read-only", "choose another `out` in the recipe"),
    errno.ENOENT: ("no such file or directory", "check the path"),
    errno.EISDIR: ("is a directory, a file was expected", "check the path"),
    errno.ENOTDIR: ("a part of the path is not a directory", "check the path"),
    errno.ENAMETOOLONG: ("the path is too long", "shorten it"),
}


def from_os_error(error: OSError) -> DistillError:
    """The one sentence for a fault of the operating system."""
    message, mend = OS_FAULTS.get(error.errno or 0, ((error.strerror or str(error)).lower(), None))
    return DistillError(message, file=error.filename, mend=mend)


@contextmanager
def user_faults(command: str, *, debug: bool | None = None) -> Iterator[None]:
    """Turn a user's fault inside the block into one sentence on stderr and `SystemExit(code)`.

    `command` is the full command line that resumes the work; it is named when Ctrl-C stops it. `debug` (by
    default: whether DISTILL_DEBUG is set) prints the traceback as well. Anything that is not a user's fault
    passes through.
    """
    debug = bool(os.environ.get("DISTILL_DEBUG")) if debug is None else debug
    try:
        yield
    except KeyboardInterrupt:
        leave(f"stopped; `{command}` resumes", Exit.INTERRUPTED, debug)
    except BrokenPipeError:  # the reader of our output left (`distill plan … | head`)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(Exit.FAILED) from None
    except DistillError as error:
        leave(f"error: {error}", error.exit_code, debug)
    except OSError as error:
        if error.errno is None:  # raised by a library to mean something else: not ours to explain
            raise
        leave(f"error: {from_os_error(error)}", Exit.FAILED, debug)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in EXTRA:
            raise
        mend = "install memory-distill[train]"
        leave(f"error: this command needs {error.name}, which is not installed; {mend}", Exit.FAILED, debug)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's: this module does without torch
            raise
        mend = (
            "lower synth.batch_size or train.batch_tokens, or hold the base in fewer bits (base.quantize=nf4)"
        )
        leave(f"error: the GPU's memory is used up; {mend}", Exit.FAILED, debug)


def faults(program: str) -> Callable[[F], F]:
    """A decorator: a user's fault in a command of `program` becomes one sentence and an exit code."""

    def decorate(command: F) -> F:
        @functools.wraps(command)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            with user_faults(shlex.join([program, *sys.argv[1:]])):
                return command(*args, **kwargs)

        return wrapped  # type: ignore[return-value]

    return decorate


def leave(sentence: str, code: Exit, debug: bool) -> None:
    """Print one sentence on stderr and exit. Raises SystemExit."""
    if debug:
        traceback.print_exc()
    print(printable(sentence), file=sys.stderr)
    raise SystemExit(int(code)) from None


def printable(text: str) -> str:
    """A text for a terminal: control and direction characters (a hostile memory has some) made visible."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
