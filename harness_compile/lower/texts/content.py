"""Code that must not be written: "never use `any`", "no `console.log`" as patterns over added text.

Only where the forbidden thing is named in code marks and is one literal token or call whose language is
known from the token itself or from a word beside it. Not covered: rules about meaning, names or structure,
and replacements that depend on the place ("outside of `src/log`" is).
"""

from __future__ import annotations

import re

from harness_compile.lower.draft import Draft, any_of
from harness_compile.lower.programs.places import CODE, LANGUAGES
from harness_compile.lower.refused import tails
from harness_compile.lower.words import objects
from harness_compile.lower.words.normalise import Clause
from harness_compile.rules import Content, Predicate

TS, JS, PY, GO, RUST = (LANGUAGES[name] for name in ("typescript", "javascript", "python", "go", "rust"))
# (tokens, pattern, files, only outside comments and strings)
KNOWN: tuple[tuple[tuple[str, ...], str, tuple[str, ...], bool], ...] = (
    (("any",), r"(?::|<|\bas|,|\||=>)\s*any\b(?!\s*[(:=])", (*TS, "*.vue", "*.svelte"), True),
    (("as any",), r"\bas\s+any\b", (*TS, "*.vue", "*.svelte"), True),
    (("var",), r"(?:^|[;{(])\s*var\s+\w", JS, True),
    (("require()", "require"), r"\brequire\s*\(", JS, True),
    (("console.log", "console.log()"), r"\bconsole\.log\s*\(", JS, True),
    (("console.*", "console"), r"\bconsole\.\w+\s*\(", JS, True),
    (("debugger",), r"\bdebugger\b", JS, True),
    (("eval", "eval()"), r"(?<![\w.])eval\s*\(", (*JS, *PY), True),
    (("@ts-ignore", "ts-ignore", "// @ts-ignore"), r"@ts-ignore", JS, False),
    (("@ts-expect-error",), r"@ts-expect-error", JS, False),
    (("@ts-nocheck",), r"@ts-nocheck", JS, False),
    (("eslint-disable", "// eslint-disable"), r"eslint-disable", JS, False),
    (("export default",), r"^\s*export\s+default\b", JS, True),
    (("enum",), r"(?:^|\s)(?:const\s+)?enum\s+\w+\s*\{", TS, True),
    (("innerHTML",), r"\binnerHTML\b", JS, True),
    (("dangerouslySetInnerHTML",), r"\bdangerouslySetInnerHTML\b", JS, True),
    (("print", "print()"), r"(?<![\w.])print\s*\(", PY, True),
    (("# type: ignore", "type: ignore"), r"#\s*type:\s*ignore", PY, False),
    (("# noqa", "noqa"), r"#\s*noqa", PY, False),
    (("import *", "from x import *"), r"^\s*from\s+\S+\s+import\s+\*", PY, True),
    (("except:", "except Exception: pass", "bare except"), r"^\s*except\s*:", PY, True),
    (("os.system", "os.system()"), r"\bos\.system\s*\(", PY, True),
    (("typing.Any",), r"\btyping\.Any\b|\bimport\b.*\bAny\b", PY, True),
    (("unwrap()", ".unwrap()", "unwrap"), r"\.unwrap\s*\(\s*\)", RUST, True),
    (("expect()", ".expect()"), r"\.expect\s*\(", RUST, True),
    (("panic!", "panic!()"), r"\bpanic!\s*[(\[{]", RUST, True),
    (("unsafe",), r"\bunsafe\b\s*(?:\{|fn|impl)", RUST, True),
    (("unreachable!", "todo!", "unimplemented!", "dbg!", "println!", "eprintln!"), "", RUST, True),
    (("panic()", "panic"), r"(?<![\w.])panic\s*\(", GO, True),
    (("interface{}",), r"\binterface\s*\{\s*\}", GO, True),
    (("fmt.Println", "fmt.Printf", "fmt.Print"), "", GO, True),
)  # fmt: skip
NEVER = re.compile(
    r"^(?:(?:you|we|code)\s)?(?:(?:must|should) (?:never|not)|do not|never|no|forbidden:?|"
    r"prohibited:?)\s(?:ever )?(?:directly )?"
    r"(?:(?:use|using|add|introduce|call|write|commit|leave|import|rely on|resort to|throw|cast to|put|"
    r"type with|"
    r"include|have)\s)?(?P<list>(?:(?:the|a|any|bare|raw|direct)\s)*(?:§\d+|[\w ]{0,12}).*)$"
)
WORD = re.compile(
    r"(?:the |a |an |any |bare |raw |direct |new |uses? of )*§(\d+)(?: (?:types?|calls?|statements?|"
    r"casts?|keyword|directly|comments?|directives?|assertions?|function|macro|blocks?|imports?|"
    r"attribute|method|in code|in source|operator|prop))*"
)
NEAR = re.compile(
    r"\s(?:in|for|within|inside) (?:any |the |all |our )*(?P<what>typescript|javascript|python|go|rust|"
    r"java|ruby|php|swift|kotlin|react|ts|js|production|library|application|source|app|backend|frontend)?"
                  r"(?: (?:code|files?|sources?|components?|codebase))?$")  # fmt: skip


