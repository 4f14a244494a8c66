"""The report says what the journal says, and nothing in it can become markup."""

from __future__ import annotations

import re
import stat
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover import seals
from changeover.checks.model import Finding
from changeover.engine import events as ev
from changeover.report import build, content, html, markdown
from changeover.report.model import Code, Paragraph, Report, Section, Table
from tests.unit import journals

VOID = {"meta", "line", "polyline", "rect", "path", "br"}
HOSTILE = "<script>alert(1)</script> | `x` **b** \x1b[31m ![p](http://evil/p.png) \u202e # &amp;"


class Tags(HTMLParser):
    """Collects tags, attributes and text, and checks that tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += f" {data}"


def parsed(text: str) -> Tags:
    parser = Tags()
    parser.feed(text)
    parser.close()
    return parser


def test_a_finished_run(tmp_path: Path) -> None:
    run = journals.on_disk(tmp_path / "run", journals.whole())
    written = build.write(run)
    assert written == run.report
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    page = parsed(written.read_text("utf-8"))
    words = " ".join(page.words.split())
    for said in (
        "Finished: the new model serves.",
        "0 of 640 searches through app failed meanwhile and over the cutover.",
        "7.5 ms",
        "9.4 ms",
        "1,004",
        "0.9998",
        "GO: better on nDCG@10",
        "0.330 to 0.370",
        "+0.110 (95 %: +0.090 to +0.130)",
        "3 new, 4 edited, 1 deleted",
        "the model returned no number",
        "changed on both sides",
        "cutover app",
        "Points per second of the load: mean 100, highest 100",
        run.plan().hash,
    ):
        assert said in words, said
    note = run.report.with_suffix(".md").read_text("utf-8")
    assert "# Changeover of app" in note
    assert "| old | 0.350 | 0.330 to 0.370 |" in note.replace("nDCG@10 | old", "| old")
    assert "| Catch up | 1 | 3 | 4 | 0 | 1 | 0 | 0 |" in note


def test_no_script_and_nothing_from_elsewhere(tmp_path: Path) -> None:
    text = build.write(journals.on_disk(tmp_path / "run", journals.whole())).read_text("utf-8")
    page = parsed(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object", "a"}
    assert not [value for name, value in page.attributes if name in ("src", "href") or name.startswith("on")]
    assert "url(" not in text and "@import" not in text


def test_the_plans_own_text_is_only_text() -> None:
    plan = journals.a_plan()
    finding = Finding(code="x", severity="warning", title=HOSTILE, acknowledge=True)
    job = msgspec.structs.replace(plan.job, name_in_use=HOSTILE, template=HOSTILE)
    plan = seals.seal(
        msgspec.structs.replace(plan, job=job, findings=(finding,), application=f"-old\n+{HOSTILE}\n```\n# x")
    )
    events = [*journals.loading(), ev.Skipped(at=1_020.0, id=1, reason=HOSTILE)]
    report = content.make(plan, events, ["x"])
    page = parsed(html.render(report))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.words
    assert "\x1b" not in page.words and "\u202e" not in page.words
    note = markdown.render(report)
    outside, fences = re.subn(r"(?ms)^(`{3,})\n.*?\n\1$", "", note)
    assert fences == 1
    assert "<script>" not in outside and "![p]" not in outside
    assert not re.search(r"(?<!\\)\|[^\n]*alert[^\n]*(?<!\\)\| (?:\*|`)", outside)


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_text_breaks_out(one: str, two: str) -> None:
    blocks = (Paragraph(text=one), Table(head=("a", "b"), rows=((one, two), (two, one))), Code(text=f"{one}\n{two}"))
    report = Report(title=one, outcome=two, tone="plain", sections=(Section(title=two, blocks=blocks),))
    page = parsed(html.render(report))
    assert page.tags <= {
        *("html", "head", "meta", "title", "style", "body", "main", "section"),
        *("h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "pre"),
    }
    rows = [line for line in markdown.render(report).split("\n") if line.startswith("| ")]
    cells = [len(re.findall(r"(?<!\\)(?:\\\\)*\|", row)) for row in rows[:4]]
    assert cells[:1] == [3]
    assert all(count == 3 for count in cells[:4]), rows


@pytest.mark.parametrize(
    ("events", "outcome", "tone"),
    [
        ([], "Not finished: no step has begun", "plain"),
        (journals.loading()[:5], "Not finished: Load", "plain"),
        (
            [*journals.loading(), ev.EngineStopped(at=1_020.0, reason="on request", exit_code=6)],
            "Stopped, can be resumed: on request",
            "bad",
        ),
        (
            [
                ev.Verified(
                    at=1.0,
                    source_points=2,
                    target_points=1,
                    checked_ids=2,
                    sampled=0,
                    worst_cosine=None,
                    problems=("1 point is missing",),
                )
            ],
            "Not verified, nothing was cut over: 1 point is missing",
            "bad",
        ),
    ],
)
def test_an_unfinished_run_says_so(events: list[ev.Event], outcome: str, tone: str) -> None:
    report = content.make(journals.a_plan(), events)
    assert (report.outcome, report.tone) == (outcome, tone)
    assert "Nothing was cut over: source serves as before." in markdown.render(report)


def test_failed_searches_are_not_called_good() -> None:
    late = ev.Canary(at=1_100.0, searches=700, failures=3, p50_ms=3, p95_ms=9, last_error="503")
    words = markdown.render(content.make(journals.a_plan(), [*journals.whole(), late]))
    assert "3 of 700 searches through app failed" in words
    assert content.make(journals.a_plan(), [*journals.whole(), late]).tone == "plain"


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=500), st.integers(min_value=1, max_value=160))
def test_averaging_keeps_the_range_and_the_order(values: list[float], most: int) -> None:
    means = content.averaged(values, most)
    assert len(means) == min(len(values), most)
    if values:
        assert min(values) - 1e-6 <= min(means) and max(means) <= max(values) + 1e-6
    rising = content.averaged(sorted(values), most)
    assert all(a <= b + 1e-6 for a, b in pairwise(rising))
