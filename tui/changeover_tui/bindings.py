"""All keys in one table. Letters, digits, enter, esc, tab, arrows and F-keys arrive through every terminal.

Nothing here destroys anything by itself: what is sent to a cluster is asked for once more, with a typed word.
"""

from __future__ import annotations

from typing import NamedTuple

from textual.binding import Binding


class Key(NamedTuple):
    """One key: what it does and what the footer and the help say about it."""

    key: str
    action: str
    words: str
    help: str
    shown: bool = True
    group: str = ""
    """Keys of one group stand together in the footer, under this word."""


BACK = Key("escape", "back", "Back", "Go back one step; nothing that you said is lost.")
BACK_B = Key("b", "back", "Back", "Go back one step.", shown=False)
QUIT = Key("q", "quit", "Quit", "Leave Changeover. An engine that runs goes on.")
HELP = Key("f1", "app.help", "Help", "What is in focus, what this screen is for, its keys and its words.")
MENU = Key("f4", "app.menu", "Menu", "Everything that works now, found by typing a few letters of it.")

PANE = Key("tab", "app.focus_next", "Next pane", "Go to the next pane; up and down scroll it.")
MAP = Key("f5", "app.map", "Map", "The whole decision tree: what was taken, what is open, what is closed and why.")

EVERYWHERE = (
    HELP,
    MENU,
    Key("ctrl+q", "quit", "Quit", "Leave, also while you type.", shown=False),
    Key("f2", "app.next_theme", "Colours", "Dark, light, the terminal's own colours.", shown=False),
    MAP._replace(shown=False),
    Key(
        "f6", "app.explain", "Explain", "A word, a question or a finding in words; the one in hand first.", shown=False
    ),
    Key("f7", "app.toggle_hints", "Hints", "Show or hide the muted lines that explain.", shown=False),
    Key("tab", "app.focus_next", "Next", "Go to the next pane or field.", shown=False),
    Key("shift+tab", "app.focus_previous", "Previous", "Go to the one before.", shown=False),
    Key("ctrl+c", "copy_text", "Copy", "Copy the text that is marked with the mouse.", shown=False),
)

