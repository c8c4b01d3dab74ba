"""Personal data in a memory: e-mail addresses, phone numbers, and what gives access in an address.

`find` gives their places, `personal` says what there is in words, `veil` covers it. `secrets` knows tokens in
addresses by their names (`?token=`); here are links that let in whoever has them: a reset, an invitation, a
signed download, a name before an @. Addresses that belong to no person (`example.com`, `noreply@`, `git@`),
numbers that are kept for films, and `package@version` are left alone. Names and postal addresses are not
covered.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from distill.memory.secrets import cover

MAIL = re.compile(
    r"(?:(?<=mailto:)|(?<![\w.+/@:%-]))(?P<it>(?P<name>[A-Za-z0-9][\w.+-]{0,63})@"
    r"(?P<host>(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}))"
    r"(?![\w@:/-]|\.\w)"
)
NOBODY = re.compile(
    r"(?i)(?:no-?reply|do-?not-?reply|git|hg|npm|postmaster|mailer-daemon|user(?:name)?|you(?:r\.?(?:name|email))?|me|"
    r"someone|name|email|foo|bar|test|example)"
)
NOWHERE = re.compile(
    r"(?i)(?:.*\.)?(?:example(?:\.\w+)?|test|invalid|localhost|local|users\.noreply\.github\.com|"
    r"(?:your-?)?(?:domain|company|email)\.\w+)|.*\.(?:png|jpe?g|svg|gif|webp|ico|js|ts|py|md|json|service)"
)
# An international number, or digits after a word that announces one, or the American way of writing it.
PHONE = re.compile(
    r"(?<![\w.+/-])(?P<it>\+[1-9]\d{0,2}[ .()/-]{0,3}(?:\d[ .()/-]{0,2}){5,13}\d)(?![\w-])"
    r"|(?i:\b(?:tel(?:ephone)?|phone|mobile|cell|whatsapp|fax|"
    r"call (?:me|him|her|us))(?: ?(?:number|no\.?|nr\.?))?"
    r"(?: is)?[ :*_`]{1,4}(?:at |on )?)(?P<told>\(?\d(?:[ .()/-]{0,2}\d){6,14})(?![\w-])"
    r"|(?<![\w.+/-])(?P<us>(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4})(?![\w-])"
)
FILM = re.compile(r"555\D{0,2}01\d\d$")
ACCESS = (
    re.compile(
        r"(?i)\bhttps?://[^\s\"'<>]{1,300}?/(?:reset|invite|invitation|join|verify|confirm|magic|unsubscribe|share|"
        r"webhooks?|hooks?)(?:/[\w-]{1,40}){0,3}/(?P<it>(?=[\w-]*\d)(?=[\w-]*[A-Za-z])[\w-]{16,})"
    ),
    re.compile(
        r"(?i)[?&](?:x-amz-(?:signature|credential|security-token)|x-goog-signature|sig|sv|se|code|sid|session(?:id)?|"
        r"invite|ticket|jwt|otp|hash|access|pwd|pass)=(?P<it>[^&\s#\"'`<>)\]]{8,})"
    ),
    re.compile(r"(?i)\bhttps?://(?P<it>[^\s/:@\"'`<>{}$]{3,80})@[\w.-]+"),
)
DIGITS = re.compile(r"(?:\d\D{0,3}){7}")  # a phone number has at least as many
MIXED = re.compile(r"\d[^\d]*[A-Za-z]|[A-Za-z][^A-Za-z]*\d")
STANDS_FOR = re.compile(r"(?i)^[$%<{\[]|\$\{|\.\.\.|…|xxx|\*\*\*|your|example|placeholder|redacted")


def find(text: str) -> Iterator[tuple[int, int, str]]:
    """Character ranges of personal data in a text, each with what it is; they may overlap."""
    for match in MAIL.finditer(text):
        if not NOBODY.fullmatch(match["name"]) and not NOWHERE.fullmatch(match["host"]):
            yield *match.span("it"), "an e-mail address"
    for match in PHONE.finditer(text):
        group = match.lastgroup or "it"
        digits = re.sub(r"\D", "", match[group])
        if 7 <= len(digits) <= 15 and len(set(digits)) > 3 and not FILM.search(match[group]):
            yield *match.span(group), "a phone number"
    for pattern in ACCESS:
        for match in pattern.finditer(text):
            if MIXED.search(match["it"]) and not STANDS_FOR.search(match["it"]):
                yield *match.span("it"), "an address that lets in whoever has it"


def personal(text: str) -> str | None:
    """What personal data a text holds, in words and without the data; None where it holds none."""
    kinds = dict.fromkeys(what for _, _, what in find(text))
    return f"holds {' and '.join(kinds)}" if kinds else None


def veil(text: str) -> tuple[str, str]:
    """A text with its personal data covered as secrets are, and what was covered in words (`""`: nothing)."""
    if "@" not in text and not DIGITS.search(text) and "://" not in text:
        return text, ""
    found = list(find(text))
    kinds = dict.fromkeys(what for _, _, what in found)
    return cover(text, [(start, end) for start, end, _ in found])[0], " and ".join(kinds)
