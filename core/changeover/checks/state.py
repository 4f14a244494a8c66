"""What the collection is busy with."""

from __future__ import annotations

from datetime import datetime

from changeover.checks.base import Check
from changeover.checks.model import Finding, Probes
from changeover.decision.answers import Answers
from changeover.survey.lease import KEY as LEASE_KEY
from changeover.survey.lease import read as read_lease
from changeover.survey.model import Survey
from changeover.words import duration

ABANDONED_S = 300.0
"""A lease without a sign of life for so long is probably a dead engine's; machines' clocks may differ by less."""


def not_green(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """The collection is not green."""
    state = survey.state
    if state.color == "green" and not state.optimizer_error:
        return None
    red = state.color == "red" or state.optimizer_error is not None
    remedies = {
        "grey": "an empty update of optimizers_config wakes the optimizer; wait until it is green",
        "yellow": "wait until it is green, then survey again",
    }
    return Finding(
        code="not-green",
        severity="blocker" if red else "warning",
        title="the collection is not green",
        measured=state.color + (f": {state.optimizer_error}" if state.optimizer_error else ""),
        limit="green",
        consequence="a failed optimizer stays failed" if red else "the load competes with work that is under way",
        remedy=remedies.get(state.color, "read the server's log and mend the cause first"),
        source="GET /collections/{name}",
    )


def optimizer_busy(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Optimizations are running or queued."""
    state = survey.state
    busy = (state.running_optimizations or 0) + (state.queued_optimizations or 0)
    if not busy:
        return None
    return Finding(
        code="optimizer-busy",
        severity="warning",
        title="the optimizer is at work",
        measured=f"{state.running_optimizations or 0} running, {state.queued_optimizations or 0} queued",
        limit="0",
        consequence="adding a vector restarts the optimizations, and searches are slower meanwhile",
        remedy="wait until the queue is empty, then survey again",
        source="GET /collections/{name}/optimizations",
    )


def deferred_points(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Some points are hidden until they are optimised."""
    if not survey.state.deferred_points:
        return None
    return Finding(
        code="deferred-points",
        severity="blocker",
        title="some points are hidden until they are optimised",
        measured=f"{survey.state.deferred_points:,} deferred points",
        limit="0",
        consequence="scroll and count do not show them: they would be missed, or taken for deleted",
        remedy="wait until the optimizer is done, or switch prevent_unoptimized off",
        source="server behaviour with prevent_unoptimized, from 1.17 on",
    )


def replica_not_active(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """A replica is not active."""
    lame = [replica for replica in survey.shards.replicas if replica.state != "Active"]
    if not lame:
        return None
    return Finding(
        code="replica-not-active",
        severity="blocker",
        title="a replica is not active",
        measured=", ".join(f"shard {r.shard} on peer {r.peer}: {r.state}" for r in lame[:5]),
        limit="Active",
        consequence="writes can fail or be lost on that replica, and verification sees only the others",
        remedy="wait for the recovery, or mend the peer first",
        source="GET /collections/{name}/cluster",
    )


def shard_transfer(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """Shards are being moved."""
    moving = survey.shards.transfers + survey.shards.resharding
    if not moving:
        return None
    return Finding(
        code="shard-transfer",
        severity="blocker",
        title="shards are being moved or split",
        measured=f"{survey.shards.transfers} transfers, {survey.shards.resharding} resharding",
        limit="0",
        consequence="the layout that the plan is made for changes under it",
        remedy="wait until the transfer is done",
        source="GET /collections/{name}/cluster",
    )


def another_migration(survey: Survey, answers: Answers, probes: Probes) -> Finding | None:
    """A run that has not ended keeps a lease in the collection's metadata."""
    lease = read_lease(survey.metadata)
    if lease is None or lease.ended is not None:
        return None
    age = datetime.fromisoformat(survey.taken_at).timestamp() - lease.at
    dead = age > ABANDONED_S
    ago = f"last sign {duration(max(0.0, age))} ago" if age > -ABANDONED_S else "the clocks of both machines differ"
    return Finding(
        code="another-migration",
        severity="warning" if dead else "blocker",
        title="an engine seems to have died at this collection"
        if dead
        else "another migration of this collection goes on",
        measured=f"run {lease.run} on {lease.host}, {ago}",
        limit="one run per collection",
        consequence="two runs would write into each other's vectors and swap each other's names",
        remedy=(
            "resume that run where it was begun, if it is still wanted; a new engine watches for a minute and a half"
            " whether the old one lives, then takes the lease over"
            if dead
            else "wait until it has ended, or end it where it was begun: changeover control RUN stop"
        ),
        source=f"metadata {LEASE_KEY} of the collection (1.16 and later)",
        acknowledge=dead,
    )


CHECKS = (
    Check(
        code="not-green",
        looks_at="the collection is green",
        run=not_green,
        explain=(
            "Green: done. Yellow: optimising. Grey: waiting since a restart, woken by a write or an empty update. Red: an\n"
            "operation failed for good. A load into anything but green makes it worse."
        ),
    ),
    Check(
        code="optimizer-busy",
        looks_at="the optimizer's queue is empty",
        run=optimizer_busy,
        explain=(
            "A collection can be green between two optimizations; the queue says more than the colour. Adding a vector\n"
            "restarts what is under way, and the load competes with it, so wait until the queue is empty (1.17 and later\n"
            "tell it on /collections/{name}/optimizations)."
        ),
    ),
    Check(
        code="deferred-points",
        looks_at="no points are hidden",
        run=deferred_points,
        explain=(
            "With prevent_unoptimized, points that are not optimised yet are left out of searches, scrolls and counts. A copy\n"
            "made now would miss them."
        ),
    ),
    Check(
        code="replica-not-active",
        looks_at="every replica is active",
        run=replica_not_active,
        explain=(
            "Dead, partial or recovering replicas answer differently from the others: a scroll may miss points, a write may\n"
            "fail its consistency factor. Let them recover first; GET /collections/{name}/cluster shows their state."
        ),
    ),
    Check(
        code="shard-transfer",
        looks_at="no shard is being moved",
        run=shard_transfer,
        explain=(
            "While a shard is moved or split its points are written in two places, and the plan's slices would be cut from\n"
            "a layout that is about to change. Let it finish first; GET /collections/{name}/cluster shows the transfers."
        ),
    ),
    Check(
        code="another-migration",
        looks_at="no other run works on this collection",
        run=another_migration,
        explain=(
            "A run writes a lease into the collection's metadata when it begins, renews it every twenty seconds and ends it\n"
            "when it stops, so that nobody begins a second one from another machine. A lease whose engine died is taken\n"
            "over by the next engine, after it has watched that nothing renews it. Servers before 1.16 keep no metadata;\n"
            "there only the lock of this machine protects."
        ),
    ),
)
