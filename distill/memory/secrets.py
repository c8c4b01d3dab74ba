"""Secrets in a memory: found on reading and masked at once, so that nothing after the reader ever holds one.

detect-secrets brings the token patterns, the keyword patterns and the entropy measure; a few patterns for
prose and URLs are added here. A mask has the length of what it hides in bytes, so positions in the file stay
true. Personal data is in `evidence.personal`. Not covered: a secret of fewer than six characters, or one that
reads like a word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.filters import heuristic
from detect_secrets.plugins.base import BasePlugin
from detect_secrets.plugins.high_entropy_strings import Base64HighEntropyString
from detect_secrets.settings import transient_settings

SHORTEST = 6
ENTROPY = 4.0  # bits a character of one token; most prose, identifiers and paths stay below
# Detectors that flag prose (entropy, keywords), no secret (addresses), or what SURE bounds better.
UNUSED = {
    "Base64HighEntropyString",
    "BasicAuthDetector",
    "HexHighEntropyString",
    "IPPublicDetector",
    "KeywordDetector",
    "PrivateKeyDetector",
}

MASK = re.compile(r"\[(?:reda|redac|redact|redacte|redacted\.*)\]")

# The named group `it` is the secret. These are sure by their shape.
SURE = [
    re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?P<it>[\w+/=:,.\\\s>-]*?)-----END"),
    re.compile(  # torn: its end is missing
        r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY[A-Z ]*-----(?P<it>(?:(?:\s|\\n)*[A-Za-z0-9+/=]{16,})+)"
    ),
    re.compile(r"\b(?P<it>(?:sk|pk|rk)[-_](?:ant|proj|live|test|or|svcacct)[-_][\w-]{16,})"),
    re.compile(r"\b(?P<it>sk-[A-Za-z0-9]{20,})\b"),
    re.compile(
        r"\b(?P<it>(?:gh[pousr]_|github_pat_|glpat-|hf_|npm_|pypi-|dop_v1_|xox[abprs]-|shpat_)[\w-]{16,})"
    ),
    re.compile(r"\b(?P<it>AIza[\w-]{30,}|ya29\.[\w-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16})"),
    re.compile(r"\b(?P<it>eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,})"),
    re.compile(
        r"(?i)[?&](?:[\w-]*token|key|api[-_]?key|secret|sig|signature|password|auth)=(?P<it>[^&\s#\"'`<>)\]]+)"
    ),
    re.compile(r"(?i)(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://[^\s/:@\"'`<>]*:(?P<it>[^\s/@\"'`<>]+)@"),
    re.compile(r"(?i)\b(?:authorization:\s*)?(?:bearer|basic)\s+(?P<it>[\w+/=.~-]{20,})"),
    re.compile(r"https://hooks\.slack\.com/services/(?P<it>[\w/]{20,})"),
]
# A word that announces a secret, then a value. The value must look like one.
NAMED = re.compile(
    r"(?i)(?:pass(?:word|wd|phrase|code)|(?:\b|_)pass\b|pwd|secret|token|credentials?|"
    r"(?:api|access|auth|private|secret)[ _-]?key)"
    r"[`*\"'\\]*(?:[ \t]+(?:for|of|to|on|in|at|used by) [\w. `'’-]{1,40}?|[ \t]*\([^()\n]{0,40}\))?[ \t]*"
    r"(?::?=|:|：|->|→|\||\b(?:is|was)\b:?|(?<=--password)|(?<=--token))[ \t`*\"'\\]*"
    r"(?P<it>[^\s`\"'<>{},;|]{6,})"
)
TOKEN = re.compile(r"[A-Za-z0-9_+=-]{24,}")


def mask(text: str, view: str | None = None) -> tuple[str, list[tuple[int, int]]]:
    """The text with its secrets masked, and where they are. `view`, of the same length, is what is searched
    where the text itself is escaped.

    Returns the masked text (as many UTF-8 bytes as before, ASCII masks in place of secrets) and the character
    ranges of the masks in it, those that an earlier reading left included, in order and apart from each
    other.
    """
    masked, ranges = cover(text, find(text if view is None else view))
    left = [match.span() for match in MASK.finditer(masked)]
    return masked, _merged(ranges + left)


def cover(text: str, found: Iterable[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    """A text with some character ranges under masks of as many UTF-8 bytes, and where the masks are."""
    pieces, ranges, place, length = [], [], 0, 0
    for start, end in _merged(found):
        size = len(text[start:end].encode())
        cover = ("[redacted" + "." * size)[: size - 1] + "]"
        pieces += [text[place:start], cover]
        length += start - place
        ranges.append((length, length + size))
        length += size
        place = end
    return "".join([*pieces, text[place:]]), ranges


def redact(text: str) -> str:
    """A text that is safe to print: every secret in it masked."""
    return mask(text)[0]


def find(text: str) -> Iterator[tuple[int, int]]:
    """Character ranges of secrets in a text; they may overlap."""
    for pattern in SURE:
        for match in pattern.finditer(text):
            if len(match["it"]) >= SHORTEST and not _placeholder(match["it"]):
                yield match.span("it")
    for match in NAMED.finditer(text):
        value = match["it"].rstrip(".,;:!?)*")
        if _like_a_password(value):
            yield match.start("it"), match.start("it") + len(value)
    for match in TOKEN.finditer(text):
        if _like_a_key(match.group()):
            yield match.span()
    plugins = _plugins()
    start = 0
    for line in text.splitlines(keepends=True):
        for value in {value for plugin in plugins for value in plugin.analyze_string(line)}:
            if isinstance(value, str) and len(value) >= SHORTEST and not _placeholder(value):
                at = line.find(value)
                while at >= 0:
                    yield start + at, start + at + len(value)
                    at = line.find(value, at + len(value))
        start += len(line)


@cache
def _plugins() -> list[BasePlugin]:
    """detect-secrets' token detectors with their defaults, less the UNUSED ones."""
    classes = get_mapping_from_secret_type_to_class().values()
    names = sorted({found.__name__ for found in classes} - UNUSED)
    with transient_settings({"plugins_used": [{"name": name} for name in names]}):
        return [
            found() for found in sorted(classes, key=lambda found: found.__name__) if found.__name__ in names
        ]


