"""The three themes and the glyphs. Colour never carries meaning alone: every state has a word or a glyph of its own."""

from __future__ import annotations

import os
from collections.abc import Mapping

from textual.theme import Theme

DARK = Theme(
    name="changeover-dark",
    primary="#7aa2f7",
    secondary="#5f87af",
    accent="#e0af68",
    foreground="#d5d9e0",
    background="#14161b",
    surface="#1b1e25",
    panel="#252932",
    success="#8fbf7f",
    warning="#e0af68",
    error="#f7768e",
    dark=True,
    variables={
        "footer-key-foreground": "#e0af68",
        "border": "#3b4252",
        "block-cursor-text-style": "none",
        "foreground-muted": "#a3a9b5",
    },
)
LIGHT = Theme(
    name="changeover-light",
    primary="#2456b8",
    secondary="#4c6a91",
    accent="#8a5a00",
    foreground="#1f2430",
    background="#fbfbf9",
    surface="#f2f2ee",
    panel="#e4e4de",
    success="#2f6d2a",
    warning="#8a5a00",
    error="#b3213b",
    dark=False,
    variables={
        "footer-key-foreground": "#8a5a00",
        "border": "#b9bcc4",
        "block-cursor-text-style": "none",
        "foreground-muted": "#565c6a",
    },
)
TERMINAL = Theme(
    name="changeover-terminal",
    ansi=True,
    primary="ansi_blue",
    secondary="ansi_cyan",
    accent="ansi_magenta",
    foreground="ansi_default",
    background="ansi_default",
    surface="ansi_default",
    panel="ansi_default",
    success="ansi_green",
    warning="ansi_yellow",
    error="ansi_red",
    variables={
        "footer-key-foreground": "ansi_magenta",
        "border": "ansi_bright_black",
        "block-cursor-text-style": "reverse",
        "foreground-muted": "ansi_default",
        "ansi-background": "ansi_black",
        "ansi-foreground": "ansi_white",
        "scrollbar": "ansi_bright_black",
        "scrollbar-hover": "ansi_blue",
        "scrollbar-background": "ansi_default",
        "scrollbar-background-hover": "ansi_default",
        "scrollbar-background-active": "ansi_default",
    },
)
"""The sixteen colours and the background that the person has chosen for this terminal, be they dark or light."""
THEMES = {"dark": DARK, "light": LIGHT, "terminal": TERMINAL}
"""Name of `--theme` -> the theme; F2 goes through them in this order."""

GLYPHS = {
    "on": "(•)",
    "off": "( )",
    "closed": "(×)",
    "done": "✓",
    "now": "▶",
    "waiting": "·",
    "taken": "✓",
    "here": "▶",
    "open": "○",
    "shut": "×",
    "lit": "●",
    "dark": "○",
    "bullet": "•",
    "arrow": "→",
    "full": "█",
    "empty": "░",
    "way": "─",
    "mark": "┼",
    "within": "▒",
}
ASCII_GLYPHS = {
    "on": "(*)",
    "off": "( )",
    "closed": "(x)",
    "done": "+",
    "now": ">",
    "waiting": ".",
    "taken": "+",
    "here": ">",
    "open": "o",
    "shut": "x",
    "lit": "#",
    "dark": "o",
    "bullet": "-",
    "arrow": "->",
    "full": "#",
    "empty": ".",
    "way": "-",
    "mark": "+",
    "within": "=",
}


PLAIN_TERMINALS = frozenset({"linux", "vt100", "vt102", "vt220"})
"""Terminals whose fonts lack the signs; Textual writes UTF-8 whatever LANG says, so the locale does not matter."""


def glyph(name: str) -> str:
    """The sign of that name; plain ASCII on terminals without the signs."""
    return (ASCII_GLYPHS if os.environ.get("TERM") in PLAIN_TERMINALS else GLYPHS)[name]


def eighths() -> str:
    """Blocks of one to seven eighths of a cell; "" on terminals without the signs."""
    return "" if os.environ.get("TERM") in PLAIN_TERMINALS else "▏▎▍▌▋▊▉"


def far_away(environ: Mapping[str, str]) -> bool:
    """True over SSH: animations would only cost bytes."""
    return bool(environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))
