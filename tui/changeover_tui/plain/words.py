"""Findings, questions and plans as lines; used by the plain wizard and by the verbs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from changeover.checks.model import Finding
from changeover.safe_text import clean, clean_line

MARKS = {"info": "info", "warning": "WARNING", "blocker": "BLOCKER"}


def finding_lines(finding: Finding, *, flag: bool = True) -> list[str]:
    """A finding: its head, what was measured, what follows, what to do and, unless it is asked for, the flag."""
    found = [f"{MARKS[finding.severity]} {finding.code}: {finding.title}"]
    measured = finding.measured + (f" (limit: {finding.limit})" if finding.limit else "")
    for name, text in (
        ("measured", measured),
        ("consequence", finding.consequence),
        ("what to do", finding.remedy),
        ("source", finding.source),
    ):
        if text:
            found.append(f"  {name}: {text}")
    if finding.acknowledge and flag:
        found.append(f"  has to be acknowledged: --accept {finding.code}")
    return [clean_line(line) for line in found]


def by_severity(findings: Sequence[Finding]) -> list[Finding]:
    """Blockers first, then warnings, then the rest; each in its own order."""
    order = {"blocker": 0, "warning": 1, "info": 2}
    return sorted(findings, key=lambda finding: order[finding.severity])


def announcing(say: Callable[[str], None]) -> Callable[[int, int, str], None]:
    """A progress report that says each thing when it begins, and then at every quarter."""
    told: tuple[str, int] = ("", 0)

    def progress(done: int, total: int, words: str) -> None:
        nonlocal told
        now = (words, 4 * done // total if total else 0)
        if now != told:
            told = now
            say(f"  {clean(words)} ..." + (f" {done / total:.0%}" if total and now[1] else ""))

    return progress
