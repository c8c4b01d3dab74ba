"""Text that tries to steer the tool or an agent: found, shown as what it is, and named with a reason.

Memory is data here and nothing in it is obeyed; this module is for people and for the plan, which keeps
flagged units out of weights and harness. Looked for: orders to drop earlier instructions, to widen
permissions, to keep something from the user or to send secrets away; turns of a chat template; encoded text;
characters that are not seen or that move the cursor; letters of another script inside a word; and Markdown or
HTML that people do not see but an agent does. Sentences that forbid or describe such text are not flagged.

English only, and a phrase list: a new wording passes. What protects then is that rules can only tighten.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from distill.records import MemoryUnit

SHOWN = 60  # characters of a quote
MOST_DECODED = 4096  # characters of one encoded run that are looked at


PARAGRAPH = re.compile(r"\S(?:.|\n(?!\s*\n))*")
LETTER = re.compile(r"[^\W\d_]")


@dataclass(frozen=True)
class Flag:
    """One reason, in words, and the text that gave it, safe to print."""

    reason: str
    quote: str

    def __str__(self) -> str:
        return f"{self.reason}: “{self.quote}”"


# Not seen, or moving what is seen. Joiners are looked at apart: emoji and some scripts need them.
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f"
    "\u2028\u2029\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)
JOINER = re.compile("(?<=[!-~])[\u200c\u200d]+(?=[!-~])")  # between two characters of ASCII it joins nothing
SELECTORS = re.compile("[\ufe00-\ufe0f]{2,}")  # one chooses how a sign looks; a row of them carries bytes
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
ESCAPE = re.compile(r"(?:\x1b[\[\]PX^_()#]?|\x9b|\x9d)[0-9;?]{0,30}[ -/]{0,4}[@-~]?")
FLAG_OF_A_REGION = re.compile("\U0001f3f4[\U000e0020-\U000e007e]{1,8}\U000e007f")

# Letters that look like Latin ones, for reading only: the text itself is left as it is.
ALIKE = str.maketrans(
    "аеорсухіјѕһԁԛԝАВЕКМНОРСТХІЈЅοανικτρΑΒΕΗΙΚΜΝΟΡΤΧΥΖ",
    "aeopcyxijshdqwABEKMHOPCTXIJSoaviktpABEHIKMNOPTXYZ",
)
MIXED = re.compile(
    r"\b(?=\w*[A-Za-z])(?=\w*[\u0370-\u03ff\u0400-\u052f])[A-Za-z\u0370-\u03ff\u0400-\u052f]{3,}\b"
)

BEFORE = r"(?:previous|prior|earlier|preceding|above|existing|former|original|foregoing|other)"
ORDERS = (
    r"(?:instructions?|rules?|prompts?|messages?|directives?|guidelines?|guardrails?|policies|constraints?|"
    r"context)"
)
STEERING: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (reason, re.compile(pattern))
    for reason, pattern in (
        (
            "tells an agent to drop what it was told",
            rf"(?i)\b(?:ignore|disregard|forget|override|discard|bypass|overrule)\s(?:(?:all|"
            rf"any|every|each|of|the|your|my|"
            rf"these|those|previously|and)\s){{0,4}}{BEFORE}\s(?:\w+\s){{0,2}}{ORDERS}\b"
            rf"|\b(?:ignore|disregard|forget)\s(?:everything|anything|"
            rf"all)\s(?:(?:you\s(?:were|have\sbeen)\s)?"
            rf"(?:told|said|written|stated|above|before|previously)\b|(?:of\s)?(?:the\s|"
            rf"your\s)?(?:instructions|rules)\b)"
            rf"|\b(?:ignore|override|disable|bypass)\s(?:the\s|your\s|all\s){{0,2}}(?:system\sprompt|safety|"
            rf"guardrails?|safeguards?|content\spolicy)\b"
            rf"|\byour\s(?:new|real|true|actual)\s(?:instructions|task|goal|purpose|"
            rf"system\sprompt)\s(?:is|are)\b"
            rf"|\byou\sare\snow\s(?:DAN\b|(?:in\s)?(?:developer|god|jailbreak|unrestricted|root|admin)\b|"
            rf"(?:free|unbound)\b|no\slonger\s(?:bound|restricted))",
        ),
        (
            "asks for wider permissions",
            r"(?i)\b(?:allow|approve|permit|whitelist|auto-?approve|accept)\s(?:all|any|every|"
            r"everything)(?=\s(?:and\s\w+\s)?"
            r"(?:tools?|commands?|permissions?|actions?|calls?|requests?|bash|"
            r"prompts?|tool\scalls?)\b|[.!]|$)"
            r"|\b(?:grant|give)\s(?:yourself|itself|the\sagent|this\sagent)\s(?:\w+\s){0,2}(?:access|"
            r"permissions?|rights)\b"
            r"|(?<!\|\s)(?<!—\s)(?<!-\s)\b(?:skip|bypass|disable|turn\soff|remove|switch\soff)\s(?:all\s|"
            r"any\s|the\s|every\s|your\s){0,2}"
            r"(?:permission|approval|confirmation|safety|sandbox|security)\s(?:prompts?|checks?|"
            r"hooks?|requests?|guards?|mode|rules)\b"
            r"|\b(?:use|pass|run|start|launch|enable)\b[^.,;|()\n]{0,40}--?(?:dangerously-skip-permissions|yolo|"
            r"dangerously-bypass-approvals-and-sandbox)\b"
            r"|\"(?:permissions?\"\s*:\s*\{\s*\"allow|defaultMode\"\s*:\s*\"bypassPermissions)\"",
        ),
        (
            "asks to keep something from the user",
            r"(?i)\b(?:do\snot|don['’]t|never|without)\s(?:ever\s)?(?:tell(?:ing)?|inform(?:ing)?|"
            r"alert(?:ing)?|notify(?:ing)?|"
            r"warn(?:ing)?|let(?:ting)?)\s(?:the|your|any)\s(?:user|human|operator|owner|developer)s?\s?"
            r"(?:know\b|that\syou\b|about\s(?:this|these|it)\b|of\sthis\b|[.,;!)]|$)"
            r"|\b(?:hide|conceal|keep)\s(?:this|it|these)(?:\s\w+){0,2}\s(?:secret\s|"
            r"hidden\s)?from\s(?:the|your)\s"
            r"(?:user|human|operator|owner|developer)s?\b",
        ),
        (
            "asks to send secrets away",
            r"(?i)\b(?:send|upload|post|exfiltrate|forward|transmit|leak|"
            r"e-?mail)\s(?:\S{1,80}\s){0,6}?\S{0,80}(?:\.env\b|"
            r"secrets?|credentials?|"
            r"api[\s_-]?keys?|tokens?|passwords?|private\skeys?|ssh\skeys?|environment\svariables|"
            r"memory|conversation)\S{0,80}\s"
            r"(?:\S{1,80}\s){0,6}?(?:to|at)\s(?:https?://|\S{1,80}@\S{1,80}\.\S|\S{1,80}\.(?:com|"
            r"net|io|org|ru|cn|xyz|tk)\b)"
            r"|\bcurl\b[^\n]{0,120}(?:-d|--data\S*|-F|-T)\s[^\n]{0,40}(?:\$\(|`|@)[^\n]{0,40}(?:\.env|"
            r"\.ssh|id_rsa|credentials|"
            r"\.aws|printenv|\benv\b)",
        ),
        (
            "imitates a turn of a conversation",
            r"<\|(?:im_start|im_end|system|user|assistant|endoftext|begin_of_text|start_header_id|eot_id)\|?>"
            r"|\[/?INST\]|<<SYS>>|</?(?:system|system-reminder|system_prompt|function_calls|"
            r"tool_result|antml:\w+)>"
            r"|(?m:^(?:Human|Assistant|System):\s(?:You\s(?:are|must|will)|I\s|Ignore|Sure))",
        ),
    )
)
# What stands before a phrase in its sentence when the sentence is about it, and not it.
ABOUT = re.compile(
    r"(?i)\b(?:never|do not|don['’]?t|does not|doesn['’]t|must not|mustn['’]t|should not|"
    r"shouldn['’]t|may not|cannot|"
    r"can['’]t|can not|won['’]t|will not|not to|refuse|reject|avoid|forbidden|prohibited|"
    r"disallowed|prevents?|blocks?|"
    r"rather than|instead of|attempts?|attempting|try|tries|trying|such as|like|"
    r"e\.g\.|says?|saying|said|asks? you|"
    r"asking|tells? you|telling|claims?|claiming|contains?|containing|wants? you|"
    r"injections?|attacks?|attackers?|"
    r"malicious|untrusted|hostile|phrases?|detects?|unless|whether|no)\b(?! hesitate|"
    r" forget| fail| worry| matter| mind)"
)
SENTENCE = re.compile(r"[.!?:;](?=\s)|\n")
REACH = 160

COMMENT = re.compile(r"<!--(?P<it>.*?)(?:-->|\Z)", re.DOTALL)
REFERENCE = re.compile(
    r"(?m)^\s{0,3}\[(?://|comment|_|#|hidden)[^\]\n]*\]:\s*\S+\s+[\"'(](?P<it>[^\n]*)[\"')]\s*$"
)
STYLED = re.compile(
    r"(?i)<(?P<tag>[a-z][a-z0-9]*)\b[^<>]{0,300}?(?:display\s*:\s*none|visibility\s*:\s*hidden|"
    r"opacity\s*:\s*0(?![.\d])|"
    r"font-size\s*:\s*0|color\s*:\s*(?:white|#fff(?:fff)?|transparent)\b|"
    r"\shidden(?=[\s>=]))[^<>]{0,300}>(?P<it>[^<]*\w[^<]*)"
)
IMAGE = re.compile(r"!\[(?P<it>[^\]\n]{40,2000})\]\(")
PUSHED = re.compile(r"\S[ \t\u00a0\u2000-\u200a\u3000]{200,}(?P<it>\S[^\n]*)")
LINK = re.compile(
    r"(?<!!)\[(?:https?://)(?P<said>[\w.-]{1,253}\.[a-z]{2,63})[^\]\s]{0,300}\]\(https?://(?P<real>[\w.-]+)"
)
TO_AN_AGENT = re.compile(
    r"(?i)\b(?:agents?|assistants?|claude|copilot|codex|gemini|chatgpt|llms?|"
    r"language models?|a\.?i\.?)\b[^.\n]{0,60}?"
    r"\b(?:must|should|run|execute|send|upload|post|delete|install|fetch|download|allow|"
    r"approve|ignore|disregard|reveal|"
    r"print|output|include|insert)\b"
)
ENCODED = re.compile(r"(?<![\w+/=-])(?:[A-Za-z0-9+/]{32,}|[A-Za-z0-9_-]{32,})={0,2}(?![\w+/=-])")
PERCENT = re.compile(r"(?:%[0-9A-Fa-f]{2}|\\x[0-9A-Fa-f]{2}|\\u00[0-9A-Fa-f]{2}){12,}")
WORDS = re.compile(r"[A-Za-z]{2,}")


def visible(text: str) -> str:
    """The text with every character that is not seen, or moves the cursor, written out as `⟨U+200B⟩`."""
    marks = [
        *UNSEEN.finditer(text),
        *CONTROL.finditer(text),
        *JOINER.finditer(text),
        *SELECTORS.finditer(text),
    ]
    regions = {at for match in FLAG_OF_A_REGION.finditer(text) for at in range(*match.span())}
    places = {at for mark in marks for at in range(*mark.span())} - regions
    return "".join(
        f"⟨U+{ord(character):04X}⟩" if at in places else character for at, character in enumerate(text)
    )


def flags(text: str) -> tuple[Flag, ...]:
    """What in a text is hostile, one flag per reason, in the order of the text's checks. Never raises."""
    found: dict[str, Flag] = {}
    for flag in (*_characters(text), *_steering(text), *_hidden(text), *_encoded(text)):
        found.setdefault(flag.reason, flag)
    return tuple(found.values())


