"""The footer: the keys that work now, as many as fit; what does not fit is in the menu."""

from __future__ import annotations

from itertools import groupby

from textual import events
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding
from textual.screen import Screen
from textual.widgets import Footer
from textual.widgets._footer import FooterKey, FooterLabel, KeyGroup

FIRST = ("enter", "escape", "f1", "f4", "q", "f3")
"""Keys that are kept when there is no room for all, in this order."""
Together = list[ActiveBinding]
"""One key, or several of a group that stand together under one word."""


class Keys(Footer):
    """Textual's footer, cut to the width by leaving out whole keys instead of the end of the line."""

    def __init__(self) -> None:
        super().__init__(show_command_palette=False)
        self._drawn: tuple[object, ...] = ()
        """What stands there: a recomposed footer is empty for a moment, so it is only done when something changed."""

    def compose(self) -> ComposeResult:
        if not self._bindings_ready:
            return
        kept = fitting(self._together(), self.app.size.width)
        self.styles.grid_size_columns = max(1, sum(len(keys) + 1 if len(keys) > 1 else 1 for keys in kept))
        for keys in kept:
            if len(keys) == 1:
                yield self._key(keys[0], keys[0].binding.description)
                continue
            with KeyGroup(classes="-compact"):
                for key in keys:
                    yield self._key(key, "", "-grouped")
            yield FooterLabel(word(keys))

    def _together(self) -> list[Together]:
        seen: dict[str, ActiveBinding] = {}
        for active in self.screen.active_bindings.values():
            if active.binding.show:
                seen.setdefault(active.binding.action, active)
        found: list[Together] = []
        for group, members in groupby(seen.values(), lambda active: active.binding.group):
            together = list(members)
            found += [together] if group is not None else [[active] for active in together]
        return found

    def _key(self, active: ActiveBinding, words: str, classes: str = "") -> FooterKey:
        binding = active.binding
        shown = self.app.get_key_display(binding)
        return FooterKey(
            binding.key,
            shown,
            words,
            binding.action,
            disabled=not active.enabled,
            tooltip=active.tooltip,
            classes=classes,
        )

    def bindings_changed(self, screen: Screen[object]) -> None:
        """Other keys may work now."""
        self._bindings_ready = True
        if screen.app.app_focus and self.is_attached and screen is self.screen:
            self.call_after_refresh(self._renew)

    def on_resize(self, event: events.Resize) -> None:
        """Other keys fit now."""
        if self._bindings_ready:
            self.call_after_refresh(self._renew)

    async def _renew(self) -> None:
        if not self.is_attached:
            return  # called after a refresh, when its screen may have gone
        kept = fitting(self._together(), self.app.size.width)
        now = tuple((active.binding, active.enabled) for keys in kept for active in keys)
        if now != self._drawn:
            self._drawn = now
            await self.recompose()


def fitting(found: list[Together], room: int) -> list[Together]:
    """Those that fit into so many cells, in the order that they came in."""

    def wanted(number: int) -> tuple[int, int]:
        key = found[number][0].binding.key
        return (FIRST.index(key) if key in FIRST else len(FIRST)), number

    kept = set()
    for number in sorted(range(len(found)), key=wanted):
        needed = width(found[number])
        if needed <= room:
            kept.add(number)
            room -= needed
    return [keys for number, keys in enumerate(found) if number in kept]


def width(keys: Together) -> int:
    """Cells that they take in the footer."""
    if len(keys) == 1:
        return _cells(keys[0].binding) + len(word(keys)) + 3
    return sum(_cells(key.binding) for key in keys) + len(word(keys)) + 3


def word(keys: Together) -> str:
    """What stands behind the keys."""
    binding = keys[0].binding
    return binding.description if len(keys) == 1 or binding.group is None else binding.group.description


def _cells(binding: Binding) -> int:
    return len(binding.key_display or binding.key)
