"""One stressed migration: writer, searcher, failing network, kills, pauses and changes of speed; then an independent check."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np

from changeover import seals
from changeover.cluster.capabilities import supports
from changeover.decision.answers import Answers, Limits, SparseAnswer, TargetAnswer, TextAnswer, VectorAnswer
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.engine import control, launch
from changeover.engine import events as ev
from changeover.engine.folder import RunFolder
from changeover.engine.journal import read_all
from changeover.engine.state import RunState
from changeover.plan.model import Access, Plan
from tests.engine import live
from tests.engine.small_world import kill_leftovers
from tests.stress.endpoint import MODEL, Endpoint
from tests.stress.proxy import Proxy
from tests.stress.served import Served
from tests.stress.world import World

PATIENCE_S = 240.0
LONG_S = 10.0
"""In a shorter time the server is killed only the once that every run has."""
WHAT = (
    *("kill", "kill", "stop", "pause", "rate", "batch", "streams", "outage", "nothing"),
    *("model outage", "nothing may be spent", "server killed"),
)
Column = Callable[[list[tuple[dict[str, Any], dict[str, Any]]]], list[Any]]


@dataclass(frozen=True)
class Route:
    """Answers, and what the new vectors must be: a vector (or None) for each of the points given."""

    answers: Callable[[str, ModelSpec], dict[str, Any]]
    """Of the target's name and the model."""
    made: Column
    vector: str


