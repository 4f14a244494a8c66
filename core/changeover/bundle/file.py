"""Bundle files: a JSON document that a person can read before sending it; refused when it is anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from changeover import seals
from changeover.bundle.model import Bundle
from changeover.engine import state as run_state
from changeover.errors import UsageError
from changeover.plan import file as plan_file

MOST_BYTES = 32 * 1024 * 1024


def to_json(bundle: Bundle) -> bytes:
    """The bytes of a bundle file: indented, each event of the journal on a line of its own."""
    rest = msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(bundle, journal=())), indent=2)
    if not bundle.journal:
        return rest + b"\n"
    events = b",\n".join(b"    " + msgspec.json.encode(event) for event in bundle.journal)
    head, _, tail = rest.rpartition(b'"journal": []')
    return head + b'"journal": [\n' + events + b"\n  ]" + tail + b"\n"


def from_json(data: bytes, where: str) -> Bundle:
    """Read a bundle; raises UsageError in one line when it is not one, was changed, or holds what no bundle holds."""
    if len(data) > MOST_BYTES:
        raise UsageError(f"{where}: not a bundle: more than {MOST_BYTES:,} bytes, which no bundle has")
    try:
        bundle = seals.decode(data, Bundle)
        foreign = _foreign(msgspec.json.decode(data), msgspec.json.decode(msgspec.json.encode(bundle)))
    except ValueError as error:
        raise UsageError(f"{where}: not a bundle of this version: {error}") from None
    if foreign is not None:
        raise UsageError(f"{where}: not a bundle of this version: {foreign or 'a value'} is not what a bundle has")
    if bundle.hash != seals.digest(bundle):
        raise UsageError(f"{where}: the bundle was changed after it was written (hash differs); ask for a new one")
    _refuse_unfit(bundle, where)
    return bundle


def load(path: Path) -> Bundle:
    """Read a bundle file; raises UsageError."""
    return from_json(seals.read(path, "bundle", MOST_BYTES), str(path))


def _refuse_unfit(bundle: Bundle, where: str) -> None:
    """The parts have to fit each other: a plan that is one, a journal of its steps."""
    if bundle.plan is None:
        if bundle.journal:
            raise UsageError(f"{where}: not a bundle: it has the journal of a run and no plan")
        return
    plan_file.from_json(plan_file.to_json(bundle.plan), where)
    try:
        run_state.fold(run_state.begin(bundle.plan), bundle.journal)
    except KeyError as error:
        raise UsageError(f"{where}: not a bundle: its journal has a step {error} that its plan has not") from None


def _foreign(given: Any, known: Any, path: str = "") -> str | None:
    """Where the file says something that the bundle read from it does not; None when both are the same."""
    if isinstance(given, dict) and isinstance(known, dict):
        for key in given:
            at = f"{path}.{key}" if path else key
            if key not in known:
                return at
            if (found := _foreign(given[key], known[key], at)) is not None:
                return found
        return next((f"{path}.{key}" if path else key for key in known if key not in given), None)
    if isinstance(given, list) and isinstance(known, list) and len(given) == len(known):
        pairs = enumerate(zip(given, known, strict=True))
        return next((found for n, (a, b) in pairs if (found := _foreign(a, b, f"{path}[{n}]")) is not None), None)
    return None if given == known else path
