"""Files that are for the user alone: "only load in main session", "do not load in shared contexts".

Reading them where others than the user are in the session is refused. The file is named in the sentence, in
the one before, or in the heading. Not covered: who else may read them.
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import AllOf, Path, Shared

READ = (
    r"(?:(?:load|read|open|use|include|access|share|quote)(?:ed)?(?:(?:,| or|, or|/) ?(?:load|read|open|"
    r"share|quote|"
    r"access))*)"
)
WHAT = r"(?: (?P<what>§\d+|it|them|this|this file|these files))?"
OWN = (
    r"(?:(?:the|your|a|in|direct|private|main|1:1|one-on-one)[ ,/]*)*(?:main|direct|private|1:1|one-on-one)"
    r"(?: or (?:direct|private))? (?:session|chat|conversation|message)s?"
)
OTHERS = (
    r"(?:(?:any|the|a) )*(?:shared|group|public|multi-user|team)(?:(?:,| or|/|, or) ?(?:shared|group|"
    r"public|team))* "
    r"(?:contexts?|sessions?|chats?|channels?|conversations?|spaces?)"
)
END = r"(?:[ ,;:—(].*)?$"
FORMS = (
    re.compile(rf"^(?:only {READ}{WHAT}|{READ}{WHAT.replace('what', 'what2')} only) in {OWN}{END}"),
    re.compile(rf"^(?:do not|never) {READ}{WHAT} in {OTHERS}{END}"),
    re.compile(rf"^(?P<what>§\d+) (?:is|must be|should be|may be) (?:only )?{READ} only in {OWN}{END}"),
)


def not_shared(clause: Clause, previous: Clause | None, heading: str) -> list[Draft] | None:
    """A rule against reading a file where others are, or None. `heading`: the file that it names."""
    match = next((found for form in FORMS if (found := form.match(clause.text))), None)
    if not match or re.search(r"\b(?:unless|except|if)\b", clause.text):
        return None
    said = match["what"] or match.groupdict().get("what2") or ""
    before = re.findall(r"§\d+", previous.text) if previous else []
    name = (
        clause.code(said) if said.startswith("§") else clause.code(before[0]) if len(before) == 1 else heading
    )
    globs = objects.path_globs(name) if name else None
    if not globs:
        return None
    test = AllOf(of=(Path(access=("read",), globs=globs), Shared()))
    return [Draft(kind="deny_path_read", when=test, raw=clause.raw)]
