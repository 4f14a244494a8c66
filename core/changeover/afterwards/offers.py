"""What is offered once a run has cut over, and why it is not when it is not."""

from __future__ import annotations

from changeover.afterwards import cleanup, rollback
from changeover.afterwards.model import Kind
from changeover.engine.folder import RunFolder
from changeover.errors import ChangeoverError

REFUSES = {"back": rollback.refuse, "cleanup": cleanup.refuse}


def why_not(kind: Kind, folder: RunFolder) -> str:
    """Why that cannot be done with the run now, in words; "" when it can. Looks at run folders only."""
    try:
        REFUSES["cleanup" if kind == "cleanup" else "back"](folder)
    except (ChangeoverError, KeyError, OSError) as reason:
        return str(reason).removeprefix(f"{folder.name}: ")
    return ""
