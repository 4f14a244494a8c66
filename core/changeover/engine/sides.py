"""What a run that follows another has to know of the cluster before it is planned."""

from __future__ import annotations

from changeover.cluster.api import Gateway
from changeover.plan.model import Plan
from changeover.routes.way_back import Sides


async def sides_of(gateway: Gateway, done: Plan) -> Sides:
    """Both sides of a run as they are now; reads only."""
    job, there = done.job, await gateway.collections()
    return Sides(
        version=await gateway.version(),
        old=await gateway.collection(job.source) if job.source in there else None,
        aliases=await gateway.aliases(),
        points=await gateway.count(job.target) if job.target in there else 0,
    )
