"""Whether a unit will last: evidence in words, strongest first, never a score.

`stability` looks, in this order, at corrections by users in past sessions, explicit fields (`read_only`,
`status`, `type`, `expiration_date`, `invalid_at`), the role of the file (daily notes, heartbeats), words for
"now" and dates, the history of the unit's lines, and how many sessions repeated it. The first piece that
decides gives the answer and the sentence. No history is no evidence: then the words decide alone, and the
sentence says so. `passing` looks at the words alone. `volatile` asks something else: whether a text holds a
version, price, count or identifier. Such values often stand for long, but weights keep them badly, so that a
plan leaves them in tokens.

Only English words for "now" are known. What a path or a version points at is not looked up, and a fact that
changed in the world without a line changing cannot be seen here. Figures: `python -m tests.bench.stability`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import PurePosixPath

from distill.memory.evidence.history import Past
from distill.records import MemoryUnit

MIN_AGE_DAYS = 14
MAX_EDITS = 1
PATHS_TWICE = 2  # a line that names a path has to stand this many times as long: paths rot first
SESSIONS = 3  # separate sessions that repeated a unit, and nothing against it

# Roles of files whose content is meant to be replaced. A pattern over the path with / between its parts.
ROLES = (
    (r"(?:^|/)HEARTBEAT\.md$", "a heartbeat list is rewritten as work goes on"),
    (r"(?:^|/)(?:memory|journal|daily|diary|logs?)/20\d\d-?[01]\d-?[0-3]\d[^/]*$", "a daily note"),
    (r"(?:^|/)raw_memories\.md$", "raw memories are replaced at the next consolidation"),
    (r"(?:^|/)(?:rollout_summaries|sessions?)/[^/]*$", "the record of one session"),
    (r"(?:^|/)DREAMS\.md$", "a list for review"),
    (r"(?:^|/)BOOTSTRAP\.md$", "is read once, at the first start"),
    (r"(?i)(?:^|/)(?:todo|progress|status|scratch(?:pad)?|wip)\.md$", "a list of work under way"),
)
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?"
)
DAY = re.compile(
    rf"(?i)(?<![\w./-])(?:20\d\d[-/.](?:0?[1-9]|1[0-2])(?:[-/.](?:0?[1-9]|[12]\d|3[01]))?(?![\w.-]*\d)|"
    rf"(?:0?[1-9]|[12]\d|3[01])[./](?:0?[1-9]|1[0-2])[./]20\d\d|"
    rf"{MONTH} (?:[0-3]?\d(?:st|nd|rd|th)?(?:,? 20\d\d)?|20\d\d)|"
    rf"[0-3]?\d(?:st|nd|rd|th)? (?:of )?{MONTH}(?: 20\d\d)?|Q[1-4] ?(?:/ ?)?20\d\d|KW ?\d\d)(?!\w)"
)
WEEKDAY = r"(?:mon|tues|wednes|thurs|fri|satur|sun)day"
NOW = re.compile(
    r"(?i)\b(?:currently(?! (?:selected|active|open|running|focused|logged|displayed|checked|visible)\b)|"
    r"at the moment|at present|presently|for now|for the time being|right now|as of|temporarily|"
    r"temporary (?:workaround|fix|hack|solution|measure|exception)|"
    r"until (?:further|next|mid|end|early|late|"
    rf"the (?:end|next|new|migration|release|launch|move|fix|rewrite)|{WEEKDAY}|{MONTH}|q[1-4]|v?\d)|"
    r"not yet|still (?:being|under|in progress|pending|waiting)|in progress|under way|ongoing|upcoming|"
    r"(?:these|this|next|last) (?:days?|week|weekend|sprint|month|quarter|year|release|milestone|cycle)|"
    r"current (?:week|month|quarter|sprint|milestone|cycle|task|focus|goal|priority|priorities)|"
    r"(?:to|will) be \w+ (?:soon|later|in (?:v?\d|the next)|"
    rf"by (?:{MONTH}|{WEEKDAY}|20\d\d|q[1-4]|the end))|"
    r"yesterday(?=,| (?:we|i|it|the)\b)|today['’]s|"
    r"due(?! to\b)(?: on| by|:)|deadline|expires? (?:on|in|at)|valid until|"
    r"(?:is|are|am|was|were|been) (?:actively |just )?"
    r"(?:working on|debugging|migrating|waiting (?:for|on)|investigating)\b)"
    r"|(?<!\w)(?-i:TODO|FIXME|WIP|TBD|TBA)\b"
)
BOX = re.compile(r"^\s*(?:[-*+]\s+)?\[[ xX~-]\]\s")
PASSING = re.compile(  # titles of what is under way
    r"(?i)^(?:status|current(?: \w+){0,2}|today|this week|in progress|next steps?|to-?dos?|"
    r"open (?:questions?|items|tasks)|roadmap|active (?:work|tasks?|projects?)|backlog|blockers?)$"
)
RECORD = re.compile(  # titles of what happened
    r"(?i)^(?:recent(?:ly)?(?: \w+){0,2}|progress|change ?log|history|log|session (?:notes?|log|summary))$"
)

PATH = re.compile(
    r"(?<![\w/:.@*{}-])(?:\.{0,2}/|~/)?(?:[\w.@*{}-]+/)+[\w.@*{}-]*\w"
    r"|(?<![\w-])[\w-]+\.(?:py|pyi|ts|tsx|js|jsx|mjs|cjs|md|mdx|json|jsonl|toml|ya?ml|rs|go|sh|rb|java|kt|"
    r"swift|cs|cpp|h|css|html|sql|lock|cfg|ini|env)\b"
)
URL = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,30}://\S+")
WORD_PAIR = re.compile(r"[A-Za-z]+/[A-Za-z]+")  # `and/or`, `read/write`: a slash between words is no path
LANGUAGES = r"python|node(?:\.?js)?|ruby|java|go|php|rust|postgres(?:ql)?|ubuntu|debian"
GROWING = (
    r"tests?|files?|stars?|users?|customers?|downloads?|commits?|lines|loc|issues?|modules?|packages?|"
    r"endpoints?|tables?|components?|entries|services?|examples?|members?|employees|skills?|agents?|tasks|"
    r"sessions?"
)
VALUES = tuple(
    (what, re.compile(pattern))
    for what, pattern in (
        (
            "a version",
            r"(?i)(?<![\w./-])v\d+(?:\.\d+)*(?:[-+][\w.]+)?(?!\w|\.\d)|"
            r"(?<![\w.$€£-])\d+\.\d+\.\d+(?:[-+][\w.]+)?(?!\w|\.\d)|"
            rf"\b(?:versions?|{LANGUAGES})\s{{1,3}}[~^>=<]{{0,3}}\d+(?:\.\d+)*\b|"
            r"\bversion\s(?:[^\s.,;]{1,40}\s){1,6}?(?:is|to|at)\s[`v]?\d+(?:\.\d+)*\b|"
            r"[~^]\d+\.\d+|[<>=]=\s?\d+(?:\.\d+)+",
        ),
        (
            "a price",
            r"(?i)[$€£¥]\s?\d(?:[\d,.]{0,20}\d)?(?:[kmb]\b)?|"
            r"(?<![\w.,])\d[\d,.]{0,20}\s?(?:usd|eur|gbp|dollars?|euros?|cents?)\b",
        ),
        (
            "a count that grows",
            rf"(?i)(?<![\w.,-])(?:[~≈]\d[\d,]{{0,12}}|\d[\d,]{{0,12}}\+|\d[\d,]{{1,12}})\s(?:\w{{1,20}}\s)?"
            rf"(?:{GROWING})\b",
        ),
        (
            "an identifier",
            r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|"
            r"\b(?=[0-9a-f]{0,64}\d)(?=[0-9]{0,64}[a-f])[0-9a-f]{7,64}\b|(?<![\w/])#\d{2,}\b|"
            r"\b(?!UTF|ISO|SHA|RFC|CVE|GPT)(?-i:[A-Z]{2,10}-\d{2,})\b|"
            r"\b(?=[a-z]{1,8}[-_][a-z0-9]{0,40}\d[a-z]{0,40}\d)[a-z]{1,8}[-_][a-z0-9]{8,}\b",
        ),
        ("an address", r"(?<![\w.])(?!127\.|0\.0\.0\.0)(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?(?!\w|\.\d)"),
    )
)

LASTING_STATUS = {"active", "current", "permanent", "confirmed"}
GONE_STATUS = set("superseded expired retired archived obsolete deprecated invalid stale draft".split())
LASTING_TYPES = {"user", "feedback", "reference"}
PASSING_TYPES = {"project"}


@dataclass(frozen=True)
class Evidence:
    """What is known of a unit beside its own words.

    `fields` are the keys its format gives (frontmatter, `observed … status` comments, columns of an export);
    a nested `metadata` is looked into. `sessions` is how many separate sessions repeated the unit, None where
    that is not known, and `used_on` the last days of some of them; `corrected` how often users objected with
    its words, `last_corrected` when last. Days are ISO 8601.
    """

    fields: Mapping[str, object] = field(default_factory=dict)
    past: Past | None = None
    sessions: int | None = None
    today: date | None = None
    used_on: tuple[str, ...] = ()
    corrected: int = 0
    last_corrected: str = ""


def stability(
    unit: MemoryUnit,
    evidence: Evidence | None = None,
    *,
    min_age_days: int = MIN_AGE_DAYS,
    max_edits: int = MAX_EDITS,
) -> tuple[bool, str]:
    """Whether a unit will last, and because of what: the first of the kinds of evidence that decides.

    With a history, a unit is stable that stood `min_age_days`, or through a later day of work on its file;
    one that names a path needs twice that; so is one that came up in enough sessions since it changed.
    Without a history, its words and headings decide alone, and the sentence says so: a record of what
    happened (under a date, under “Recent changes”) then counts as passing.
    """
    evidence = evidence or Evidence()
    decided = (
        _corrected(unit, evidence)
        or _field(evidence)
        or _role(unit)
        or _said(unit)
        or _stood(unit, evidence, min_age_days, max_edits)
        or _without_history(unit, evidence)
    )
    return decided or (True, "no history")


def passing(text: str) -> str | None:
    """What in a unit's own words says that it will not last; None where nothing does."""
    if BOX.search(text):
        return "is an item of a list to tick off"
    match = NOW.search(text)
    if match:
        return f"says “{match.group().strip()}”"
    match = DAY.search(text)
    return f"holds a date, “{match.group().strip()}”" if match else None


