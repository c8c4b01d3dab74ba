"""Where pull requests go, that they are drafts, and how branches are called.

Covers the base branch (wanted, or refused by name), draft pull requests, prefixes of branch names. Not
covered: what their texts say (`messages`), and who merges them (`phrases`).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Command, FlagValue, Predicate

CREATE = Command(program=("gh",), sub=(("pr", "create"),))
BASE = ("--base", "-B")
PR = r"(?:prs?|pull requests?)"
NAME = r"(?:(?:the|branch|your) )*(?P<b>§\d+|main|master|develop|dev|trunk|next|staging)"
TARGET = re.compile(
    rf"^(?:all |always |every |any |your )*(?:(?:open |create |submit |target |raise |make |base |"
    rf"send )*(?:all |your |new )*{PR}"
    r"(?: (?:must|should|always|need to|have to))*(?: be)?(?: (?:opened|target|targets|targeting|targeted|"
    r"against|go|go to|are|are "
    r"opened|made|submitted|created|based|raised|sent))+(?: (?:against|to|at|on|into|off))?"
    rf"|submit against|target|(?:the )?(?:base|target|default)(?: branch)?(?: (?:for|of) (?:all |"
    rf"your )?{PR})?(?: is|:| must be| should be)|"
    rf"open {PR} (?:against|to)|set (?:the )?base (?:branch )?to) {NAME}(?: branch)?(?P<rest>.*)$"
)
NOT_TARGET = re.compile(
    rf"^(?:do not|never|avoid) (?:(?:open|create|submit|target|set|raise|make|base|send|opening|"
    rf"targeting) )*(?:your |the |any |a )*(?:{PR}|base)"
    rf"(?: branch)?(?: (?:against|to|at|on|into|directly|as|target|based))+ {NAME}(?: branch)?(?P<rest>.*)$"
)
DRAFTS = re.compile(
    rf"^(?:always |you must |all |please |every )*(?:(?:open|create|submit|make|raise) (?:all |your |new |"
    rf"every |an? )*(?:{PR} (?:as (?:an? )?drafts?(?: {PR})?"
    rf"|in draft(?: mode| state)?)|draft {PR}(?: only)?)|{PR} (?:must|"
    rf"should) (?:always )?(?:be )?(?:opened |created |submitted )?(?:as |in )?(?:an? )?drafts?(?: mode|"
    rf" state)?)"
    r"(?P<rest>[ ,;:—(.].*)?$"
)
BRANCHES = re.compile(
    r"^(?:all |always |every |your |the |new |feature |git )*(?:(?:name|prefix|create|use) (?:all |your |"
    r"new |feature )*branch(?:es)?(?: names?)?|"
    r"branch(?:es)?(?: names?| naming)?(?: convention| format| pattern)?)(?: (?:must|should|always|are|be|"
    r"named|start|starts|begin|follow|use|as|"
    r"with|the|a|prefixed|prefix|format|pattern|convention|like|one of|from))*:? (?P<list>§\d+(?:(?:,| or|"
    r", or| and|/) §\d+)*)(?P<rest>.*)$"
)
NOT_BRANCHES = re.compile(
    r"^(?:do not|never|avoid) (?:(?:create|use|name|prefix) )*(?:an? |any |"
    r"the )*(?:branch(?:es)?(?: names?)? (?:(?:prefixed|starting|named|with|the|a|prefix|by) )+"
    r"(?P<p1>§\d+|[a-z]+/)|(?P<p2>§\d+|[a-z]+/) (?:prefix(?:es)? (?:in|"
    r"for) (?:the )?branch(?:es)?(?: names?)?|branch(?:es)?))"
    r"(?: prefix(?:es)?)?\b(?P<rest>.*)$"
)
HARMLESS = re.compile(r"^(?: (?:prefix(?:es)?|branch|branches))*(?:[ ,.;:—(].*)?$")
DOUBT = re.compile(r"\b(?:or|unless|except|if|optional\w*|when)\b")


def pull(clause: Clause, above: str = "") -> list[Draft] | None:
    """A rule about pull requests or branch names, or None. `above`: the headings."""
    for read in (_base, _drafts, _branches):
        found = read(clause, above)
        if found:
            return [Draft(kind="deny_command", when=any_of(found), raw=clause.raw)]
    return None


def _name(clause: Clause, said: str) -> str:
    name = clause.code(said) if said.startswith("§") else said
    return name if re.fullmatch(r"[\w./-]+", name) else ""


def _base(clause: Clause, above: str) -> list[Predicate] | None:
    text = re.sub(
        rf"^(?:when|whenever|while) (?:you )?(?:creat|open|submit|rais|mak)\w* (?:an? |any |new |your "
        rf")*{PR}, (?:please |"
        r"make sure to )?",
        "",
        clause.text,
    )
    match, banned = TARGET.match(text), NOT_TARGET.match(text)
    found = match or banned
    rest = (
        re.sub(
            r" (?:when|if) (?:you (?:are )?)?(?:creat|open|submit|rais|mak)\w* (?:a |your |new |"
            r"any )*\w+( request)?s?$",
            "",
            found["rest"],
        )
        if found
        else ""
    )
    if not found or DOUBT.search(rest):
        return None
    about = re.search(rf"\b{PR}\b", f"{above} {clause.text}")
    name = _name(clause, found["b"])
    if not name or not about:
        return None
    value = FlagValue(flags=BASE, any_of=(name,)) if banned else FlagValue(flags=BASE, none_of=(name,))
    return [CREATE.model_copy(update={"values": (value,)})]


def _drafts(clause: Clause, above: str) -> list[Predicate] | None:
    match = DRAFTS.match(clause.text)
    if not match or DOUBT.search(match["rest"] or ""):
        return None
    return [CREATE.model_copy(update={"no_flags": ("--draft", "-d")})]


def _globs(code: str) -> str:
    """A branch name as people sketch it, as a glob: `feature/<name>` is `feature/*`."""
    if re.search(r"[^\w./<>{}\[\]*#|-]|\.\w+$", code) or ("/" not in code and "-" not in code):
        return ""
    text = re.sub(r"<[^<>]*>|\{[^{}]*\}|\[[^\[\]]*\]|\.\.\.|\*+", "*", code)
    head, slash, _ = text.partition("/")
    text = f"{head}/*" if slash else re.sub(r"-.*$", "-*", text)
    return re.sub(r"\*+", "*", text)


def _branches(clause: Clause, above: str) -> list[Predicate] | None:
    match, banned = BRANCHES.match(clause.text), NOT_BRANCHES.match(clause.text)
    if banned and not DOUBT.search(banned["rest"]):
        said = banned["p1"] or banned["p2"]
        globs = [_globs(clause.code(said) if said.startswith("§") else said)]
    elif match and HARMLESS.match(match["rest"]) and not DOUBT.search(match["rest"]):
        globs = [_globs(clause.code(mark)) for mark in re.findall(r"§\d+", match["list"])]
        if any(glob.startswith("*") for glob in globs):
            return None
    else:
        return None
    if not all(globs):
        return None
    key = "any_of" if banned else "none_of"
    made: list[Predicate] = []
    for sub, flags in (("checkout", ("-b", "-B")), ("switch", ("-c", "-C", "--create"))):
        value = FlagValue(flags=flags, **{key: tuple(globs)})
        made.append(Command(program=("git",), sub=((sub,),), values=(value,)))
    return made
