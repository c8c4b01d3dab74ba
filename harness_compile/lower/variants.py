"""The sentences that a clause may stand for: as it is, without a condition that narrows nothing, without its
label, and as the heading above it completes it. The readers of the grammar are asked in this order.
"""

from __future__ import annotations

import re

from harness_compile.lower.refused import phrases
from harness_compile.lower.words.frames import Frame
from harness_compile.lower.words.normalise import Clause
from harness_compile.lower.words.objects import base

CONDITION = re.compile(
    r"^(?:for|when|if|on|in|during|while|after|before|until|once|unless|to)\b|\bonly\b|\boptional"
)
# Conditions that narrow nothing: they name the act itself, the whole project, or a reason.
THERE = re.compile(
    r"^(?:when(?:ever)?|while|if) (?:you (?:are |need to |want to )?)?(?:(?P<act>commit\w*|push\w*|mak(?:e|"
    r"ing) "
    r"(?:a |any |new )*commits?|writ(?:e|ing) (?:a |any |the |your )*commit messages?|us(?:e|ing) git|"
    r"(?:creat|open|submit|rais|mak)\w* (?:an? |any |new |your |the )*(?:prs?|pull requests?))|work(?:ing)?|"
    r"cod(?:e|ing)|develop(?:ing)?|writ(?:e|ing) code|mak(?:e|ing) (?:any |code )*changes|"
    r"edit(?:ing)? (?:code|files))(?: (?:in|on|with) (?:this|the|any|our) (?:repo(?:sitory)?|project|"
    r"codebase|"
    r"code|branch))?, "
    r"|^(?:in|within|across|throughout) (?:this|the|our|all|any) (?:repo(?:sitory)?|project|codebase|cases?|"
    r"circumstances?|workspace), |^(?:in order )?to (?:avoid|prevent|keep|save|ensure|protect|preserve|"
    r"maintain|"
    r"stay) [^,§]*, |^for (?:safety|security|consistency|reproducibility)(?: reasons?)?, "
    r"|^as an? (?:ai |coding )*(?:agent|assistant)[^,§]*, |^even (?:if|when) [^,§]*, |^because [^,§]*, "
)
ABOUT = re.compile(
    r"\b(?:commits?|push|hooks?|verify|amend|sign|co-?author\w*|pr|prs|pull request|base|draft)\b|"
    r"`(?:git|gh|glab|--)"
)


def variants(clause: Clause, frame: Frame) -> list[Clause]:
    """The clause as the frame completes it, and as it stands."""
    text = re.sub(r"^(?:and|but|so|then|also|therefore|thus|however|otherwise)[, ]\s?", "", clause.text)
    found = [clause.with_text(text)]
    there = THERE.match(text)
    if there and (there["act"] is None or ABOUT.search(clause.shown(text[there.end() :]))):
        found.append(clause.with_text(text[there.end() :]))
    label = re.match(r"^[\w '/&-]{2,45}?(?::|\s—)\s(?P<rest>.+)$", text)
    if label and len(label["rest"]) > 3 and not CONDITION.search(text[: label.start("rest")]):
        found.append(clause.with_text(label["rest"]))
    said = re.match(r"^(?P<label>[\w -]{3,60}?)\. (?P<rest>.+)$", text)
    if said:
        found.append(clause.with_text(said["label"]))
    own = phrases.NEVER.match(text) or re.search(r"\b(?:never|do not)\b", text)
    if frame.ask:
        core = re.sub(r"^(?:before|when|if you (?:need|want) to|if) ", "", text)
        found = [clause.with_text(f"ask before {core}", framed=True), *found]
    elif frame.never and not own:
        said = (f"do not {base(text)}", f"do not use {text}")
        found = [*(clause.with_text(one, framed=True) for one in said), *found]
    elif frame.verb and not own:
        found = [clause.with_text(f"do not {frame.verb} {_head(text)}", framed=True), *found]
    return found


def _head(text: str) -> str:
    """The code that a list item is about, without what is said of it."""
    match = re.match(r"^((?:§\d+(?:,| and| or|, and)? ?)+)(?:$|[ (—:,-].*)", text)
    return match[1].strip(" ,") if match else text
