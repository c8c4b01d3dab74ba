"""The guard: says what becomes of one tool call under a list of rules. The reference evaluator, standard
library only.

It ships in bundles as this one file (with `payloads.py`, which knows the harnesses' shapes) and is what
`verify` and `decide` call. Rules come as the JSON of `rules.Rule`; what they mean is said there. Four parts,
in this order: a parser of shell text (quoting, lists, pipes, subshells, substitutions, here-documents,
functions, loops), an interpreter that walks the parsed text without running it and lists the commands that
bash would run, tables of what well-known programs do with their arguments, and the evaluator with its index,
session facts and decision log.

Not covered, and said so by the strength of each control: what a script, an interpreter (`python -c`), `make`
or a remote machine does once it runs. What the shell itself decides only at run time (`eval "$x"`, `$(curl …)
| sh`) is undecided. The text that a program writes into a file is known only where the shell gives it
(here-documents, echo, printf, the script of `sed -i`).

Run as a hook: `python3 -I -S -c "import sys; sys.path[0:0] = [FOLDER]; import guard; guard.main()" --harness
claude_code --policy guard.json` (`launch_command` writes it): importing it uses the compiled file in
`__pycache__`, running it as a script would compile it anew on every call. It reads one payload on stdin and
never raises: a fault of the guard itself answers as `on_error` says.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
from functools import lru_cache

NO, MAYBE, YES = 0, 1, 2  # not(v) is 2 - v, all() is min, any() is max
ANY = "\0"  # in a word: some text that only run time knows
MANY = "\1"  # the same unquoted: it may also be no word, or several
STAR, MARK, CLASS = "\2", "\3", "\4"  # unquoted * ? [ while a word is being expanded
GLOBBING = str.maketrans("*?[", STAR + MARK + CLASS)
LITERAL = str.maketrans(STAR + MARK + CLASS, "*?[")


class Late:
    """A pattern that is compiled when it is first asked: a call needs a few of them, and all of them together
    take longer than the call itself."""

    def __init__(self, text: str, flags: int = 0) -> None:
        self.said = (text, flags)

    def __getattr__(self, name: str):
        value = getattr(re.compile(*self.said), name)
        setattr(self, name, value)
        return value


UNKNOWN = Late("[\0\1]")
NAME = Late(r"[A-Za-z_][A-Za-z0-9_]*")
ASSIGN = Late(r"([A-Za-z_][A-Za-z0-9_]*)(\[[^\]]*\])?(\+?=)")
PLAIN = Late(r"[^\s;&|()<>'\"\\$`]+")
REDIRECTION = Late(r"(\d+|\{[A-Za-z_]\w*\})?(<<<|<<-|<<|<&|<>|<|>>|>&|>\||>|&>>|&>)")
EMPTY = Late(r"\(\s*\)")
BLANK = " \t"
META = " \t\n;&|()<>"

MAX_TEXT = 200_000  # characters of one command line
MAX_ACTIONS = 600  # commands of one command line
MAX_STEPS = 4_000  # nodes walked, loops and functions counted each time
MAX_DEPTH = 40


class Unparsed(Exception):
    """The text is no shell that this parser reads; what was read before it counts."""


# ----------------------------------------------------------------------------------------------------
# 1. Parser. Nodes are tuples; words are lists of parts:
#    ("t", text, quoted)  ("v", name, op, parts, quoted)  ("c", node, quoted)  ("a", parts, quoted)  ("p",
# node)


class Parser:
    """Shell text to nodes. `parse()` gives the node of all that could be read and whether that was
    everything.
    """

    def __init__(self, text: str, depth: int = 0) -> None:
        self.s, self.i, self.n = text, 0, len(text)
        self.depth = depth
        self.heredocs: list[list] = []
        self.done: list = []

    def parse(self) -> tuple[tuple, bool]:
        try:
            node = self.list(())
            if self.i < self.n:
                raise Unparsed("text is left")
            if self.heredocs:
                self.read_heredocs()
            return node, True
        except (Unparsed, RecursionError, IndexError):
            return ("list", self.done), False

    # -- characters

    def at(self, *texts: str) -> bool:
        return any(self.s.startswith(text, self.i) for text in texts)

    def blanks(self) -> None:
        s, n = self.s, self.n
        while self.i < n:
            c = s[self.i]
            if c in BLANK:
                self.i += 1
            elif c == "\\" and s.startswith("\n", self.i + 1):
                self.i += 2
            elif c == "#" and (self.i == 0 or s[self.i - 1] in META):
                end = s.find("\n", self.i)
                self.i = n if end < 0 else end
            else:
                return

    def newlines(self) -> None:
        while True:
            self.blanks()
            if self.i < self.n and self.s[self.i] == "\n":
                self.newline()
            else:
                return

    def newline(self) -> None:
        self.i += 1
        if self.heredocs:
            self.read_heredocs()

    def read_heredocs(self) -> None:
        waiting, self.heredocs = self.heredocs, []
        for redirect, delimiter, strip, quoted in waiting:
            lines = []
            while self.i < self.n:
                end = self.s.find("\n", self.i)
                end = self.n if end < 0 else end
                line = self.s[self.i : end]
                self.i = min(end + 1, self.n)
                if strip:
                    line = line.lstrip("\t")
                if line == delimiter:
                    break
                if not quoted and line.endswith("\\") and (len(line) - len(line.rstrip("\\"))) % 2:
                    lines.append(line)
                    continue
                lines.append(line + "\n")
            body = "".join(line if line.endswith("\n") or quoted else line + "\n" for line in lines)
            redirect[3] = [("t", body, True)] if quoted else self.inner(body, heredoc=True)

    def inner(self, text: str, heredoc: bool = False) -> list:
        """The parts of a text in which `$` and backticks count, as between double quotes."""
        if self.depth > MAX_DEPTH:
            raise Unparsed("too deep")
        parser = Parser(text, self.depth + 1)
        return parser.double(heredoc=heredoc, whole=True)

    # -- words

    def word(self, cond: bool = False) -> list | None:
        """The next word as parts, or None where no word begins."""
        s, n = self.s, self.n
        parts: list = []
        plain: list[str] = []
        begun = False

        def flush() -> None:
            if plain:
                parts.append(("t", "".join(plain), False))
                plain.clear()

        while self.i < n:
            c = s[self.i]
            if c in META:
                if c in "<>" and s.startswith("(", self.i + 1) and not cond:
                    flush()
                    self.i += 2
                    parts.append(("p", self.until(")")))
                    begun = True
                    continue
                if cond and c in "()<>|&;" and begun and not self.at("&&", "||"):
                    plain.append(c)
                    self.i += 1
                    continue
                break
            begun = True
            if c == "\\":
                if self.i + 1 >= n:
                    plain.append("\\")
                    self.i += 1
                elif s[self.i + 1] == "\n":
                    self.i += 2
                else:
                    flush()
                    parts.append(("t", s[self.i + 1], True))
                    self.i += 2
            elif c == "'":
                end = s.find("'", self.i + 1)
                if end < 0:
                    raise Unparsed("an open quote")
                flush()
                parts.append(("t", s[self.i + 1 : end], True))
                self.i = end + 1
            elif c == '"':
                flush()
                self.i += 1
                parts.extend(self.double() or [("t", "", True)])
            elif c == "$":
                flush()
                parts.append(self.dollar(False))
            elif c == "`":
                flush()
                parts.append(self.backtick(False))
            else:
                plain.append(c)
                self.i += 1
        flush()
        return parts if begun else None

    def double(self, heredoc: bool = False, whole: bool = False) -> list:
        """Parts up to the closing double quote (`whole`: up to the end of the text)."""
        s, n = self.s, self.n
        parts: list = []
        text: list[str] = []

        def flush() -> None:
            if text:
                parts.append(("t", "".join(text), True))
                text.clear()

        while self.i < n:
            c = s[self.i]
            if c == '"' and not whole:
                self.i += 1
                flush()
                return parts
            if c == "\\" and self.i + 1 < n:
                following = s[self.i + 1]
                if following == "\n":
                    pass
                elif following in "$`\\" or (following == '"' and not heredoc):
                    text.append(following)
                else:
                    text.append("\\" + following)
                self.i += 2
            elif c == "$":
                flush()
                parts.append(self.dollar(True))
            elif c == "`":
                flush()
                parts.append(self.backtick(True))
            else:
                text.append(c)
                self.i += 1
        if not whole:
            raise Unparsed("an open quote")
        flush()
        return parts

    def dollar(self, quoted: bool) -> tuple:
        s = self.s
        following = s[self.i + 1 : self.i + 2]
        if following == "(":
            if s.startswith("((", self.i + 1):
                end = self.arithmetic_end(self.i + 3)
                if end >= 0:
                    text = s[self.i + 3 : end]
                    self.i = end + 2
                    return ("a", self.inner(text), quoted)
            self.i += 2
            return ("c", self.until(")"), quoted)
        if following == "[":  # the old form of $(( ))
            end = s.find("]", self.i)
            if end < 0:
                raise Unparsed("an open bracket")
            text = s[self.i + 2 : end]
            self.i = end + 1
            return ("a", self.inner(text), quoted)
        if following == "{":
            return self.braces(quoted)
        if following == "'" and not quoted:
            return self.ansi()
        if following == '"' and not quoted:
            self.i += 2
            parts = self.double()
            return ("j", parts)
        name = NAME.match(s, self.i + 1)
        if name:
            self.i = name.end()
            return ("v", name[0], "", [], quoted)
        if following and following in "@*#?$!-0123456789":
            self.i += 2
            return ("v", following, "", [], quoted)
        self.i += 1
        return ("t", "$", True)

    def ansi(self) -> tuple:
        """$'…' with its escapes."""
        i = self.i + 2
        s = self.s
        while i < self.n and s[i] != "'":
            i += 2 if s[i] == "\\" else 1
        if i >= self.n:
            raise Unparsed("an open quote")
        text, self.i = s[self.i + 2 : i], i + 1
        return ("t", unescape(text), True)

    def arithmetic_end(self, start: int) -> int:
        """Where the `))` of an arithmetic text begins that starts at `start`, or -1."""
        depth, i, s = 0, start, self.s
        while i < self.n:
            c = s[i]
            if c == "(":
                depth += 1
            elif c == ")":
                if depth == 0:
                    return i if s.startswith("))", i) else -1
                depth -= 1
            i += 1
        return -1

    def braces(self, quoted: bool) -> tuple:
        """${…}: name, operator and the operator's own text."""
        s, start = self.s, self.i + 2
        i, depth = start, 0
        while i < self.n:
            c = s[i]
            if c == "\\":
                i += 1
            elif c == "'" and not quoted:
                i = s.find("'", i + 1)
                if i < 0:
                    raise Unparsed("an open quote")
            elif c == "{":
                depth += 1
            elif c == "}":
                if depth == 0:
                    break
                depth -= 1
            elif c == "$" and s.startswith("(", i + 1):
                self.i = i + 2
                self.until(")")
                i = self.i - 1
            i += 1
        if i >= self.n:
            raise Unparsed("an open brace")
        text, self.i = s[start:i], i + 1
        match = re.match(
            r"([A-Za-z_]\w*(?:\[[^\]]*\])?|[@*#?$!0-9-]|#[A-Za-z_@*]\w*(?:\[[^\]]*\])?)(.*)", text, re.S
        )
        if not match:
            return ("v", "", "?", self.inner(text), quoted)
        name, rest = match[1], match[2]
        operator = re.match(r":?[-=+?]", rest)
        if operator:
            body = rest[operator.end() :]
            parts = (
                self.inner(body)
                if quoted or "'" not in body
                else Parser(body, self.depth + 1).word(True) or []
            )
            return ("v", name, operator[0], parts, quoted)
        return ("v", name, "?" if rest else "", self.inner(rest), quoted)

    def backtick(self, quoted: bool) -> tuple:
        i, s = self.i + 1, self.s
        text: list[str] = []
        while i < self.n and s[i] != "`":
            if s[i] == "\\" and i + 1 < self.n and (s[i + 1] in "$`\\" or (quoted and s[i + 1] == '"')):
                i += 1
            elif s[i] == "\\" and i + 1 < self.n:
                text.append("\\")
                i += 1
            text.append(s[i])
            i += 1
        if i >= self.n:
            raise Unparsed("an open backtick")
        self.i = i + 1
        if self.depth > MAX_DEPTH:
            raise Unparsed("too deep")
        node, whole = Parser("".join(text), self.depth + 1).parse()
        return ("c", node if whole else ("list", [*node[1], (("unknown",), ";")]), quoted)

    def until(self, closing: str) -> tuple:
        """The list up to `closing`, which is read too."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unparsed("too deep")
        node = self.list((closing,))
        if not self.at(closing):
            raise Unparsed("an open " + closing)
        self.i += len(closing)
        self.depth -= 1
        return node

    # -- commands

    def keyword(self) -> str:
        """The unquoted word at the cursor, not read."""
        match = PLAIN.match(self.s, self.i)
        return match[0] if match and (match.end() == self.n or self.s[match.end()] in META) else ""

    def expect(self, word: str) -> None:
        self.newlines()
        if self.keyword() != word:
            raise Unparsed("no " + word)
        self.i += len(word)

    def list(self, stops: tuple[str, ...]) -> tuple:
        """Commands up to a stop (`)` or a reserved word in command position) or the end of the text."""
        items: list = []
        if not stops:
            self.done = items
        while True:
            self.newlines()
            if self.i >= self.n:
                break
            c = self.s[self.i]
            if c == ")" or self.at(";;", ";&") or self.keyword() in stops:
                break
            if c == ";":
                self.i += 1
                continue
            item = self.and_or()
            self.blanks()
            separator = ";"
            if self.i < self.n:
                c = self.s[self.i]
                if c == "&":
                    separator = "&"
                    self.i += 1
                elif c == ";" and not self.at(";;", ";&"):
                    self.i += 1
                elif c == "\n":
                    self.newline()
                elif c not in ");" and self.keyword() not in stops:
                    raise Unparsed("a command where none can be")
            items.append((item, separator))
        return ("list", items)

    def and_or(self) -> tuple:
        chain = [("", self.pipeline())]
        while True:
            self.blanks()
            if not self.at("&&", "||"):
                return ("chain", chain)
            operator = self.s[self.i : self.i + 2]
            self.i += 2
            self.newlines()
            chain.append((operator, self.pipeline()))

    def pipeline(self) -> tuple:
        negated = False
        while True:
            self.blanks()
            word = self.keyword()
            if word == "!":
                negated = not negated
                self.i += 1
            elif word == "time":
                self.i += 4
                self.blanks()
                if self.keyword() == "-p":
                    self.i += 2
            else:
                break
        elements = [self.command()]
        while True:
            self.blanks()
            if not self.at("|") or self.at("||"):
                return ("pipe", elements, negated)
            self.i += 2 if self.at("|&") else 1
            self.newlines()
            elements.append(self.command())

    def command(self) -> tuple:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise Unparsed("too deep")
        try:
            return self.compound()
        finally:
            self.depth -= 1

    def compound(self) -> tuple:
        self.blanks()
        if self.i >= self.n:
            raise Unparsed("a command is missing")
        if self.at("(("):
            end = self.arithmetic_end(self.i + 2)
            if end >= 0:
                text, self.i = self.s[self.i + 2 : end], end + 2
                return ("math", text, self.inner(text), self.redirects())
        if self.at("("):
            self.i += 1
            return ("sub", self.until(")"), self.redirects())
        word = self.keyword()
        if word == "{":
            self.i += 1
            body = self.list(("}",))
            self.expect("}")
            return ("group", body, self.redirects())
        if word == "[[":
            return self.double_bracket()
        method = {
            "if": self.if_,
            "while": self.while_,
            "until": self.while_,
            "for": self.for_,
            "select": self.for_,
            "case": self.case_,
            "function": self.function_,
        }.get(word)
        if method:
            self.i += len(word)
            return method()
        if word == "coproc":
            self.i += 6
            self.blanks()
            return ("sub", ("list", [(("chain", [("", ("pipe", [self.command()], False))]), ";")]), [])
        if word in ("then", "else", "elif", "fi", "do", "done", "esac", "in", "}", "]]"):
            raise Unparsed("a " + word + " where none can be")
        return self.simple()

    def if_(self) -> tuple:
        branches = []
        condition = self.list(("then",))
        self.expect("then")
        branches.append((condition, self.list(("elif", "else", "fi"))))
        otherwise = None
        while True:
            self.newlines()
            word = self.keyword()
            self.i += len(word)
            if word == "elif":
                condition = self.list(("then",))
                self.expect("then")
                branches.append((condition, self.list(("elif", "else", "fi"))))
            elif word == "else":
                otherwise = self.list(("fi",))
            elif word == "fi":
                return ("if", branches, otherwise, self.redirects())
            else:
                raise Unparsed("an open if")

    def while_(self) -> tuple:
        condition = self.list(("do",))
        self.expect("do")
        body = self.list(("done",))
        self.expect("done")
        return ("while", condition, body, self.redirects())

    def for_(self) -> tuple:
        self.blanks()
        head: list = []
        words: list | None = None
        name = ""
        if self.at("(("):
            end = self.arithmetic_end(self.i + 2)
            if end < 0:
                raise Unparsed("an open for")
            text, self.i = self.s[self.i + 2 : end], end + 2
            head = self.inner(text)
            match = NAME.match(text.strip())
            name = match[0] if match else ""
            words = [[("v", "", "?", [], False)]]
        else:
            match = NAME.match(self.s, self.i)
            if not match:
                raise Unparsed("a for without a name")
            name, self.i = match[0], match.end()
            self.newlines()
            if self.keyword() == "in":
                self.i += 2
                words = []
                while True:
                    self.blanks()
                    word = self.word()
                    if word is None:
                        break
                    words.append(word)
        self.newlines()
        if self.at(";"):
            self.i += 1
        self.newlines()
        if self.keyword() == "{":
            self.i += 1
            body = self.list(("}",))
            self.expect("}")
        else:
            self.expect("do")
            body = self.list(("done",))
            self.expect("done")
        return ("for", name, words, head, body, self.redirects())

    def case_(self) -> tuple:
        self.blanks()
        subject = self.word()
        self.expect("in")
        branches = []
        while True:
            self.newlines()
            if self.keyword() == "esac":
                self.i += 4
                return ("case", subject or [], branches, self.redirects())
            if self.at("("):
                self.i += 1
            patterns = []
            while True:
                self.blanks()
                pattern = self.word()
                if pattern is None:
                    raise Unparsed("a case without a pattern")
                patterns.append(pattern)
                self.blanks()
                if self.at("|"):
                    self.i += 1
                elif self.at(")"):
                    self.i += 1
                    break
                else:
                    raise Unparsed("an open case")
            body = self.list(("esac",))
            branches.append((patterns, body))
            if self.at(";;&"):
                self.i += 3
            elif self.at(";;", ";&"):
                self.i += 2

    def function_(self) -> tuple:
        self.blanks()
        word = self.keyword()
        if not word:
            raise Unparsed("a function without a name")
        self.i += len(word)
        self.blanks()
        if self.at("("):
            self.i += 1
            self.blanks()
            if not self.at(")"):
                raise Unparsed("an open function")
            self.i += 1
        self.newlines()
        return ("function", word, self.command())

    def double_bracket(self) -> tuple:
        self.i += 2
        words = []
        while True:
            self.newlines()
            if self.i >= self.n:
                raise Unparsed("an open [[")
            if self.keyword() == "]]":
                self.i += 2
                return ("test", words, self.redirects())
            word = self.word(cond=True)
            if word is None:
                self.i += 1
            else:
                words.append(word)

    def redirects(self) -> list:
        found = []
        while True:
            self.blanks()
            redirect = self.redirect()
            if redirect is None:
                return found
            found.append(redirect)

    def redirect(self) -> list | None:
        """[fd, operator, where it stands, word], or None where no redirection begins."""
        match = REDIRECTION.match(self.s, self.i)
        if not match or (match[2] in ("<", ">") and self.s.startswith("(", match.end()) and not match[1]):
            return None
        if match[2].startswith("&") and match[1]:
            return None
        self.i = match.end()
        self.blanks()
        start = self.i
        word = self.word()
        if word is None:
            raise Unparsed("a redirection to nowhere")
        redirect = [match[1] or "", match[2], None, word]
        if match[2] in ("<<", "<<-"):
            quoted = any(part[0] == "t" and part[2] for part in word) or '"' in self.s[start : self.i]
            delimiter = "".join(part[1] if part[0] == "t" else "" for part in word)
            if any(part[0] != "t" for part in word):
                delimiter = self.s[start : self.i].replace('"', "")
            redirect[3] = []
            self.heredocs.append([redirect, delimiter, match[2] == "<<-", quoted])
        return redirect

    def simple(self) -> tuple:
        assigns: list = []
        words: list = []
        redirects: list = []
        while True:
            self.blanks()
            if self.i >= self.n:
                break
            redirect = self.redirect()
            if redirect is not None:
                redirects.append(redirect)
                continue
            match = ASSIGN.match(self.s, self.i)
            if match and (not words or plain(words[0]) in DECLARING):
                self.i = match.end()
                value: list | None
                if self.at("("):
                    self.i += 1
                    value = []
                    while True:
                        self.newlines()
                        if self.at(")"):
                            self.i += 1
                            break
                        element = self.word()
                        if element is None:
                            raise Unparsed("an open array")
                        value.append(element)
                    assigns.append((match[1], "array" + match[3], value))
                else:
                    value = self.word() or []
                    assigns.append((match[1], ("item" if match[2] else "") + match[3], value))
                    if match[2]:
                        assigns.append((match[1], "item=", self.inner(match[2])))
                continue
            word = self.word()
            if word is None:
                break
            words.append(word)
            if len(words) == 1 and not assigns and not redirects:
                self.blanks()
                if self.at("(") and EMPTY.match(self.s, self.i):
                    self.i = EMPTY.match(self.s, self.i).end()  # type: ignore[union-attr]
                    self.newlines()
                    return ("function", plain(words[0]), self.command())
        if not assigns and not words and not redirects:
            raise Unparsed("a command is missing")
        return ("simple", assigns, words, redirects)


DECLARING = {"export", "declare", "typeset", "local", "readonly", "alias"}


def plain(word: list) -> str:
    """The text of a word that is all unquoted text, else nothing."""
    return word[0][1] if len(word) == 1 and word[0][0] == "t" and not word[0][2] else ""


# fmt: off
ESCAPES = {
    "n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v",
}
# fmt: on
ESCAPE = Late(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|c.|.)", re.S)


def unescape(text: str) -> str:
    """What $'…' and `echo -e` make of backslashes."""

    def one(match: re.Match[str]) -> str:
        code: str = match[1]
        if code[0] in "xuU" and len(code) > 1:
            value = int(code[1:], 16)
            return chr(value) if 4 < value < 0x110000 and not 0xD800 <= value < 0xE000 else ANY
        if code[0] in "01234567":
            value = int(code, 8) & 0xFF
            return chr(value) if value > 4 else ANY
        if code[0] == "c" and len(code) > 1:
            return chr(ord(code[1]) & 0x1F) if ord(code[1]) & 0x1F > 4 else ANY
        return ESCAPES[code] if code in ESCAPES else code if code in "\\'\"?" else "\\" + code

    return ESCAPE.sub(one, text)


# ----------------------------------------------------------------------------------------------------
# 2. Tables: what well-known programs do with their arguments. Data, not code; a program that is missing here
# is matched by its name, flags and arguments all the same, only its files and the values of its flags are not
# known.

# Options that take the next word as their value: by program, and by program and sub-command.
VALUED_TEXT = """
git: -C -c --git-dir --work-tree --namespace --exec-path --config-env --super-prefix
git commit: -m --message -F --file -C -c --reuse-message --reedit-message --author --date -t --template
  --fixup --squash --trailer --cleanup --pathspec-from-file
