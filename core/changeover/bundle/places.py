"""What was taken out of a bundle and has to be back before a plan made from it can run: addresses, paths, metadata.

The bundle holds a name in the reserved domain `.invalid` for each; the machine that made the bundle keeps the originals
in a file of its own, which is never sent. `changeover apply` there puts them back. No key is ever among them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from changeover import seals
from changeover.engine.folder import runs_root, write_private
from changeover.errors import BlockedError, UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import Plan

STANDIN = re.compile(r"([a-z-]+)-\d+\.([0-9a-f]{12})\.invalid")
IDENTIFIER = re.compile(r"[0-9a-f]{12}")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""Every machine has these, so they tell nothing."""
MOST_BYTES = 4 * 1024 * 1024


class Places:
    """Stand-ins of one bundle; the same original gets the same one."""

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle
        self.originals: dict[str, str] = {}
        """What is in the bundle -> what it stands for."""
        self.hosts: dict[str, str] = {}
        """Host as it is -> the one that stands for it."""

    def url(self, url: str, kind: str) -> str:
        """The URL with another host and without its path; as it is where the host is this machine."""
        whole = url if "://" in url else f"http://{url}"
        try:
            parts = urlsplit(whole)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return self._stand_in(url, kind)
        if not host or host in LOOPBACK:
            return url if not parts.path.strip("/") else self._stand_in(url, kind)
        known = next((given for given, was in self.originals.items() if was == url), None)
        if known is not None:
            return known
        name = f"{parts.scheme}://{self.host(host, kind)}{f':{port}' if port else ''}"
        if self.originals.get(name, url) != url:  # the same host with another path
            name = f"{parts.scheme}://{self._name(kind)}{f':{port}' if port else ''}"
        self.originals[name] = url
        return name

    def host(self, host: str, kind: str) -> str:
        """The name that stands for a host."""
        if host not in self.hosts:
            self.hosts[host] = self._name(kind)
        return self.hosts[host]

    def path(self, path: str, kind: str, *, keeps_name: bool = False) -> str:
        """A path in no folder; `keeps_name` keeps the last part, which is a model's name."""
        end = Path(path).name if keeps_name else f"file{Path(path).suffix}" if Path(path).suffix.isascii() else "file"
        return self._stand_in(path, kind, before="/", after=f"/{end}")

    def value(self, text: str, kind: str) -> str:
        """A name for any other text that a plan may have to send."""
        return self._stand_in(text, kind)

    def all(self) -> dict[str, str]:
        """Every stand-in with its original, hosts by themselves too."""
        return {**{given: host for host, given in self.hosts.items()}, **self.originals}

    def _stand_in(self, original: str, kind: str, before: str = "", after: str = "") -> str:
        known = next((given for given, was in self.originals.items() if was == original), None)
        if known is None:
            known = f"{before}{self._name(kind)}{after}"
            self.originals[known] = original
        return known

    def _name(self, kind: str) -> str:
        number = len(self.originals) + len(self.hosts) + 1
        return f"{kind}-{number}.{self.bundle}.invalid"


def keep(places: Places, environ: Mapping[str, str]) -> Path | None:
    """Write the originals for this machine alone; None when there are none. Raises UsageError."""
    if not places.all():
        return None
    path = _file(places.bundle, environ)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, msgspec.json.format(msgspec.json.encode(places.all()), indent=2) + b"\n")
    except OSError as error:
        raise UsageError(f"{path}: cannot keep what was taken out: {error.strerror}") from None
    return path


def kept(bundle: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The originals that this machine kept for that bundle; {} when it has none."""
    if not IDENTIFIER.fullmatch(bundle):
        return {}
    try:
        with _file(bundle, environ).open("rb") as file:
            return msgspec.json.decode(file.read(MOST_BYTES), type=dict[str, str])
    except (OSError, msgspec.DecodeError):
        return {}


def bundle_of(plan: Plan) -> str | None:
    """The id of the bundle that the plan was made from, where anything in it was taken out; else None."""
    found = STANDIN.search(plan_file.to_json(plan).decode())
    return found[2] if found else None


def filled(plan: Plan, environ: Mapping[str, str], url: str | None = None) -> Plan:
    """The plan with everything back that was taken out, sealed anew. `url` is the cluster's, where it is given.

    Raises BlockedError for what this machine does not know.
    """
    bundle = bundle_of(plan)
    if bundle is None:
        return plan
    originals = kept(bundle, environ)
    hidden = STANDIN.search(plan.job.access.url)
    if url is not None and hidden is not None:
        host = urlsplit(url if "://" in url else f"http://{url}").hostname or url
        originals = {**originals, hidden[0]: host, plan.job.access.url: url}
    tree = _put_back(msgspec.to_builtins(plan), sorted(originals.items(), key=lambda pair: -len(pair[0])))
    full = seals.seal(msgspec.convert(tree, Plan))
    plan_file.from_json(plan_file.to_json(full), "the plan with its addresses put back")
    left = sorted({found[1] for found in STANDIN.finditer(plan_file.to_json(full).decode())})
    if left:
        where = "give --url, or run it on the machine where the bundle was made"
        if left != ["cluster"]:
            where = "run it on the machine where the bundle was made, or make the bundle with --allow hosts,payload"
        raise BlockedError(
            f"the plan was made from a bundle, and this machine does not know what was taken out"
            f" ({', '.join(left)}); {where}"
        )
    return full


def _put_back(value: Any, originals: list[tuple[str, str]]) -> Any:
    if isinstance(value, str):
        for given, was in originals:
            value = value.replace(given, was)
        return value
    if isinstance(value, dict):
        return {key: _put_back(item, originals) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_put_back(item, originals) for item in value]
    return value


def _file(bundle: str, environ: Mapping[str, str]) -> Path:
    return runs_root(environ).parent / "bundles" / f"{bundle}.json"