def volatile(text: str) -> str | None:
    """The value in a text that weights keep badly (a version, price, count, identifier, address), in words;
    None where there is none. That tables and numbers are lost first: Cartridges at Scale, arXiv 2606.04557.
    """
    bare = URL.sub(" ", text)
    for what, pattern in VALUES:
        match = pattern.search(bare)
        if match:
            return f"holds {what}, “{match.group().strip()}”"
    return None


def path_in(text: str) -> str | None:
    """The first file path a text names, if it names one."""
    for match in PATH.finditer(URL.sub(" ", text)):
        if not WORD_PAIR.fullmatch(match.group()) and re.search(r"[A-Za-z]{2}", match.group()):
            return match.group()
    return None


def _corrected(unit: MemoryUnit, evidence: Evidence) -> tuple[bool, str] | None:
    """What users said against it in past sessions, unless it was rewritten on a later day."""
    changed = _date(evidence.past.last_changed if evidence.past else unit.last_changed)
    last = _date(evidence.last_corrected)
    if not evidence.corrected or (changed and last and last < changed):
        return None
    when = f", last on {last}" if last else ""
    return False, f"users corrected it {_many(evidence.corrected, 'time')} in past sessions{when}"


def _field(evidence: Evidence) -> tuple[bool, str] | None:
    """What a format says of an entry itself."""
    known = _keys(evidence)
    today = evidence.today or date.today()
    for key in ("expiration_date", "invalid_at", "expired_at", "valid_until"):
        value = known.get(key)
        if value in (None, "", "null", "None"):
            continue
        end = _date(value)
        when = f"since {end}" if end and end <= today else f"from {end}" if end else f"({value})"
        return False, f"its field {key} says that it does not hold {when}"
    begin = _date(known.get("valid_at"))
    if begin and begin > today:
        return False, f"its field valid_at says that it holds only from {begin}"
    status = str(known.get("status", "")).strip().lower()
    if status in GONE_STATUS:
        return False, f"its status is {status}"
    kind = str(known.get("type", "")).strip().lower()
    if kind in PASSING_TYPES:
        return False, f"its type is {kind}: ongoing work"
    if str(known.get("read_only", "")).strip().lower() in ("true", "1", "yes"):
        return True, "it is marked read_only"
    return None


