"""Installs the pinned harnesses into a folder of this checkout, by name from their package registries.

    python -m harness_compile.verify.harnesses.install [DIR] [HARNESS ...] [--newest]

npm and pip do the work, each with its own configuration of this machine. A node of its own comes first, as a
package, because the system's is often too old. What is there in the pinned version is left alone. Not
covered: harnesses that the user has installed elsewhere (`verify --live` finds them on PATH).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Annotated

import typer

from distill.errors import DistillError, UsageError, faults
from harness_compile.verify.harnesses import drivers
from harness_compile.verify.harnesses.base import NODE, NODE_VERSION, Driver, node_folder
from harness_compile.verify.live.verify import PROGRAMS


def run(argv: list[str], folder: Path, path: str) -> None:
    """Run one package client. Raises DistillError with the last line that it said."""
    done = subprocess.run(
        argv,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        why = lines[-1][:200] if lines else f"status {done.returncode}"
        raise DistillError(
            f"{Path(argv[0]).name} could not install {argv[-1]}: {why}",
            mend="look at what the package client says in that folder, and say it again",
        )


def npm(folder: Path, path: str, *packages: str) -> None:
    """`npm install` in a folder of its own."""
    program = shutil.which("npm")
    if program is None:
        raise DistillError("npm is not there", mend="install Node.js, which brings it")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text('{"private": true}\n')
    run([program, "install", "--no-audit", "--no-fund", "--loglevel=error", *packages], folder, path)


def unpinned(package: str) -> str:
    """The name of a package without its version, which is then the newest: `deepagents==0.7.32` and
    `@anthropic-ai/claude-code@2.1.330` without what follows the name."""
    return package.split("==")[0] if "==" in package else package[: package.rindex("@")]


def install(driver: Driver, programs: Path, newest: bool = False) -> bool:
    """Install one harness; False where it is there already. Raises DistillError, OSError."""
    folder = programs / driver.harness
    package = unpinned(driver.package) if newest else driver.package
    mark = folder / f".installed-{driver.pinned}"
    if mark.exists() and not newest:
        return False
    shutil.rmtree(folder, ignore_errors=True)
    path = os.pathsep.join([*map(str, node_folder(programs)), os.environ.get("PATH", "")])
    if driver.how == "pip":
        folder.mkdir(parents=True)
        run([sys.executable, "-m", "venv", str(folder)], programs, path)
        words = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
        run([*words, *driver.beside, package], folder, path)
    elif driver.how == "unpack":
        npm(folder, path, *driver.beside)
        run([shutil.which("npm") or "npm", "pack", "--loglevel=error", package], folder, path)
        (packed,) = folder.glob("*.tgz")
        with tarfile.open(packed) as archive:
            archive.extractall(folder, filter="data")
        packed.unlink()
    else:
        npm(folder, path, *driver.beside, package)
    if not newest:
        mark.touch()
    return True


@faults("harness-compile")
def main(
    programs: Annotated[Path, typer.Argument(metavar="DIR", help="Where they go.")] = PROGRAMS,
    harness: Annotated[list[str] | None, typer.Argument(metavar="HARNESS …", help="By default all.")] = None,
    newest: Annotated[
        bool, typer.Option("--newest", help="The newest versions, not those whose behaviour is known.")
    ] = False,
) -> None:
    """Install the pinned harnesses, and the node that they need."""
    known = drivers()
    for name in harness or ():
        if name not in known:
            raise UsageError(f"there is no harness {name}", mend=f"it is one of {', '.join(known)}")
    programs.mkdir(parents=True, exist_ok=True)
    programs = programs.resolve()
    if not node_folder(programs):
        npm(programs / "node", os.environ.get("PATH", ""), f"{NODE}@{NODE_VERSION}")
    for name in harness or known:
        begun = time.monotonic()
        new = install(known[name], programs, newest)
        took = f"installed in {time.monotonic() - begun:.0f} s" if new else "is there"
        print(f"{name} {'newest' if newest else known[name].pinned} {took}", flush=True)


if __name__ == "__main__":
    typer.run(main)