def content(clause: Clause) -> list[Draft] | None:
    """A rule about code that is written, or None."""
    match = NEVER.match(clause.text)
    if not match:
        return None
    tail = tails.cut(re.sub(r"(?:,| —|;) (?:use|prefer)\b.*$", "", match["list"]))
    if tail.ask:
        return None
    core, globs = tail.core, ()
    near = NEAR.search(core)
    if near:
        core = core[: near.start()]
        globs = LANGUAGES.get(near["what"] or "", ())
        if near["what"] in ("production", "library", "application", "app", "react"):
            return None
    exempt: list[str] = []
    if tail.doubt:
        for item in objects.items(re.sub(r"^(?:in|for|inside|within)\s", "", tail.doubt)):
            place = objects.path_item(clause, item)
            if place is None:
                return None
            exempt += [f"!{glob}" for glob in place[0]]
    tests: list[Predicate] = []
    for item in objects.items(core):
        word = WORD.fullmatch(item)
        if not word:
            return None
        test = _token(clause.codes[int(word[1])], globs, tuple(exempt))
        if test is None:
            return None
        tests.append(test)
    return [Draft(kind="content_rule", when=any_of(tests), raw=clause.raw)] if tests else None


def _token(code: str, globs: tuple[str, ...], exempt: tuple[str, ...]) -> Content | None:
    """One token as a pattern; outside the table only a call or a path of names, which is nothing else."""
    for tokens, pattern, files, code_only in KNOWN:
        if code in tokens:
            pattern = pattern or rf"\b{re.escape(code)}" + (r"\s*[(\[{]" if code.endswith("!") else r"\s*\(")
            return Content(pattern=pattern, globs=(*(globs or files), *exempt), code_only=code_only)
    dotted = re.fullmatch(r"@?[A-Za-z_]\w*(?:(?:\.|::)[A-Za-z_]\w*)+(?:\(\))?", code)
    if not globs and dotted and not re.search(r"\.[a-z]{1,4}$", code):
        globs = (
            "**",
            *(glob for glob in CODE if glob.startswith("!")),
        )  # nobody writes `module.name` by chance
    if (
        globs
        and re.fullmatch(r"[A-Za-z_][\w.:]{3,}(?:\(\))?", code)
        and re.search(r"[._:]|\(\)$|[a-z][A-Z]", code)
    ):
        bare = code.removesuffix("()")
        end = r"\s*\(" if code.endswith("()") else r"\b"
        return Content(pattern=rf"\b{re.escape(bare)}{end}", globs=(*globs, *exempt), code_only=True)
    return None