git push: -o --push-option --repo --receive-pack --exec
git log: -n --max-count --author --since --until --after --before --grep -S -G -L --format --skip
git tag: -m --message -F --file -u --local-user --sort
git merge: -m --message -s --strategy -X --strategy-option -F --file
git checkout: -b -B --orphan --conflict
git switch: -c -C --create --force-create --orphan
git clone: -b --branch --depth -o --origin -j --jobs --reference --config
git branch: -u --set-upstream-to --sort --contains --merged --no-merged
git rebase: --onto -x --exec -s --strategy -X
git restore: -s --source
git reset: --pathspec-from-file
git stash: -m --message
git worktree: -b -B --reason
git notes: -m --message -F --file --ref
git fetch: --depth -j --jobs -o --upload-pack
git clean: -e --exclude
git diff: -S -G --diff-filter -U
git grep: -e -f -A -B -C -m
gh: -R --repo --hostname
gh pr: -R --repo -t --title -b --body -F --body-file -B --base -H --head -a --assignee -l --label -m
  --milestone -r --reviewer -p --project -T --template -q --jq --json -L --limit -S --search --subject
  --match-head-commit -A --author-email --recover -s --state
gh issue: -R --repo -t --title -b --body -F --body-file -a --assignee -l --label -m --milestone -p --project
  -T --template -q --jq --json -L --limit -S --search -s --state -r --reason -c --comment
gh release: -R --repo -t --title -n --notes -F --notes-file --target --notes-start-tag --discussion-category
gh api: -X --method -f --raw-field -F --field -H --header -q --jq -t --template --input --hostname --preview
  --cache
gh repo: -d --description -h --homepage -t --team -p --template -g --gitignore -l --license --source -r
  --remote
gh run: -R --repo -w --workflow -b --branch -L --limit --json -q --jq -n --name -D --dir -j --job
gh workflow: -R --repo -f --raw-field -F --field -r --ref
npm: -w --workspace --prefix --registry --loglevel --tag --otp --access -C --userconfig --cache
  --script-shell --omit --include --before
pnpm: -F --filter -C --dir --registry --reporter --loglevel --workspace-concurrency --tag --otp
yarn: --cwd --registry --modules-folder --cache-folder
bun: --cwd --filter -F -F --registry --config -c --env-file --preload -r
pip: --log --proxy --timeout --retries --cert --cache-dir --index-url -i --extra-index-url -r --requirement
  -c --constraint -e --editable -t --target --python --prefix --root --find-links -f
uv: --directory --project --python -p --cache-dir --color --config-file --index --default-index --index-url
  --extra-index-url --with --with-requirements --group --extra --env-file --package --only-group --no-group
  -r --requirements -c --constraints --optional --branch --tag --rev --bounds -m
poetry: -C --directory -P --project -G --group -E --extras --source --python
cargo: --color --config -Z -C --manifest-path --target-dir -p --package -F --features --target -j --jobs
  --profile --bin --example --test --bench --message-format --precise --exclude --vers --version --index
  --registry --git --branch --tag --rev --path
docker: -H --host -c --context --config -l --log-level
docker run: -v --volume -e --env --env-file -p --publish -w --workdir -u --user --name --network --net
  --entrypoint -m --memory --cpus -l --label --mount --platform --restart -h --hostname --add-host --device
  --gpus --log-driver --pull --shm-size --ulimit --cap-add --cap-drop --security-opt
docker exec: -e --env --env-file -w --workdir -u --user
docker build: -t --tag -f --file --build-arg --target --platform --cache-from --cache-to --secret --ssh -o
  --output --progress --network --label
docker compose: -f --file -p --project-name --profile --env-file --project-directory --scale -w --workdir -e
  --env -u --user -t --timeout
kubectl: -n --namespace --context --kubeconfig --cluster --user -s --server --token --as -f --filename -l
  --selector -o --output -c --container -k --kustomize -p --patch --replicas --image --type --field-selector
  --grace-period --timeout --tail --since
helm: -n --namespace --kube-context --kubeconfig -f --values --set --set-string --version --timeout -o
  --output
terraform: -chdir
aws: --profile --region --endpoint-url --output --query --cli-input-json
gcloud: --project --account --configuration --format --zone --region
make: -C --directory -f --file --makefile -I --include-dir -o -W -j --jobs -l
cmake: -S -B -G -D -U -C -P --build --target -j --parallel --config --install --prefix --preset
ninja: -C -f -j -k -l -t -w
pytest: -k -m -n -p -c -o -W --rootdir --maxfail --tb --cov --cov-report --durations --ignore --deselect
  --junitxml --confcutdir
mvn: -f --file -P -pl --projects -D -s -T
gradle: -p --project-dir -b -P -D --tests
go: -C -o -run -bench -count -timeout -tags -p -cover -coverprofile -ldflags -gcflags -mod -exec -benchtime
  -cpu -v=
ruff: --config --select --ignore --extend-select --line-length --target-version --output-format --exclude
eslint: -c --config --ext --rule --plugin --parser -f --format -o --output-file --max-warnings --ignore-path
  --ignore-pattern --cache-location
prettier: --config --parser --plugin --ignore-path --log-level
tsc: -p --project --outDir --target --module
curl: -X --request -d --data --data-raw --data-binary --data-urlencode -H --header -o --output -u --user -A
  --user-agent -b --cookie -c --cookie-jar -F --form -T --upload-file -e --referer -x --proxy -m --max-time
  --connect-timeout --retry -w --write-out -K --config --cacert --cert -E --key --url -r --range --resolve
  --json --output-dir -D --dump-header -Q -t -y -Y -z -C
wget: -O --output-document -o --output-file -P --directory-prefix -U --user-agent --header --post-data
  --post-file --method --body-data -T --timeout -t --tries -e --execute -i --input-file -a -Q -w -A -R -D -I
  -X -l -B
ssh: -p -i -l -o -F -L -R -D -J -b -c -E -e -I -m -O -Q -S -W -w
scp: -P -i -o -F -l -c -J -S
rsync: -e --rsh --exclude --include --exclude-from --include-from --files-from -f --filter --bwlimit --port
  --log-file --partial-dir --temp-dir -T --backup-dir --suffix --max-size --min-size --chmod --chown
  --timeout --out-format
tar: -f --file -C --directory --exclude -T --files-from -X --exclude-from --transform --strip-components -I
  --use-compress-program -b -g --owner --group --mode
grep: -e --regexp -f --file -m --max-count -A --after-context -B --before-context -C --context -d -D
  --include --exclude --exclude-dir --exclude-from --color --label
rg: -e --regexp -f --file -g --glob --iglob -t --type -T --type-not -m --max-count -A -B -C -M -r --replace
  --max-depth -d -j --sort --colors --pre
find: -name -iname -path -ipath -type -maxdepth -mindepth -newer -mtime -mmin -atime -ctime -size -perm
  -user -group -regex -iregex -not -printf -fprint -fprintf -wholename -regextype -links -inum -samefile
  -cnewer -anewer -cmin -amin -context -fstype -gid -uid -used -xtype -fls
sed: -e --expression -f --file -l --line-length
awk: -f --file -F --field-separator -v --assign
head: -n --lines -c --bytes
tail: -n --lines -c --bytes -s --pid
cut: -d -f -c -b --delimiter --fields --output-delimiter
sort: -k -t -o --output -S -T --key --field-separator --parallel --compress-program --files0-from
cp: -t --target-directory -S --suffix
mv: -t --target-directory -S --suffix
ln: -t --target-directory -S --suffix
install: -t --target-directory -m --mode -o --owner -g --group -S --suffix
touch: -t -d --date -r --reference
truncate: -s --size -r --reference
mkdir: -m --mode
chmod: --reference
chown: --reference --from
patch: -p --strip -i --input -o --output -d --directory -r -D -B -F -z -V
unzip: -d -x -P
zip: -P -x -i -t -b
jq: --arg --argjson --slurpfile --rawfile --indent -f --from-file -L --tab=
psql: -c --command -f --file -d --dbname -h --host -p --port -U --username -o --output -v --set -P -L -F -R
  -T
