"""A screen read by somebody new: it says what is asked, why, what happens, how to go on and how to go back."""

from __future__ import annotations

import re

from changeover.glossary import terms_in
from changeover_tui.app import ChangeoverApp
from changeover_tui.bindings import KEYS
from changeover_tui.menu import works
from changeover_tui.panes import in_focus
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.keys import Keys

JARGON = [
    "alias",
    "HNSW",
    "quantization",
    "canary",
    "ledger",
    "slice",
    "backfill",
    "sparse",
    "nDCG",
    "BM25",
    "SPLADE",
    "Matryoshka",
    "multivector",
    "payload",
    "segment",
    "shard",
    "replica",
    "optimizer",
    "recall",
    "rescore",
    "oversampling",
    "blue-green",
    "hybrid",
    "fused",
    "embedder",
    "catch-up",
    "lamp",
    "sweep",
    "lease",
    "throttle",
    "prefix",
    "token",
    "snapshot",
    "journal",
    "PCA",
    "cosine",
    "dense",
    "cutover",
    "p95",
    "re-embed",
    "collection",
    "vector",
    "point",
]
"""Words that somebody new need not know. A screen that uses one explains it when F1 is pressed."""
LEAST_HELP = 60


def missing(app: ChangeoverApp, text: str) -> list[str]:
    """What somebody new would miss on the present screen, whose text is given; empty when nothing."""
    screen = app.screen
    text = text.partition("\n")[2]  # the top line is the way, the same on every screen
    if not isinstance(screen, WizardScreen):
        return []
    return [
        *_asked(screen),
        *_explained(screen, text),
        *_what_happens(screen),
        *_ways_out(screen, text),
        *_in_sight(screen),
    ]


def _asked(screen: WizardScreen[object]) -> list[str]:
    heads = [cell for cell in screen.query(Cell) if cell.has_class("heading") or cell.id == "prompt"]
    if (
        not any(cell.display and cell.said.strip() and cell.region.height for cell in heads)
        and screen.KEYS_OF != "help"
    ):
        return ["a heading that says what this is about"]
    return []


def _explained(screen: WizardScreen[object], text: str) -> list[str]:
    found = []
    if len(screen.help_text()) < LEAST_HELP or not screen.HEADING:
        found.append("a help text (F1) that says what the screen is for and what happens next")
    if screen.focused is not None and not all(in_focus(screen.KEYS_OF, screen.focused)):
        found.append(f"a row in panes.py for {screen.KEYS_OF} #{screen.focused.id}: what is in focus, and its keys")
    defined = {term.name for term in terms_in(screen.words_shown())}
    for word in JARGON:
        here = re.search(rf"(?<![\w/.-]){re.escape(word)}", text, re.IGNORECASE)
        if here and screen.KEYS_OF != "help" and not defined & {term.name for term in terms_in(here.group())}:
            found.append(f"{word!r} in the words that F1 explains")
    return found


def _what_happens(screen: WizardScreen[object]) -> list[str]:
    line = screen.query_one("#line", Cell).said
    if not line.strip() and screen.wizard_app.shows_hints:
        return ["a line above the footer that says what Enter does or what goes on"]
    return []


def _ways_out(screen: WizardScreen[object], text: str) -> list[str]:
    footer = text.rstrip("\n").splitlines()[-1]
    actions = {key.action for key in KEYS[screen.KEYS_OF] if works(screen, key.action)}
    found = []
    if not actions & {"back", "quit"}:
        found.append("a key that leads back")
    if "esc" not in footer and "q " not in footer:
        found.append("the key that leads back in the footer")
    if "F1" not in footer and screen.KEYS_OF != "help":
        found.append("F1 in the footer")
    return found


def _in_sight(screen: WizardScreen[object]) -> list[str]:
    """The first key that does something now stands in the footer, and what it acts on can be seen."""
    shown = list(screen.query_one(Keys).query("FooterKey"))
    primary = next((key for key in KEYS[screen.KEYS_OF] if key.shown and works(screen, key.action)), None)
    found = []
    if primary is not None and primary.key not in {str(getattr(key, "key", "")) for key in shown}:
        found.append(f"{primary.key} ({primary.words}) in the footer")
    focused = screen.focused
    if focused is not None and not screen.region.contains_region(focused.region):
        found.append(f"#{focused.id}, which is in focus, inside the screen")
    return found
