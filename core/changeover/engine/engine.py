"""One engine process: take the lock, open everything, run the steps that are not done, write the report."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

import msgspec

from changeover.cluster.errors import NeedsRestError
from changeover.engine import backlog, control
from changeover.engine import events as ev
from changeover.engine import state as run_state
from changeover.engine.canary import CanaryTask, teach
from changeover.engine.context import Context
from changeover.engine.desk import Desk
from changeover.engine.folder import RunFolder, write_private
from changeover.engine.journal import Journal, read_all
from changeover.engine.lease import Keeper
from changeover.engine.ledger import Ledger
from changeover.engine.lock import RunLock
from changeover.engine.meter import Meter, resident_bytes
from changeover.engine.patient import PatientGateway
from changeover.engine.pipeline import embed_workers
from changeover.engine.steps.cutover import WindowEndedError
from changeover.engine.steps.table import STEPS
from changeover.engine.throttle import Throttle
from changeover.errors import ChangeoverError, ExitCode, StoppedError, UnreachableError, UsageError
from changeover.plan.model import DropCollection, DropVector, Plan
from changeover.version import __version__

if TYPE_CHECKING:
    from changeover.cluster.api import Gateway

Result = TypeVar("Result")
RATE_WINDOW_S = 6
"""Seconds that the shown rate is over: a page of a slow model comes only every second or two."""
ENDING_S = 20.0
"""How long threads at work are waited for when an engine ends."""
RELEASE_S = 10.0
"""How long giving the lease back may take; without it the lease expires."""
THREADS = "step"
"""How the threads of steps are called."""
OPENING_S = 120.0
"""How long a cluster that does not answer is tried when an engine starts."""


def run(folder: RunFolder, environ: Mapping[str, str]) -> ExitCode:
    """Run the engine in this process until the run is finished, stopped or failed; the journal says which."""
    plan = folder.plan()
    lock = RunLock(folder.lock)
    asked = control.count(folder.control)  # before the lock: who sees it held may ask for something
    lock.acquire()
    try:
        journal = Journal(folder.journal)
    except ChangeoverError:
        lock.release()
        raise
    try:
        while (code := asyncio.run(_run(folder, plan, journal, dict(environ), asked))) is None:
            pass
        return code
    finally:
        journal.close()
        lock.release()


async def _run(folder: RunFolder, plan: Plan, journal: Journal, environ: dict[str, str], asked: int) -> ExitCode | None:
    """None: begin anew, over REST."""
    state = run_state.fold(run_state.begin(plan), read_all(folder.journal))
    if state.status == "finished":
        return ExitCode.DONE
    try:
        ctx = await _open(folder, plan, journal, environ, state)
    except ChangeoverError as error:
        return _stopped(journal.write, time.time(), str(error), error.exit_code)
    ctx.asked_before = asked
    tasks: list[asyncio.Task[None]] = []
    pool = ThreadPoolExecutor(thread_name_prefix=THREADS)
    asyncio.get_running_loop().set_default_executor(pool)
    try:
        return await _work(ctx, tasks)
    except NeedsRestError as error:
        ctx.log(f"{error}: going on over REST", "warning")
        write_private(folder.over_rest, b"")
        return None
    except StoppedError as stopped:
        return _stopped(ctx.emit, ctx.clock(), str(stopped), ExitCode.STOPPED)
    except ChangeoverError as error:
        with contextlib.suppress(ChangeoverError):
            ctx.log(str(error), "error")
        return _stopped(ctx.emit, ctx.clock(), str(error), error.exit_code)
    except Exception as bug:
        traceback.print_exc()
        return _stopped(
            ctx.emit, ctx.clock(), f"a bug: {type(bug).__name__}: {bug}; details in engine.log", ExitCode.BUG
        )
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        # Under a thread that still waits for an answer nothing is closed: it ends with the process.
        if await _threads_ended(ctx, pool):
            await _close(ctx)


async def _work(ctx: Context, tasks: list[asyncio.Task[None]]) -> ExitCode:
    _on_signals(ctx)
    ctx.gateway = cast("Gateway", PatientGateway(ctx, ctx.gateway))
    ctx.emit(
        ev.EngineStarted(
            at=ctx.clock(),
            pid=os.getpid(),
            host=socket.gethostname(),
            version=__version__,
            server=await ctx.gateway.version(),
        )
    )
    ctx.ledger.try_skipped_again()
    if all(s.status == "done" for s in ctx.state.steps if s.kind == "load"):
        ctx.ledger.after_load()
    ctx.desk = Desk(ctx)
    ctx.desk.look()
    ctx.canary = CanaryTask(ctx, ctx.gateway)
    tasks.append(asyncio.create_task(ctx.desk.run()))
    if ctx.job.lease:
        ctx.lease = Keeper(ctx.gateway, ctx.job.source, ctx.folder.name, clock=ctx.clock, say=ctx.log)
        await _or_dead(ctx.lease.take(), tasks)
        tasks.append(asyncio.create_task(ctx.lease.keep()))
    if ctx.job.keeps_serving:
        await ctx.canary.prepare()
        await ctx.canary.baseline()
        await teach(ctx)
        tasks.append(asyncio.create_task(ctx.canary.run()))
    tasks.append(asyncio.create_task(_measure(ctx)))
    tasks.append(asyncio.create_task(backlog.watch(ctx)))
    for step in ctx.plan.steps:
        if ctx.state.step(step.id).status == "done":
            continue
        ctx.emit(ev.StepStarted(at=ctx.clock(), step=step.id))
        try:
            detail = await _or_dead(STEPS[type(step)](ctx, step), tasks)
        except WindowEndedError as ended:
            return await _finish(ctx, str(ended))
        ctx.emit(ev.StepDone(at=ctx.clock(), step=step.id, detail=detail))
    if ctx.job.keeps_serving:
        ctx.emit(ctx.canary.event())
    return await _finish(ctx)


async def _threads_ended(ctx: Context, pool: ThreadPoolExecutor) -> bool:
    """Whether what steps left at work in threads ended; a request in hand is waited for, but not for ever."""
    ctx.throttle.stop()
    ctx.close_encoders()  # a call that waits for its retry ends
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    # The loop joins the threads of its executor when it ends, however long that takes; these are waited for here.
    loop.set_default_executor(ThreadPoolExecutor())

    def wait() -> None:
        pool.shutdown()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(ended.wait(), ENDING_S)
    return ended.is_set()


def threads_left() -> bool:
    """Whether an engine that ended in this process left a thread that waits for an answer."""
    return any(thread.name.startswith(f"{THREADS}_") for thread in threading.enumerate())


async def _close(ctx: Context) -> None:
    if ctx.lease is not None:
        with contextlib.suppress(TimeoutError, ChangeoverError):
            await asyncio.wait_for(ctx.lease.release(), RELEASE_S)
    with contextlib.suppress(ChangeoverError):
        ctx.ledger.close()
    ctx.wire.close()
    await ctx.gateway.close()


async def _or_dead(work: Awaitable[Result], tasks: list[asyncio.Task[None]]) -> Result:
    """Wait for the step, but not longer than the helpers beside it live: a dead one (journal full) ends the step."""
    step: asyncio.Task[Result] = asyncio.ensure_future(work)
    await asyncio.wait({step, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    if not step.done():
        dead = next(task for task in tasks if task.done())
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
        dead.result()
        raise RuntimeError("a helper task ended by itself")
    return step.result()


async def _finish(ctx: Context, ended: str = "") -> ExitCode:
    from changeover.report.build import write

    cut = ctx.state.cutover
    summary = "finished: " + (ended or (cut.detail if cut is not None else ending(ctx.plan)))
    ctx.emit(ev.RunFinished(at=ctx.clock(), summary=summary, report=ctx.folder.report.name))
    write(ctx.folder)
    return ExitCode.DONE


def ending(plan: Plan) -> str:
    """What a run without a cutover leaves behind."""
    if plan.route == "quantization":
        return "the storage is changed, the vectors are as they were"
    if any(isinstance(step, DropCollection | DropVector) for step in plan.steps):
        return "the old side is removed"
    return "both sides are there, nothing was cut over"


def _stopped(write: Callable[[ev.Event], None], at: float, reason: str, code: ExitCode) -> ExitCode:
    try:
        write(ev.EngineStopped(at=at, reason=reason, exit_code=code))
    except ChangeoverError as error:  # the journal cannot take it: engine.log does
        sys.stderr.write(f"engine stopped: {reason}\n{error}\n")
    return code


async def _open(
    folder: RunFolder, plan: Plan, journal: Journal, environ: dict[str, str], state: run_state.RunState
) -> Context:
    from changeover.cluster.connect import open_gateway, open_wire
    from changeover.embed.protocol import load_encoder

    access, job = plan.job.access, plan.job
    if folder.over_rest.exists():
        access = msgspec.structs.replace(access, grpc_port=None)
    until = time.monotonic() + OPENING_S
    while True:
        try:
            gateway = await open_gateway(access, environ)
            wire = await asyncio.to_thread(open_wire, access, environ, max(8, job.streams))
            break
        except UnreachableError:
            if not state.engines or time.monotonic() > until:
                raise
            await asyncio.sleep(1.0)
    accepted = folder.path / "accepted.txt"
    _refuse_lost_ledger(folder, plan, state)
    return Context(
        folder=folder,
        plan=plan,
        journal=journal,
        ledger=Ledger(folder.ledger),
        throttle=Throttle(job.batch, job.streams, job.rate),
        gateway=gateway,
        wire=wire,
        meter=Meter(),
        accepted=frozenset(accepted.read_text().split()) if accepted.exists() else frozenset(),
        begun_before=frozenset(step.id for step in state.steps if step.status != "waiting"),
        environ=environ,
        state=state,
        open_encoder=lambda spec: load_encoder(spec, environ),
    )


def _refuse_lost_ledger(folder: RunFolder, plan: Plan, state: run_state.RunState) -> None:
    """Raises UsageError where nothing but the ledger tells what is to be written, deleted or removed."""
    files = (folder.ledger, folder.ledger.with_name(f"{folder.ledger.name}-wal"))
    if any(file.exists() and file.stat().st_size for file in files):
        return
    if plan.follows or state.cutover is not None:
        raise UsageError(
            f"{folder.ledger}: it is gone, and nothing else tells what was written on which side since the cutover;"
            f" bring it back from a copy, then `changeover resume {folder.name}`"
        )
    if state.engines:
        sys.stderr.write("the ledger is gone: every point is compared and written anew\n")


async def _measure(ctx: Context) -> None:
    """One `Metrics` event a second while something is loaded or compared."""
    recent: deque[tuple[float, int]] = deque(maxlen=RATE_WINDOW_S)
    while True:
        await asyncio.sleep(1.0)
        for retried in ctx.waits.drain(ctx.clock()):
            ctx.emit(retried)
        throttle = ctx.throttle
        reading = ctx.meter.read(embed_workers(ctx), throttle.effective_streams)
        step = ctx.state.current
        if step is None or (step.kind != "load" and not reading.points_per_s and not reading.embed_busy):
            continue
        now = time.monotonic()
        since, before = recent[0] if recent else (now - 1.0, reading.points)
        recent.append((now, reading.points))
        ctx.emit(
            ev.Metrics(
                at=ctx.clock(),
                points=reading.points,
                points_per_s=round(max(0, reading.points - before) / (now - since), 1),
                embed_busy=round(reading.embed_busy, 3),
                write_busy=round(reading.write_busy, 3),
                batch=throttle.effective_batch,
                batch_asked=throttle.batch,
                streams=throttle.effective_streams,
                streams_asked=throttle.streams,
                rate=throttle.rate,
                throttle=throttle.why,
                rss_bytes=resident_bytes(),
                tokens=ctx.billed(),
                lanes=ctx.lanes.read(throttle.effective_streams),
            )
        )


def _on_signals(ctx: Context) -> None:
    """SIGTERM and SIGINT stop like a person's `stop`; SIGHUP is ignored: the engine outlives its terminal."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(NotImplementedError):
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ctx.throttle.stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: None)