def why_hostile(unit: MemoryUnit) -> str | None:
    """The first reason to keep a unit out of weights and harness, in its own words or a heading over it."""
    return next((str(flag) for part in (unit.text, *unit.heading) for flag in _known(part)), None)


def marked(units: Iterable[MemoryUnit]) -> dict[str, str]:
    """The hostile units among some: id and reason."""
    return {unit.id: why for unit in units if (why := why_hostile(unit))}


def between(text: str, covered: Iterable[tuple[int, int]]) -> list[tuple[int, int, str]]:
    """Hostile words that stand in no unit, as in a link definition that no page shows: the paragraphs in the
    gaps between some character ranges of a text that hold them, each with the first reason."""
    found, at = [], 0
    for start, end in (*sorted(covered), (len(text), len(text))):
        for part in PARAGRAPH.finditer(text, at, max(at, start)):
            said = flags(part.group()) if LETTER.search(part.group()) else ()
            if said:
                found.append((*part.span(), str(said[0])))
        at = max(at, end)
    return found


_known = lru_cache(4096)(flags)  # many units stand under the same headings


def _flag(reason: str, quote: str) -> Flag:
    quote = " ".join(visible(quote).split())
    return Flag(reason, quote if len(quote) <= SHOWN else quote[: SHOWN - 1] + "…")