KEYS: dict[str, tuple[Key, ...]] = {
    "start": (
        Key("enter", "choose", "Choose", "Take the marked row; a digit marks a row."),
        Key("r", "resume_run", "Resume", "Start the engine of the marked run where it stopped, and watch it."),
        QUIT,
    ),
    "bundle": (
        Key("enter", "choose", "Open", "The questions on what the bundle holds, or its run as it stood."),
        Key("tab", "app.focus_next", "Next pane", "Go to what the bundle holds; up and down scroll it.", shown=False),
        QUIT,
    ),
    "connect": (
        Key("enter", "submit", "Connect", "Open the connection and list the collections; reading only."),
        Key("tab", "app.focus_next", "Next field", "Go to the next field."),
        BACK,
    ),
    "collections": (
        Key("enter", "choose", "Survey it", "Read everything about the marked collection; nothing is written."),
        Key("r", "reload", "Read again", "List the collections anew."),
        BACK,
        BACK_B,
        QUIT,
    ),
    "ask": (
        Key("enter", "take", "Take it", "Answer with the marked choice or the typed text and go on."),
        Key("t", "try_it", "Try", "Try the marked answer on a sample of your data, now; reading only."),
        Key("x", "cancel", "Cancel", "Give up what is being tried; what was measured before stands."),
        Key("f8", "try_typed", "Try", "Try what is typed on a sample of your data, now; reading only."),
        Key("f8", "cancel_typed", "Cancel", "Give up what is being tried; what was measured before stands."),
        MAP,
        Key("m", "app.map", "Map", "The same.", shown=False),
        PANE,
        BACK,
        BACK_B,
        QUIT,
    ),
    "checks": (
        Key("enter", "go_on", "Go on", "To the plan; or to the next finding that has to be acknowledged."),
        Key("x", "skip", "Skip trials", "Go on without trying it on a sample; the plan can still be made."),
        Key("t", "try_it", "Try", "Try on a sample what was skipped; reading only."),
        Key("m", "measure", "Measure again", "Ask the model and the cluster once more, and try everything again."),
        PANE,
        BACK,
        BACK_B,
        QUIT,
    ),
    "plan": (
        Key("enter", "accept", "Accept", "Go to the typed confirmation; still nothing is written."),
        Key("enter", "hand_over", "Save", "Bundle: write the plan file for the customer; nothing runs here."),
        Key("y", "copy", "Copy", "Copy the plan as text, and write it to a file as well."),
        Key("s", "save", "Save", "Write the plan file that `changeover apply` runs."),
        PANE,
        BACK,
        BACK_B,
        QUIT,
    ),
    "run": (
        Key("enter", "keep", "Keep", "Keep what is looked for in the log."),
        Key("enter", "summary", "Summary", "What came out, and where the report lies."),
        Key("g", "go_back", "Go back", "After the cutover: let the old side serve again; what it means comes first."),
        Key("x", "clean_up", "Clean up", "After the cutover: remove the old side; what it means comes first."),
        Key("c", "cutover", "Cutover", "Look at the lamps and confirm the cutover."),
        Key("e", "engine", "Start engine", "Start the engine of this run again where it stopped."),
        Key("d", "deploy", "Deploy", "Sandbox: let the application search the new vector."),
        Key("p", "pause", "Pause", "Pause the engine; searches and the application are not affected."),
        Key("p", "resume", "Go on", "Let a paused engine go on."),
        Key("r", "rate", "Rate", "Most points per second.", group="Speed"),
        Key("b", "batch", "Batch", "Points per request.", group="Speed"),
        Key("t", "streams", "Streams", "Requests under way at once.", group="Speed"),
        Key("v", "compare", "Compare", "Ask a query on the old and the new side, and say which list is better."),
        Key("S", "stop", "Stop", "Ask the engine to stop; it can be started again where it was."),
        Key("space", "play", "Play", "Replay: play, or stand still."),
        Key("left", "seek(-1)", "Back", "Replay: back by one per cent of the whole.", group="1 %"),
        Key("right", "seek(1)", "Forth", "Replay: forth by one per cent of the whole.", group="1 %"),
        Key("up", "mark(False)", "Before", "Replay: to the thing that matters before this.", group="Event"),
        Key("down", "mark(True)", "Next", "Replay: to the next thing that matters.", group="Event"),
        Key("home", "seek(-100)", "Begin", "Replay: to the beginning.", shown=False),
        Key("end", "seek(100)", "End", "Replay: to the end.", shown=False),
        Key("s", "faster", "Speed", "Replay: another speed."),
        Key("w", "replay", "Replay", "Go through the journal again, with a time slider."),
        Key("w", "end", "Now", "Replay: back to how it stands now."),
        Key("1", "pane(1)", "Log", "The log; again: larger.", group="Panes"),
        Key("2", "pane(2)", "Streams", "What each write stream does; again: larger.", group="Panes"),
        Key("3", "pane(3)", "Errors", "What went wrong, and what the engine does about it.", group="Panes"),
        Key("4", "pane(4)", "Skipped", "The points left out, with reason and what to do.", group="Panes"),
        Key("tab", "next_pane", "Next pane", "The next of these panes.", shown=False),
        Key("f", "level", "Level", "Log: all lines, warnings and errors, or errors."),
        Key("slash", "search", "Search", "Log: only lines with words that you type."),
        Key("up", "scroll(-0.01)", "Up", "Scroll the lower pane.", shown=False),
        Key("down", "scroll(0.01)", "Down", "Scroll the lower pane.", shown=False),
        Key("pageup", "scroll(-1)", "Page up", "Scroll the lower pane by a page.", shown=False),
        Key("pagedown", "scroll(1)", "Page down", "Scroll the lower pane by a page.", shown=False),
        Key("escape", "smaller", "Smaller", "Give the upper panes their room back."),
        Key("escape", "back", "Runs", "Back to the first screen; the engine goes on.", shown=False),
        Key("q", "quit", "Detach", "Leave; the engine goes on in its own process."),
    ),
    "cutover": (
        Key("enter", "send", "Cut over", "Send it once the name is typed."),
        Key("f8", "page", "Diff", "What your application must change: in Python, in TypeScript, for curl."),
        PANE,
        Key("f3", "deploy", "Deploy", "Sandbox: let the application search the new vector."),
        Key("escape", "back", "Not yet", "Back to the run; it stays caught up."),
    ),
    "summary": (
        Key("y", "copy", "Copy path", "Copy the path of the report."),
        Key("g", "go_back", "Go back", "After the cutover: let the old side serve again; what it means comes first."),
        Key("x", "clean_up", "Clean up", "After the cutover: remove the old side; what it means comes first."),
        Key("v", "compare", "Compare", "Ask a query on the old and the new side, and say which list is better."),
        BACK,
        BACK_B,
        QUIT,
    ),
    "afterwards": (
        Key("enter", "submit", "Confirm", "Do it, once the name is typed."),
        PANE,
        Key("f8", "snapshot", "Snapshot", "Cleanup: with or without a snapshot before."),
        Key("escape", "back", "Leave it", "Back; everything stays as it is."),
    ),
    "compare": (
        Key("enter", "ask", "Ask", "Ask both sides what was typed."),
        Key("n", "next", "Next", "The next query of the plan."),
        Key("p", "previous", "Prev", "The query before."),
        Key("1", "vote('old')", "Old", "The old list is better."),
        Key("2", "vote('new')", "New", "The new list is better."),
        Key("3", "vote('same')", "Same", "Neither list is better."),
        Key("4", "vote('skip')", "Skip", "Leave this query out; it can be judged later."),
        Key("l", "list", "List", "Hybrid: the fused list, then each part that it is fused from."),
        Key(
            "tab",
            "app.focus_next",
            "Next pane",
            "To the query, or to the next list; up and down scroll it.",
            shown=False,
        ),
        BACK,
        BACK_B,
        Key("q", "quit", "Quit", "Leave Changeover. An engine that runs goes on.", shown=False),
    ),
    "typed": (
        Key("enter", "submit", "Confirm", "Confirm once the word is typed."),
        Key("escape", "back", "Cancel", "Back; nothing happens."),
    ),
    "number": (
        Key("enter", "submit", "Ask for it", "Send the request to the engine."),
        Key("escape", "back", "Cancel", "Back; nothing changes."),
    ),
    "scenarios": (
        Key("enter", "choose", "Start it", "Start the sandbox with the marked scenario; a digit marks one."),
        BACK,
        BACK_B,
        QUIT,
    ),
    "map": (
        Key("enter", "go", "Go to it", "Back to the marked question; every other answer is kept."),
        PANE,
        Key("escape", "back", "Close", "Back to where you were."),
        BACK_B,
    ),
    "explain": (
        Key("down", "mark(1)", "Next topic", "Mark the topic below."),
        Key("up", "mark(-1)", "Previous", "Mark the topic above.", shown=False),
        Key("pagedown", "page(1)", "Scroll", "Scroll the text on the right."),
        Key("pageup", "page(-1)", "Scroll up", "Scroll it back.", shown=False),
        PANE,
        Key("escape", "back", "Close", "Back to where you were."),
    ),
    "help": (Key("escape", "back", "Close", "Close the help."), Key("f1", "back", "Close", "Close it.", shown=False)),
}
"""Screen -> its keys, in the order of the footer."""


def shown(key: str) -> str:
    """A key as it is printed on keyboards."""
    names = {
        "escape": "esc",
        "pagedown": "pgdn",
        "pageup": "pgup",
        "slash": "/",
        "left": "←",
        "right": "→",
        "up": "↑",
        "down": "↓",
    }
    if key[0] == "f" and key[1:].isdigit():
        return key.upper()
    return names.get(key, key.replace("ctrl+", "^"))


def bindings(screen: str) -> list[Binding | tuple[str, str] | tuple[str, str, str]]:
    """The bindings of a screen as Textual takes them."""
    return [
        Binding(
            key.key,
            key.action,
            key.words,
            show=key.shown,
            tooltip=key.help,
            key_display=shown(key.key),
            id=f"{screen}.{key.action}.{key.key}",
            group=Binding.Group(key.group, compact=True) if key.group else None,
        )
        for key in keys(screen)
    ]


def keys(screen: str) -> list[Key]:
    """The keys of a screen, then those that work everywhere and have no other meaning there."""
    own = {key.key for key in KEYS[screen]}
    return [*KEYS[screen], *(key for key in EVERYWHERE if key.key not in own)]