mysql: -e --execute -h --host -P --port -u --user -D --database -S --socket
sqlite3: -cmd -init -separator -nullvalue
python: -c -m -W -X
node: -e --eval -p --print -r --require --import --loader --env-file --conditions -C
ruby: -e -I -r -C -E
perl: -e -E -I -M -m
php: -r -f -c -d
openssl: -in -out -inkey -pass -k -kfile
xargs: -a -d -E -I -L -n -P -s --arg-file --delimiter
tsc: --outDir --outFile -p --project
gcc: -o -I -L -l -D -include
g++: -o -I -L -l -D -include
cc: -o -I -L -l -D -include
clang: -o -I -L -l -D -include
rustc: -o --out-dir --edition --crate-type
"""


def read_valued() -> dict[str, frozenset[str]]:
    table = {}
    for line in VALUED_TEXT.strip().replace("\n  ", " ").splitlines():
        name, _, options = line.partition(":")
        table[name] = frozenset(options.split())
    for name, other in (
        ("python3", "python"),
        ("pip3", "pip"),
        ("uvx", "uv"),
        ("egrep", "grep"),
        ("fgrep", "grep"),
        ("gawk", "awk"),
        ("mawk", "awk"),
        ("gsed", "sed"),
        ("podman", "docker"),
        ("tofu", "terraform"),
        ("gmake", "make"),
        ("npx", "npm"),
        ("podman run", "docker run"),
        ("podman exec", "docker exec"),
        ("podman build", "docker build"),
        ("nodejs", "node"),
        ("docker-compose", "docker compose"),
        ("docker container", "docker run"),
        ("py.test", "pytest"),
        ("gradlew", "gradle"),
        ("mvnw", "mvn"),
        ("bunx", "bun"),
    ):
        table[name] = table[other]
    return table


VALUED = read_valued()

# Programs whose long options begin with one dash: `-auto-approve` is no row of short ones.
ONE_DASH = set(
    "find go terraform tofu java javac ffmpeg openssl convert magick xrandr gcc clang mvn sqlite3".split()
)

# Programs whose options may be shortened to any unambiguous beginning.
ABBREVIATES = {"git"}

# Words that stand before a command and run it: options with a value, and how many words go before the
# command.
# fmt: off
WRAPPERS: dict[str, tuple[str, int]] = {
    "sudo": ("-u -g -h -p -C -r -t -T -U -D -R --user --group --host --prompt --chdir --chroot", 0),
    "doas": ("-u -C", 0), "env": ("-u -C -S --unset --chdir --split-string", 0),
    "nice": ("-n --adjustment", 0), "nohup": ("", 0), "setsid": ("", 0),
    "stdbuf": ("-i -o -e --input --output --error", 0), "ionice": ("-c -n -p -P -u --class --classdata", 0),
    "chrt": ("-p", 1), "taskset": ("", 1), "timeout": ("-s -k --signal --kill-after", 1),
    "gtimeout": ("-s -k --signal --kill-after", 1), "time": ("-f -o --format --output", 0),
    "command": ("", 0), "builtin": ("", 0), "exec": ("-a", 0),
    "xargs": ("-a -d -E -I -L -n -P -s --arg-file --delimiter --replace --max-lines --max-args"
              " --max-procs", 0),
    "flock": ("-w -E --timeout --wait --conflict-exit-code", 1), "unbuffer": ("", 0),
    "strace": ("-e -o -p -s -u -E -P -a", 0), "ltrace": ("-e -o -p -s -u", 0),
    "watch": ("-n -d --interval", 0), "entr": ("", 0), "caffeinate": ("-t -w", 0),
    "xvfb-run": ("-e -f -n -s -w -p", 0), "dbus-run-session": ("", 0), "busybox": ("", 0), "toybox": ("", 0),
    "chroot": ("--userspec --groups", 1), "fakeroot": ("-l -s -i", 0), "firejail": ("", 0),
    "parallel": ("-j --jobs -a --arg-file -n --colsep -I --delay --timeout", 0), "proxychains": ("-f", 0),
    "catchsegv": ("", 0), "dotenv": ("-f -e --file -c", 0), "cross-env": ("", 0), "dumb-init": ("", 0),
    "tini": ("", 0), "coproc": ("", 0), "unshare": ("-S -G -R -w --root --wd --setuid --setgid", 0),
    "pkexec": ("--user", 0), "screen": ("-S -t -c -h -e -p -T", 0), "numactl": ("", 0), "prlimit": ("", 0),
    "systemd-run": ("-p -u -t -E -M -H --unit --property --slice --setenv --machine --host --uid --gid", 0),
    "nsenter": ("-t -S -G -r -w --target", 0), "torsocks": ("", 0), "proxychains4": ("-f", 0),
    "ld-linux-x86-64.so.2": ("--library-path --preload --audit --argv0", 0),
    "ld-linux-aarch64.so.1": ("--library-path --preload --audit --argv0", 0), "rlwrap": ("", 0),
}
# fmt: on

# Tools that run a tool of the project: `uv run pytest` is a pytest too. "*" stands for one word that is not
# it.
# fmt: off
RUNNERS = {
    "uv": ("run", "tool run"), "uvx": ("",), "pipx": ("run",), "poetry": ("run",), "pipenv": ("run",),
    "pdm": ("run",), "hatch": ("run",), "rye": ("run",), "pixi": ("run",), "conda": ("run",), "npx": ("",),
    "bunx": ("",), "npm": ("exec", "x"), "pnpm": ("exec", "dlx"), "yarn": ("exec", "dlx"), "bun": ("x",),
    "bundle": ("exec",), "direnv": ("exec *",), "mise": ("exec", "x"), "devbox": ("run",),
    "docker": ("exec *", "run *", "compose exec *", "compose run *", "container exec *", "container run *"),
    "podman": ("exec *", "run *"), "docker-compose": ("exec *", "run *"), "kubectl": ("exec *",),
    "doppler": ("run",), "op": ("run",), "infisical": ("run",), "turbo": ("",), "corepack": ("",),
    "asdf": ("exec",), "rbenv": ("exec",), "pyenv": ("exec",), "nix": ("develop -c", "shell -c"),
}
# fmt: on

SHELLS = {"sh", "bash", "zsh", "dash", "ksh", "ash", "mksh", "rbash", "fish"}
# fmt: off
INTERPRETERS = {
    "python", "python2", "python3", "node", "nodejs", "ruby", "perl", "php", "deno", "bun", "lua",
    "osascript",
}
# fmt: on

# What a program does to the files that it is given: r reads, w writes, d deletes, e edits (reads and writes),
# m moves (reads and deletes), i puts files of unknown names into a folder; `1` is one operand, `*`
# those that are left, `$` the last one, `-` an operand that is no file. Options with a file follow.
FILES_TEXT = """
cat: r*
head: r*
tail: r*
less: r*
more: r*
bat: r*
nl: r*
tac: r*
rev: r*
wc: r*
od: r*
xxd: r*
hexdump: r*
strings: r*
base64: r*
base32: r*
md5sum: r*
sha1sum: r*
sha256sum: r*
sha512sum: r*
shasum: r*
cksum: r*
sort: r* -o=w --output=w
uniq: r1 w1
cut: r*
paste: r*
fold: r*
column: r*
diff: r*
cmp: r*
comm: r*
view: r*
source: r1
.: r1
grep: -1 r* -f=r --file=r
egrep: -1 r* -f=r --file=r
fgrep: -1 r* -f=r --file=r
rg: -1 r* -f=r
ag: -1 r*
awk: -1 r* -f=r --file=r
gawk: -1 r* -f=r --file=r
jq: -1 r* -f=r --from-file=r --slurpfile=r --rawfile=r
yq: -1 r*
sed: -1 r* -f=r --file=r
gsed: -1 r* -f=r --file=r
tee: w*
touch: w*
truncate: w*
mkdir: w*
mkfifo: w*
mktemp:
vim: e*
vi: e*
nano: e*
emacs: e*
ed: e*
ex: e*
code: e*
chmod: -1 w*
chown: -1 w*
chgrp: -1 w*
setfacl:
rm: d*
rmdir: d*
unlink: d*
shred: w*
trash: d*
trash-put: d*
cp: r* w$ -t=i --target-directory=i
mv: m* w$ -t=i --target-directory=i
install: r* w$ -t=i --target-directory=i
ln: r* w$ -t=i --target-directory=i
link: r1 w1
rsync: r* w$
scp: r* w$
gzip: w*
gunzip: w*
bzip2: w*
xz: w*
zip: w1 r*
unzip: r1 -d=i
tar: -f=r -C=w --directory=w
patch: w1 r1 -i=r --input=r -o=w --output=w
curl: -o=w --output=w -T=r --upload-file=r -K=r -D=w --dump-header=w -c=w --cookie-jar=w
wget: -O=w --output-document=w -o=w -a=w -P=i --directory-prefix=i --post-file=r -i=r
openssl: -in=r -out=w
gpg: r* -o=w --output=w
age: r* -o=w
psql: -f=r --file=r -o=w --output=w
sqlite3: w1
xdg-open: r*
open: r*
file: r*
stat:
ls:
dos2unix: w*
unix2dos: w*
sponge: w*
split: r1 w1
csplit: r1
basenc: r*
iconv: r* -o=w
pandoc: r* -o=w --output=w
git add: r*
git rm: d*
git mv: m* w$
git restore: w*
git apply: r*
git hash-object: r*
git blame: r*
git config: -f=w --file=w
gh pr: -F=r --body-file=r
gh issue: -F=r --body-file=r
gh release: -F=r --notes-file=r
gh gist: r*
nvim: e*
micro: e*
pr: r*
pv: r*
pax: r*
zcat: r*
bzcat: r*
xzcat: r*
zgrep: -1 r*
7z: -1 w1 r*
xargs: -a=r --arg-file=r
ruby: r*
gcc: -o=w
g++: -o=w
cc: -o=w
clang: -o=w
rustc: -o=w
tsc: --outDir=i --outFile=w
esbuild: --outfile=w --outdir=i
"""

# fmt: off
HOSTED = {
    "curl", "wget", "http", "https", "xh", "httpie", "ssh", "scp", "sftp", "rsync", "git", "nc", "ncat",
    "telnet", "ftp", "ping", "dig", "nslookup", "host", "aria2c", "lynx", "w3m", "mosh", "sshfs", "gh", "pip",
    "npm", "psql", "mysql", "mariadb", "redis-cli", "mongosh", "lftp", "openssl", "pg_dump", "mysqldump",
}
# fmt: on


def read_files() -> dict[str, tuple[list[str], dict[str, str]]]:
    table = {}
    for line in FILES_TEXT.strip().splitlines():
        name, _, roles = line.rpartition(":") if line.startswith(".") else line.partition(":")
        operands = [role for role in roles.split() if "=" not in role]
        pairs = (role.rpartition("=") for role in roles.split() if "=" in role)
        table[name] = (operands, {flag: role for flag, _, role in pairs})
    return table


FILES = read_files()

BUILTINS_THAT_SET = {"read", "mapfile", "readarray", "getopts", "let", "printf", "select", "wait"}


# ----------------------------------------------------------------------------------------------------
# 3. Interpreter: walks a parsed text without running it and lists the commands that bash would run.


class Action:
    """One simple command, or one call of another tool. `argv` is None for the latter; `accesses` are (r|w|d,
    path as written, whole tree); `texts` are (path, added, removed) of what is known of the files' contents.
    """

    __slots__ = (
        "_args",
        "_files",
        "accesses",
        "agent",
        "argv",
        "branch",
        "cwd",
        "index",
        "input",
        "loose",
        "masked",
        "ok",
        "proved",
        "stdin",
        "texts",
        "tool",
        "via",
    )

    def __init__(
        self, argv: list[str] | None, cwd: tuple, tool: str = "Bash", tool_input: dict | None = None
    ) -> None:
        self.argv, self.cwd, self.tool = argv, cwd, tool
        self.input: dict = tool_input or {}
        self.via: tuple[str, ...] = ()
        self.stdin: str | None = None
        self.branch: tuple = ()
        self.accesses: list[tuple[str, str, bool]] = []
        self.texts: list[tuple[str, str | None, str | None]] = []
        self.proved: tuple[int, ...] = ()
        self.index = 0
        self.masked = False  # whether it succeeded does not show in the line's own exit status
        self.loose = False  # nothing is known of it: any command at all
        self.ok: bool | None = None
        self.agent = ""
        self._args: Args | None = None
        self._files: list | None = None

    @property
    def args(self) -> Args:
        if self._args is None:
            self._args = Args(self.argv or [])
        return self._args


class State:
    """What a shell knows at one point of the text."""

    __slots__ = ("branch", "cwd", "dirs", "errexit", "funcs", "params", "proved", "vars")

    def __init__(self, cwd: tuple, branch: tuple) -> None:
        self.vars: dict[str, str | list[str]] = {}
        self.funcs: dict[str, tuple] = {}
        self.params: list[str] | None = None
        self.cwd, self.branch = cwd, branch
        self.dirs: list[tuple] = []
        self.proved: tuple[int, ...] = ()
        self.errexit = False

    def copy(self) -> State:
        other = State(self.cwd, self.branch)
        other.vars, other.funcs = dict(self.vars), dict(self.funcs)
        other.params, other.dirs = self.params, list(self.dirs)
        other.proved, other.errexit = self.proved, self.errexit
        return other

    def become(self, other: State) -> None:
        for name in State.__slots__:
            setattr(self, name, getattr(other, name))

    def merge(self, other: State) -> None:
        """What is known where either of two ways may have been taken."""
        if self.vars != other.vars:
            for name in set(self.vars) | set(other.vars):
                if self.vars.get(name) != other.vars.get(name):
                    self.vars[name] = ANY
        if other.cwd != self.cwd:
            self.cwd = union(self.cwd, other.cwd)
        if other.branch != self.branch:
            self.branch = union(self.branch, other.branch)
        if other.params != self.params:
            self.params = None
        self.funcs.update(other.funcs)
        self.proved = tuple(index for index in self.proved if index in other.proved)
        self.errexit = self.errexit and other.errexit


def union(one: tuple, other: tuple) -> tuple:
    joined = one + tuple(item for item in other if item not in one)
    return joined if len(joined) <= 4 and None not in joined else (None,)


class TooMuch(Exception):
    """More commands or steps than one line is given."""


class Walk:
    """The actions of one command line. `files` answers what is on disk (see Disk)."""

    def __init__(self, root: str, files: Disk) -> None:
        self.root, self.files = root, files
        self.actions: list[Action] = []
        self.steps = 0
        self.depth = 0
        self.masked = 0
        self.out: str | None = None  # what the command that just ended prints, where that is known
        self.failed_cwd: tuple | None = None  # the directory where a `cd` that may fail would leave the shell
        self.via: tuple[str, ...] = ()
        self.stdin: str | None = None

    def line(self, text: str, cwd: tuple, branch: tuple) -> list[Action]:
        """Every command of a line, in order. Never raises; what cannot be read is a loose action."""
        state = State(cwd, branch)
        try:
            if len(text) > MAX_TEXT:
                raise TooMuch
            self.shell(text, state)
        except (TooMuch, RecursionError):
            del self.actions[MAX_ACTIONS - 1 :]
            self.unknown(state)
        return self.actions

    def shell(self, text: str, state: State) -> bool | None:
        node, whole = Parser(text).parse()
        status = self.run(node, state)
        if not whole:
            self.unknown(state)
            status = None
        return status

    def unknown(self, state: State) -> None:
        """A place where any command may run, and the shell's variables may change."""
        action = self.emit([MANY], state)
        action.loose = True
        self.widen(state)

    def widen(self, state: State) -> None:
        for name in state.vars:
            state.vars[name] = ANY
        state.cwd, state.branch, state.params = (None,), (None,), None

    def emit(self, argv: list[str], state: State) -> Action:
        if len(self.actions) >= MAX_ACTIONS:
            raise TooMuch
        action = Action(argv, state.cwd)
        action.index, action.proved, action.branch = len(self.actions), state.proved, state.branch
        action.via, action.stdin, action.masked = self.via, self.stdin, self.masked > 0
        self.actions.append(action)
        state.proved = (*state.proved, action.index)
        return action

    # -- nodes

    def run(self, node: tuple, state: State) -> bool | None:
        """Walk a node; its exit status where that is certain."""
        self.steps += 1
        if self.steps > MAX_STEPS:
            raise TooMuch
        kind = node[0]
        if kind == "list":
            return self.run_list(node[1], state)
        if kind == "chain":
            return self.run_chain(node[1], state)
        if kind == "pipe":
            return self.run_pipe(node[1], node[2], state)
        if kind == "simple":
            return self.simple(node, state)
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self.depth -= 1
            raise TooMuch
        try:
            status = self.compound(kind, node, state)
        finally:
            self.depth -= 1
        return status

    def run_list(self, items: list, state: State) -> bool | None:
        status: bool | None = True
        for item, separator in items:
            self.failed_cwd = None
            before = state.proved
            if separator == "&":
                self.masked += 1
                self.run(item, state.copy())
                self.masked -= 1
                state.proved, status = before, True
                continue
            status = self.run(item, state)
            if status is None and self.failed_cwd is not None:
                state.cwd = union(state.cwd, self.failed_cwd)
            self.failed_cwd = None
            if not state.errexit and item is not items[-1][0]:
                state.proved = before
        if len(items) != 1:
            self.out = None
        return status

    def run_chain(self, chain: list, state: State) -> bool | None:
        if len(chain) == 1:
            return self.run(chain[0][1], state)
        before, last_or = state.proved, max((k for k, (op, _) in enumerate(chain) if op == "||"), default=-1)
        failing: list[State] = []
        status: bool | None = True
        for k, (operator, node) in enumerate(chain):
            hidden = k <= last_or
            self.masked += hidden
            if operator == "&&" and status is not True:
                state_if_false = state.copy()
                if self.failed_cwd is not None:
                    state_if_false.cwd = self.failed_cwd
                failing.append(state_if_false)
            self.failed_cwd = None
            if (operator == "&&" and status is False) or (operator == "||" and status is True):
                self.run(node, state.copy())  # not reached; looked at all the same, without effect
            elif operator == "||":
                other = state.copy()
                for one in failing:
                    other.merge(one)
                failing, other.proved = [], before
                first = status
                status = self.run(node, other)
                if first is False:
                    state.become(other)
                else:
                    state.merge(other)
                    state.proved = before
                    status = True if status is True else None
            else:
                status = self.run(node, state)
            self.masked -= hidden
        for one in failing:
            state.vars = dict(state.vars)
            proved = state.proved
            state.merge(one)
            state.proved = proved if not state.errexit else before
        self.out = self.failed_cwd = None
        return None if failing else status

    def run_pipe(self, elements: list, negated: bool, state: State) -> bool | None:
        if len(elements) == 1:
            before = state.proved
            status = self.run(elements[0], state)
            if negated:
                state.proved = before
                return None if status is None else not status
            return status
        before, kept = state.proved, self.stdin
        after = before
        for k, element in enumerate(elements):
            inner = state.copy()
            inner.proved = before
            self.run(element, inner)
            self.stdin, after = self.out, inner.proved
            if k < len(elements) - 1 and self.stdin is None:
                self.stdin = ANY
        self.stdin = kept
        state.proved = after if not negated else before
        self.failed_cwd = None
        return None

    def compound(self, kind: str, node: tuple, state: State) -> bool | None:
        self.out = None
        if kind == "unknown":
            self.unknown(state)
            return None
        if kind in ("sub", "group"):
            kept = self.stdin
            self.opened(node[2], state)
            inner = state if kind == "group" else state.copy()
            status = self.run(node[1], inner)
            state.proved, self.stdin = inner.proved, kept
            if kind == "sub":
                self.failed_cwd = None
            return status
        if kind == "function":
            state.funcs[node[1]] = node[2]
            return True
        if kind == "test":
            for word in node[1]:
                self.fields(word, state)
            self.opened(node[2], state)
            return None
        if kind == "math":
            self.text(node[2], state)
            self.assigned(node[1], state)
            self.opened(node[3], state)
            return None
        self.masked += 1
        proved = state.proved
        try:
            self.branching(kind, node, state)
        finally:
            self.masked -= 1
        state.proved = proved
        self.out = self.failed_cwd = None
        return None

    def branching(self, kind: str, node: tuple, state: State) -> None:
        kept = self.stdin
        self.opened(node[-1], state)
        if kind == "if":
            ends = []
            for condition, body in node[1]:
                self.run(condition, state)
                taken = state.copy()
                self.run(body, taken)
                ends.append(taken)
            if node[2]:
                self.run(node[2], state)
            for end in ends:
                state.merge(end)
        elif kind == "case":
            self.fields(node[1], state)
            ends = []
            for patterns, body in node[2]:
                for pattern in patterns:
                    self.fields(pattern, state)
                taken = state.copy()
                self.run(body, taken)
                ends.append(taken)
            for end in ends:
                state.merge(end)
        elif kind == "while":
            self.loop(lambda inner: (self.run(node[1], inner), self.run(node[2], inner)), state)
        else:
            self.for_(node, state)
        self.stdin = kept

    def loop(self, body, state: State) -> None:
        """A body that runs any number of times: what it changes is unknown in it and after it."""
        kept = len(self.actions)
        for _ in range(20):  # a few are enough: what changes becomes unknown and stays so
            inner = state.copy()
            body(inner)
            before = (dict(state.vars), state.cwd, state.branch)
            state.merge(inner)
            if before == (state.vars, state.cwd, state.branch):
                return
            del self.actions[kept:]

    def for_(self, node: tuple, state: State) -> None:
        _, name, words, head, body, _ = node
        self.text(head, state)
        if words is None:
            items = state.params if state.params is not None else [MANY]
        else:
            items = [field for word in words for field in self.expand(word, state)]
        simple = len(items) <= 50 and not any(MANY in item for item in items) and not jumps(body)
        if simple:
            for item in items:
                state.vars[name] = item
                self.run(body, state)
                if self.failed_cwd is not None:
                    state.cwd = union(state.cwd, self.failed_cwd)
                    self.failed_cwd = None
            return
        if len(items) <= 50 and not any(MANY in item for item in items):
            start = state.copy()
            for item in items:
                inner = start.copy()
                inner.vars[name] = item
                self.run(body, inner)
                state.merge(inner)
                start.merge(inner)
            return

        def once(inner: State) -> None:
            inner.vars[name] = ANY
            self.run(body, inner)

        self.loop(once, state)

    # -- words

    def text(self, parts: list, state: State) -> str:
        """The parts as one text, as between double quotes."""
        out = []
        for part in parts:
            kind = part[0]
            if kind == "t":
                out.append(part[1])
            elif kind == "j":
                out.append(self.text(part[1], state))
            else:
                value = self.value(part, state)
                out.append(" ".join(value) if isinstance(value, list) else value)
        return bounded("".join(out).replace(MANY, ANY))

    def value(self, part: tuple, state: State) -> str | list[str]:
        kind = part[0]
        if kind == "c":
            kept, via = self.stdin, self.via
            inner = state.copy()
            self.masked += 1
            self.run(part[1], inner)
            self.masked -= 1
            self.stdin, self.via, self.failed_cwd = kept, via, None
            out, self.out = self.out, None
            return ANY if out is None else out.rstrip("\n")
        if kind == "a":
            text = self.text(part[1], state)
            self.assigned(text, state)
            return str(int(text)) if re.fullmatch(r"\s*[1-9]\d{0,8}\s*", text) else ANY
        if kind == "p":
            inner = state.copy()
            self.masked += 1
            self.run(part[1], inner)
            self.masked -= 1
            self.out = self.failed_cwd = None
            return ANY
        return self.variable(part, state)

    def variable(self, part: tuple, state: State) -> str | list[str]:
        _, name, operator, parts, _ = part
        found: str | list[str] | None
        params = state.params
        if name in ("@", "*"):
            found = list(params) if params is not None else [MANY]
        elif name.isdigit():
            index = int(name)
            found = (
                None if index == 0 or params is None else params[index - 1] if index <= len(params) else ""
            )
        elif name.endswith(("[@]", "[*]")):
            values = state.vars.get(name[:-3])
            found = (
                list(values)
                if isinstance(values, list)
                else [MANY]
                if values is None or values == ANY
                else values
            )
        elif "[" in name or name[:1] == "#" or name in ("?", "$", "!", "-", ""):
            found = None
        elif name in state.vars:
            held = state.vars[name]
            found = (held[0] if held else "") if isinstance(held, list) else held
        elif name == "HOME":
            found = self.files.home
        elif name == "PWD" and len(state.cwd) == 1 and state.cwd[0]:
            found = state.cwd[0]
        else:
            found = None
        if not operator:
            return ANY if found is None else found
        other = self.text(parts, state)
        known = isinstance(found, str) and not UNKNOWN.search(found)
        if operator in (":-", "-", ":=", "="):
            result = ANY if not known else other if found == "" and operator[0] == ":" else found
            if operator.endswith("=") and NAME.fullmatch(name):
                state.vars[name] = result or ""
            return result or ""
        if operator in (":+", "+"):
            return ANY if not known else "" if found == "" and operator[0] == ":" else other
        if operator in (":?", "?") and known and operator == ":?":
            return found or ""
        return ANY if not isinstance(found, list) else [MANY]

    def fields(self, parts: list, state: State) -> list[str]:
        """The words that one part list becomes (no brace expansion). Unknown unquoted text is MANY."""
        done: list[str] = []
        now: list[str] = []
        begun = False
        for k, part in enumerate(parts):
            kind = part[0]
            if kind == "t":
                text = part[1]
                if not part[2]:
                    if k == 0 and text.startswith("~"):
                        text = self.tilde(text, len(parts) == 1)
                    text = text.translate(GLOBBING).replace(ANY, MANY)
                now.append(text)
                begun = True
            elif kind == "j":
                now.append(self.text(part[1], state))
                begun = True
            else:
                value = self.value(part, state)
                quoted = part[-1] is True and kind != "p"
                if kind == "p":
                    now.append(ANY)
                    begun = True
                elif quoted:
                    if isinstance(value, list) and (part[1] == "@" or part[1].endswith("[@]")):
                        if value:
                            now.append(value[0])
                            begun = True
                            for item in value[1:]:
                                done.append("".join(now))
                                now = [item]
                        elif len(parts) > 1:
                            begun = begun or False
                    else:
                        now.append(" ".join(value) if isinstance(value, list) else value)
                        begun = True
                else:
                    text = " ".join(value) if isinstance(value, list) else value
                    if "IFS" in state.vars and text:
                        text = MANY
                    text = text.replace(ANY, MANY).translate(GLOBBING)
                    if text:
                        pieces = text.split()
                        if text[0].isspace() and begun and now:
                            done.append("".join(now))
                            now, begun = [], False
                        if pieces:
                            now.append(pieces[0])
                            begun = True
                            for piece in pieces[1:]:
                                done.append("".join(now))
                                now = [piece]
                            if text[-1].isspace():
                                done.append("".join(now))
                                now, begun = [], False
        if begun:
            done.append("".join(now))
        return done

    def tilde(self, text: str, whole: bool) -> str:
        name, slash, rest = text[1:].partition("/")
        if name == "" and (slash or whole):
            return self.files.home + slash + rest
        return (
            text
            if name and not slash and not whole
            else ANY + slash + rest
            if name.isalnum() or name in "+-"
            else text
        )

    def expand(self, parts: list, state: State) -> list[str]:
        """The words that a word becomes: braces, variables, substitutions, splitting, names of files."""
        found = []
        for one in braced(parts):
            for field in self.fields(one, state):
                if STAR in field or MARK in field or CLASS in field:
                    found.extend(self.names(field, state))
                else:
                    found.append(field)
        return found

    def names(self, field: str, state: State) -> list[str]:
        """What a pattern becomes: the files that match it, or itself."""
        literal = field.translate(LITERAL)
        if CLASS in field and "]" not in field and STAR not in field and MARK not in field:
            return [literal]
        if (
            UNKNOWN.search(field)
            or len(state.cwd) != 1
            or state.cwd[0] is None
            or self.files.listed is not None
        ):
            return [literal if self.files.listed is not None and not UNKNOWN.search(field) else MANY]
        matches = self.files.glob(state.cwd[0], field)
        if matches is None or any(makes_files(action) for action in self.actions):
            return [*(matches or [])[:50], globbed(field)]
        return matches or [literal]

    def assigned(self, text: str, state: State) -> None:
        """Names that an arithmetic text sets."""
        for match in re.finditer(
            r"([A-Za-z_]\w*)\s*(?:[-+*/%&|^]|<<|>>)?=(?!=)|(?:\+\+|--)\s*([A-Za-z_]\w*)"
            r"|([A-Za-z_]\w*)\s*(?:\+\+|--)",
            text,
        ):
            state.vars[match[1] or match[2] or match[3]] = ANY

    # -- simple commands

    def opened(self, redirects: list, state: State) -> None:
        """The redirections of a compound command: an action without words."""
        accesses = self.redirected(redirects, state)
        if accesses:
            proved = state.proved
            self.emit([], state).accesses += [(how, path, False) for how, path in accesses]
            state.proved = proved

    def redirected(self, redirects: list, state: State) -> list[tuple[str, str]]:
        """The (r|w, path) of redirections; sets `stdin` where a here-document gives it."""
        found = []
        for _, operator, _, word in redirects:
            if operator in ("<<", "<<-"):
                self.stdin = self.text(word, state)
            elif operator == "<<<":
                self.stdin = self.text(word, state) + "\n"
            else:
                fields = self.expand(word, state)
                path = fields[0] if len(fields) == 1 else ANY
                path = path.replace(MANY, ANY)
                if operator in (">&", "<&") and (
                    path.isdigit() or path in ("-", ANY) or path.rstrip("-").isdigit()
                ):
                    continue
                if operator in ("<", "<&"):
                    found.append(("r", path))
                    self.stdin = ANY
                elif operator == "<>":
                    found += [("r", path), ("w", path)]
                else:
                    found.append(("w", path))
        return found

    def simple(self, node: tuple, state: State) -> bool | None:
        _, assigns, words, redirects = node
        kept, via = self.stdin, self.via
        self.out = None
        argv = [field for word in words for field in self.expand(word, state)]
        name = base(argv[0]) if argv else ""
        if not words or name in DECLARING:
            self.assign(assigns, state)
            if any(word[:1] == "-" and "n" in word for word in argv[1:]) and name not in ("export", "alias"):
                self.unknown(state)  # a name for another variable: what either of them holds is open
            argv += [assign + "=" + ANY for assign, _, _ in assigns] if words else []
        else:
            for _, how, value in assigns:
                if how.startswith("array"):
                    for element in value:
                        self.fields(element, state)
                else:
                    self.text(value, state)
        accesses = self.redirected(redirects, state)
        status: bool | None = True if not words else None
        if argv:
            start = len(self.actions)
            status = self.execute(argv, state)
            self.attach(accesses, start)
        elif accesses or words:
            action = self.emit([] if not words else [MANY], state) if accesses else None
            if action:
                action.accesses += [(how, path, False) for how, path in accesses]
        if any(how == "w" for how, _ in accesses):
            self.out = "" if self.out is not None else None
        self.stdin, self.via = kept, via
        return status

    def attach(self, accesses: list[tuple[str, str]], start: int) -> None:
        """Give a command's redirections, and the text that it is known to write there, to its action."""
        if not accesses or start >= len(self.actions):
            return
        action = self.actions[start]
        for how, path in accesses:
            action.accesses.append((how, path, False))
            if how == "w" and self.out is not None:
                action.texts.append((path, self.out, None))

    def assign(self, assigns: list, state: State) -> None:
        for name, how, value in assigns:
            if how.startswith("array"):
                values = [field for element in value for field in self.expand(element, state)]
                held = state.vars.get(name)
                if how.endswith("+="):
                    values = [*(held if isinstance(held, list) else [MANY]), *values]
                state.vars[name] = values
            elif how.startswith("item"):
                self.text(value, state)
                state.vars[name] = [MANY]
            else:
                fields = list(value)
                if fields and fields[0][0] == "t" and not fields[0][2] and fields[0][1].startswith("~"):
                    fields[0] = ("t", self.tilde(fields[0][1], len(fields) == 1), True)
                text = self.text(fields, state)
                held = state.vars.get(name)
                if how == "+=":
                    text = bounded((held if isinstance(held, str) else ANY) + text)
                state.vars[name] = text

    def execute(self, argv: list[str], state: State) -> bool | None:
        """One command with its words known: emit it, and whatever it runs in turn."""
        self.steps += 1
        self.depth += 1
        if self.steps > MAX_STEPS or self.depth > MAX_DEPTH:
            self.depth -= 1
            raise TooMuch
        try:
            return self.dispatch(argv, state)
        finally:
            self.depth -= 1

    def dispatch(self, argv: list[str], state: State) -> bool | None:
        action = self.emit(argv, state)
        name = base(argv[0])
        if MANY in argv[0]:
            if len(argv) > 1 and argv[0] == MANY:
                self.execute(argv[1:], state)
            self.out = None
            return None
        if UNKNOWN.search(name):
            self.out = None
            return None
        if name in state.funcs:
            self.call(name, argv[1:], state)
        handler = HANDLERS.get(name)
        if handler:
            return handler(self, action, argv, state)
        if name in WRAPPERS:
            return self.wrapper(name, argv, state)
        if name in SHELLS:
            return self.subshell(name, argv, state)
        self.out = None
        if name in RUNNERS:
            self.runner(name, argv, state)
        if name == "hub" or (name.startswith("git-") and len(name) > 4):
            do_dashed(self, argv, state)
        if name in ("npm", "npx", "pnpm", "yarn"):
            for flag, text in itertools.pairwise(argv):
                if flag in ("-c", "--call"):
                    self.nested(text, state.copy())
        if name in DIRECTED:
            self.directed(action, state)
        if name in INTERPRETERS and "-m" in argv[1:-1]:
            at = argv.index("-m")
            self.via = (*self.via, name.rstrip("23") + " -m", name + " -m")
            self.execute(argv[at + 1 :], state)
        return None

    def call(self, name: str, args: list[str], state: State) -> None:
        kept, body = state.params, state.funcs[name]
        state.params = None if any(MANY in arg for arg in args) else args
        rest = {key: value for key, value in state.funcs.items() if key != name}
        full, state.funcs = state.funcs, rest  # a function that calls itself is walked once
        try:
            self.run(body, state)
        finally:
            state.params = kept
            state.funcs = full | state.funcs

    def wrapper(self, name: str, argv: list[str], state: State) -> bool | None:
        options, skip = WRAPPERS[name]
        valued = options.split()
        i, n = 1, len(argv)
        replace = ""
        texts: list[str] = []
        while i < n:
            word = argv[i]
            if word == "--":
                i += 1
                if skip == 0:
                    break
                continue
            if word.startswith("-") and len(word) > 1:
                if name == "command" and word in ("-v", "-V"):
                    return None
                i += 1
                short = not word.startswith("--")
                if name in ("env",) and (
                    word in ("-S", "--split-string") or word.startswith(("-S", "--split-string="))
                ):
                    text = word.split("=", 1)[1] if "=" in word and not short else word[2:] if short else ""
                    if not text and i < n:
                        text, i = argv[i], i + 1
                    texts.append(text)
                    continue
                if name == "xargs" and word.startswith(("-I", "-i", "--replace")):
                    replace = word.split("=", 1)[1] if "=" in word else word[2:] if short else ""
                    if not replace and word == "-I" and i < n:
                        replace, i = argv[i], i + 1
                    replace = replace or "{}"
                    continue
                if word in valued or (
                    short and "-" + word[-1] in valued and not any("-" + c in valued for c in word[1:-1])
                ):
                    if name in ("env", "sudo") and word in ("-C", "--chdir", "-D") and i < n:
                        state = state.copy()
                        state.cwd = joined(state.cwd, argv[i])
                    i += 1
                continue
            if name in ("env", "sudo", "cross-env", "dotenv", "doas") and ASSIGN.match(word):
                i += 1
                continue
            if skip:
                skip -= 1
                i += 1
                continue
            break
        rest = argv[i:]
        self.via = (*self.via, name)
        for text in texts:
            self.nested(text + " " + " ".join(map(quote, rest)), state)
        if texts:
            return None
        if name in ("xargs", "parallel"):
            return self.xargs(rest, replace, i > 1 + (argv[1:2] == ["--"]), state)
        if name == "flock" and rest[:1] == ["-c"] and len(rest) > 1:
            return self.nested(rest[1], state)
        if name in ("watch", "entr") or (name == "flock" and len(rest) == 1):
            return self.nested(" ".join(rest), state) if rest else None
        if not rest:
            return None
        if name in ("command", "builtin", "exec", "time", "nohup", "env", "sudo"):
            funcs, state.funcs = state.funcs, {}
            status = self.execute(rest, state)
            state.funcs = funcs
            return status
        return self.execute(rest, state)

    def xargs(self, rest: list[str], replace: str, cut: bool, state: State) -> None:
        """`cut`: options split the words over several commands."""
        words = [MANY]
        if ":::" in rest:
            at = rest.index(":::")
            rest, words = rest[:at], [MANY]
            if len(rest) == 1 and " " in rest[0]:
                self.nested(rest[0].replace("{}", ANY) + " " + MANY, state)
                return
        elif self.stdin is not None and not UNKNOWN.search(self.stdin) and not set("'\"\\") & set(self.stdin):
            words = self.stdin.split()
        argv = rest or ["echo"]
        kept, self.stdin = self.stdin, None
        if replace:
            self.execute([word.replace(replace, ANY) for word in argv], state)
        else:
            self.execute([*argv, *words], state)
            if words != [MANY] and cut:
                self.execute([*argv, MANY], state)
        self.stdin = kept

    def nested(self, text: str, state: State) -> bool | None:
        """A text that is given to a shell."""
        kept, self.stdin = self.stdin, None
        status = self.shell(text, state)
        if UNKNOWN.search(text):
            self.unknown(state)
            status = None
        self.stdin = kept
        return status

    def subshell(self, name: str, argv: list[str], state: State) -> bool | None:
        i, n, command, take = 1, len(argv), False, False
        while i < n:
            word = argv[i]
            if UNKNOWN.search(word) and not take:
                if word == MANY or word[0] in "\0\1" or word[0] == "-":
                    self.unknown(state.copy())
                break
            if word == "--" or word == "-":
                i += 1
                break
            if word[0] not in "-+" or len(word) == 1:
                break
            if word.startswith("--"):
                i += 2 if word in ("--rcfile", "--init-file") else 1
                continue
            if "c" in word[1:] and word[0] == "-":
                command = True
            i += 1
            if "o" in word[1:] or "O" in word[1:]:
                i += 1
        self.via = (*self.via, name)
        inner = state.copy()
        inner.errexit = False
        inner.funcs = {}
        inner.vars = dict(state.vars)
        self.out = None
        if command:
            if i >= n:
                return None
            inner.params = None if any(MANY in word for word in argv[i + 2 :]) else argv[i + 2 :]
            # A variable of this shell is the child's only when it was exported: unknown otherwise.
            inner.vars = dict.fromkeys(inner.vars, ANY)
            status = self.nested(argv[i].replace(MANY, ANY), inner)
            state.proved = inner.proved
            return status
        stdin_script = i >= n or "s" in "".join(
            word[1:] for word in argv[1:i] if word[:1] == "-" and word[1:2] != "-"
        )
        if not stdin_script:
            if not UNKNOWN.search(argv[i]):
                self.execute(argv[i:], inner)
            return None
        if self.stdin is not None:
            inner.vars = dict.fromkeys(inner.vars, ANY)
            if self.stdin == ANY:
                self.unknown(inner)
            else:
                self.nested(self.stdin, inner)
        return None

    def runner(self, name: str, argv: list[str], state: State) -> None:
        """`uv run pytest` is a pytest too."""
        valued = VALUED.get(name, frozenset())
        positions = []
        i = 1
        while i < len(argv):
            word = argv[i]
            if word == "--":
                i += 1
                positions.append(i)
                break
            if word.startswith("-") and len(word) > 1:
                table = valued
                if positions:
                    table = table | VALUED.get(name + " " + argv[positions[0]], frozenset())
                i += 2 if word in table else 1
                continue
            positions.append(i)
            i += 1
            if len(positions) > 4:
                break
        words = [argv[k] for k in positions if k < len(argv)]
        for form in RUNNERS[name]:
            head = form.split()
            if len(words) <= len(head) and not (len(words) == len(head) and positions[-1:] == [len(argv)]):
                pass
            if all(want == "*" or (k < len(words) and words[k] == want) for k, want in enumerate(head)):
                if len(positions) <= len(head):
                    return
                at = positions[len(head)]
                if at >= len(argv):
                    return
                label = (name + " " + " ".join(want for want in head if want not in ("*", "-c"))).strip()
                kept = self.via
                self.via = (*self.via, label, name) if label != name else (*self.via, name)
                outer = "docker" in label or "kubectl" in label or "podman" in label
                inner = state.copy()
                if outer:  # the files there are not the files here
                    inner.cwd = (None,)
                program = (
                    argv[at].partition("@")[0]
                    if name in ("npx", "bunx", "uvx", "pnpm", "yarn", "bun")
                    else argv[at]
                )
                self.execute([program or argv[at], *argv[at + 1 :]], inner)
                state.proved = inner.proved
                self.via = kept
                return

    def directed(self, action: Action, state: State) -> None:
        """`git -C dir`: the command works in another directory."""
        for flag, value, _ in action.args.flags:
            if flag in DIRECTED[base(action.argv[0])] and value is not None:  # type: ignore[index]
                action.cwd = joined(action.cwd, value)
                action.branch = self.files.branches(action.cwd)