def _characters(text: str) -> Iterator[Flag]:
    if text.isascii() and not CONTROL.search(text):
        return
    plain = FLAG_OF_A_REGION.sub("", text.removeprefix("\ufeff"))
    for reason, patterns in (
        ("holds a terminal escape", (ESCAPE,)),
        ("holds control characters", (CONTROL,)),
        ("holds characters that are not seen", (UNSEEN, JOINER, SELECTORS)),
        ("writes a word in letters of two scripts", (MIXED,)),
    ):
        match = next((match for pattern in patterns if (match := pattern.search(plain))), None)
        if match:
            yield _flag(reason, plain[max(0, match.start() - 20) : match.end() + 20])
            if reason == "holds a terminal escape":
                plain = ESCAPE.sub("", plain)


def _folded(text: str) -> str:
    """A text as a model may read it: unseen characters out, look-alikes as Latin, emphasis, blanks folded."""
    if not text.isascii():
        text = unicodedata.normalize("NFKC", JOINER.sub("", SELECTORS.sub("", UNSEEN.sub("", text))))
        text = text.translate(ALIKE)
    return re.sub(r"[ \t\u00a0]+", " ", re.sub(r"[*`]+|(?<!\w)_{1,3}(?=\w)|(?<=\w)_{1,3}(?!\w)", "", text))


