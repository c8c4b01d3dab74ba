"""A unit's words as plain sentences: one spelling of what people write in many ways, with code kept aside.

Every piece of code (in backticks, a path, a link's target, a known command in prose) becomes a mark `§3` in
the sentence and stands in `codes`; emphasis goes, negations and "don't" become "do not", symbols for yes and
no become words, the rest is lower case. Not covered: what a sentence means. English only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from distill.memory import sentences
from harness_compile.lower.programs.commands import DEPTH, WORDS

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
MARK = re.compile(r"§(\d+)")
FENCE = re.compile(r"^\s*(?:```|~~~)")
RUN = r"(?:git|npm|pnpm|yarn|npx|bun|cargo|docker|kubectl|terraform|pip3?|uv|poetry|gh|go)"
PIECES = re.compile(
    r"(?P<tick>`+)(?P<code>[^`\n]+?)(?P=tick)"
    r"|!?\[(?P<label>[^\[\]\n]*)\]\((?P<target>[^()\s]*)\)"
    r"|(?P<url>\bhttps?://[^\s)>\"']+)"
    r"|\"(?P<said>[^\"\n]{2,120})\"|“(?P<said2>[^”\n]{2,120})”"
    r"|(?P<tool>\b(?:WebSearch|WebFetch|TodoWrite|NotebookEdit|MultiEdit)\b)"
    r"|(?P<flag>(?<![\w-])--[a-z][\w-]{2,}\b)"
    r"|(?P<path>(?<![\w/@.])@?(?:~/|\.{1,2}/|/)?(?:[\w.*{}@-]+/)+(?:[\w.*{}-]+)?|"
        r"(?<![\w/.@-])@?(?:[\w*-]+\.)+"
    r"(?:md|mdx|rst|txt|json|jsonc|ya?ml|toml|lock|py|pyi|tsx?|jsx?|mjs|cjs|vue|svelte|go|rs|java|kt|"
        r"rb|php|cs|c|h|cpp|"
    r"hpp|swift|sh|bash|sql|proto|graphql|tf|css|scss|html|xml|ini|cfg|conf|pem|key|env|gradle|"
        r"lockb)\b(?![/\w])"
    r"|(?<![\w/.])\.(?:env(?:\.[\w*]+)*|npmrc|nvmrc|netrc|gitignore|gitattributes|editorconfig|dockerignore|"
    r"cursorrules)\b|\bCargo\.lock\b|\b(?:Makefile|Dockerfile|Gemfile|Jenkinsfile)\b)"
    rf"|(?P<bare>(?<![\w/.-])(?:sudo )?{RUN} (?:[a-z][a-z:-]*(?: (?=-))?)?(?:(?:(?<= )| "
        rf")--?[A-Za-z][\w-]*(?:=\S+)?)+"
    rf"|(?<![\w/.-])(?:git (?:push|commit|reset|rebase|clean|stash|checkout|add|merge|revert|tag|"
        rf"restore|switch|pull)"
    r"|(?:npm|pnpm|yarn|bun) (?:install|ci|add|publish|run [\w:-]+|test|audit)|(?:pip3?|uv) (?:install|"
        r"run|add|sync|pip)"
    r"|cargo (?:build|test|check|clippy|fmt|publish|update|run|add)|terraform (?:apply|destroy|plan)"
    r"|kubectl (?:apply|delete|get|exec)|docker (?:compose|system|push)|poetry (?:add|run|install)"
    r"|gh (?:pr|issue|release) [a-z]+|go (?:test|build|vet|fmt|generate|mod tidy)|rm -[rf]+)\b)",
)  # fmt: skip

# What people write in many ways, in lower case: (what must be in the text for it to matter, pattern, plain).
# "" stands for anything that is not ASCII.
FLAT = tuple(
    (guards, re.compile(pattern), plain)
    for guards, pattern, plain in (
        (("",), r"[‘’]", "'"),
        (
            ("n't", "nt"),
            r"\b(do|does|must|should|is|are|was|were|has|have|need|did|would|could)n'?t\b",
            r"\1 not",
        ),
        (("can",), r"\bcan'?t\b|\bcannot\b", "can not"),
        (("won",), r"\bwon't\b", "will not"),
        (("'",), r"\b(you|we)'re\b", r"\1 are"),
        (("'",), r"\b(you|we|they|i)'ve\b", r"\1 have"),
        (("'",), r"\bit's\b", "it is"),
        (("",), r"[❌🚫⛔✗✘🛑]\ufe0f?", " never "),
        (("",), r"[✅✔✓☑⚠🔴🟢🟡🔒📌❗‼👉💡🚨]\ufe0f?", " "),
        ((" (",), r"\s\((not|never|instead of|rather than) ([^()]*)\)", r", \1 \2"),
        (("(do",), r"\s\((do not (?:edit|modify|touch|change)\b[^()]*)\)", r" — \1"),
        (("->", "=>", ""), r"[→⇒]|->|=>", " → "),
        ((" -", ""), r"\s[—–]\s|—|\s--?\s", " — "),
        (("*", "_", "~~"), r"\*{1,3}|(?<![\w§])_{1,3}(?=\S)|(?<=\S)_{1,3}(?![\w§])|~~", ""),
        (("pull",), r"\bpull[- ]requests?\b", "pull request"),
    )
)
FILLER = re.compile(
    r"\b(?:please|strictly|absolutely|really|just|simply|ever|explicitly|under any circumstances?|at "
    r"any time|"
    r"in any case|for any reason|no matter what|critically|again|also|actually|basically|kindly|of course|"
    r"whatsoever|at all(?! times)|at all times|"
    r"as (?:an? )?(?:absolute )?rule|by default|in this (?:repo(?:sitory)?|project|codebase|workspace)|"
    r"in the (?:repo(?:sitory)?|project|codebase)|for this (?:repo(?:sitory)?|project|codebase))\b"
)
SPACED = re.compile(r"\s([,;:.!?])")
# Without one of these a text holds no piece of code.
MAYBE = re.compile(rf"[`\[/\"“*{{]|--|\.\w|\b(?:{RUN}|rm|Makefile|Dockerfile|Gemfile|Jenkinsfile|"
                   rf"WebSearch|WebFetch|"
                   r"TodoWrite|NotebookEdit|MultiEdit)\b")  # fmt: skip
LABEL = re.compile(
    r"^(?:(?:important|note|critical|warning|caution|rule|mandatory|required|must|always|remember|hard "
    r"rule|reminder|"
    r"key rule|strict rule|very important|tip|do|policy)(?: \d+)?\s*[:!—]\s*)+"
)
LEAD = re.compile(r"^(?:[-*+•>#]+\s*|\[[ x]\]\s*|\(?\d{1,2}[.)]\s+|[|]\s*)+")


@dataclass(frozen=True)
class Clause:
    """A sentence or part of one: `text` with marks, the `codes` that the marks stand for, and its place in
    the text it was cut from. `framed`: its first words come from the heading above it.
    """

    text: str
    codes: tuple[str, ...]
    raw: str
    framed: bool = False

    def code(self, mark: str) -> str:
        """The code that a mark like `§0` stands for."""
        return self.codes[int(mark[1:])]

    def shown(self, text: str) -> str:
        """A part of the text with its codes in the place of their marks, for people."""
        return re.sub(r"§(\d+)", lambda match: f"`{self.codes[int(match[1])]}`", text)

    def with_text(self, text: str, *, framed: bool = False) -> Clause:
        """The same codes under another text."""
        return Clause(text.strip(" ,;:—"), self.codes, self.raw, framed or self.framed)


def hostile(text: str) -> str:
    """Why a text is not to be trusted with a meaning, or nothing."""
    found = CONTROL.search(text)
    return f"it holds a control character (U+{ord(found.group()):04X})" if found else ""


def flatten(raw: str, codes: tuple[str, ...] = ()) -> Clause:
    """One sentence as a clause. `codes` are those already taken by its neighbours: marks go on from there."""
    kept = list(codes)

    def put(code: str) -> str:
        kept.append(code.strip())
        return f"§{len(kept) - 1}"

    def keep(match: re.Match[str]) -> str:
        found = match.groupdict()
        if found["code"] is not None:
            return put(found["code"])
        if found["target"] is not None:
            return _link(found["label"], found["target"], put)
        if found["url"] is not None:
            return put(found["url"].rstrip(".,;:"))
        said = found["said"] or found["said2"]
        if said is not None:
            return put(said) if is_code(said) or not re.search(r"[a-z] [a-z]", said) else match.group()
        code = match.group().rstrip(".")
        if found["path"] is not None and not _pathlike(code):
            return match.group()
        return put(code.lstrip("@") if code.startswith("@") else code) + match.group()[len(code) :]

    text = LEAD.sub("", raw.replace("§", " ").strip())
    if MAYBE.search(text):
        text = PIECES.sub(keep, text)
    text = text.lower()
    foreign = not text.isascii()
    for guards, pattern, plain in FLAT:
        if any(guard in text if guard else foreign for guard in guards):
            text = pattern.sub(plain, text)
    text = LABEL.sub("", FILLER.sub(" ", " ".join(text.split())))
    return Clause(SPACED.sub(r"\1", " ".join(text.split())), tuple(kept), raw)


def _link(label: str, target: str, put) -> str:
    inner = label.strip("`* ")
    local = target and not re.match(r"[a-z]+:|#", target)
    if local and (_pathlike(inner) or "/" in target or "." in target):
        return put(target.removeprefix("./").partition("#")[0])
    return put(inner) if label.startswith("`") else label


def _pathlike(word: str) -> bool:
    """Whether a bare word of prose is a path: `and/or` and `read/write` are none."""
    word = word.lstrip("@").rstrip(".,;:")
    if re.search(r"\.[A-Za-z]\w{0,7}$|\*", word) or (word.startswith((".", "~", "/")) and len(word) > 2):
        return not re.fullmatch(
            r"[ei]\.[ge]|\d+(?:\.\d+)+|node\.js|next\.js|vue\.js|three\.js|nuxt\.js", word.lower()
        )
    if word in ("Makefile", "Dockerfile", "Gemfile", "Jenkinsfile"):
        return True
    return word.endswith("/") and len(word) > 2


def is_code(text: str) -> bool:
    """Whether quoted words read as a command line."""
    first, _, rest = text.strip().partition(" ")
    return (first in DEPTH and (first not in WORDS or bool(rest.startswith("-")))) or first.startswith("./")


CUT = re.compile(
    r";\s+|\s—\s(?=(?:do not|never|always|use|run|must|only|ask|avoid|prefer|no)\b)"
    r"|[,:]?\s(?:and|but|or)\s(?!never (?:with|via|using) §\d+\.?$)"
    r"(?=(?:never|always|do not|must not|avoid|prefer|should not|you must)\b)"
    r"|,\s(?=(?:never|do not|always|must not)\b)(?!never (?:with |via |using |through )?"
    r"(?:(?:bare |raw |the |plain )?(?:§\d+|[a-z0-9]+)|§\d+(?:(?:,|,? or|,? and) §\d+)*)\.?(?:$| — ))"
    r"|\sand\s(?=(?:run|use)\s§)|,?\sand\s(?=target\s)"
    r"|,?\sand\s(?=§\d+ (?:instead of|over|rather than|not) )"
)


# A condition or a place and nothing else: what follows holds only there ("in CI, never use npm").
ONLY_THERE = re.compile(
    r"^(?:(?:and|but|so|then|also) )?(?:when|whenever|while|if|for|in|on|during|after|before|until|once|"
    r"unless|"
    r"with|under|within|at|from|inside|outside|where|because|since|as|to|even|regardless|except)\b[^,;]*$"
)


def _parts(text: str) -> list[str]:
    """A sentence cut into clauses; a condition stays with what it is a condition of."""
    found: list[str] = []
    start = 0
    for cut in CUT.finditer(text):
        if not ONLY_THERE.match(text[start : cut.start()].strip()):
            found.append(text[start : cut.start()])
            start = cut.end()
    return [*found, text[start:]]


def clauses(raw: str, codes: tuple[str, ...] = ()) -> list[Clause]:
    """The clauses of a paragraph, in order; they share one list of codes, so that "it" can look back.
    `codes` are those of what stood before."""
    found: list[Clause] = []
    for start, end in sentences.split(raw):
        whole = flatten(raw[start:end], codes)
        codes = whole.codes
        for part in _parts(whole.text):
            part = part.strip(" .!;,")
            if part:
                found.append(Clause(part, (), raw[start:end]))
    return [Clause(clause.text, codes, clause.raw) for clause in found]


COMMENT = re.compile(r"\s+#\s.*$|\s{2,}#.*$|\s+//\s.*$")


def code_lines(text: str) -> list[tuple[int, str, str]]:
    """The lines of the code blocks in a unit's text: (index of the line, command, the comment beside it)."""
    found, inside, language = [], False, ""
    for index, line in enumerate(text.split("\n")):
        if FENCE.match(line):
            inside = not inside
            language = line.strip("`~ \t").lower() if inside else ""
        elif inside and language in ("", "bash", "sh", "shell", "console", "zsh", "text", "shell-session"):
            said = COMMENT.search(line)
            body = (line[: said.start()] if said else line).strip().removeprefix("$ ")
            if body.startswith("#"):
                found.append((index, "", body.strip("# ")))
            elif body:
                found.append((index, body, said.group().strip(" #/") if said else ""))
    return found


def prose(text: str) -> str:
    """A unit's text without its code blocks."""
    kept, inside = [], False
    for line in text.split("\n"):
        if FENCE.match(line):
            inside = not inside
        elif not inside:
            kept.append(line)
    return " ".join(kept).strip()