def bounded(text: str) -> str:
    """A value of a variable: `x=$x$x` doubles it each time, so a long one is no longer known."""
    if ANY + ANY in text:
        text = re.sub("\0+", ANY, text)
    return text if len(text) <= MAX_TEXT else ANY


def makes_files(action: Action) -> bool:
    """Whether an action may change what a pattern later in the line matches, as far as the tables know."""
    if action.loose or any(how != "r" for how, _, _ in action.accesses) or not action.argv:
        return True
    name = base(action.argv[0])
    return name in UNPACKING or any(role[0] in "wd" for role in FILES.get(name, ((), {}))[0])


UNPACKING = {"tar", "unzip", "git", "curl", "wget", "dd", "split", "csplit", "7z", "cpio"}


def globbed(field: str) -> str:
    """A pattern that may match files that an earlier command makes: no word, or some of that shape."""
    return re.sub("[\2\3]", MANY, field) if CLASS not in field else MANY


def jumps(node) -> bool:
    """Whether a body may leave its loop early."""
    if isinstance(node, tuple) and node and node[0] == "simple":
        return bool(node[2]) and plain(node[2][0]) in (
            "break",
            "continue",
            "return",
            "exit",
            "eval",
            ".",
            "source",
        )
    if isinstance(node, (tuple, list)):
        return any(jumps(item) for item in node)
    return False


def braced(parts: list) -> list[list]:
    """Brace expansion: `a{b,c}` and `{1..3}`."""
    if not any(part[0] == "t" and not part[2] and "{" in part[1] for part in parts):
        return [parts]
    atoms: list = []
    for part in parts:
        if part[0] == "t" and not part[2]:
            atoms.extend(part[1])
        else:
            atoms.append(part)
    found = [gathered(one) for one in brace(atoms, 0)]
    return found


def gathered(atoms: list) -> list:
    parts: list = []
    text: list[str] = []
    for atom in atoms:
        if isinstance(atom, str):
            text.append(atom)
        else:
            if text:
                parts.append(("t", "".join(text), False))
                text = []
            parts.append(atom)
    if text:
        parts.append(("t", "".join(text), False))
    return parts


def brace(atoms: list, depth: int) -> list[list]:
    if depth > 12:
        raise TooMuch
    for start, atom in enumerate(atoms):
        if atom != "{":
            continue
        level, cuts, end = 0, [start], -1
        for k in range(start, len(atoms)):
            if atoms[k] == "{":
                level += 1
            elif atoms[k] == "}":
                level -= 1
                if level == 0:
                    end = k
                    break
            elif atoms[k] == "," and level == 1:
                cuts.append(k)
        if end < 0:
            continue
        inside = atoms[start + 1 : end]
        if len(cuts) > 1:
            cuts.append(end)
            choices = [atoms[a + 1 : b] for a, b in itertools.pairwise(cuts)]
        else:
            choices = sequence("".join(inside)) if all(isinstance(one, str) for one in inside) else []
        if not choices:
            continue
        tails = brace(atoms[end + 1 :], depth + 1)
        found = [
            atoms[:start] + middle + tail
            for choice in choices
            for middle in brace(choice, depth + 1)
            for tail in tails
        ]
        if len(found) > 300:
            raise TooMuch
        return found
    return [atoms]


def sequence(text: str) -> list[list]:
    match = re.fullmatch(r"(-?\d+)\.\.(-?\d+)(?:\.\.(-?\d+))?", text)
    if match:
        first, last, step = int(match[1]), int(match[2]), abs(int(match[3] or 1)) or 1
        width = max(len(match[1]), len(match[2])) if re.search(r"(?:^|\.\.)-?0\d", text) else 0
        numbers = range(first, last + 1, step) if first <= last else range(first, last - 1, -step)
        if len(numbers) > 300:
            raise TooMuch
        return [list(str(number).zfill(width)) for number in numbers]
    match = re.fullmatch(r"([a-zA-Z])\.\.([a-zA-Z])(?:\.\.(-?\d+))?", text)
    if match:
        first, last, step = ord(match[1]), ord(match[2]), abs(int(match[3] or 1)) or 1
        return [
            [chr(code)]
            for code in (range(first, last + 1, step) if first <= last else range(first, last - 1, -step))
        ]
    return []


