"""What kind of statement a unit is, read off its surface words. English only."""

from __future__ import annotations

import re

from distill.records import Kind

# Where an order may begin: at the start of a sentence or clause. `You do not start it` is no order.
CLAUSE = r"(?:^|[.!?:;,(–—>]\s*|\s-\s|\b(?:and|or|but|so|then|please|also|instead|circumstances)[,\s]\s*)"
CONSTRAINT = re.compile(
    rf"(?i)\b(?:never|must|shall|forbidden|prohibited|mandatory|not allowed|may only|"
    rf"may not (?!have|be (?!\w+ed\b)|yet|need|exist|work|match|appear|contain|know|want)|"
    rf"(?:is|are) (?:required|read[- ]only)(?= (?:to|for|before|on|in) (?:every|all|each|any)\b|[.,;]?$)|"
    rf"read[- ]only[.,;:]|required to|cannot be (?:changed|edited|modified|skipped|merged|used)|"
    rf"(?:you|agents?) (?:should not|shouldn['’]t|may not|cannot|can['’]t)|"
    rf"always (?!on\b|up\b|been\b|in\b|available|enabled|running|return)|"
    rf"ask (?:first|before|for (?:permission|confirmation|approval))|"
    rf"without (?:asking|permission|approval))\b"
    rf"|{CLAUSE}(?:(?:do not|don['’]t|avoid|only (?:use|run|edit|when|if|after))\b|"
    r"no (?!need|manual|longer|more|matter|such)"
    r"(?!.{0,40}\b(?:will|is|are|has|have|was|needed|required)\b)\w)"
)
CODE = re.compile(r"(?<!`)`[^`\n]+`(?!`)|(?<![\w-])--?[a-z][\w-]*")  # what a command says is no order
EMPHASIS = re.compile(r"\*+|(?<!\w)_+|_+(?!\w)")
PREFERENCE = re.compile(
    r"(?i)\b(?:prefers?|preferred|preferably|favou?rs?|likes?|should|instead of|rather than)\b"
)
EPISODE = re.compile(r"(?i)^\W*(?:\[?\d{4}-\d{2}-\d{2}|(?:yesterday|today|last (?:week|month|night))\b)")
PROCEDURE = re.compile(
    r"(?i)```|~~~|^\W*(?:to [a-z]+ .*,|run\b|first\b|then\b|before \w+ing\b|after \w+ing\b|when \w+ing\b)"
)


def kind_of(text: str) -> Kind:
    """The kind of a statement; `fact` where nothing says otherwise."""
    if EPISODE.search(text):
        return "episode"
    prose = EMPHASIS.sub("", CODE.sub("\N{WHITE SQUARE}", text))
    if CONSTRAINT.search(prose):
        return "constraint"
    if PREFERENCE.search(prose):
        return "preference"
    return "procedure" if PROCEDURE.search(text) else "fact"
