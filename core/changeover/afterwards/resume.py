"""A run that stopped goes on where it was: what `resume` and the key on the screens do."""

from __future__ import annotations

from collections.abc import Mapping

from changeover.engine import launch
from changeover.engine.control import ask
from changeover.engine.folder import RunFolder
from changeover.errors import BlockedError, UsageError


def resume(
    folder: RunFolder, environ: Mapping[str, str], *, accept: tuple[str, ...] = (), spend: float | None = None
) -> None:
    """Start its engine. Raises BlockedError when it is finished or runs, UsageError when the cluster's key is missing."""
    from changeover.cluster.address import resolve

    if folder.state().status == "finished":
        raise BlockedError(f"{folder.name}: the run is finished; `changeover report {folder.name}` writes its report")
    resolve(folder.plan().job.access, environ)
    if accept:
        _refuse_unknown(accept)
    if spend is not None:
        ask(folder.control, "spend", spend)
    for code in accept:
        ask(folder.control, "accept", code)
    launch.start(folder, environ)


def _refuse_unknown(codes: tuple[str, ...]) -> None:
    from changeover.engine.desk import ACCEPTED_LATER

    unknown = sorted(set(codes) - set(ACCEPTED_LATER))
    if unknown:
        raise UsageError(f"--accept {', '.join(unknown)}: only {' and '.join(ACCEPTED_LATER)} can be accepted here")
