"""What an engine writes into its journal: few events, one JSON object a line; every screen is a fold over them."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from changeover.quality.model import QualityReport
from changeover.quality.trials import MapTrial, SearchSetting
from changeover.survey.model import PointId, ShardKey

Level = Literal["info", "warning", "error"]


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="event", omit_defaults=True):
    """What all events have: `at` is seconds since the epoch (UTC)."""

    at: float


class EngineStarted(_Event, frozen=True, kw_only=True, tag="engine-started"):
    """An engine process took the run's lock; a second one of these in a journal is a resume."""

    pid: int
    host: str
    version: str
    server: str
    """Server version."""


class StepStarted(_Event, frozen=True, kw_only=True, tag="step-started"):
    step: str


class StepDone(_Event, frozen=True, kw_only=True, tag="step-done"):
    step: str
    detail: str = ""
    """One line of what was found or done."""


class Progress(_Event, frozen=True, kw_only=True, tag="progress"):
    """How far the step in hand is; written at most twice a second."""

    step: str
    done: int
    total: int | None = None
    note: str = ""


class SliceAcked(_Event, frozen=True, kw_only=True, tag="slice-acked"):
    """Everything of the slice below `position` is written and acknowledged; a checkpoint."""

    step: str
    slice: int
    position: PointId | None
    """The next id to read; None with `done` when the slice is finished."""
    points: int
    done: bool = False


class Stream(msgspec.Struct, frozen=True, array_like=True):
    """One write stream as it is now; an array in the journal, so that eight of them a second stay small."""

    number: int
    doing: str
    """In words; "" while it has nothing to write."""
    slice: int | None = None
    shard_key: ShardKey | None = None
    points: int = 0
    """Points it has written for this engine."""
    points_per_s: float = 0.0


class Metrics(_Event, frozen=True, kw_only=True, tag="metrics"):
    """One second of load; rates are per second over the last interval."""

    points: int
    """Points written by this step since it began (all engines)."""
    points_per_s: float
    embed_busy: float
    """Share of the interval that the embedder was busy, 0 to 1."""
    write_busy: float
    """Share of the write streams that was busy, 0 to 1."""
    batch: int
    """Points per request now."""
    streams: int
    """Requests at once now."""
    batch_asked: int = 0
    streams_asked: int = 0
    rate: float | None = None
    throttle: str = ""
    """Why it goes slower than asked, in words; "" when it does not."""
    rss_bytes: int = 0
    tokens: int = 0
    """Tokens that the model's provider has billed since this engine started."""
    lanes: tuple[Stream, ...] = ()
    """The write streams one by one."""


class Retried(_Event, frozen=True, kw_only=True, tag="retried"):
    """Requests that were sent again since the last event of that reason."""

    reason: str
    times: int
    waited_s: float
    """Seconds waited in all, by all of them together."""


class Canary(_Event, frozen=True, kw_only=True, tag="canary"):
    """Searches through the name the application uses, counted from the start of this engine."""

    searches: int
    failures: int
    p50_ms: float
    p95_ms: float
    baseline_p95_ms: float | None = None
    last_error: str = ""


class Differences(_Event, frozen=True, kw_only=True, tag="differences"):
    """What one catch-up, verify or sweep pass found."""

    step: str
    number: int
    new: int = 0
    edited: int = 0
    payload: int = 0
    deleted: int = 0
    missing: int = 0
    """Points whose new vector is absent although the ledger says it was written."""
    conflicts: int = 0
    seconds: float = 0.0
    """How long the pass took, repairs included: how far behind the new side can be when it ends."""

    @property
    def total(self) -> int:
        """All differences together."""
        return self.new + self.edited + self.payload + self.deleted + self.missing


class Skipped(_Event, frozen=True, kw_only=True, tag="skipped"):
    """One point that was left out, with its reason; never silent."""

    id: PointId
    reason: str
    before: bool = False
    """It was left out before, with another content."""


How = Literal["written", "deleted"]


