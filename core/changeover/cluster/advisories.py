"""Known faults of Qdrant versions, read from `advisories.toml` beside this file."""

from __future__ import annotations

import textwrap
import tomllib
from functools import lru_cache
from importlib import resources
from typing import Annotated, Literal

import msgspec

from changeover.cluster.capabilities import parse_version
from changeover.errors import ChangeoverError

Concern = Literal[
    "adds-in-place",
    "adds-beside-writers",
    "adds-to-disk",
    "removes-vector",
    "makes-collection",
    "swaps-alias",
    "dual-writes",
    "turbo-datatype",
    "prevents-unoptimized",
    "multivectors-unoptimized",
    "custom-shards",
    "is-red",
]
"""When an advisory matters; `changeover.checks.advisories.CONCERNS` decides it for a survey and its answers."""

Version = Annotated[str, msgspec.Meta(pattern=r"^\d+\.\d+\.\d+$")]
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=320, pattern=r"^[^\n]+$")]


WIDTH = 116


class Advisory(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault: from `since` on, up to but without `fixed`, or up to `last` where nobody knows more."""

    slug: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: Line
    concerns: Concern
    severity: Literal["info", "warning"]
    happens: Line
    remedy: Line
    source: Line
    since: Version | None = None
    fixed: Version | None = None
    last: Version | None = None
    """The last version that it was seen on, where it is not known which one ended it."""

    @property
    def code(self) -> str:
        """The code of its finding."""
        return f"advisory-{self.slug}"

    @property
    def range(self) -> str:
        """The versions in words."""
        begin = f"from {self.since} on" if self.since else "on every version"
        if self.fixed:
            return f"{begin}, fixed in {self.fixed}" if self.since else f"before {self.fixed}"
        return f"{begin}, last seen on {self.last}" if self.last else f"{begin}, none is known without it"

    @property
    def explain(self) -> str:
        """Range, what happens, what to do and where it is known from, in lines of a screen's width."""
        said = (f"{self.title} ({self.range}).", self.happens, f"What to do: {self.remedy}", f"Source: {self.source}")
        return "\n".join(textwrap.fill(part, WIDTH) for part in said)

    def covers(self, version: str) -> bool:
        """Whether servers of this version have it."""
        asked = parse_version(version)
        after = self.since is None or asked >= parse_version(self.since)
        seen = self.last is None or asked <= parse_version(self.last)
        return after and seen and (self.fixed is None or asked < parse_version(self.fixed))


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    advisory: tuple[Advisory, ...]


@lru_cache(maxsize=1)
def load() -> tuple[Advisory, ...]:
    """Every advisory that comes with the package."""
    return read(resources.files(__package__).joinpath("advisories.toml").read_text("utf-8"))


def read(text: str) -> tuple[Advisory, ...]:
    """The advisories of a TOML text; raises ChangeoverError that names what is wrong with it."""
    try:
        found = msgspec.convert(tomllib.loads(text), _File).advisory
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ChangeoverError(f"advisories.toml: {error}") from None
    seen: set[str] = set()
    for advisory in found:
        if advisory.slug in seen:
            raise ChangeoverError(f"advisories.toml: {advisory.slug} is there twice")
        if advisory.since and advisory.fixed and parse_version(advisory.since) >= parse_version(advisory.fixed):
            raise ChangeoverError(f"advisories.toml: {advisory.slug} is fixed in {advisory.fixed}, before it began")
        if advisory.fixed and advisory.last:
            raise ChangeoverError(f"advisories.toml: {advisory.slug} has both fixed and last")
        seen.add(advisory.slug)
    return found
