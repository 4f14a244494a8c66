"""What can be typed at any prompt beside an answer: help, the map, an explanation, the way back, the way out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from changeover.errors import UsageError
from changeover.safe_text import clean_line

WORDS = {
    "?": "this help",
    "back": "go back one step; nothing that you said is lost",
    "map": "the whole decision tree, and where you are",
    "try [ANSWER]": "try the proposed answer, or another one, on a sample of your data; reading only",
    "explain TOPIC": "a finding, question, route or exit code in words; explain alone lists them",
    "quit": "leave; an engine that runs goes on",
}
"""What is typed -> what it does."""
LITERAL = "="
"""An answer that begins with it is taken as it stands after it, also when it is one of the words."""
NONE = "none"
"""Typed where an answer may be left out: no answer, also when one was given before."""


class BackError(Exception):
    """The person wants to go back one step."""


class Quit(KeyboardInterrupt):
    """The person leaves by the word."""


class Aid:
    """Answers those words; the walk tells it where it stands."""

    def __init__(self, say: Callable[[str], None], keys: str = "") -> None:
        """`keys`: a line of help about keys that do the same."""
        self._say, self._keys = say, keys
        self._help: tuple[str, ...] = ()
        self._map: Callable[[], Iterable[str]] | None = None
        self._attempt: Callable[[str], None] | None = None
        self.back = ""
        """Where `back` leads, in words; "" when there is nothing before."""

    def at(
        self,
        *said: str,
        back: str = "",
        tree: Callable[[], Iterable[str]] | None = None,
        attempt: Callable[[str], None] | None = None,
    ) -> None:
        """Where the walk stands now: what `?` says first, where `back` leads, what `map` prints and `try` does."""
        self._help, self.back, self._attempt = said, back, attempt
        self._map = tree or self._map

    def take(self, line: str) -> bool:
        """Whether the line was one of the words and has been answered; raises BackError or Quit for two of them."""
        word, _, rest = line.strip().partition(" ")
        if rest and word not in ("explain", "try"):
            return False
        match word:
            case "?":
                self._explain_itself()
            case "back":
                self._go_back()
            case "map":
                self._show_map()
            case "explain":
                self._look_up(rest)
            case "try":
                self._try(rest.strip())
            case "quit":
                raise Quit
            case _:
                return False
        return True

    def _explain_itself(self) -> None:
        for line in self._help:
            self._say(clean_line(line))
        self._say("At any prompt you can type:")
        for word, words in WORDS.items():
            where = f": {self.back}" if word == "back" and self.back else ""
            self._say(f"  {word}: {words}{where}")
        self._say(f"  {LITERAL}TEXT: the answer TEXT, also when it is one of these words")
        if self._keys:
            self._say(self._keys)

    def _go_back(self) -> None:
        if self.back:
            raise BackError
        self._say("there is nothing before this; quit leaves")

    def _show_map(self) -> None:
        if self._map is None:
            self._say("there is no map before a collection was read")
            return
        for line in self._map():
            self._say(clean_line(line))

    def _try(self, answer: str) -> None:
        if self._attempt is None:
            self._say("there is nothing to try here")
        else:
            self._attempt(answer)

    def _look_up(self, topic: str) -> None:
        from changeover import explain

        try:
            text = explain.explain(topic) if topic.strip() else "\n".join(_listed())
        except UsageError as error:
            here = str(error).replace("`changeover explain` lists", "explain alone lists")
            text = f"{here}; an answer that begins so is typed as {LITERAL}explain ..."
        for line in text.splitlines():
            self._say(clean_line(line))


def _listed() -> list[str]:
    from changeover import explain

    return [f"  {topic}: {words}" for topic, words in explain.topics().items()]
