"""What F1 says about each thing that can be in focus: what it shows and what its keys do."""

from __future__ import annotations

from typing import NamedTuple

from textual.containers import VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Log, OptionList

from changeover_tui.widgets.choice_list import ChoiceList


class Pane(NamedTuple):
    """One thing in focus."""

    name: str
    """Empty: its title says it."""
    shows: str


PANES: dict[str, Pane] = {
    "start #ways": Pane("The list", "The two ways to begin, then the runs of this machine with where they stand."),
    "scenarios #scenarios": Pane(
        "The scenarios", "Each is a real migration on the sandbox; the lines say what it shows."
    ),
    "connect #url": Pane(
        "The address", "Where the REST interface of Qdrant answers, with http:// or https:// and the port."
    ),
    "connect #grpc": Pane(
        "The gRPC port", "Faster for large vectors. Left empty it is looked for; REST works without it."
    ),
    "connect #key-env": Pane(
        "The name of a variable", "The environment variable that holds the API key; only its name is ever stored."
    ),
    "connect #key": Pane(
        "The API key", "It stays in memory and is handed to the engine process; it is written nowhere."
    ),
    "collections #collections": Pane(
        "The collections", "Name, aliases, points and vectors of each, and what is worth knowing before a migration."
    ),
    "ask #choices": Pane(
        "The choices",
        "What can be answered, with what follows from each. A closed one stays in sight with the reason.",
    ),
    "ask #typed": Pane("Your answer", "Typed text; the line below says at once whether it can be taken."),
    "ask #evidence-pane": Pane(
        "What your cluster says", "What was read or measured for this question, each with where it comes from."
    ),
    "ask #map-pane": Pane(
        "Where you are", "The way through the decision tree so far; F5 shows all of it with reasons."
    ),
    "checks #findings": Pane(
        "The findings", "BLOCK stands in the way, WARN is to be read, INFO is good to know, PASS found nothing."
    ),
    "checks #detail-pane": Pane(
        "The marked finding", "What was measured, what follows from it, what to do, and where it is known from."
    ),
    "checks #acknowledge": Pane(
        "The field", "The code of the finding, typed exactly, says that you have read it and know what follows."
    ),
    "plan #lines": Pane(
        "The steps",
        "What will be done, in order: + creates, ~ changes, - removes; a line without a sign only reads or waits.",
    ),
    "plan #detail-pane": Pane(
        "The marked step", "The exact request as it will be sent, or what the step does by itself."
    ),
    "run #log": Pane(
        "The log", "What the engine did and saw, newest last; the file with all of it stands in the title."
    ),
    "cutover #name": Pane("The field", "The name of what is cut over, typed exactly; only then anything is sent."),
    "cutover #diff-pane": Pane(
        "Your application", "The lines that your application must change, to be deployed by you."
    ),
    "summary #rows-box": Pane(
        "What came out", "The result, what was verified and compared, and what can be done next."
    ),
    "compare #query": Pane("The query", "A text as your users would search it; both sides are asked."),
    "compare #left": Pane("", "What was found, best first, and how far each point moved from one side to the other."),
    "compare #right": Pane("", "What was found, best first, and how far each point moved from one side to the other."),
    "afterwards #after-pane": Pane(
        "What will happen", "Each thing that will be done, what it costs, and what it needs to be looked at before."
    ),
    "afterwards #word": Pane("The field", "The name that stands above it, typed exactly; only then anything is done."),
    "bundle #rows-box": Pane("What it holds", "What was read there, when, by which version, and what was taken out."),
    "bundle #ways": Pane("The ways to look at it", "The run as it stood, or the questions on what was measured there."),
    "typed #word": Pane("The field", "The word that stands above it, typed exactly; anything else does nothing."),
    "number #word": Pane("The field", "The new value; the engine takes it up within a second."),
    "map #branches": Pane(
        "The tree", "Questions and their choices in the order of asking; a sign for where each stands."
    ),
    "map #branch-pane": Pane("The marked line", "What follows from it, or why it is closed."),
    "explain #narrow": Pane("The field", "A few letters of what you look for, in its name or in its first line."),
    "explain #topics": Pane(
        "The topics", "What you were looking at first, then the words of that screen, then all others."
    ),
    "explain #words-pane": Pane("The words", "The text of the marked topic."),
    "help #help-box": Pane("The help", "What is in focus, what the screen is for, its keys and its words."),
}
"""`screen #id` -> what it is; a list, a pane or a field without a row here has at least its title and its keys."""

KEYS_OF_KIND: tuple[tuple[type[Widget], str], ...] = (
    (ChoiceList, "up and down mark a row, a digit marks the row of that number"),
    (OptionList, "up and down mark a row, home and end go to the first and the last"),
    (Input, "type; backspace deletes, ^u deletes all before the cursor"),
    (Log, "up, down, page up, page down scroll; end follows the newest again"),
    (VerticalScroll, "up, down, page up, page down scroll"),
)


def in_focus(screen: str, widget: Widget | None) -> tuple[str, str, str]:
    """Name, what it shows and its keys for the widget in focus; empty when nothing is."""
    while widget is not None and widget.id is None:
        widget = widget.parent if isinstance(widget.parent, Widget) else None
    if widget is None:
        return "", "", ""
    title = str(widget.border_title or "")
    pane = PANES.get(f"{screen} #{widget.id}", Pane("", ""))
    keys = next((words for kind, words in KEYS_OF_KIND if isinstance(widget, kind)), "")
    return pane.name or title[:1].upper() + title[1:], pane.shows, keys