def quote(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"


@lru_cache(4096)
def base(word: str) -> str:
    return word.rsplit("/", 1)[-1] if "/" in word else word


def joined(cwd: tuple, path: str) -> tuple:
    """The directories that `path` may be, seen from each directory of `cwd`."""
    path = path.replace(MANY, ANY)
    if path.startswith("/"):
        return (None,) if UNKNOWN.search(path) else (os.path.normpath(path),)
    if UNKNOWN.search(path):
        return (None,)
    return tuple(None if one is None else os.path.normpath(one + "/" + path) for one in cwd)


# -- commands that the shell itself carries out, or that run a text which they are given


def do_cd(walk: Walk, action: Action, argv: list[str], state: State) -> bool | None:
    words = [word for word in argv[1:] if not (word.startswith("-") and len(word) > 1)]
    old = state.cwd
    walk.out = None
    if argv[0] == "pushd":
        state.dirs.append(old)
    if not words:
        target: tuple = (walk.files.home,) if argv[0] == "cd" else (None,)
    elif words[0] == "-" or len(words) > 1 or words[0].startswith("+"):
        target = (None,)
    else:
        target = joined(old, words[0])
    state.cwd = target
    state.branch = walk.files.branches(target) if state.branch != (None,) else state.branch
    if len(target) == 1 and target[0] and walk.files.is_dir(target[0]):
        return True
    walk.failed_cwd = old
    return None


def do_popd(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    state.cwd = state.dirs.pop() if state.dirs and len(argv) == 1 else (None,)


def do_eval(walk: Walk, action: Action, argv: list[str], state: State) -> bool | None:
    words = argv[2:] if argv[1:2] == ["--"] else argv[1:]
    return walk.nested(" ".join(words), state) if words else True


def do_source(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """A script is not read; what is piped or substituted into it is text like that of `eval`."""
    walk.out = None
    name = argv[1] if len(argv) > 1 else ""
    if name in (ANY, MANY):
        return walk.unknown(state)
    if name in STDIN_FILES:
        text = walk.stdin
        if text is None:
            return walk.unknown(state)
        walk.nested(text, state)
    for name in state.vars:
        state.vars[name] = ANY


def do_trap(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    words = [word for word in argv[1:] if word != "--"]
    if len(words) > 1 and not words[0].startswith("-"):
        inner = state.copy()
        walk.nested(words[0], inner)
    walk.out = None


def do_set(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    walk.out = ""
    for k, word in enumerate(argv[1:], 1):
        if word == "--" or word[:1] not in "-+" or UNKNOWN.search(word):
            rest = argv[k + 1 :] if word == "--" else argv[k:]
            state.params = None if any(MANY in one for one in rest) else rest
            return
        if word[0] == "-" and ("e" in word[1:] or (word == "-o" and argv[k + 1 : k + 2] == ["errexit"])):
            state.errexit = True
        elif word[0] == "+" and "e" in word[1:]:
            state.errexit = False
        if word in ("-o", "+o"):
            argv = [*argv[: k + 1], "-", *argv[k + 2 :]]


def do_shift(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    if state.params is not None:
        count = int(argv[1]) if len(argv) > 1 and argv[1].isdigit() else 1
        state.params = None if len(argv) > 1 and not argv[1].isdigit() else state.params[count:]
    walk.out = ""


def do_unset(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    for name in argv[1:]:
        if NAME.fullmatch(name):
            state.vars[name] = ""
    walk.out = ""


def do_read(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    for name in argv[1:]:
        if UNKNOWN.search(name):
            walk.widen(state)
        elif match := NAME.match(name):
            state.vars[match[0]] = (
                [MANY]
                if base(argv[0]) in ("read", "mapfile", "readarray")
                and ("-a" in argv or base(argv[0]) != "read")
                else ANY
            )
    if base(argv[0]) == "read" and not any(not word.startswith("-") for word in argv[1:]):
        state.vars["REPLY"] = ANY
    walk.out = None


def do_echo(walk: Walk, action: Action, argv: list[str], state: State) -> bool:
    words, end, escapes = argv[1:], "\n", False
    while words and re.fullmatch(r"-[neE]+", words[0]):
        end = "" if "n" in words[0] else end
        escapes = "e" in words[0] or (escapes and "E" not in words[0])
        words = words[1:]
    text = " ".join(words).replace(MANY, ANY)
    walk.out = (unescape(text) if escapes else text) + end
    return True


def do_printf(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    words = argv[1:]
    if words[:1] == ["-v"]:
        do_read(walk, action, ["printf", *words[1:2]], state)
        return
    if words[:1] == ["--"]:
        words = words[1:]
    walk.out = None
    if not words or MANY in "".join(words):
        return
    form, rest = unescape(words[0]), words[1:]
    pieces = re.split(r"(%[sd%])", form)
    if any("%" in piece for piece in pieces if piece not in ("%s", "%d", "%%")):
        return
    slots = sum(piece in ("%s", "%d") for piece in pieces)
    if len(rest) > 200:
        return
    out = []
    for start in range(0, max(len(rest), 1), max(slots, 1)):
        given = iter(rest[start : start + slots])
        out.append("".join("%" if p == "%%" else next(given, "") if p in ("%s", "%d") else p for p in pieces))
        if not slots:
            break
    walk.out = "".join(out)


def do_cat(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    words = [word for word in argv[1:] if word != "-"]
    walk.out = walk.stdin if not words and walk.stdin != ANY else None


def do_tee(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    walk.out = None
    if walk.stdin is not None and walk.stdin != ANY:
        for word in argv[1:]:
            if not word.startswith("-"):
                action.texts.append((word, walk.stdin, None))
        walk.out = walk.stdin


def do_pwd(walk: Walk, action: Action, argv: list[str], state: State) -> bool:
    walk.out = state.cwd[0] if len(state.cwd) == 1 else None
    return True


def do_true(walk: Walk, action: Action, argv: list[str], state: State) -> bool:
    walk.out = ""
    return True


def do_false(walk: Walk, action: Action, argv: list[str], state: State) -> bool:
    walk.out = ""
    return False


def found_names(argv: list[str]) -> str:
    """How every path ends that `find … -name GLOB` finds, "" where that is open."""
    if {"-o", "-or", ","} & set(argv):
        return ""
    globs = [
        argv[k + 1]
        for k in range(1, len(argv) - 1)
        if argv[k] == "-name" and argv[k - 1] not in ("!", "-not")
    ]
    return re.sub(r"\[[^\]]*\]|[*?\\]+", ANY, globs[0]).lstrip(ANY) if globs else ""


def do_find(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    walk.out = None
    roots = []
    for word in argv[1:]:
        if word.startswith(("-", "(", "!")):
            break
        roots.append(word)
    roots = roots or ["."]
    named = found_names(argv)
    under = (roots[0] + "/" + ANY if len(roots) == 1 else ANY) + named
    if "-delete" in argv:
        action.accesses += [("d", path, True) for path in roots]
    i = 1
    while i < len(argv):
        if argv[i] in ("-exec", "-execdir", "-ok", "-okdir"):
            end = next((k for k in range(i + 1, len(argv)) if argv[k] in (";", "+")), len(argv))
            inner = argv[i + 1 : end]
            kept, walk.via = walk.via, (*walk.via, "find")
            if inner:
                scope = state.copy()
                if argv[i].endswith("dir"):
                    scope.cwd = (None,)
                several = argv[end : end + 1] == ["+"]
                walk.execute(
                    [
                        (MANY if several and not named else under)
                        if word == "{}"
                        else word.replace("{}", under)
                        for word in inner
                    ],
                    scope,
                )
            walk.via, i = kept, end
        elif argv[i] in ("-fprint", "-fprintf", "-fls") and i + 1 < len(argv):
            action.accesses.append(("w", argv[i + 1], False))
        i += 1


def do_ssh(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """The command that `ssh host …` runs elsewhere: seen, in an unknown directory."""
    walk.out = None
    i = 1
    while i < len(argv) and argv[i].startswith("-"):
        i += 2 if argv[i] in VALUED["ssh"] else 1
    if len(argv) > i + 1:
        kept, walk.via = walk.via, (*walk.via, "ssh")
        inner = state.copy()
        walk.widen(inner)
        walk.nested(" ".join(argv[i + 1 :]), inner)
        walk.via = kept


STDIN_FILES = {"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"}


def do_at(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """`echo TEXT | at now`: a shell, later."""
    walk.out = None
    if walk.stdin is not None:
        walk.nested(walk.stdin, state.copy())


def do_texts(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """`tmux new -d 'TEXT'`, `concurrently 'TEXT' 'TEXT'`, `nix-shell --run TEXT`: every word of several words
    is a text for a shell, and so are all words from each place on where a command could begin.
    """
    walk.out = None
    for k, word in enumerate(argv[1:], 1):
        if " " in word.strip():
            walk.nested(word, state.copy())
        elif base(argv[0]) == "tmux" and not word.startswith("-") and k > 1:
            walk.execute(argv[k:], state.copy())


def do_dashed(walk: Walk, argv: list[str], state: State) -> None:
    """`hub push`, `git-push`: git by another name."""
    name = base(argv[0])
    walk.execute(["git", *([name[4:]] if name != "hub" else []), *argv[1:]], state)


def do_su(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """`su -c TEXT`, `script -qc TEXT`, `runuser -c TEXT`."""
    walk.out = None
    for k, word in enumerate(argv[1:-1], 1):
        if word == "--command" or (re.fullmatch(r"-[A-Za-z]*c", word) and not word.startswith("--")):
            kept, walk.via = walk.via, (*walk.via, base(argv[0]))
            walk.nested(argv[k + 1], state.copy())
            walk.via = kept
            return
    if base(argv[0]) == "runuser" and "--" in argv[1:-1]:
        walk.execute(argv[argv.index("--") + 1 :], state.copy())
    for word in argv[1:]:
        if word.startswith("--command="):
            walk.nested(word.partition("=")[2], state.copy())


def do_alias(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """An alias counts from the next line on, where the shell expands aliases: then its name may be any
    command.
    """
    walk.out = ""
    for word in argv[1:]:
        name, equals, text = word.partition("=")
        if equals and name and not UNKNOWN.search(name):
            node, whole = Parser((text if not UNKNOWN.search(text) else "") + ' "$@"').parse()
            state.funcs[name] = node if whole and not UNKNOWN.search(text) else ("unknown",)


def do_git(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    """Directories and branches that git changes, aliases on the command line, commands that git runs."""
    walk.out = None
    walk.directed(action, state)
    args = action.args
    words = [word for word, _ in args.words]
    sub = words[0] if words else ""
    for flag, value, _ in args.flags:
        if flag == "-c" and value and value.lower().startswith("alias."):
            name, _, text = value[6:].partition("=")
            if name == sub:
                kept, walk.via = walk.via, (*walk.via, "git")
                at = argv.index(sub)
                rest = " ".join(map(quote, argv[at + 1 :]))
                walk.nested(
                    text[1:] + " " + rest if text.startswith("!") else "git " + text + " " + rest,
                    state.copy(),
                )
                walk.via = kept
        if sub == "rebase" and flag in ("-x", "--exec") and value:
            walk.nested(value, state.copy())
    if sub == "config":  # an alias is judged where it is made: later it is a word like any other
        for name, text in itertools.pairwise(words):
            if name.lower().startswith("alias.") and not UNKNOWN.search(text):
                walk.nested(text[1:] if text.startswith("!") else "git " + text, state.copy())
    if sub == "submodule" and "foreach" in words:
        text = " ".join(word for word in words[words.index("foreach") + 1 :])
        walk.nested(text, state.copy())
    if sub == "bisect" and words[1:2] == ["run"]:
        walk.execute(argv[argv.index("run") + 1 :], state.copy())
    if sub in ("checkout", "switch"):
        name = next(
            (
                value
                for flag, value, _ in args.flags
                if flag in ("-b", "-B", "-c", "-C", "--create", "--orphan", "--force-create") and value
            ),
            None,
        )
        if name is None and len(words) == 2 and not args.after_dashes:
            here = joined(state.cwd, words[1])
            if sub == "switch" or not (len(here) == 1 and here[0] and walk.files.exists(here[0])):
                name = words[1]
        if name is not None:
            state.branch = (None,) if UNKNOWN.search(name) or name == "-" else (name,)
    shown = {flag for flag, _, _ in args.flags}
    if (sub == "branch" and "--show-current" in shown) or (
        sub == "rev-parse" and words[1:] == ["HEAD"] and "--abbrev-ref" in shown
    ):
        here = action.branch or walk.files.branches(action.cwd)
        walk.out = here[0] if len(here) == 1 and here[0] else None
    if sub == "rev-parse" and words[1:] == [] and any(flag == "--show-toplevel" for flag, _, _ in args.flags):
        walk.out = walk.root if all(one and inside(one, walk.root) for one in action.cwd) else None


def do_exit(walk: Walk, action: Action, argv: list[str], state: State) -> None:
    walk.out = None


# fmt: off
HANDLERS = {
    "cd": do_cd, "pushd": do_cd, "popd": do_popd, "eval": do_eval, "source": do_source, ".": do_source,
    "trap": do_trap, "set": do_set, "shift": do_shift, "unset": do_unset, "read": do_read, "mapfile": do_read,
    "readarray": do_read, "getopts": do_read, "let": do_read, "echo": do_echo, "printf": do_printf,
    "cat": do_cat, "tee": do_tee, "pwd": do_pwd, "true": do_true, ":": do_true, "false": do_false,
    "find": do_find, "ssh": do_ssh, "su": do_su, "script": do_su, "runuser": do_su, "alias": do_alias,
    "git": do_git, "exit": do_exit, "at": do_at, "batch": do_at, "tmux": do_texts, "concurrently": do_texts,
    "nix-shell": do_texts,
}
# fmt: on

# fmt: off
DIRECTED = {
    "git": ("-C",), "make": ("-C", "--directory"), "gmake": ("-C", "--directory"), "pnpm": ("-C", "--dir"),
    "npm": ("--prefix", "-C"), "yarn": ("--cwd",), "bun": ("--cwd",), "uv": ("--directory",),
    "cargo": ("-C",), "poetry": ("-C", "--directory"), "go": ("-C",), "ninja": ("-C",),
}
# fmt: on


# -- arguments of one command


class Args:
    """argv taken apart. `flags` are (name, value or None, sure); `words` are (word, kind): 0 an argument, 1
    perhaps the value of a flag that is not in the tables, 2 perhaps nothing or a flag (unknown at rest).
    """

    __slots__ = ("after_dashes", "flags", "unknown", "words")

    def __init__(self, argv: list[str]) -> None:
        self.flags: list[tuple[str, str | None, bool]] = []
        self.words: list[tuple[str, int]] = []
        self.unknown: list[str] = []
        self.after_dashes = False
        if not argv:
            return
        program = base(argv[0])
        if MANY in argv[0]:
            self.words.append((MANY, 2))
        table = VALUED.get(program)
        known, path = table is not None or program in FILES, program
        table = table or frozenset()
        one_dash = program in ONE_DASH
        i, n = 1, len(argv)
        while i < n:
            word = argv[i]
            i += 1
            if word == "" or self.after_dashes:
                self.words.append((word, 2 if MANY in word else 0))
                continue
            first = word[0]
            if first in "\0\1":
                self.unknown.append(word)
                self.words.append((word, 2))
                continue
            if first != "-" or word == "-":
                self.words.append((word, 2 if MANY in word else 0))
                if len(self.words) <= 2 and known:
                    path += " " + word
                    more = VALUED.get(path)
                    if more is not None:
                        table = table | more
                continue
            if word == "--":
                self.after_dashes = True
                continue
            if UNKNOWN.search(word):
                self.unknown.append(word)
            if word.startswith("--") or one_dash:
                name, equals, value = word.partition("=")
                if equals:
                    self.flags.append((name, value, True))
                elif name in table:
                    self.flags.append((name, argv[i] if i < n else "", True))
                    i += 1
                else:
                    i = self.perhaps(name, argv, i, known)
                continue
            self.cluster(word, table)
            last = self.flags[-1]
            if last[1] == "\n":  # the value is the next word
                self.flags[-1] = (last[0], argv[i] if i < n else "", True)
                i += 1
            elif last[1] is None:
                i = self.perhaps(last[0], argv, i, known, add=False)

    def perhaps(self, name: str, argv: list[str], i: int, known: bool, add: bool = True) -> int:
        """A flag that may take the next word, as far as the tables know."""
        if add:
            self.flags.append((name, None, True))
        if not known and i < len(argv) and argv[i] and argv[i][0] not in "-\0\1":
            self.flags.append((name, argv[i], False))
            self.words.append((argv[i], 1))
            return i + 1
        return i

    def cluster(self, word: str, table: frozenset) -> None:
        if word[:2] in table and len(word) > 2:
            self.flags.append((word[:2], word[2:].removeprefix("="), True))
            return
        self.flags.append((word, None, True)) if len(word) > 2 else None
        for k, letter in enumerate(word[1:], 1):
            if letter in "\0\1":
                self.flags.append(("-" + letter, None, True))
                return
            name = "-" + letter
            if name in table:
                rest = word[k + 1 :]
                self.flags.append((name, rest.removeprefix("=") if rest else "\n", True))
                return
            if letter == "=":
                if len(self.flags) > 1:
                    self.flags.append((self.flags[-1][0], word[k + 1 :], True))
                return
            self.flags.append((name, None, True))


# -- the disk


class Disk:
    """What the guard asks about files. With `listed` (a case says what exists) the disk itself is not
    asked.
    """

    def __init__(
        self, root: str, listed: list[str] | None = None, branch: str | None = None, home: str = ""
    ) -> None:
        self.home = home or os.environ.get("HOME") or "/"
        self.root, self.branch = root, branch
        self.listed = (
            None if listed is None else {os.path.normpath(os.path.join(root, path)) for path in listed}
        )
        self.read: dict[str, str | None] = {}

    def exists(self, path: str) -> bool:
        return path in self.listed if self.listed is not None else os.path.lexists(path)

    def is_dir(self, path: str) -> bool:
        if self.listed is not None:
            return any(one.startswith(path + "/") for one in self.listed)
        return os.path.isdir(path)

    def real(self, path: str) -> str:
        if self.listed is not None:
            return path
        try:
            return os.path.realpath(path)
        except (OSError, ValueError):
            return path

    def content(self, path: str) -> str | None:
        """The text of a file of at most a million bytes."""
        if path not in self.read:
            text = None
            if self.listed is None:
                try:
                    if os.path.getsize(path) <= 1_000_000:
                        with open(path, encoding="utf-8", errors="replace") as file:
                            text = file.read()
                except (OSError, ValueError):
                    text = None
            self.read[path] = text
        return self.read[path]

    def below(self, path: str, limit: int = 3000) -> list[str] | None:
        """Every file below a folder, or None where there are too many."""
        if self.listed is not None:
            return [one for one in self.listed if one.startswith(path + "/")]
        found: list[str] = []
        try:
            for folder, folders, names in os.walk(path):
                if ".git" in folders:
                    folders.remove(".git")
                found.extend(folder + "/" + name for name in names)
                if len(found) > limit:
                    return None
        except (OSError, ValueError):
            return []
        return found

    def glob(self, cwd: str, field: str) -> list[str] | None:
        """The files that an unquoted pattern names, as bash writes them, sorted; None where there are too
        many.
        """
        import fnmatch

        whole = field.translate(LITERAL)
        parts = field.split("/")
        found = ["/"] if field.startswith("/") else [""]
        if field.startswith("/"):
            parts = parts[1:]
        for k, part in enumerate(parts):
            last = k == len(parts) - 1
            following: list[str] = []
            for prefix in found:
                if not (STAR in part or MARK in part or CLASS in part):
                    path = prefix + part
                    full = path if path.startswith("/") else cwd + "/" + path
                    if os.path.lexists(full):
                        following.append(path if last else path + "/")
                    continue
                folder = prefix if prefix.startswith("/") else cwd + "/" + prefix
                pattern = re.compile(fnmatch.translate(globform(part)))
                try:
                    names = os.listdir(folder)
                except (OSError, ValueError):
                    continue
                for name in names:
                    if name.startswith(".") and not part.startswith("."):
                        continue
                    if pattern.match(name) and (last or os.path.isdir(folder + "/" + name)):
                        following.append(prefix + name + ("" if last else "/"))
                if len(following) > 1000:
                    return None
            found = following
        return sorted(found) if whole else []

    def branches(self, cwd: tuple) -> tuple:
        """The branch that is checked out in each directory: () where there is no repository."""
        if self.branch is not None:
            return (self.branch,)
        if self.listed is not None or cwd == (None,):
            return (None,)
        return tuple(dict.fromkeys(self.head(one) if one else None for one in cwd))

    def head(self, path: str) -> str | None:
        while True:
            git = path + "/.git"
            try:
                if os.path.isfile(git):
                    with open(git, encoding="utf-8", errors="replace") as file:
                        git = os.path.join(path, file.read().partition("gitdir:")[2].strip())
                if os.path.isdir(git):
                    with open(git + "/HEAD", encoding="utf-8", errors="replace") as file:
                        text = file.read().strip()
                    return text[16:] if text.startswith("ref: refs/heads/") else ""
            except (OSError, ValueError):
                return None
            if path in ("/", ""):
                return ""
            path = os.path.dirname(path)


def globform(part: str) -> str:
    """One component of an unquoted pattern in fnmatch's words; what was quoted is taken literally."""
    out = []
    inside = False
    for c in part:
        if c == CLASS:
            out.append("[")
            inside = True
        elif c in (STAR, MARK):
            out.append("*" if c == STAR else "?")
        elif c in "*?[" and not inside:
            out.append("[" + c + "]")
        else:
            out.append("!" if inside and c == "^" and out[-1] == "[" else c)
            inside = inside and c != "]"
    return "".join(out)


def inside(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


# ----------------------------------------------------------------------------------------------------
# 4. Evaluator: globs, predicates, session, index, decision.


@lru_cache(20_000)
def word_regex(glob: str) -> re.Pattern:
    out, i = [], 0
    while i < len(glob):
        c = glob[i]
        i += 1
        if c == "*":
            out.append(".*")
        elif c == "?":
            out.append(".")
        elif c == "[" and "]" in glob[i + 1 :]:
            end = glob.index("]", i + 1)
            body = glob[i:end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("[" + ("^" + body[1:] if body[0] in "!^" else body) + "]")
            i = end + 1
        else:
            out.append(re.escape(c))
    return compiled("".join(out), re.S)


def compiled(text: str, flags: int = 0) -> re.Pattern:
    try:
        return re.compile(text, flags)
    except (re.error, RecursionError, OverflowError):
        return re.compile(
            r"(?!)"
        )  # a broken pattern matches nothing: the compiler refuses it, a guard cannot


def tokens(text: str, glob: bool, segments: bool = False) -> list[str]:
    """A glob or a word with unknown parts as single characters and stars: "**" any text, "*" no slash, "?"
    one.
    """
    out: list[str] = []
    i = 0
    while i < len(text):
        c = text[i]
        i += 1
        if c in "\0\1":
            out.append("**")
        elif glob and c == "*":
            if not segments or text.startswith("*", i):
                out.append("**")
                while text.startswith("*", i):
                    i += 1
            else:
                out.append("*")
        elif glob and c == "?":
            out.append("?")
        elif glob and c == "[" and "]" in text[i + 1 :]:
            out.append("?")
            i = text.index("]", i + 1) + 1
        else:
            out.append(c)
    return out


def meet(one: list[str], other: list[str]) -> bool:
    """Whether some text is in both."""
    seen: set[tuple[int, int]] = set()
    todo = [(0, 0)]
    while todo:
        i, j = todo.pop()
        if (i, j) in seen:
            continue
        seen.add((i, j))
        if len(seen) > 40_000:
            return True
        a = one[i] if i < len(one) else ""
        b = other[j] if j < len(other) else ""
        if not a and not b:
            return True
        if a in ("*", "**"):
            todo.append((i + 1, j))
            if b and (b not in ("*", "**")) and not (a == "*" and b == "/"):
                todo.append((i, j + 1))
        if b in ("*", "**"):
            todo.append((i, j + 1))
            if a and (a not in ("*", "**")) and not (b == "*" and a == "/"):
                todo.append((i + 1, j))
        elif a and b and a not in ("*", "**") and (a == b or "?" in (a, b)):
            todo.append((i + 1, j + 1))
    return False


FILLS = ("", "x", " z z ", "9/", "q" * 300)


def fills(text: str) -> list[str]:
    return [UNKNOWN.sub(fill, text) for fill in FILLS]


def glob_word(glob: str, word: str) -> int:
    """Whether a name, flag, value or argument matches."""
    if not UNKNOWN.search(word):
        if glob == word:
            return YES
        return YES if ("*" in glob or "?" in glob or "[" in glob) and word_regex(glob).fullmatch(word) else NO
    if glob == "*":
        return YES
    if word in (ANY, MANY):
        return MAYBE
    if not meet(tokens(glob, True), tokens(word, False)):
        return NO
    pattern = word_regex(glob)
    return YES if MANY not in word and all(pattern.fullmatch(one) for one in fills(word)) else MAYBE


def any_glob(globs, word: str) -> int:
    found = NO
    for glob in globs:
        found = max(found, glob_word(glob, word))
        if found == YES:
            break
    return found


def find_text(pattern: str, text: str, ignore_case: bool) -> int:
    regex = text_regex(pattern, ignore_case)
    if not UNKNOWN.search(text):
        return YES if regex.search(text) else NO
    return YES if all(regex.search(one) for one in fills(text)) else MAYBE


@lru_cache(5_000)
def text_regex(pattern: str, ignore_case: bool) -> re.Pattern:
    return compiled(pattern, re.M | re.A | (re.I if ignore_case else 0))


LIKE_A_FILE = Late(r"\*\.[^/*]+$|(?:^|/)(?:[^/*.][^/*]*\.\w+|\.env(?:\.[\w*]+)?)$")


class PathGlob:
    """One gitignore pattern."""

    __slots__ = ("anchored", "body", "forms", "home", "negative", "plain", "regex", "whole", "wide")

    def __init__(self, text: str) -> None:
        self.negative = text.startswith("!")
        text = text[1:] if self.negative else text
        self.whole = text.startswith("//")
        self.home = text.startswith("~/")
        text = text[1:] if self.whole else text[2:] if self.home else text.removeprefix("./")
        body = text.strip("/") if not self.whole else text.rstrip("/")
        deep = body.startswith("**/")
        self.anchored = self.whole or self.home or text.startswith("/") or ("/" in body and not deep)
        self.wide = not self.anchored
        while body.startswith("**/"):
            body = body[3:]
        self.body, self.regex = body, None
        # Most patterns are plain names: to compare them is faster than to compile an expression.
        self.plain = not FOLD and bool(body) and not any(letter in body for letter in "*?[")
        form = tokens(body, True, segments=True)
        # With an unknown part in the path, `*.py`, `a.lock` and `.env` are asked of the file only: a folder
        # that is named like a file is rare, and every `> $D/notes.md` would be undecided.
        forms = [form] if LIKE_A_FILE.search(body) else [form, [*form, "/", "**"]]
        self.forms = forms if self.anchored else forms + [["**", "/", *one] for one in forms]

    def fits(self, path: str) -> bool:
        """Whether a path without unknown parts is the pattern's, or lies below one that is."""
        if self.plain:
            body = self.body
            if path == body or path.startswith(body + "/"):
                return True
            return not self.anchored and (path.endswith("/" + body) or f"/{body}/" in path)
        if self.regex is None:
            start = "" if self.anchored else "(?:.*/)?"
            self.regex = compiled(start + path_regex(self.body) + "(?:/.*)?", re.S | FOLD)
        return self.regex.fullmatch(path) is not None

    def match(self, path: str) -> int:
        if not UNKNOWN.search(path):
            return YES if self.fits(path) else NO
        word = tokens(path, False)
        if not any(meet(form, word) for form in self.forms):
            return NO
        return YES if all(self.fits(one) for one in fills(path)) else MAYBE


# On these systems `.ENV` is `.env`.
FOLD = re.I if sys.platform in ("darwin", "win32") else 0


def path_regex(body: str) -> str:
    out, i = [], 0
    while i < len(body):
        if body.startswith("**/", i) and (i == 0 or body[i - 1] == "/"):
            out.append("(?:.*/)?")
            i += 3
        elif body.startswith("**", i):
            out.append(".*")
            i += 2
        elif body[i] == "*":
            out.append("[^/]*")
            i += 1
        elif body[i] == "?":
            out.append("[^/]")
            i += 1
        elif body[i] == "[" and "]" in body[i + 2 :]:
            end = body.index("]", i + 2)
            inner = body[i + 1 : end].replace("\\", "\\\\").replace("[", "\\[")
            out.append("[" + ("^" + inner[1:] if inner[0] in "!^" else inner) + "]")
            i = end + 1
        else:
            out.append(re.escape(body[i]))
            i += 1
    return "".join(out)


@lru_cache(20_000)
def path_globs(globs: tuple[str, ...]) -> tuple[PathGlob, ...]:
    return tuple(PathGlob(one) for glob in globs for one in unbraced(glob))


def unbraced(glob: str) -> list[str]:
    """`*.{ts,tsx}` as two patterns."""
    match = re.search(r"\{([^{}]*,[^{}]*)\}", glob)
    if not match or glob.count("{") > 4:
        return [glob]
    return [
        one
        for choice in match[1].split(",")
        for one in unbraced(glob[: match.start()] + choice + glob[match.end() :])
    ]


class Place:
    """One path of one action, in every way it can be written."""

    __slots__ = ("absolute", "names", "outside", "tree")

    def __init__(self, path: str, cwd: str | None, disk: Disk, tree: bool) -> None:
        self.tree = tree
        path = path.replace(MANY, ANY)
        if path.startswith("file://"):
            path = path[7:]
        if path == "~" or path.startswith("~/"):
            path = disk.home + path[1:]
        if not path.startswith("/"):
            path = (ANY if cwd is None else cwd) + "/" + path
        path = normal(path)
        self.absolute = path
        names: list[tuple[str | None, str]] = []
        forms = [(path, disk.root)]
        if not UNKNOWN.search(path):
            real = disk.real(path)
            real_root = disk.real(disk.root)
            if real != path or real_root != disk.root:
                forms.append((real, real_root))
                if inside(real, disk.root):
                    forms.append((real, disk.root))
        for one, root in forms:
            if one.startswith(ANY):
                names.append((one, one))
            elif inside(one, root):
                names.append((one[len(root.rstrip("/")) + 1 :], one))
            else:
                names.append((None, one))
        self.names = names
        last_real = names[1:] or names
        self.outside = NO if any(name is not None for name, _ in last_real) else YES
        if names[0][0] is not None and names[0][0].startswith(ANY):
            self.outside = MAYBE

    def match(self, globs: tuple[str, ...], disk: Disk) -> int:
        found = NO
        for name, absolute in self.names:
            found = max(found, match_path(globs, name, absolute, disk.home))
        if found == YES or not self.tree or UNKNOWN.search(self.absolute):
            return found
        below = disk.below(self.absolute)
        if below is None:
            return max(found, MAYBE)
        root = disk.root.rstrip("/")
        for path in below:
            name = path[len(root) + 1 :] if inside(path, disk.root) else None
            if match_path(globs, name, path, disk.home) == YES:
                return YES
        return found


def match_path(globs: tuple[str, ...], name: str | None, absolute: str, home: str) -> int:
    """The last pattern that matches decides."""
    found = NO
    for glob in path_globs(globs):
        if glob.whole:
            subject: str | None = absolute
        elif glob.home:
            subject = absolute[len(home) + 1 :] if inside(absolute, home) else None
        elif name is None:
            subject = absolute if glob.wide else None
        else:
            subject = name
        if subject is None:
            continue
        value = glob.match(subject)
        found = min(found, 2 - value) if glob.negative else max(found, value)
    return found


def normal(path: str) -> str:
    """normpath that leaves what is unknown alone."""
    if "/." not in path and "//" not in path and not path.endswith("/"):
        return path
    if not UNKNOWN.search(path):
        return os.path.normpath(path).replace("//", "/")
    out: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == ".." and out and not UNKNOWN.search(out[-1]):
            out.pop()
        else:
            out.append(part)
    return ("/" if path.startswith("/") else "") + "/".join(out)


# -- what an action does to files


NO_FILE = Late(r"/dev/(null|zero|random|urandom|stdin|stdout|stderr|tty|fd(/.*)?)$|\0?/dev/fd/.*|-")
RECURSIVE = {"-r", "-R", "--recursive", "-rf", "-fr", "-a", "--archive"}


def shell_files(action: Action) -> list[tuple[str, str, bool]]:
    """(r|w|d, path, whole tree) of a command by the tables, besides its redirections."""
    argv = action.argv or []
    if not argv:
        return []
    name = base(argv[0])
    args = action.args
    words = [word for word, kind in args.words if kind != 1]
    row = FILES.get(name)
    if name in ("git", "gh") and words:
        row = FILES.get(name + " " + words[0])
        if name == "git":
            return git_files(words, args, row)
        words = words[1:]
    found: list[tuple[str, str, bool]] = []
    if name == "dd":
        for word in argv[1:]:
            if word.startswith(("of=", "if=")):
                found.append(("w" if word[0] == "o" else "r", word[3:], False))
        return found
    if name == "perl" and any(flag.startswith("-i") or flag == "-i" for flag, _, _ in args.flags):
        return [("w", word, False) for word in words]
    if row is None:
        if name in WRITING_FORMATTERS and any(flag in WRITING_FORMATTERS[name] for flag, _, _ in args.flags):
            return [("w", word, False) for word in words if "." in word or "/" in word]
        return found
    operands, options = row
    if not operands and not options:
        return found
    given = {flag for flag, _, _ in args.flags}
    if name in ("sed", "gsed", "yq") and any(flag.startswith(("-i", "--in")) for flag in given):
        operands = ["-1", "w*"]
    if name in ("sed", "gsed", "grep", "egrep", "fgrep", "rg") and given & {
        "-e",
        "-f",
        "--expression",
        "--file",
        "--regexp",
    }:
        operands = operands[1:]
    if name == "rg" and "--files" in given:
        operands = []
    if name in ("mv", "cp", "install", "ln") and given & {"-t", "--target-directory"}:
        operands = operands[:1]
    if name in ("cp", "ln", "install") and len(words) == 1 and operands[-1:] == ["w$"]:
        operands = ["r*"] if name != "ln" else ["r1"]
    if name == "tar":
        operands, options = tar_roles(argv, given)
    tree = bool(given & RECURSIVE) or name in ("mv", "trash", "trash-put", "rsync", "ag")
    tree = tree or (name == "tar" and operands[-1:] == ["r*"])
    if name in ("rm", "cp", "chmod", "chown", "chgrp"):
        tree = bool(given & RECURSIVE)
    for flag, value, _ in args.flags:
        how = options.get(flag)
        if how and value:
            found.append((how, value.removeprefix("@"), False))
    if name == "curl":
        found += [
            ("r", value[1:], False)
            for flag, value, _ in args.flags
            if flag.startswith(("-d", "--data", "-F", "--form", "--json")) and value and "@" in value[:1]
        ]
        for flag, value, _ in args.flags:
            if flag in ("-F", "--form") and value and re.search("=[@<]", value):
                found.append(("r", re.split("=[@<]", value, maxsplit=1)[1].partition(";")[0], False))
        found += [("r", word, False) for word in words if word.startswith("file://")]
    left = list(words)
    last = ""
    for role in operands:
        if role[1] == "$" and len(left) > 1:
            last = left.pop()
            found.append((role[0], last, False))
    for role in operands:
        how, count = role[0], role[1]
        if count == "$":
            continue
        taken, left = (left, []) if count == "*" else (left[: int(count)], left[int(count) :])
        if how != "-":
            found += [(how, word, tree) for word in taken]
    if last and name in ("cp", "mv", "install", "ln", "rsync", "scp"):
        for word in words[:-1]:  # into a folder: the file gets its name there
            tail = word.rstrip("/").rsplit("/", 1)[-1]
            if tail not in ("", ".", ".."):
                found.append(("w", last.rstrip("/") + "/" + tail, False))
    if name in ("rg", "ag") or (name in ("grep", "egrep", "fgrep") and tree):
        found = [(how, path, True) for how, path, _ in found] or [("r", ".", name == "grep")]
    return [one for how, path, whole in found for one in plainly(how, path, whole)]


def plainly(how: str, path: str, tree: bool) -> list[tuple[str, str, bool]]:
    """A role of the tables as r, w and d."""
    if how == "i":
        # some name that no rule has: `unzip -d build` is no write to `**/generated/` by being able to
        return [("w", path.rstrip("/") + "/a-file-of-some-name", tree)]
    return [(one, path, tree) for one in {"e": "rw", "m": "rd"}.get(how, how)]


# fmt: off
WRITING_FORMATTERS = {
    "gofmt": ("-w",), "goimports": ("-w",), "prettier": ("--write", "-w"), "eslint": ("--fix",),
    "clang-format": ("-i",), "shfmt": ("-w",), "autopep8": ("-i",), "yapf": ("-i",),
}
# fmt: on


def tar_roles(argv: list[str], given: set[str]) -> tuple[list[str], dict[str, str]]:
    letters = "".join(flag[1:] for flag in given if not flag.startswith("--")) + (
        argv[1] if len(argv) > 1 and not argv[1].startswith("-") else ""
    )
    old = len(argv) > 1 and not argv[1].startswith("-")
    if "c" in letters or "--create" in given or "r" in letters:
        return (["-1", "w1", "r*"] if old else ["r*"]), {"-f": "w", "--file": "w"}
    if "x" in letters or "--extract" in given:
        return (["-1", "r1", "w*"] if old else ["w*"]), {
            "-f": "r",
            "--file": "r",
            "-C": "i",
            "--directory": "i",
        }
    return (["-1", "r1"] if old else []), {"-f": "r", "--file": "r"}


def git_files(words: list[str], args: Args, row: tuple | None) -> list[tuple[str, str, bool]]:
    sub, rest = words[0], words[1:]
    given = {flag for flag, _, _ in args.flags}
    found: list[tuple[str, str, bool]] = []
    if sub == "checkout":
        if args.after_dashes or len(rest) > 1:
            found = [("w", word, True) for word in rest]
        elif rest and ("/" in rest[0] or "." in rest[0]):
            found = [("w", rest[0], True)]
    elif sub == "restore" and not ("--staged" in given and "--worktree" not in given):
        found = [("w", word, True) for word in rest]
    elif sub == "rm" and "--cached" not in given:
        found = [("d", word, "-r" in given) for word in rest]
    elif sub == "mv" and len(rest) > 1:
        found = [(how, word, True) for word in rest[:-1] for how in "rd"] + [("w", rest[-1], False)]
    elif sub == "clean" and ("-f" in given or "--force" in given):
        found = []  # what it deletes is untracked: no rule of paths can say
    elif sub in ("diff", "annotate") or (sub == "log" and given & {"-p", "-u", "--patch"}):
        found = [("r", word, False) for word in rest]
    elif sub in ("show", "cat-file", "archive"):
        found = [("r", word.partition(":")[2], False) for word in rest if ":" in word]
    elif row:
        found = [(row[0][0][0], word, False) for word in rest] if row[0] else []
    for flag, value, _ in args.flags:
        if value and flag in ("-F", "--file") and sub in ("commit", "tag", "notes", "merge"):
            found.append(("r", value, False))
        if value and flag == "--output":
            found.append(("w", value, False))
    return found


# fmt: off
FILE_TOOLS = {
    "Read": "r", "Write": "w", "Edit": "w", "MultiEdit": "w", "NotebookEdit": "w", "NotebookRead": "r",
    "LS": "l", "Glob": "l", "Grep": "g", "Delete": "d",
}
# fmt: on
# fmt: off
PATH_KEYS = (
    "file_path", "notebook_path", "path", "filepath", "filename", "target_file", "file", "absolute_path",
)
# fmt: on
TWO_PATHS = (("source", "d"), ("old_path", "d"), ("destination", "w"), ("new_path", "w"), ("target", "w"))
WRITE_NAMES = Late(
    r"write|edit|create|update|save|append|put|insert|replace|patch|upload|rename|move|copy|touch"
)
DELETE_NAMES = Late(r"delete|remove|unlink|rmdir|trash")
SHELL_NAMES = Late(r"bash|shell|exec|terminal|command|process|monitor|run_in", re.I)
# fmt: off
NO_SHELL = {
    "Read", "Write", "Edit", "MultiEdit", "NotebookEdit", "Glob", "Grep", "LS", "WebFetch", "WebSearch",
    "Task", "Agent", "Skill", "TodoWrite", "Stop",
}
# fmt: on


def tool_files(action: Action) -> list[tuple[str, str, bool]]:
    tool, given = action.tool, action.input
    how = FILE_TOOLS.get(tool)
    if how == "l":
        return []
    path = next((given[key] for key in PATH_KEYS if isinstance(given.get(key), str)), None)
    if how == "g":
        return [("r", path or ".", True)] if given.get("output_mode", "content") == "content" else []
    if how is not None:
        return [(how, path.removeprefix("@"), False)] if path else []
    found: list[tuple[str, str, bool]] = [
        ("r", text, False) for text in given.values() if isinstance(text, str) and text[:7] == "file://"
    ]
    lower = tool.lower()
    kind = "d" if DELETE_NAMES.search(lower) else "w" if WRITE_NAMES.search(lower) else "r"
    if tool in NO_SHELL:
        return found
    if path:
        found.append((kind, path.removeprefix("@"), kind == "d"))
    for key, role in TWO_PATHS:
        if isinstance(given.get(key), str) and re.search("move|rename|copy|mv|cp", lower):
            found.append(("r" if role == "d" and "cop" in lower else role, given[key], True))
    if isinstance(given.get("paths"), list):
        found += [(kind, one, False) for one in given["paths"] if isinstance(one, str)]
    patch = given.get("patch") or given.get("input")
    if isinstance(patch, str) and ("*** " in patch or "+++ " in patch):
        for match in re.finditer(
            r"^(?:\*\*\* (Add|Update|Delete) File: |\*\*\* Move to: |\+\+\+ (?:b/)?)(.+)$", patch, re.M
        ):
            found.append(("d" if match[1] == "Delete" else "w", match[2].strip(), False))
    return found


def tool_texts(action: Action, disk: Disk) -> list[tuple[str, str | None, str | None]]:
    """(path, text that is put in, text that is taken out)."""
    given = action.input
    path = next((given[key] for key in PATH_KEYS if isinstance(given.get(key), str)), "")
    content = next(
        (
            given[key]
            for key in ("content", "new_source", "file_text", "contents", "text", "data")
            if isinstance(given.get(key), str)
        ),
        None,
    )
    edits = given.get("edits") if isinstance(given.get("edits"), list) else [given]
    found: list[tuple[str, str | None, str | None]] = []
    if content is not None:
        found.append((path, content, None))
    for edit in edits or []:
        if isinstance(edit, dict):
            old = edit.get("old_string", edit.get("oldText", edit.get("old_str")))
            new = edit.get("new_string", edit.get("newText", edit.get("new_str")))
            if isinstance(new, str):
                found.append((path, new, old if isinstance(old, str) else ""))
    patch = given.get("patch") or given.get("input")
    if isinstance(patch, str) and ("*** " in patch or "+++ " in patch):
        name, new, old = "", [], []
        for line in [*patch.splitlines(), "*** End"]:
            match = re.match(r"(?:\*\*\* (?:Add|Update|Delete) File: |\+\+\+ (?:b/)?)(.+)$", line)
            if match or line == "*** End":
                if name:
                    found.append((name, "\n".join(new), "\n".join(old)))
                name, new, old = (match[1].strip() if match else ""), [], []
            elif line.startswith("+"):
                new.append(line[1:])
            elif line.startswith("-") and not line.startswith("--- "):
                old.append(line[1:])
    return found


# -- text of files


COMMENTS = (
    (
        r"//[^\n]*|/\*[\s\S]*?\*/",
        r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`",
        "ts tsx js jsx mjs cjs mts cts java kt kts go rs c h cc cpp hpp cs swift scala php dart proto scss "
        "less vue svelte",
    ),
    (
        r"#[^\n]*",
        r"\"\"\"[\s\S]*?\"\"\"|'''[\s\S]*?'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'",
        "py pyi rb sh bash zsh yaml yml toml pl r ex exs nix tf cfg ini dockerfile makefile mk",
    ),
    (r"--[^\n]*|/\*[\s\S]*?\*/", r"'(?:''|[^'])*'", "sql lua hs elm"),
    (r"<!--[\s\S]*?-->", r"(?!)", "html xml md svg"),
    (r"/\*[\s\S]*?\*/", r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", "css"),
)


def code_of(text: str, path: str) -> str:
    """A text without its comments and with its strings emptied, by the extension of its file."""
    ending = path.rsplit("/", 1)[-1].rsplit(".", 1)[-1].lower()
    for comment, string, endings in COMMENTS:
        if ending in endings.split():
            pattern = compiled(f"({string})|{comment}")
            return pattern.sub(lambda match: '""' if match[1] else " ", text)
    return text


def added_lines(new: str, old: str) -> str:
    """The lines of `new` that are not in `old`."""
    if not old:
        return new
    there: dict[str, int] = {}
    for line in old.splitlines():
        there[line] = there.get(line, 0) + 1
    out = []
    for line in new.splitlines():
        if there.get(line, 0):
            there[line] -= 1
        else:
            out.append(line)
    return "\n".join(out)


# -- messages


GH_TEXT = {"pr": "pr", "issue": "issue", "release": "release"}
MESSAGE_TOOLS = (
    ("commit", Late(r"commit|create_or_update_file|push_files")),
    ("review", Late(r"review")),
    ("comment", Late(r"comment")),
    ("pr", Late(r"pull_?request|merge_?request|(?:^|_)(?:pr|mr)(?:_|$)")),
    ("issue", Late(r"issue")),
    ("release", Late(r"release")),
)


def messages(action: Action, disk: Disk) -> list[tuple[str, str, str]]:
    """(of, subject, body) of the texts that an action publishes or commits."""
    if action.argv is None:
        if not action.tool.startswith("mcp__") and "__" not in action.tool:
            return []
        name = action.tool.rsplit("__", 1)[-1].lower()
        if re.match(r"(get|list|search|read|view|find)(_|$)", name):
            return []
        for of, pattern in MESSAGE_TOOLS:
            if pattern.search(name):
                given = action.input
                text = next(
                    (given[key] for key in ("message", "commit_message") if isinstance(given.get(key), str)),
                    None,
                )
                if of == "commit":
                    return [] if text is None else [("commit", *halves(text))]
                subject, body = (
                    given.get("title", ""),
                    given.get("body", given.get("description", text or "")),
                )
                if not isinstance(subject, str) or not isinstance(body, str) or not (subject or body):
                    return []
                return [(of, subject, body)]
        return []
    if not action.argv:
        return []
    name = base(action.argv[0])
    args = action.args
    words = [word for word, kind in args.words if kind != 2]
    if action.loose or MANY in action.argv[0]:
        return []
    if name == "git" and words and words[0] in ("commit", "tag", "merge"):
        return git_messages(words, args, action, disk)
    if name in ("gh", "glab", "hub") and len(words) > 1:
        return gh_messages(words, args, action, disk)
    return []


def halves(text: str) -> tuple[str, str]:
    text = text.lstrip("\n")
    subject, _, body = text.partition("\n")
    return subject, body


def given_text(value: str, action: Action, disk: Disk) -> str:
    """The text of a file that a message is read from; `-` is standard input."""
    if value == "-":
        return action.stdin if action.stdin is not None else ANY
    if len(action.cwd) != 1 or not action.cwd[0] or UNKNOWN.search(value):
        return ANY
    text = disk.content(os.path.normpath(os.path.join(action.cwd[0], value)))
    return ANY if text is None else text


def git_messages(words: list[str], args: Args, action: Action, disk: Disk) -> list[tuple[str, str, str]]:
    sub = words[0]
    parts, keeps, later = [], False, False
    flags = args.flags
    for flag, value, _ in flags:
        if flag in ("-m", "--message", "--m", "--mes", "--mess"):
            parts.append(value or "")
        elif flag in ("-F", "--file"):
            parts.append(given_text(value or "", action, disk))
        elif flag in ("--no-edit", "--fixup", "--squash", "-C", "--reuse-message", "--dry-run"):
            keeps = True
        elif flag in ("--trailer",) and value:
            later = True
    if parts:
        text = "\n\n".join(part.strip("\n") for part in parts)
        for flag, value, _ in flags:
            if flag == "--trailer" and value:
                text += "\n\n" + value.replace("=", ": ", 1)
        return [("commit" if sub != "tag" else "tag", *halves(text))]
    if args.unknown:
        return [("commit" if sub != "tag" else "tag", ANY, ANY)]
    if keeps or sub != "commit":
        return []
    del later
    return [("commit", ANY, ANY)]


def gh_messages(words: list[str], args: Args, action: Action, disk: Disk) -> list[tuple[str, str, str]]:
    group, verb = words[0], words[1]
    if group == "pull-request":
        group, verb = "pr", "create"
    of = {"mr": "pr"}.get(group, group)
    if verb in ("comment", "note"):
        of = "comment"
    elif verb == "review":
        of = "review"
    elif verb not in ("create", "new", "edit", "update", "merge", "close", "reopen"):
        return []
    if of not in ("pr", "issue", "release", "comment", "review"):
        return []
    title = body = None
    later = bool(args.unknown)
    for flag, value, _ in args.flags:
        if flag in ("-t", "--title", "--subject"):
            title = value
        elif flag in (
            "-b",
            "--body",
            "--notes",
            "-n",
            "--description",
            "-d",
            "-m",
            "--message",
            "-c",
            "--comment",
        ):
            if value is not None:
                body = value
        elif flag in ("-F", "--body-file", "--notes-file"):
            body = given_text(value or "", action, disk)
        elif flag in (
            "--fill",
            "-f",
            "--fill-first",
            "--fill-verbose",
            "--editor",
            "-e",
            "--web",
            "-w",
            "--template",
            "-T",
            "--generate-notes",
            "--recover",
        ):
            later = True
    if title is None and body is None and verb not in ("create", "new", "comment", "note"):
        return []
    if verb in ("edit", "update"):  # what is not given stays
        return [(of, title or "", body or "")] if body is not None or title is not None else []
    missing = ANY if later or (title is None and body is None) else ""
    return [(of, missing if title is None else title, missing if body is None else body)]


# -- hosts


URL = Late(r"\b[a-z][a-z0-9+.-]*://(?:[^/@\s'\"]*@)?([A-Za-z0-9.\-\0\1]+)", re.I)
REMOTE = Late(r"^(?:[\w.-]+@)?([A-Za-z0-9.\-]+\.[A-Za-z]{2,}|localhost|[\w-]+):(?!//)")
BARE = Late(r"^(?:[\w.-]+@)?((?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}|localhost|\d+\.\d+\.\d+\.\d+)(?:[:/].*)?$")


def urls(text: str) -> list[str]:
    """The hosts of the URLs in a text."""
    return [match[1] for match in URL.finditer(text)] if "://" in text else []


def hosts(action: Action) -> list[str]:
    found: list[str] = []
    if action.argv is None:
        for value in action.input.values():
            if (
                isinstance(value, str)
                and len(value) < 5000
                and action.tool not in ("Write", "Edit", "MultiEdit")
            ):
                found += urls(value)
        return found + [
            value for key in ("host", "hostname") if isinstance(value := action.input.get(key), str)
        ]
    name = base(action.argv[0]) if action.argv else ""
    found += [path.split("/")[3] for _, path, _ in action.accesses if re.match("/dev/(tcp|udp)/.", path)]
    if name not in HOSTED:
        return found + (
            [url for word in action.argv[1:] for url in urls(word)] if name not in ("echo", "printf") else []
        )
    for word, kind in action.args.words:
        reached = urls(word)
        found += reached
        if not reached and kind != 1:
            match = REMOTE.match(word) if name in ("scp", "rsync", "git", "sftp") else BARE.match(word)
            if match:
                found.append(match[1])
            elif name in ("ssh", "mosh", "sftp", "telnet", "ping") and word == action.args.words[0][0]:
                found.append(word.rpartition("@")[2])
            elif UNKNOWN.search(word) and name in ("curl", "wget", "ssh", "scp"):
                found.append(ANY)
    for _, value, _ in action.args.flags:
        match = BARE.match(value) if value else None
        found += urls(value) if value else []
        found += [match[1]] if match else []
    return [host.rstrip(".") for host in found]


# -- one call and the calls before it


class Call:
    """A neutral call, taken apart: its actions."""

    def __init__(self, call: dict, root: str | None = None, home: str = "") -> None:
        self.raw = call
        tool, given = call.get("tool"), call.get("input")
        self.tool = tool if isinstance(tool, str) else ""
        more = call.get("readings")  # what else the tool may be: a rule about any of them holds
        more = [one for one in more if isinstance(one, str)] if isinstance(more, list) else []
        self.tools = (self.tool, *more)
        self.input = given if isinstance(given, dict) else {}
        event = call.get("event")
        self.event = (
            event
            if isinstance(event, str)
            else {
                "Stop": "stop",
                "SubagentStop": "stop",
                "Prompt": "prompt",
                "SessionStart": "session_start",
            }.get(self.tool, "pre_tool")
        )
        given_root, cwd = call.get("root"), call.get("cwd")
        self.root = os.path.normpath(
            root
            or (given_root if isinstance(given_root, str) and given_root else None)
            or (cwd if isinstance(cwd, str) and cwd.startswith("/") else "")
            or os.getcwd()
        )
        self.cwd = (
            os.path.normpath(os.path.join(self.root, cwd)) if isinstance(cwd, str) and cwd else self.root
        )
        exists = call.get("exists")
        branch = call.get("branch")
        self.disk = Disk(
            self.root,
            [one for one in exists if isinstance(one, str)] if isinstance(exists, list) else None,
            branch if isinstance(branch, str) else None,
            home,
        )
        agent = call.get("agent")
        self.agent = agent if isinstance(agent, str) else ""
        self.shared = call.get("shared") is True
        self.keys: tuple[set[str], set[str]] | None = None
        prompt = call.get("prompt", self.input.get("prompt") if self.event == "prompt" else None)
        self.prompt = prompt if isinstance(prompt, str) else ""
        self.ok = call.get("ok") if isinstance(call.get("ok"), bool) else None
        self.actions = [action for name in self.tools for action in self.take_apart(name)]

    def take_apart(self, tool: str) -> list[Action]:
        text = self.input.get("command", self.input.get("cmd"))
        if isinstance(text, list) and text and all(isinstance(one, str) for one in text):
            text = " ".join(map(quote, text))
        shell = (
            isinstance(text, str) and tool not in NO_SHELL and (tool == "Bash" or SHELL_NAMES.search(tool))
        )
        if not shell or not isinstance(text, str):
            action = Action(None, (self.cwd,), tool, self.input)
            action.branch = self.disk.branches((self.cwd,)) if self.disk.branch is not None else ()
            action.agent, action.ok = self.agent, self.ok
            return [action]
        cwd = self.cwd
        for key in ("cwd", "workdir", "working_directory", "workingDirectory"):
            if isinstance(self.input.get(key), str) and self.input[key]:
                cwd = os.path.normpath(os.path.join(self.cwd, self.input[key]))
        text = re.sub("[\1-\4]", ANY, text.replace("\0", ""))
        actions = Walk(self.root, self.disk).line(text, (cwd,), ())
        for action in actions:
            action.tool, action.input, action.agent, action.ok = tool, self.input, self.agent, self.ok
        return actions or [Action([], (cwd,), tool, self.input)]


def files(action: Action, disk: Disk) -> list[tuple[str, Place]]:
    """Every (r|w|d, Place) of an action."""
    if action._files is None:
        if action.argv is None:
            listed = tool_files(action)
        else:
            listed = list(action.accesses)
            if action.argv and not UNKNOWN.search(base(action.argv[0])):
                listed += shell_files(action)
        found, done = [], set()
        for how, path, tree in listed:
            if not path or NO_FILE.fullmatch(path) or len(path) > 4096 or (how, path, tree) in done:
                continue
            done.add((how, path, tree))
            found += [(how, Place(path, cwd, disk, tree)) for cwd in action.cwd]
        action._files = found
    return action._files


HOW = {"read": "r", "write": "w", "delete": "d"}


class Session:
    """The calls before this one, as the facts that rules ask for. `calls` are neutral calls, or a function
    that gives them: most calls are judged without it. Each is taken apart when it is looked at.
    """

    def __init__(self, calls, root: str, home: str = "") -> None:
        self.load = calls if callable(calls) else None
        self.calls: list = [] if callable(calls) else list(calls)
        self.root, self.home = root, home
        self.made: dict[int, Call] = {}

    def __len__(self) -> int:
        if self.load:
            self.calls, self.load = self.load(), None  # type: ignore[assignment]
        return len(self.calls)

    def __getitem__(self, number: int) -> Call:
        made = self.made.get(number)
        if made is None:
            given = self.calls[number]  # there is none before somebody asked how many
            try:
                made = (
                    given
                    if isinstance(given, Call)
                    else Call(given if isinstance(given, dict) else {}, self.root, self.home)
                )
            except Exception:  # an odd line of the state file is no reason to lose the others
                made = Call({}, self.root, self.home)
            self.made[number] = made
        return made


class Judge:
    """Evaluates predicates for one action of one call."""

    def __init__(self, call: Call, session: Session) -> None:
        self.call, self.session = call, session
        self.action = call.actions[0]

    def holds(self, predicate: dict) -> int:
        return PREDICATES[predicate["test"]](self, predicate)

    def all(self, p: dict) -> int:
        found = YES
        for one in p["of"]:
            found = min(found, self.holds(one))
            if found == NO:
                break
        return found

    def any(self, p: dict) -> int:
        found = NO
        for one in p["of"]:
            found = max(found, self.holds(one))
            if found == YES:
                break
        return found

    def not_(self, p: dict) -> int:
        return YES - self.holds(p["of"])

    def always(self, p: dict) -> int:
        return YES

    # -- commands

    def command(self, p: dict) -> int:
        return command_holds(p, self.action, self.call)

    # -- files

    def path(self, p: dict) -> int:
        wanted = {HOW[one] for one in p["access"]}
        globs = tuple(p.get("globs", ("**",)))
        if self.action.loose:
            return MAYBE
        found = NO
        for how, place in files(self.action, self.call.disk):
            if how not in wanted:
                continue
            value = place.match(globs, self.call.disk)
            if value and p.get("outside") is not None:
                value = min(value, place.outside if p["outside"] else YES - place.outside)
            if value and p.get("exists") is not None:
                if UNKNOWN.search(place.absolute):
                    value = min(value, MAYBE)
                else:
                    value = value if self.call.disk.exists(place.absolute) is p["exists"] else NO
            found = max(found, value)
            if found == YES:
                break
        return found

    def content(self, p: dict) -> int:
        action, disk = self.action, self.call.disk
        if action.loose:
            return MAYBE
        globs = tuple(p.get("globs", ("**",)))
        side, present = p.get("side", "added"), p.get("present", True)
        if action.argv is None:
            texts = tool_texts(action, disk)
        else:
            texts = list(action.texts)
            if action.argv and base(action.argv[0]) in ("sed", "gsed", "perl"):
                script = " ".join(
                    [
                        value
                        for flag, value, _ in action.args.flags
                        if value and flag in ("-e", "--expression")
                    ]
                    or [word for word, _ in action.args.words[:1]]
                )
                texts += [
                    (place.absolute, script, script) for how, place in files(action, disk) if how == "w"
                ]
        found = NO
        for path, new, old in texts:
            for cwd in action.cwd:
                place = Place(path, cwd, disk, False)
                where = place.match(globs, disk)
                if where == NO:
                    continue
                found = max(found, min(where, self.text_holds(p, place, new, old, side, present)))
                if found == YES:
                    return YES
        return found

    def text_holds(
        self, p: dict, place: Place, new: str | None, old: str | None, side: str, present: bool
    ) -> int:
        absolute = place.absolute
        there = None if UNKNOWN.search(absolute) else self.call.disk.content(absolute)
        if side == "whole":
            text = new or ""
            if old is not None:
                if there is None:
                    text = (new or "") + ANY if self.call.disk.listed is None else new or ""
                else:
                    text = there.replace(old, new or "", 1) if old else there + (new or "")
        elif side == "removed":
            before = there if old is None else old
            # the script of a `sed -i` (both the same): what it names may be what it takes out
            text = old if old is not None and old == new else added_lines(before or "", new or "")
        else:
            text = new or ""
            if old is None and there is not None:
                text = added_lines(text, there)
            elif old and old != new:
                text = added_lines(text, old)
        if p.get("code_only"):
            text = code_of(text, absolute)
        value = find_text(p["pattern"], text, bool(p.get("ignore_case")))
        return value if present else YES - value

    def message(self, p: dict) -> int:
        if self.action.loose:
            return MAYBE
        found = NO
        part, present = p.get("part", "all"), p.get("present", True)
        for of, subject, body in messages(self.action, self.call.disk):
            if of not in p["of"]:
                continue
            text = subject if part == "subject" else body if part == "body" else subject + "\n" + body
            value = find_text(p["pattern"], text, bool(p.get("ignore_case")))
            found = max(found, value if present else YES - value)
        return found

    def host(self, p: dict) -> int:
        if self.action.loose:
            return MAYBE
        wanted = [one.lower() for one in p["hosts"]]
        return max((any_glob(wanted, one.lower()) for one in hosts(self.action)), default=NO)

    # -- tools

    def arguments(self, p: dict) -> int:
        found = YES
        for test in p.get("where", ()):
            value: object = self.action.input
            for key in test["name"].split("."):
                value = value.get(key) if isinstance(value, dict) else None
            if value is None:
                return NO
            text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)
            here = any_glob(test["any_of"], text) if test.get("any_of") else YES
            if test.get("none_of"):
                here = min(here, YES - any_glob(test["none_of"], text))
            found = min(found, here)
        return found

    def tool(self, p: dict) -> int:
        return min(any_glob(p["names"], self.action.tool), self.arguments(p))

    def mcp(self, p: dict) -> int:
        name = self.action.tool
        if not name.startswith("mcp__"):
            return NO
        server, _, tool = name[5:].partition("__")
        return min(
            any_glob(p.get("server", ("*",)), server),
            any_glob(p.get("tools", ("*",)), tool),
            self.arguments(p),
        )

    def agent(self, p: dict) -> int:
        found = YES
        if p.get("starts"):
            if self.action.tool not in ("Task", "Agent"):
                return NO
            given = self.action.input
            name = given.get("subagent_type") or given.get("agent") or given.get("name") or "general-purpose"
            found = any_glob(p["starts"], name if isinstance(name, str) else "")
        if p.get("inside"):
            found = min(found, any_glob(p["inside"], self.call.agent) if self.call.agent else NO)
        return found

    def prompt(self, p: dict) -> int:
        value = find_text(p["pattern"], self.call.prompt, bool(p.get("ignore_case")))
        return value if p.get("present", True) else YES - value

    def shared(self, p: dict) -> int:
        return YES if self.call.shared else NO

    # -- session. A moment is (k, j): action j of earlier call k; this call is k = number of calls.

    def earlier(self):
        """((k, j), action, call) of what happened before this action, latest first."""
        now = self.call.actions[: self.action.index] if self.action.argv is not None else []
        count = len(self.session)
        for j in range(len(now) - 1, -1, -1):
            yield (count, j), now[j], self.call
        for k in range(count - 1, -1, -1):
            call = self.session[k]
            if call.event in ("pre_tool", "post_tool"):
                for j in range(len(call.actions) - 1, -1, -1):
                    yield (k, j), call.actions[j], call

    def since(self, p: dict) -> tuple[tuple[int, int], tuple[int, int]]:
        """The moment after which facts count: (surely after, perhaps after)."""
        anchor = p.get("since")
        sure = perhaps = (-1, -1)
        if not anchor:
            return sure, perhaps
        if anchor.get("prompt"):
            for k in range(len(self.session) - 1, -1, -1):
                if self.session[k].event == "prompt":
                    sure = perhaps = (k, 0)
                    break
        if anchor.get("command"):
            for moment, action, call in self.earlier():
                value = min(command_holds(anchor["command"], action, call), self.succeeded(action, call))
                if value == YES:
                    sure, perhaps = max(sure, moment), max(perhaps, moment)
                    break
                if value == MAYBE:
                    perhaps = max(perhaps, moment)
        if anchor.get("edits"):
            globs = tuple(anchor["edits"])
            for moment, action, call in self.earlier():
                value = self.edits(action, call, globs)
                if value == YES:
                    sure, perhaps = max(sure, moment), max(perhaps, moment)
                    break
                if value == MAYBE:
                    perhaps = max(perhaps, moment)
        return sure, perhaps

    def succeeded(self, action: Action, call: Call) -> int:
        if call is self.call:
            return YES if action.index in self.action.proved and not action.masked else NO
        return NO if call.ok is False or action.masked else YES

    def edits(self, action: Action, call: Call, globs: tuple[str, ...]) -> int:
        if call.ok is False and action.argv is None:
            return NO
        found = NO
        for how, place in files(action, call.disk):
            if how in ("w", "d"):
                found = max(found, place.match(globs, call.disk))
        return found

    def facts(self, p: dict, test) -> int:
        sure, perhaps = self.since(p)
        found = NO
        for moment, action, call in self.earlier():
            if moment <= sure:
                break
            value = test(action, call)
            if value:
                found = max(found, value if moment > perhaps else min(value, MAYBE))
            if found == YES:
                break
        return found

    def seen(self, p: dict) -> int:
        globs = tuple(p.get("globs", ()))
        own: list[str] = []
        if p.get("same_file"):
            own = [place.absolute for how, place in files(self.action, self.call.disk) if how in ("w", "d")]
            if not own:
                return YES

        def test(action: Action, call: Call) -> int:
            if call is self.call or call.ok is False:
                return NO
            found = NO
            for how, place in files(action, call.disk):
                if how == "r" or (own and how == "w"):
                    if own:
                        found = max(found, YES if place.absolute in own else NO)
                    else:
                        found = max(found, place.match(globs, call.disk))
            return found

        return self.facts(p, test)

    def ran(self, p: dict) -> int:
        def test(action: Action, call: Call) -> int:
            value = command_holds(p["command"], action, call)
            return min(value, self.succeeded(action, call)) if value and p.get("ok", True) else value

        return self.facts(p, test)

    def edited(self, p: dict) -> int:
        globs = tuple(p["globs"])
        return self.facts(p, lambda action, call: self.edits(action, call, globs))


# fmt: off
PREDICATES = {
    "all": Judge.all, "any": Judge.any, "not": Judge.not_, "always": Judge.always, "command": Judge.command,
    "path": Judge.path, "content": Judge.content, "message": Judge.message, "host": Judge.host,
    "tool": Judge.tool, "mcp": Judge.mcp, "agent": Judge.agent, "prompt": Judge.prompt, "seen": Judge.seen,
    "shared": Judge.shared, "ran": Judge.ran, "edited": Judge.edited,
}
# fmt: on


# -- commands


def program_holds(globs, word: str, action: Action, call: Call) -> int:
    found = NO
    name = base(word)
    for glob in globs:
        if "/" in glob:
            want = glob.removeprefix("./")
            found = max(found, glob_word(want, word.removeprefix("./")))
            if "/" in word and found != YES and not word.startswith("/usr/"):
                for cwd in action.cwd:
                    place = Place(word, cwd, call.disk, False)
                    for relative, absolute in place.names:
                        found = max(found, glob_word(want, relative if relative is not None else absolute))
        else:
            found = max(found, glob_word(glob, name))
        if found == YES:
            break
    if MANY in word and found == NO:
        found = MAYBE
    return found


def command_holds(p: dict, action: Action, call: Call) -> int:
    argv = action.argv
    if argv is None:
        return NO
    if action.loose:
        return MAYBE
    if not argv:
        return NO
    found = program_holds(p["program"], argv[0], action, call) if p.get("program") else YES
    if found == NO:
        return NO
    args = action.args
    if p.get("via"):
        found = min(found, max((any_glob(p["via"], one) for one in action.via), default=NO))
    if p.get("not_via") and any(any_glob(p["not_via"], one) == YES for one in action.via):
        return NO
    rests: list[tuple[list, int]] = [(args.words, YES)]
    if p.get("sub"):
        rests = [rest for sub in p["sub"] for rest in after_sub(sub, args.words)]
        found = min(found, max((value for _, value in rests), default=NO))
    if found == NO:
        return NO
    for group in p.get("flags", ()):
        found = min(found, max(flag_given(flag, argv, args) for flag in group))
        if found == NO:
            return NO
    for flag in p.get("no_flags", ()):
        found = min(found, YES - flag_given(flag, argv, args))
    for test in p.get("values", ()):
        found = min(found, value_given(test, args))
        if found == NO:
            return NO
    if p.get("args") or p.get("no_args") or p.get("min_args") is not None or p.get("max_args") is not None:
        found = min(found, max((min(value, arguments_hold(p, rest)) for rest, value in rests), default=NO))
    if found and p.get("text"):
        text = " ".join(argv[1:])
        value = find_text(p["text"], text.replace(MANY, ANY), False)
        if value != YES and action.stdin is not None and action.stdin != ANY:
            value = max(value, find_text(p["text"], action.stdin, False))
        found = min(found, value)
    if found and p.get("cwd"):
        value = NO
        for cwd in action.cwd:
            value = max(value, MAYBE if cwd is None else cwd_holds(tuple(p["cwd"]), cwd, call.disk))
        found = min(found, value)
    if found and p.get("branch"):
        branches = action.branch or call.disk.branches(action.cwd)
        value = NO
        for branch in branches:
            value = max(value, MAYBE if branch is None else any_glob(p["branch"], branch))
        found = min(found, value)
    return found


def cwd_holds(globs: tuple[str, ...], cwd: str, disk: Disk) -> int:
    if cwd == disk.root:
        return YES if any(glob in ("/", "**", ".", "./") for glob in globs) else NO
    return Place(cwd, None, disk, False).match(
        tuple(glob for glob in globs if glob not in ("/", ".", "./")), disk
    )


def after_sub(sub, words: list[tuple[str, int]]) -> list[tuple[list, int]]:
    """Every way in which the first arguments can be this sequence: (the arguments after it, how sure)."""
    ways: list[tuple[list, int]] = []

    def step(i: int, j: int, value: int) -> None:
        if i == len(sub):
            ways.append((words[j:], value))
            return
        if j >= len(words):
            return
        word, kind = words[j]
        if MANY in word:
            step(i, j + 1, MAYBE)  # no word at all
            ways.append((words[j:], MAYBE))  # several words: all the rest of the sequence
            return
        here = glob_word(sub[i], word)
        if here:
            step(i + 1, j + 1, min(value, here))
        if kind == 1:
            step(i, j + 1, value)
        elif kind == 2:
            step(i, j + 1, MAYBE)

    step(0, 0, YES)
    return ways


def flag_given(flag: str, argv: list[str], args: Args) -> int:
    found = NO
    for name, _, _ in args.flags:
        if name == flag:
            return YES
        if ANY in name or MANY in name or "*" in flag:
            found = max(found, glob_word(flag, name))
    if len(flag) > 4 and flag.startswith("--") and base(argv[0]) in ABBREVIATES:
        for name, _, _ in args.flags:
            if len(name) > 4 and name.startswith("--") and flag.startswith(name):
                return YES
    for word in args.unknown:
        found = max(found, min(MAYBE, cluster_could(flag, word)))
    return found


def cluster_could(flag: str, word: str) -> int:
    if glob_word(flag, word):
        return MAYBE
    if meet([*tokens(flag, False), "=", "**"], tokens(word, False)):
        return MAYBE
    if MANY in word and word.startswith((MANY, "-")):
        head = word.split(MANY)[0]
        if flag.startswith(head) or len(flag) == 2:
            return MAYBE
    return MAYBE if len(flag) == 2 and not word.startswith("--") and word[0] in "-\0\1" else NO


def value_given(test: dict, args: Args) -> int:
    found = NO
    for name, value, _ in args.flags:
        if name not in test["flags"] or value is None:
            continue
        here = any_glob(test["any_of"], value) if test.get("any_of") else YES
        if test.get("none_of"):
            here = min(here, YES - any_glob(test["none_of"], value))
        found = max(found, here)
    if found == NO and args.unknown:
        for word in args.unknown:
            if any(cluster_could(flag, word) for flag in test["flags"]):
                return MAYBE
    return found


def arguments_hold(p: dict, words: list[tuple[str, int]]) -> int:
    found = YES
    for group in p.get("args", ()):
        value = NO
        for word, kind in words:
            here = any_glob(group, word) if MANY not in word else MAYBE if could(group, word) else NO
            value = max(value, min(here, MAYBE) if kind == 2 else here)
        found = min(found, value)
    for word, kind in words:
        if p.get("no_args") and kind != 1:
            here = any_glob(p["no_args"], word)
            found = min(found, YES - (min(here, MAYBE) if kind == 2 else here))
    sure = sum(kind == 0 and MANY not in word for word, kind in words)
    most = (
        sum(kind != 1 or True for _, kind in words) if not any(MANY in word for word, _ in words) else 10**6
    )
    least_ambiguous = sum(kind == 0 and MANY not in word for word, kind in words)
    if p.get("max_args") is not None:
        limit = p["max_args"]
        unknown = any(kind == 2 or MANY in word for word, kind in words)
        found = min(found, NO if least_ambiguous > limit else MAYBE if unknown else YES)
    if p.get("min_args") is not None:
        limit = p["min_args"]
        found = min(
            found,
            YES
            if sure >= limit or (most >= limit and most < 10**6 and not any(kind == 2 for _, kind in words))
            else MAYBE
            if most >= limit
            else NO,
        )
    return found


def could(globs, word: str) -> bool:
    """Whether a word that may be several can hold one that matches."""
    if word == MANY:
        return True
    pieces = word.split(MANY)
    for glob in globs:
        form = tokens(glob, True)
        forms = [[*tokens(pieces[0], False), "**"], ["**", *tokens(pieces[-1], False)], tokens(word, False)]
        if any(meet(form, one) for one in forms):
            return True
    return False


# -- rules, index, decision


SEVERITY = {"deny": 4, "hide": 4, "ask": 3, "require": 2, "warn": 1}
LITERAL_PART = Late(r"[*?\[\]{}!]")


def triggers(predicate: dict) -> set[str] | None:
    """Keys of which a call must have one for this predicate to be anything but false; None: no such keys."""
    test = predicate.get("test")
    if test == "command":
        names = predicate.get("program") or ["*"]
        subs = {sub[0] for sub in predicate.get("sub") or () if sub}
        ends = {""} if not subs or any(map(LITERAL_PART.search, subs)) else {" " + sub for sub in subs}
        return {
            "c*" if LITERAL_PART.search(name) else "c:" + base(name) + end for name in names for end in ends
        }
    if test in ("path", "content"):
        keys = set()
        for glob in predicate.get("globs") or ["**"]:
            for one in unbraced(glob):
                if not one.startswith("!"):
                    keys.add(path_key(one))
        return keys
    if test == "message":
        return {"m*"}
    if test == "host":
        names = [name.lower() for name in predicate["hosts"]]
        return {
            "h*"
            if LITERAL_PART.search(name[2:]) or (name[:1] in "*?[" and name[:2] != "*.")
            else "h:" + name.removeprefix("*.")
            for name in names
        }
    if test == "tool":
        return {"t*" if LITERAL_PART.search(name) else "t:" + name for name in predicate["names"]}
    if test == "mcp":
        return {
            "s*" if LITERAL_PART.search(name) else "s:" + name for name in predicate.get("server") or ["*"]
        }
    if test == "agent":
        return {"a*"}
    if test == "any":
        keys = set()
        for one in predicate["of"]:
            more = triggers(one)
            if more is None:
                return None
            keys |= more
        return keys
    if test == "all":
        best = None
        for one in predicate["of"]:
            more = triggers(one)
            if more is not None and (best is None or cost(more) < cost(best)):
                best = more
        return best
    return None


def cost(keys: set[str]) -> int:
    return sum(1000 if key.endswith("*") else 1 for key in keys)


def path_key(glob: str) -> str:
    """The rarest thing that a path must have to match: a literal name among its parts, or an extension."""
    parts = [part for part in glob.strip("/").split("/") if part]
    plain_parts = [part for part in parts if not LITERAL_PART.search(part) and part not in ("~", ".", "..")]
    if plain_parts:
        return "n:" + max(plain_parts, key=len).lower()
    if parts:
        match = re.fullmatch(r"\*(\.[A-Za-z0-9_-]+)", parts[-1])
        if match:
            return "x:" + match[1].lower()
    return "p*"


def rule_keys(rule: dict) -> set[str]:
    event = rule.get("event", "pre_tool")
    keys = triggers(rule["when"])
    if keys is None:
        tool = rule.get("tool", "*")
        keys = {"*"} if tool == "*" or LITERAL_PART.search(tool) else {"t:" + one for one in tool.split("|")}
    return {event + " " + key for key in keys}


def call_keys(call: Call) -> tuple[set[str], set[str]]:
    """The keys of a call, and the beginnings of those of which it may have any."""
    if call.keys is None:
        call.keys = keys_of(call)
    return call.keys


def keys_of(call: Call) -> tuple[set[str], set[str]]:
    keys = {"*", "t*", "h*", *("t:" + one for one in call.tools)}
    wild: set[str] = set()
    if call.agent or call.tool in ("Task", "Agent"):
        keys.add("a*")
    for one in call.tools:
        if one.startswith("mcp__"):
            keys |= {"s*", "s:" + one[5:].partition("__")[0]}
    for action in call.actions:
        if action.loose:
            wild |= {"c:", "n:", "x:", "h:"}
            keys |= {"c*", "p*", "m*"}
            continue
        if action.argv:
            keys.add("c*")
            if UNKNOWN.search(action.argv[0]):
                wild.add("c:")
            for name in programs(action, call.disk):
                keys.add("c:" + name)
                for word, _ in action.args.words:
                    if UNKNOWN.search(word):
                        wild.add("c:" + name + " ")
                    else:
                        keys.add("c:" + name + " " + word)
        for host in hosts(action):
            if UNKNOWN.search(host):
                wild.add("h:")
            host = "." + host.lower()
            while host:
                host = host[1:]
                keys.add("h:" + host)
                host = host[host.find(".") :] if "." in host else ""
        for _, place in files(action, call.disk):
            keys.add("p*")
            if place.tree or UNKNOWN.search(place.absolute):
                wild |= {"n:", "x:"}
            for _, absolute in place.names:
                for part in absolute.lower().split("/"):
                    keys.add("n:" + part)
                    dot = part.find(".")
                    while dot >= 0:
                        keys.add("x:" + part[dot:])
                        dot = part.find(".", dot + 1)
        if action.argv is None or (action.argv and base(action.argv[0]) in ("git", "gh", "glab", "hub")):
            keys.add("m*")
    return {call.event + " " + key for key in keys}, {call.event + " " + one for one in wild}


def programs(action: Action, disk: Disk) -> set[str]:
    """The last names of a program, as it is called and as a link leads to it."""
    word = action.argv[0] if action.argv else ""
    found = {base(word)}
    if "/" in word and not word.startswith("/usr/"):
        for cwd in action.cwd:
            found |= {base(absolute) for _, absolute in Place(word, cwd, disk, False).names}
    return found


class Index:
    """Rules by the keys that they need."""

    def __init__(self, rules: list[dict]) -> None:
        self.rules = rules
        self.by_key: dict[str, list[int]] = {}
        for number, rule in enumerate(rules):
            for key in rule_keys(rule):
                self.by_key.setdefault(key, []).append(number)

    def select(self, keys: set[str], wild: set[str]) -> list[dict]:
        numbers: set[int] = set()
        for key in keys:
            numbers.update(self.by_key.get(key, ()))
        if wild:
            starts = tuple(wild)
            for key, found in self.by_key.items():
                if key.startswith(starts):
                    numbers.update(found)
        return [self.rules[number] for number in sorted(numbers)]


def tool_matches(rule: dict, call: Call) -> bool:
    tool = rule.get("tool", "*")
    return tool == "*" or any(
        glob_word(one.strip(), name) == YES for one in tool.split("|") for name in call.tools
    )


def evaluate(rule: dict, call: Call, session: Session) -> tuple[int, Action]:
    """What a rule says of a call: the strongest value over its actions, and the action that gave it."""
    judge = Judge(call, session)
    best, which = NO, call.actions[0]
    for action in call.actions:
        judge.action = action
        value = judge.holds(rule["when"])
        if value > best:
            best, which = value, action
        if best == YES:
            break
    return best, which


def as_json(rule) -> dict:
    return rule if isinstance(rule, dict) else rule.model_dump(mode="json", exclude_defaults=True)


_last: tuple = (None, None, 0)


def decide(
    rules,
    call: dict | Call,
    session=(),
    *,
    root: str | None = None,
    on_error: str = "deny",
    nobody: str = "ask",
    protect=(),
    home: str = "",
) -> dict:
    """What becomes of a call: `decision` (deny, ask, require, warn or allow) and the `rule`, `source`,
    `line`, `message`, `instead` behind it, `why` (fired, undecided, protected, fault, quiet) and `also`, the
    ids of the other rules that fired. `rules` are Rules or their JSON, `session` the neutral calls before
    this one; a call that is asked about often can be taken apart once, as a `Call` of the same root and home.

    `allow` only says that no rule objects. Never raises: a fault answers as `on_error` says.
    """
    global _last
    try:
        if isinstance(rules, Index | FileIndex):
            index = rules
        else:
            if _last[0] is not rules or len(rules) != _last[2]:
                _last = (rules, Index([as_json(rule) for rule in rules]), len(rules))
            index = _last[1]
        taken = call if isinstance(call, Call) else Call(call if isinstance(call, dict) else {}, root, home)
        return judge(index, taken, Session(list(session), taken.root, home), on_error, nobody, tuple(protect))
    except Exception as error:  # whatever happens, a hook has to answer
        return fault(error, on_error)


def fault(error: BaseException, on_error: str) -> dict:
    text = f"the guard failed ({type(error).__name__}), so this call is answered as on_error says"
    decision = on_error if on_error in ("deny", "ask", "warn") else "deny"
    return {
        "decision": decision,
        "rule": "",
        "source": "",
        "line": 0,
        "message": text,
        "instead": "",
        "why": "fault",
        "also": [],
    }


def judge(index, call: Call, session: Session, on_error: str, nobody: str, protect: tuple[str, ...]) -> dict:
    if protect and call.event == "pre_tool" and touches(call, protect):
        return {
            "decision": "deny",
            "rule": "guard",
            "source": "",
            "line": 0,
            "why": "protected",
            "instead": "",
            "message": "these files hold the rules that are compiled from memory: change the memory and "
            "compile again",
            "also": [],
        }
    best: tuple[int, int] = (0, 0)
    winner: dict | None = None
    why, fired = "quiet", []
    for rule in index.select(*call_keys(call)):
        if rule.get("event", "pre_tool") != call.event or not tool_matches(rule, call):
            continue
        value, _ = evaluate(rule, call, session)
        if value == NO:
            continue
        weight = SEVERITY.get(rule["effect"], 4)
        if value == MAYBE:
            weight = min(weight, SEVERITY.get(on_error, 4))
        else:
            fired.append(rule["id"])
        if (weight, value) > best:
            best, winner, why = (weight, value), rule, "fired" if value == YES else "undecided"
    if winner is None:
        return {
            "decision": "allow",
            "rule": "",
            "source": "",
            "line": 0,
            "message": "",
            "instead": "",
            "why": why,
            "also": [],
        }
    decision = {4: "deny", 3: "ask", 2: "require", 1: "warn"}[best[0]]
    if decision == "ask" and nobody == "deny":
        decision = "deny"
    span = winner.get("span") or {}
    message = winner.get("message", "")
    if why == "undecided":
        message = (
            "whether this rule applies shows only when the command runs; write it out plainly. " + message
        )
    return {
        "decision": decision,
        "rule": winner["id"],
        "source": span.get("source", ""),
        "line": span.get("line", 0),
        "message": message,
        "instead": winner.get("instead", ""),
        "why": why,
        "also": [one for one in fired if one != winner["id"]],
    }


def sweeps(action: Action) -> bool:
    """Whether git takes untracked files away: `git clean -f`, `git stash -u`."""
    words = [word for word, _ in action.args.words] if action.argv and base(action.argv[0]) == "git" else []
    flags = {flag for flag, _, _ in action.args.flags} if words else set()
    if words[:1] == ["clean"]:
        return bool(flags & {"-f", "--force"}) and not flags & {"-n", "--dry-run"}
    every = {"-u", "-a", "--include-untracked", "--all"}
    return words[:1] == ["stash"] and words[1:2] in ([], ["push"], ["save"]) and bool(flags & every)


def untracked(path: str, action: Action) -> bool:
    """Whether a file lies below where git works and its name is nowhere in git's index."""
    for cwd in action.cwd:
        top = cwd or ""
        while top and not os.path.isdir(top + "/.git"):
            top = top.rpartition("/")[0]
        if top and inside(path, top) and os.path.lexists(path):
            try:
                with open(top + "/.git/index", "rb") as file:
                    return path[len(top) + 1 :].encode() not in file.read()
            except OSError:
                return True
    return False


def touches(call: Call, protect: tuple[str, ...]) -> bool:
    """Whether a call surely writes or deletes a protected file. A path that only run time knows is let
    through: else every `> "$out"` would be refused; an interpreter's text that names such a file is not.
    """
    names = []
    for glob in protect:
        path = (
            glob[1:]
            if glob.startswith("//")
            else call.disk.home + glob[1:]
            if glob.startswith("~/")
            else (call.root + "/" + glob.strip("/").removeprefix("**/"))
        )
        path = path.removesuffix("/**").rstrip("/")
        names += [path] + (
            [path[len(call.root) + 1 :]] if inside(path, call.root) and path != call.root else []
        )
    for action in call.actions:
        for how, place in files(action, call.disk):
            if how in ("w", "d") and place.match(protect, call.disk) == YES:
                return True
            if how == "d" and any(inside(name, place.absolute) for name in names):
                return True
        if sweeps(action) and any(name[:1] == "/" and untracked(name, action) for name in names):
            return True
        if action.argv and base(action.argv[0]).rstrip("0123456789.") in INTERPRETERS:
            text = " ".join(action.argv[1:]) + "\n" + (action.stdin or "")
            inline = any(
                flag.startswith(("-c", "-e", "--eval", "-E", "-p", "-r")) for flag, _, _ in action.args.flags
            )
            if (inline or action.stdin) and any(name and name in text for name in names):
                return True
    return False


# ----------------------------------------------------------------------------------------------------
# 5. The process: policy on disk, state of the session, decision log, and the hook itself.

INDEXED_FROM = 100  # rules: below, reading all of them is as fast as looking some up
MAX_LOG = 1_000_000
MAX_STATE = 4_000_000


def policy_files(policy) -> dict[str, bytes]:
    """`guard.json` (one rule a line) and, for many rules, `guard.index` beside it: what the guard reads in a
    bundle.

    `policy` is a `rules.Policy` or its JSON. Cases stay in `bundle.json`: they are no business of the
    guard's.
    """
    data = dict(policy if isinstance(policy, dict) else policy.model_dump(mode="json", exclude_defaults=True))
    rules = [
        {key: value for key, value in as_json(rule).items() if key != "cases"}
        for rule in data.pop("rules", ())
    ]
    data = {"version": 1, **data, "session": any(uses_session(rule) for rule in rules)}
    head = json.dumps(data, ensure_ascii=True)[:-1] + ', "rules": [\n'
    parts, offset, keys = [head.encode()], len(head), {}
    for number, rule in enumerate(rules):
        line = (json.dumps(rule, ensure_ascii=True) + (",\n" if number < len(rules) - 1 else "\n")).encode()
        for key in rule_keys(rule):
            keys.setdefault(key, []).append(offset)
        parts.append(line)
        offset += len(line)
    whole = b"".join([*parts, b"]}\n"])
    if len(rules) < INDEXED_FROM:
        return {"guard.json": whole}
    rows = "".join(f"{json.dumps(key)}\t{' '.join(map(str, keys[key]))}\n" for key in sorted(keys))
    return {"guard.json": whole, "guard.index": f"{len(whole)}\n{rows}".encode()}


def uses_session(rule: dict) -> bool:
    def holds(predicate: dict) -> bool:
        test = predicate["test"]
        if test in ("all", "any"):
            return any(map(holds, predicate["of"]))
        return holds(predicate["of"]) if test == "not" else test in ("seen", "ran", "edited")

    return holds(rule["when"])


class FileIndex:
    """The rules of a `guard.json` that a call may touch, read one by one by their offsets."""

    def __init__(self, path: str, index: bytes) -> None:
        self.path, self.index = path, index

    def select(self, keys: set[str], wild: set[str]) -> list[dict]:
        found: set[bytes] = set()
        for key in keys:
            at = self.index.find(b"\n" + json.dumps(key).encode() + b"\t")
            if at >= 0:
                found.update(
                    self.index[self.index.index(b"\t", at) + 1 : self.index.index(b"\n", at + 1)].split()
                )
        for one in wild:
            mark = b"\n" + json.dumps(one).encode()[:-1]
            at = self.index.find(mark)
            while at >= 0:
                end = self.index.index(b"\n", at + 1)
                found.update(self.index[self.index.index(b"\t", at) + 1 : end].split())
                at = self.index.find(mark, end)
        rules = []
        with open(self.path, "rb") as file:
            for offset in sorted(map(int, found)):
                file.seek(offset)
                rules.append(json.loads(file.readline().rstrip(b",\n")))
        return rules


def load_policy(path: str) -> tuple[dict, Index | FileIndex]:
    """The head of a policy and its rules. Raises OSError, ValueError."""
    with open(path, "rb") as file:
        head = file.readline()
        try:
            with open(os.path.join(os.path.dirname(path), "guard.index"), "rb") as other:
                index = other.read()
        except FileNotFoundError:
            index = b""
        size = os.fstat(file.fileno()).st_size
        if index and index[: index.find(b"\n")] == str(size).encode():
            return json.loads(head + b"]}"), FileIndex(path, index)
        data = json.loads(head + file.read())
    return data, Index(data.pop("rules"))


# fmt: off
KEPT = (
    "command", "cmd", "cwd", "workdir", "url", "subagent_type", *PATH_KEYS, "paths", "source", "destination",
    "patch",
)
# fmt: on


def remember(folder: str, call: dict, blocked: bool) -> None:
    """Append what later calls may ask about this one; the text of files is left out."""
    given = call.get("input", {})
    row = {
        key: call[key]
        for key in ("event", "tool", "cwd", "agent", "ok", "id")
        if call.get(key) not in (None, "")
    }
    row["input"] = {
        key: given[key][:20_000] if isinstance(given[key], str) else given[key]
        for key in KEPT
        if key in given
    }
    if blocked:
        return
    path = state_path(folder, call)
    os.makedirs(folder, exist_ok=True)
    append(path, json.dumps(row) + "\n", MAX_STATE)


NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)


def below(folder: str, name) -> str:
    """A path that a policy names, where it lies in the policy's own folder or below and no part of it is a
    link; else "". Anybody may have written a project's policy: it must not choose which files are written.
    """
    if not isinstance(name, str) or not name or "\0" in name or os.path.isabs(name):
        return ""
    path = folder
    for part in name.replace("\\", "/").split("/"):
        if part == "..":
            return ""
        path = os.path.join(path, part) if part not in ("", ".") else path
        if path != folder and os.path.islink(path):
            return ""
    return path


def log_of(folder: str, policy: dict) -> str:
    """The decision log of a policy, which is a file `….jsonl` in its place; else ""."""
    path = below(folder, policy.get("log"))
    return path if path.endswith(".jsonl") and not os.path.isdir(path) else ""


def root_of(folder: str, name) -> tuple[str, bool]:
    """(the project of a policy, whether it is the one that it names). It reaches two folders up at most, as
    `.harness-compile/<harness>` does, and through no link: what is outside is not the project's to read.
    """
    most = os.path.normpath(os.path.join(folder, "../.."))
    if isinstance(name, str) and "\0" not in name:
        root = os.path.normpath(os.path.join(folder, name))
        if inside(root, most) and inside(os.path.realpath(root), os.path.realpath(most)):
            return root, True
    return most, False


def state_path(folder: str, call: dict) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", call.get("session") or "default")[:100]
    return os.path.join(folder, name + ".jsonl")


def append(path: str, line: str, limit: int) -> None:
    """One write to the end of a file, never through a link; at its limit it moves to `.1` and a new one
    begins. Raises OSError.
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | NOFOLLOW, 0o600)
    try:
        os.write(handle, line.encode("utf-8", "replace"))
        full = os.fstat(handle).st_size > limit
    finally:
        os.close(handle)
    if full:
        os.replace(path, path + ".1")


def recalled(folder: str, call: dict) -> list[dict]:
    """The calls of this session so far. A call of which the harness reported the end counts as it ended; a
    command that was begun and never reported did not succeed, where this harness reports ends at all.
    """
    rows: list[dict] = []
    path = state_path(folder, call)
    for name in (path + ".1", path):
        try:
            handle = os.open(name, os.O_RDONLY | NOFOLLOW)
            with open(handle, encoding="utf-8", errors="replace") as file:
                for line in file:
                    try:
                        row = json.loads(line)
                    except ValueError:
                        continue
                    if isinstance(row, dict):
                        rows.append(row)
        except OSError:
            continue
    rows = rows[-3000:]
    ended = {
        row.get("id"): row.get("ok") for row in rows if row.get("event") == "post_tool" and row.get("id")
    }
    reports = any(row.get("event") == "post_tool" for row in rows)
    found, known = [], set()
    for row in rows:
        if row.get("event") == "post_tool":
            if not row.get("id") or row["id"] not in known:
                found.append(row)
        elif row.get("event", "pre_tool") == "pre_tool" and row.get("id") in ended:
            found.append({**row, "ok": ended[row["id"]]})
        elif row.get("tool") == "Bash" and reports:
            found.append({**row, "ok": False})
        else:
            found.append(row)
        known.add(row.get("id"))
    return found


def context_of(index, call: Call, session: Session) -> str:
    """The texts that rules put in at the start of a session or beside a prompt, with the files they name."""
    texts = []
    for rule in index.select(*call_keys(call)):
        if (
            rule.get("event") == call.event
            and rule["effect"] == "warn"
            and evaluate(rule, call, session)[0] == YES
        ):
            if rule.get("message"):
                texts.append(rule["message"])
            for name in rule.get("inject", ()):
                import time

                day = time.time()
                for word, at in (("{today}", day), ("{yesterday}", day - 86_400)):
                    name = name.replace(word, time.strftime("%Y-%m-%d", time.localtime(at)))
                path = os.path.realpath(os.path.join(call.root, name))
                if inside(path, os.path.realpath(call.root)):
                    text = Disk(call.root).content(path)
                    if text:
                        texts.append(f"{name}:\n{text[:20_000]}")
    return "\n\n".join(dict.fromkeys(texts))


def record(path: str, shape: str, call: dict, decision: dict) -> None:
    """One line of the decision log. What was called is kept only where a rule objected, and then
    shortened."""
    import time

    row = {
        "at": round(time.time(), 3),
        "harness": shape,
        "session": call.get("session", ""),
        "event": call.get("event", ""),
        "tool": call.get("tool", ""),
        "decision": decision["decision"],
        "rule": decision["rule"],
        "why": decision["why"],
        "also": decision["also"],
    }
    if decision["decision"] != "allow":
        given = call.get("input", {})
        what = next(
            (given[key] for key in ("command", *PATH_KEYS, "url") if isinstance(given.get(key), str)), ""
        )
        row["what"] = what[:200]
    append(path, json.dumps(row) + "\n", MAX_LOG)


def handle(shape: str, policy_path: str, text: str) -> tuple[int, str, str]:
    """The whole of one hook call: (exit status, stdout, stderr). Never raises."""
    on_error, event = "deny", "pre_tool"
    try:
        import payloads
    except ImportError:
        from harness_compile.runtime import payloads
    call: dict = {}
    odd: list[str] = []
    try:
        policy, index = load_policy(policy_path)
        on_error = policy.get("on_error", "deny")
        folder = os.path.dirname(os.path.abspath(policy_path))
        call = payloads.neutral(shape, json.loads(text))
        event = call["event"]
        root, named = root_of(folder, policy.get("root", "."))
        log, state = log_of(folder, policy), below(folder, policy.get("state"))
        if state == folder or (state and os.path.islink(state_path(state, call))):
            state = ""
        odd = [key for key, path in (("log", log), ("state", state)) if policy.get(key) and not path]
        odd += [] if named else ["root"]
        taken = Call(call, root)
        remembers = state and policy.get("session")
        session = Session((lambda: recalled(state, call)) if remembers else [], root)
        protect = (*policy.get("protect", ()), "/" + folder + "/**")
        decision = judge(index, taken, session, on_error, policy.get("nobody", "ask"), protect)
        if event in ("session_start", "prompt"):
            decision["context"] = context_of(index, taken, session)
        if remembers:
            remember(state, call, event != "post_tool" and decision["decision"] in ("deny", "require"))
        if log and (decision["decision"] != "allow" or event == "pre_tool"):
            try:
                record(log, shape, call, decision)
            except OSError:  # a read-only project: what was decided stands
                odd.append("log")
    except Exception as error:  # a hook that fails without an answer lets the call through: answer
        decision = fault(error, on_error)
    status, out, err = payloads.answer(shape, event, decision)
    if odd:
        err += f"the guard leaves out `{'`, `'.join(odd)}` of guard.json, which leads out of its place or "
        err += "cannot be written; run `harness-compile apply` again\n"
    return status, out, err


def launch_command(folder: str, shape: str, python: str = "python3") -> list[str]:
    """The argv with which a harness runs the guard that lies in `folder`, with its `guard.json`."""
    code = "import sys; sys.path[0:0] = sys.argv[1:2]; import guard; guard.main()"
    return [
        python,
        "-I",
        "-S",
        "-c",
        code,
        folder,
        "--harness",
        shape,
        "--policy",
        os.path.join(folder, "guard.json"),
    ]


def main(argv: list[str] | None = None) -> None:
    """Reads one payload on standard input, answers as the harness wants, exits. Raises SystemExit."""
    words = sys.argv[1:] if argv is None else argv
    options = {name: words[k + 1] for k, name in enumerate(words[:-1]) if name.startswith("--")}
    try:
        text = sys.stdin.buffer.read().decode("utf-8", "replace")
        status, out, err = handle(
            options.get("--harness", "claude_code"), options.get("--policy", "guard.json"), text
        )
    except BaseException:  # exit 2 refuses in every harness that reads exit codes
        status, out, err = 2, "", "the guard failed, so this call is refused\n"
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