def _steering(text: str) -> Iterator[Flag]:
    folded = _folded(text)
    for reason, pattern in STEERING:
        for match in pattern.finditer(folded):
            before = folded[max(0, match.start() - REACH) : match.start()]
            before = SENTENCE.split(before)[-1]
            opens = before.rstrip()[-1:]
            if not ABOUT.search(before) and not (opens in "\"“'‘" and opens and _told(before)):
                yield _flag(reason, match.group())
                break


def _told(before: str) -> bool:
    """Whether a quotation is introduced by words, so that its sentence is about it."""
    return bool(WORDS.search(before))


def _hidden(text: str) -> Iterator[Flag]:
    for what, pattern, always in (
        ("a comment", COMMENT, False),
        ("a link reference that shows nothing", REFERENCE, False),
        ("an image's description", IMAGE, False),
        ("text styled so that it is not seen", STYLED, True),
        ("text pushed out of sight by blanks", PUSHED, True),
    ):
        for match in pattern.finditer(text):
            inside = match["it"]
            if always or TO_AN_AGENT.search(inside) or next(_steering(inside), None):
                yield _flag(f"{what} speaks to an agent" if not always else f"holds {what}", inside)
                break
    for match in LINK.finditer(text):
        said, real = (match[name].lower().removeprefix("www.") for name in ("said", "real"))
        if said != real.rstrip("."):
            yield _flag("a link says one address and goes to another", match.group())
            break


def _encoded(text: str) -> Iterator[Flag]:
    for match in ENCODED.finditer(text):
        if text[max(0, match.start() - 8) : match.start()].endswith(";base64,"):
            continue
        for decoded in _decodings(match.group()[:MOST_DECODED]):
            if _reads(decoded):
                yield _flag("holds encoded text", decoded)
                return
    match = PERCENT.search(text)
    if match:
        raw = re.sub(r"%|\\x|\\u00", "", match.group()[:MOST_DECODED])
        decoded = bytes.fromhex(raw[: len(raw) // 2 * 2]).decode("utf-8", "replace")
        if _reads(decoded):
            yield _flag("holds encoded text", decoded)


def _decodings(run: str) -> Iterator[str]:
    """What a run of characters may stand for, where that is text."""
    bare = run.rstrip("=")
    if re.fullmatch(r"[0-9A-Fa-f]+", bare) and len(bare) % 2 == 0:
        yield bytes.fromhex(bare).decode("utf-8", "replace")
    try:
        raw = base64.b64decode(bare.replace("-", "+").replace("_", "/")[: len(bare) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return
    yield raw.decode("utf-8", "replace")


def _reads(text: str) -> bool:
    """Whether decoded characters are words with blanks between them, as chance would not make them."""
    if len(WORDS.findall(text)) < 3 or " " not in text.strip():
        return False
    good = sum(character.isalnum() or character in " .,:;'\"!?/-_\n" for character in text)
    return good / len(text) > 0.9