def _role(unit: MemoryUnit) -> tuple[bool, str] | None:
    """A file whose content is meant to go. A unit that also stands elsewhere is not judged by it."""
    found = [_role_of(span.source) for span in unit.spans]
    if not found or None in found:
        return None
    return False, f"{PurePosixPath(unit.spans[0].source).name}: {found[0]}"


def _role_of(source: str) -> str | None:
    return next((why for pattern, why in ROLES if re.search(pattern, source.replace("\\", "/"))), None)


def _said(unit: MemoryUnit) -> tuple[bool, str] | None:
    """What a unit's words, or the heading over it, say about time."""
    said = passing(unit.text)
    if said:
        return False, f"it {said}"
    for title in unit.heading:
        match = PASSING.search(title.strip(" *_:#")) or NOW.search(title)
        if match:
            return False, f"it stands under “{title.strip()}”"
    return None


def _stood(
    unit: MemoryUnit, evidence: Evidence, min_age_days: int, max_edits: int
) -> tuple[bool, str] | None:
    """What the history of its lines says."""
    past = evidence.past
    changed = _date(past.last_changed if past else unit.last_changed)
    if changed is None:
        return None
    edits, stood = (past.edits, past.stood) if past else (unit.edits, 0)
    path = path_in(unit.text)
    times = PATHS_TWICE if path else 1
    age = ((evidence.today or date.today()) - changed).days
    if edits > max_edits and stood < edits + times:
        return False, f"its line was rewritten {_many(edits, 'time')}, last on {changed}"
    if age >= min_age_days * times or min_age_days == 0:
        return True, f"it has stood unchanged since {changed}"
    if stood >= times and min_age_days:
        return True, f"it stood through later work on its file since {changed}"
    since = sum(day > changed for day in map(_date, evidence.used_on) if day)
    if since >= SESSIONS * times and min_age_days:
        return True, f"it last changed on {changed}, and came up in {since} separate sessions since"
    why = f"; it names a path, “{path}”, and paths move first" if path else ""
    return False, f"it last changed on {changed}, less than {min_age_days * times} days ago{why}"


