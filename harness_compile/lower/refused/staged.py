"""Files that must not be put into a commit, and lists of places.

Covers `git add` of files by name. Not covered: `git add .`, which names none.
"""

from __future__ import annotations

import re

from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Command, Predicate

COMMIT_FILES = re.compile(
    r"^(?!add (?:new |any )*(?:files?|code|content|tests?|anything)? ?(?:to|in|under|into|inside|at) |"
    r"add new )(?:(?:git )?(?:commit|add|check in|stage|track|check into git)(?:(?:,| or|/|, or|"
    r" and) ?(?:push|commit|"
    r"add|stage))*)\s(?P<what>.+)$"
)


def places_of(
    clause: Clause, what: str, *, folder: bool = False
) -> list[tuple[tuple[str, ...], bool | None]] | None:
    whole = objects.path_item(clause, what) if "§" not in what else None
    if whole is not None:
        return [whole]
    found = []
    for item in objects.items(what):
        place = objects.path_item(clause, item, folder=folder)
        if place is None and (secret := objects.secret_item(clause, item)):
            place = (secret, None)
        if place is None:
            return None
        found.append(place)
    return found or None


def staged(places: list[tuple[tuple[str, ...], bool | None]]) -> list[Predicate]:
    """`git add` of such files by name."""
    found: list[str] = []
    for globs, _ in places:
        for glob in globs:
            bare = glob.removeprefix("/").removeprefix("**/")
            folder = re.sub(r"/(?:\*\*?)?$", "", bare)
            found += [bare] if bare == folder else [folder, f"{folder}/*", f"{folder}/"]
            found += [f"*/{folder}" if bare == folder else f"*/{folder}/*"] if "/" not in folder else []
    return (
        [Command(program=("git",), sub=(("add",), ("stage",)), args=(tuple(dict.fromkeys(found)),))]
        if found
        else []
    )


def commit_files(clause: Clause, what: str) -> tuple[str, list[Predicate], str] | None:
    what = re.sub(r" (?:to|into|in) (?:git|the repo(?:sitory)?|version control|source control)$", "", what)
    if not re.search(r"§|file|\.env", what):
        return None  # "secrets": in which files is not said
    places = places_of(clause, what, folder=True)
    if places is None or any(exists is not None or globs == ("**",) for globs, exists in places):
        return None
    if any("!" in glob for globs, _ in places for glob in globs):
        places = [
            (tuple(glob for glob in globs if not glob.startswith("!") and glob != ".env.*"), None)
            for globs, _ in places
        ]
        places = [
            ((*globs, ".env.local", ".env.production", ".env.development"), None) for globs, _ in places
        ]
    return "deny_command", staged(places), "*"