def embedded(points: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[Any]:
    """A fresh embedding of the text; none for a blank one."""
    texts = [payload.get("text", "") for payload, _ in points]
    wanted = [i for i, text in enumerate(texts) if text.strip()]
    out: list[Any] = [None] * len(texts)
    for i, row in zip(wanted, load(MODEL).embed_documents([texts[i] for i in wanted]), strict=True):
        out[i] = row
    return out


def cut(points: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[Any]:
    """The first half of the old vector."""
    return [vectors["old"][:8] if "old" in vectors else None for _, vectors in points]


def terms(points: list[tuple[dict[str, Any], dict[str, Any]]]) -> list[Any]:
    """BM25 weights of the text."""
    import qdrant_edge as edge

    bm25 = edge.Bm25(edge.Bm25Config(language="english", avg_len=8.0))
    found = [bm25.embed_document(payload.get("text", "")) for payload, _ in points]
    return [dict(zip(one.indices, one.values, strict=True)) or None for one in found]


def _sparse() -> dict[str, Any]:
    encoder = SparseAnswer(encoder="local-bm25", name="terms", average_length=8, language="english")
    return {"add_sparse": True, "sparse": encoder}


def closed(route: str, version: str) -> bool:
    """Whether the route asks for a vector to be added where a server of this version cannot do so."""
    return ROUTES[route].answers("", MODEL).get("route") == "in-place" and not supports("add_vector_safe", version)


def _blue_green(target: str, model: ModelSpec) -> dict[str, Any]:
    vector = VectorAnswer(source="old", name="new")
    return {"route": "blue-green", "model": model, "vector": vector, "target": TargetAnswer(collection=target)}


ROUTES: dict[str, Route] = {
    "in-place": Route(
        lambda _, model: {"route": "in-place", "model": model, "vector": VectorAnswer(source="old", name="new")},
        embedded,
        "new",
    ),
    "blue-green": Route(_blue_green, embedded, "new"),
    "side-by-side": Route(lambda target, model: {"keep_both": True, **_blue_green(target, model)}, embedded, "new"),
    "hybrid": Route(lambda *_: {**_sparse(), "vector": VectorAnswer(source="old")}, terms, "terms"),
    "dimensions": Route(
        lambda target, _: {
            "avoid": "dimensions",
            "route": "blue-green",
            "vector": VectorAnswer(source="old", name="short"),
            "target": TargetAnswer(collection=target, dimension=8, reduction="leading"),
        },
        cut,
        "short",
    ),
    "dimensions in place": Route(
        lambda *_: {
            "avoid": "dimensions",
            "route": "in-place",
            "vector": VectorAnswer(source="old", name="short"),
            "target": TargetAnswer(dimension=8, reduction="leading"),
        },
        cut,
        "short",
    ),
}


def stress(
    url: str,
    name: str,
    route: str,
    environ: dict[str, str],
    *,
    seconds: float,
    seed: int,
    points: int = 150,
    served: Served | None = None,
    dead_s: float = 1.0,
) -> dict[str, Any]:
    """Run the route under stress for about so long, finish it in peace, check; returns what happened.

    A server that is `served` is killed in the middle of its work, in every run at least once, for at most `dead_s`.
    """
    kind = ROUTES[route]
    chance = random.Random(seed)
    world, proxy, model = World(url, name, points=points, seed=seed), Proxy(url, seed), Endpoint(seed)
    try:
        plan = _plan(world, proxy, kind.answers(f"{name}_v2", model.spec), environ)
        run = RunFolder.create(plan, environ, accepted=frozenset({"no-go"} | {f.code for f in plan.findings}))
        world.start()
        proxy.share = model.share = 0.04

        def server_killed() -> None:
            if served is not None:
                with world.held():
                    served.killed(chance.uniform(0.0, dead_s))

        done = _chaos(run, environ, proxy, model, chance, seconds / 2, server_killed)
        if served is not None:
            done["server killed"] += 1
            working(run, environ)
            server_killed()
        done += _chaos(run, environ, proxy, model, chance, seconds / 2, server_killed)
        proxy.share, model.share, world.pause_s = 0.015, 0.015, 0.5
        state = _to_the_end(run, environ, world, chance, done)
        proxy.share = model.share = 0.0
        world.stop()
        check(world, plan, kind, run)
        return {
            "engines": state.engines,
            "writes": world.writes,
            "searches": world.searches,
            "did": dict(done),
            "faults": dict(proxy.struck + model.struck),
            "conflicts": len(state.conflicts),
        }
    finally:
        proxy.share = 0.0
        kill_leftovers(environ)
        world.close(f"{name}_v2")
        proxy.close()
        model.close()


def _plan(world: World, proxy: Proxy, answered: dict[str, Any], environ: dict[str, str]) -> Plan:
    """The wizard's plan, for the proxy's address."""

    answers = {
        "collection": world.alias,
        "text": TextAnswer(field="text"),
        "limits": Limits(batch=16, streams=2, rate=40.0, thorough=True),
        **answered,
    }
    plan = live.plan_of(Access(url=proxy.url), world.alias, Answers(**answers), environ, trials=False)
    job = msgspec.structs.replace(plan.job, access=Access(url=proxy.url))
    return seals.seal(msgspec.structs.replace(plan, job=job, hash=""))


def _chaos(
    run: RunFolder,
    environ: dict[str, str],
    proxy: Proxy,
    model: Endpoint,
    chance: random.Random,
    seconds: float,
    server_killed: Callable[[], None],
) -> Counter[str]:
    """Kills, stops, pauses, other speeds and outages, at random moments; an engine that stopped is started again."""
    did: Counter[str] = Counter()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pid = working(run, environ)
        time.sleep(chance.uniform(0.3, 1.5))
        what = chance.choice(WHAT if seconds >= LONG_S else WHAT[:-1])
        did[what] += 1
        if what == "kill":
            live.kill(run, pid)
        elif what == "stop":
            control.ask(run.control, "stop")
        elif what == "pause":
            control.ask(run.control, "pause")
            time.sleep(chance.uniform(0.1, 1.0))
            control.ask(run.control, "resume")
        elif what == "rate":
            control.ask(run.control, "rate", chance.choice([0, 15, 60, 200]))
        elif what == "batch":
            control.ask(run.control, "batch", chance.choice([1, 7, 64, 300]))
        elif what == "streams":
            control.ask(run.control, "streams", chance.choice([1, 2, 4]))
        elif what == "outage":
            proxy.outage(chance.uniform(0.5, 3.0))
        elif what == "model outage":
            model.outage(chance.uniform(0.5, 3.0))
        elif what == "nothing may be spent":
            control.ask(run.control, "spend", 0)
            time.sleep(chance.uniform(0.3, 1.0))
            control.ask(run.control, "spend", 1_000_000)
        elif what == "server killed":
            server_killed()
    return did


def working(run: RunFolder, environ: dict[str, str]) -> int:
    """The pid of the run's engine; one that is started now when none works."""
    pid = launch.running_pid(run)
    if pid is not None or run.state().status == "finished":
        return pid or 0
    pid = launch.start(run, environ)
    until = time.monotonic() + 30
    while launch.running_pid(run) is None and not _gone(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return pid


def _gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _to_the_end(
    run: RunFolder, environ: dict[str, str], world: World, chance: random.Random, did: Counter[str]
) -> RunState:
    """Let it catch up, ask for the cutover until it is done, write late to the old side, kill once more, finish."""
    control.ask(run.control, "resume")
    control.ask(run.control, "rate", 0)
    control.ask(run.control, "batch", 32)
    asked = stopped = False
    moved = run.plan().job.mode == "in-place"
    until = time.monotonic() + PATIENCE_S
    while True:
        state = run.state()
        if state.status == "finished":
            return state
        assert time.monotonic() < until, "\n".join(
            ["too slow", *(f"{level} {text}" for _, level, text in state.log[-30:])]
        )
        pid = working(run, environ)
        if state.cutover is not None and not stopped:
            stopped = True
            for _ in range(15):
                world.write_late()
            if chance.random() < 0.7:
                did["kill after the cutover"] += 1
                live.kill(run, pid)
            world.pause()
        elif state.cutover is None and state.status == "ready" and not moved:
            moved = True
            did["alias moved"] += 1
            with world.elsewhere():
                control.ask(run.control, "cutover", run.plan().job.name_in_use)
                time.sleep(chance.uniform(0.3, 1.0))
        elif state.cutover is None and state.status == "ready":
            control.ask(run.control, "cutover", run.plan().job.name_in_use)
            if not asked and chance.random() < 0.7:
                asked = True
                did["kill at the cutover"] += 1
                time.sleep(chance.uniform(0.0, 0.4))
                live.kill(run, pid)
        time.sleep(0.15)


def check(world: World, plan: Plan, kind: Route, run: RunFolder) -> None:
    """Everything is what the acknowledged writes and the route say; nothing of the engine decides it."""
    stored = world.stored(plan.job.target)
    assert set(stored) == set(world.points), _difference(set(stored), set(world.points))
    ids = list(stored)
    bad = [i for i in ids if (stored[i]["payload"] or {}) != world.points[i][0]]
    assert not bad, f"payloads differ: {[(i, stored[i]['payload'], world.points[i][0]) for i in bad[:2]]}"
    wanted = dict(zip(ids, kind.made([world.points[i] for i in ids]), strict=True))
    bad = [i for i in ids if not _alike(stored[i]["vector"].get(kind.vector), wanted[i])]
    assert not bad, f"{len(bad)} new vectors are not those of the point as it is now: {bad[:5]}"
    carried = dict(plan.job.carry) or {name: name for name in ("old", "image", "late", "words")}
    for was, name in carried.items():
        bad = [i for i in ids if not _kept(stored[i]["vector"].get(name), world.points[i][1].get(was), was)]
        assert not bad, f"vector {was} is not the one that was written: {bad[:5]}"
    if plan.job.mode == "blue-green":
        old, new = (world.send("GET", f"/collections/{c}") for c in (world.collection, plan.job.target))
        assert new["config"]["optimizer_config"] == old["config"]["optimizer_config"]
        assert {k: v.get("params") for k, v in new["payload_schema"].items()} == {
            k: v.get("params") for k, v in old["payload_schema"].items()
        }
        aliases = {entry["alias_name"]: entry["collection_name"] for entry in world.send("GET", "/aliases")["aliases"]}
        assert aliases[world.alias] == plan.job.target
    assert world.searches and not world.failed, f"{world.failed} of {world.searches} searches failed"
    skipped = [event for event in read_all(run.journal) if isinstance(event, ev.Skipped)]
    assert not skipped, skipped[:3]


def _difference(found: set[Any], wanted: set[Any]) -> str:
    return f"lost {sorted(map(str, wanted - found))[:5]}, too many {sorted(map(str, found - wanted))[:5]}"


def _alike(stored: Any, wanted: Any) -> bool:
    """Whether a new vector is the wanted one; None for none."""
    if stored is None or wanted is None:
        return stored is wanted
    if isinstance(wanted, dict):
        found = dict(zip(stored["indices"], stored["values"], strict=True))
        return found.keys() == wanted.keys() and all(abs(found[i] - wanted[i]) < 1e-3 for i in wanted)
    a, b = np.asarray(stored, dtype=np.float32), np.asarray(wanted, dtype=np.float32)
    return a.shape == b.shape and float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b))) > 0.9999


def _kept(stored: Any, written: Any, name: str) -> bool:
    """Whether a vector of the application is there as it was written; Cosine stores it divided by its length."""
    if stored is None or written is None:
        return stored is written
    if isinstance(written, dict):
        return _weights(stored) == _weights(written)
    a, b = np.asarray(stored, dtype=np.float32), np.asarray(written, dtype=np.float32)
    if name == "old":
        return bool(np.allclose(a, b / np.linalg.norm(b), rtol=0, atol=1e-6))
    return bool(np.array_equal(a, b))


def _weights(sparse: dict[str, Any]) -> dict[int, float]:
    return {i: float(np.float32(v)) for i, v in zip(sparse["indices"], sparse["values"], strict=True)}