def _without_history(unit: MemoryUnit, evidence: Evidence) -> tuple[bool, str] | None:
    """What there is to say of a unit where nothing spoke against it yet and git knows nothing of it.

    That a unit came up in one session only says nothing against it.
    """
    for title in unit.heading:
        if DAY.search(title) or RECORD.search(title.strip(" *_:#")):
            return False, f"it stands under “{title.strip()}” and has no history to show that it stays"
    if evidence.sessions is not None and evidence.sessions >= SESSIONS:
        return True, f"it came up in {evidence.sessions} separate sessions"
    known = _keys(evidence)
    for key, lasting in (("type", LASTING_TYPES), ("status", LASTING_STATUS)):
        said = str(known.get(key, "")).strip().lower()
        if said in lasting:
            return True, f"its {key} is {said}"
    return None


def _keys(evidence: Evidence) -> dict[str, object]:
    """The fields of an entry, those of a nested `metadata` included, in lower case."""
    fields = dict(evidence.fields)
    inner = fields.pop("metadata", None)
    merged = {**(inner if isinstance(inner, Mapping) else {}), **fields}
    return {str(key).lower(): value for key, value in merged.items()}


def _date(value: object) -> date | None:
    """A date or time in ISO 8601, as a day."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value).strip()[:10])
    except ValueError:
        return None


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