class Settled(_Event, frozen=True, kw_only=True, tag="settled"):
    """A point that was left out is not any more."""

    id: PointId
    how: How


class Log(_Event, frozen=True, kw_only=True, tag="log"):
    level: Level
    text: str


class Verified(_Event, frozen=True, kw_only=True, tag="verified"):
    """Outcome of verification; `problems` is empty when everything agreed."""

    source_points: int
    target_points: int
    checked_ids: int
    sampled: int
    worst_cosine: float | None
    in_flight: int = 0
    """Points that differed at the last look because the application had just written them; later passes take them."""
    without_text: int = 0
    skipped: int = 0
    problems: tuple[str, ...] = ()


class Evaluated(_Event, frozen=True, kw_only=True, tag="evaluated"):
    report: QualityReport


class MatrixFitted(_Event, frozen=True, kw_only=True, tag="matrix-fitted"):
    """The matrix of a computed vector was fitted and kept in the run folder."""

    method: str
    sampled: int
    """Stored vectors or anchors that it was fitted on."""
    digest: str
    """SHA-256 of the matrix's file."""
    trial: MapTrial | None = None
    """A map on queries and documents that it has not seen."""


class StorageMeasured(_Event, frozen=True, kw_only=True, tag="storage-measured"):
    """Recall@10 against exact search on the collection itself."""

    vector: str
    asked: int
    """Stored vectors asked with."""
    settings: tuple[SearchSetting, ...]
    default_recall: float
    """With no search parameters given."""
    p50_ms: float
    after: bool
    """Whether the storage had been changed already."""


class Lamp(msgspec.Struct, frozen=True, kw_only=True):
    """One condition of the cutover."""

    name: str
    on: bool
    detail: str = ""


class CutoverReady(_Event, frozen=True, kw_only=True, tag="cutover-ready"):
    """The lamps as they are now; the cutover may go on when all are on."""

    lamps: tuple[Lamp, ...]
    backlog: int = 0

    @property
    def ready(self) -> bool:
        """True when every lamp is on."""
        return all(lamp.on for lamp in self.lamps)


class CutOver(_Event, frozen=True, kw_only=True, tag="cut-over"):
    """The new side serves from now on."""

    detail: str
    canary_ok: bool | None = None


class Conflict(_Event, frozen=True, kw_only=True, tag="conflict"):
    """A point that both sides changed around the cutover; the newer side was kept."""

    id: PointId
    kept: Literal["new", "old"]
    reason: str


class Controlled(_Event, frozen=True, kw_only=True, tag="controlled"):
    """A person's request was taken up; `number` is its line in control.jsonl."""

    number: int
    verb: str
    value: Any = None
    refused: str = ""


class Paused(_Event, frozen=True, kw_only=True, tag="paused"):
    reason: str


class Resumed(_Event, frozen=True, kw_only=True, tag="resumed"):
    pass


class EngineStopped(_Event, frozen=True, kw_only=True, tag="engine-stopped"):
    """The engine ended before the run did; the run can be resumed."""

    reason: str
    exit_code: int


class RunFinished(_Event, frozen=True, kw_only=True, tag="run-finished"):
    """Every step is done."""

    summary: str
    report: str = ""
    """Path of the HTML report, relative to the run folder."""


Event: TypeAlias = (
    EngineStarted
    | StepStarted
    | StepDone
    | Progress
    | SliceAcked
    | Metrics
    | Retried
    | Canary
    | Differences
    | Skipped
    | Settled
    | Log
    | Verified
    | Evaluated
    | MatrixFitted
    | StorageMeasured
    | CutoverReady
    | CutOver
    | Conflict
    | Controlled
    | Paused
    | Resumed
    | EngineStopped
    | RunFinished
)

_decoder = msgspec.json.Decoder(Event)


def encode(event: Event) -> bytes:
    """One journal line without its newline."""
    return msgspec.json.encode(event)


def decode(line: bytes) -> Event:
    """Read one journal line; raises msgspec.DecodeError on anything else."""
    event: Event = _decoder.decode(line)
    return event