def _placeholder(value: str) -> bool:
    """Whether a value only stands for a secret: a variable, a template, dots, the word `your`, one letter
    repeated.
    """
    low = value.lower()
    return bool(
        heuristic.is_templated_secret(value)
        or heuristic.is_not_alphanumeric_string(value)
        or heuristic.is_sequential_string(value)
        or MASK.search(value)
        or re.search(r"^[$%<{]|\$\{|\.\.\.|…|xxxx|\*\*\*|your|example|placeholder|changeme|redacted", low)
        or len(set(value)) < 4
    )


def _like_a_password(value: str) -> bool:
    """Whether what follows `password:` in prose is one: letters and digits, not a path, call or number."""
    if len(value) < SHORTEST or _placeholder(value) or re.search(r"^[-#@~./]|\w\(|::|://", value):
        return False
    if re.fullmatch(r"[\d.,:_-]+|[\w./-]+\.[a-z]{1,4}", value):
        return False
    if heuristic.is_potential_uuid(value):
        return True
    return bool(re.search(r"\d", value) and re.search(r"[A-Za-z]", value))


def _like_a_key(token: str) -> bool:
    """Whether one token looks drawn at random: both cases, digits in several places, high entropy. SHAs do
    not.
    """
    if _placeholder(token) or not all(
        len(re.findall(part, token)) >= 3 for part in ("[A-Z]", "[a-z]", "[0-9]")
    ):
        return False
    if len(re.findall(r"[0-9]+", token)) < 2 or re.search(r"[a-z]{6,}|[A-Z]{7,}", token):
        return False
    return Base64HighEntropyString(limit=ENTROPY).calculate_shannon_entropy(token) >= ENTROPY


def _merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The ranges in order, those that touch or overlap joined."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged
