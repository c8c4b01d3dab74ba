"""The report: its contract, its bytes, and what hostile text of a memory can do to it (nothing)."""

import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console

from distill.check.judge import judge
from distill.check.verdict import sample
from distill.errors import RecordError, StaleError
from distill.report import Report, markdown, print_report, show, write_report
from distill.report.page import html
from distill.report.words import percent
from tests.report.made_up import checked, report

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "`</code> | **bold** | <b>",
    "{{ 7 * 7 }} {% raw %} [link](javascript:alert(1))",
    "[red]markup[/red] [/nothing]",
    "</style></svg><iframe src=https://example.org>",
)


class Page(HTMLParser):
    """Tags and attributes of a page; void and SVG tags need no end here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [
            value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def lost() -> Report:
    return report(weak=6, texts=HOSTILE)


def test_contract(tmp_path: Path, lost: Report) -> None:
    found = write_report(lost, tmp_path)
    data = json.loads(found.json.read_text())
    assert set(data["arms"]) == {"none", "tokens", "weights", "both"}
    assert all({"n", "mean", "low", "high"} <= arm.keys() for arm in data["arms"].values())
    assert data["retention"].keys() == {"value", "low", "high"}
    assert data["verdict"] in {"non_inferior", "inferior", "no_verdict"} and data["verdict_text"]
    assert {
        "margin",
        "units",
        "lost",
        "forgetting",
        "synthesis",
        "training",
        "warnings",
        "inputs",
    } <= set(data)
    assert Report.model_validate(data) == lost
    assert data["lost"] and set(data["lost"]) <= {f"u{number}" for number in range(6)}


def test_retention_may_be_null() -> None:
    scores, probes, units = checked(units=8)
    same = [score.model_copy(update={"value": 1.0}) for score in scores]
    made = _judge(same, probes, units)
    assert json.loads(made.model_dump_json())["retention"] is None
    assert made.verdict == "no_verdict" and not made.passed
    assert made.gates[0].passed is None
    for text in (html(made), markdown(made)):
        assert "undefined" in text


def _judge(scores, probes, units):
    return judge(
        scores,
        probes,
        units,
        margin=0.05,
        min_retention=0.9,
        max_forgetting=0.02,
        min_probes=10,
        resamples=100,
        seed=0,
    )


def test_the_same_report_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = write_report(report(), tmp_path / "one"), write_report(report(), tmp_path / "two")
    for name in ("json", "markdown", "html"):
        assert getattr(one, name).read_bytes() == getattr(two, name).read_bytes()


def test_hostile_text_stays_text(lost: Report) -> None:
    page = Page(html(lost))
    assert not {"script", "img", "iframe"} & set(page.tags)
    assert page.tags.count("b") == len(lost.gates)
    assert not page.handlers
    seen = "".join(page.words)
    for text in HOSTILE:
        assert text in seen, text


def test_the_page_asks_for_nothing(lost: Report) -> None:
    text = html(lost)
    page = Page(text)
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"@import|url\((?!#)", text)
    assert "default-src 'none'" in text
    assert not {"link", "script", "img", "iframe", "object", "embed"} & set(page.tags)


def test_hostile_text_in_markdown_stays_in_code_spans(lost: Report) -> None:
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark").enable("table").render(markdown(lost))
    assert not re.search(r"<(script|img|iframe|b|a)\b", made)
    for text in HOSTILE[:3]:
        assert "".join(Page(made).words).count(" ".join(text.split())) == 1, text


def test_the_plots_take_their_colours_from_the_page(lost: Report) -> None:
    text = html(lost)
    assert text.count("<svg ") == 2
    drawn = "".join(re.findall(r"<svg .*?</svg>", text, re.DOTALL))
    assert "var(--accent)" in drawn and not re.search(r"#[0-9a-f]{6}", drawn.replace('href="#', ""))


def test_a_secret_is_never_shown() -> None:
    scores, probes, units = checked(units=6, weak=6)
    units[0] = units[0].model_copy(update={"secret": True, "text": "hunter2hunter2"})
    made = _judge(scores, probes, units)
    assert made.units[0].text == "(holds a secret)" and made.units[0].misses == ()
    assert "hunter2" not in html(made) + markdown(made) + made.model_dump_json()


def test_an_answer_that_holds_a_secret_is_redacted() -> None:
    scores, probes, units = checked(units=6, weak=6)
    key = "sk-" + "a1B2c3D4e5F6g7H8i9J0k1L2"
    said = [score.model_copy(update={"detail": f"use {key}"}) for score in scores]
    assert key not in _judge(said, probes, units).model_dump_json()


def test_only_test_probes_count() -> None:
    scores, probes, units = checked(units=6)
    probes = [
        probe.model_copy(update={"split": "dev"}) if at % 8 == 0 else probe for at, probe in enumerate(probes)
    ]
    made = _judge(scores, probes, units)
    assert made.arms["weights"].n == 42 and {unit.n for unit in made.units} == {7}


def test_an_arm_that_did_not_answer_all_is_an_error() -> None:
    scores, probes, _ = checked(units=6)
    with pytest.raises(RecordError, match="arm both has no score for 1 of 48 probes"):
        sample(scores[:-1], probes)


def test_no_scores_at_all() -> None:
    made = _judge([], [], [])
    assert (made.verdict, made.arms, made.units) == ("no_verdict", {}, ())
    assert "No verdict" in html(made) and "there are no probes" in markdown(made)


def test_passed_needs_the_verdict_and_every_gate() -> None:
    good = report(weak=0)
    assert good.verdict == "non_inferior" and good.passed
    assert not good.model_copy(update={"gates": (good.gates[0].model_copy(update={"passed": False}),)}).passed
    assert not good.model_copy(update={"verdict": "inferior"}).passed


def test_terminal(lost: Report) -> None:
    console = Console(file=io.StringIO(), width=100)
    print_report(lost, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "weights" in text and "Retention: " in text and "CLAUDE.md:4" in text
    assert "and 1 more" in text or len(lost.lost) <= 5


def test_show(tmp_path: Path, lost: Report) -> None:
    console = Console(file=io.StringIO(), width=100)
    with pytest.raises(StaleError, match="distill check"):
        show(tmp_path, console=console)
    found = write_report(lost, tmp_path)
    assert show(tmp_path, console=console) == lost
    assert str(found.html) in console.file.getvalue()  # type: ignore[attr-defined]
    plain = Console(file=io.StringIO(), width=20)
    show(tmp_path, as_json=True, console=plain)
    assert json.loads(plain.file.getvalue()) == json.loads(found.json.read_text())  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("share", "text"), [(0, "0%"), (0.974, "97.4%"), (1, "100%"), (0.999, "99.9%"), (1.025, "102.5%")]
)
def test_percent(share: float, text: str) -> None:
    assert percent(share) == text
