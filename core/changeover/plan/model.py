"""The plan and its steps: frozen, hashed, a JSON file. Data only: no code, no keys."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from changeover.checks.model import Finding
from changeover.decision.answers import Answers, RouteName
from changeover.embed.model import ModelSpec
from changeover.survey.model import PointId

Mode: TypeAlias = Literal["in-place", "blue-green"]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One REST request exactly as it will be sent."""

    method: Literal["GET", "PUT", "POST", "PATCH", "DELETE"]
    path: str
    body: Any = None


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A range of ids: `start` inclusive, `end` exclusive, None for open. Order: integers ascending, then UUIDs."""

    number: int
    start: PointId | None = None
    end: PointId | None = None


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all steps have."""

    id: str
    title: str


class CreateCollection(_Step, frozen=True, kw_only=True, tag="create-collection"):
    request: Request


class CreateIndexes(_Step, frozen=True, kw_only=True, tag="create-indexes"):
    requests: tuple[Request, ...]


class AddVector(_Step, frozen=True, kw_only=True, tag="add-vector"):
    request: Request


class PatchVector(_Step, frozen=True, kw_only=True, tag="patch-vector"):
    request: Request


class PauseIndexing(_Step, frozen=True, kw_only=True, tag="pause-indexing"):
    request: Request


class RestoreIndexing(_Step, frozen=True, kw_only=True, tag="restore-indexing"):
    request: Request
    """Sends the exact former value; also sent when a run is given up."""


class Load(_Step, frozen=True, kw_only=True, tag="load"):
    """Read every slice of the source, embed its text, write the new vector (and, blue-green, everything else)."""

    slices: tuple[Slice, ...]


class CatchUp(_Step, frozen=True, kw_only=True, tag="catch-up"):
    """Compare source, ledger and target in id order until little or nothing changed since."""

    passes: int = 5
    """Passes at most before going on with what is left; the sweep after the cutover takes the rest."""


class WaitGreen(_Step, frozen=True, kw_only=True, tag="wait-green"):
    collection: str
    patience_s: float = 3600.0


class Verify(_Step, frozen=True, kw_only=True, tag="verify"):
    sample: int = 200
    """Points whose text is embedded anew and compared with the stored vector."""
    cosine: float = 0.99
    """Least cosine between the stored and the fresh vector."""


class Evaluate(_Step, frozen=True, kw_only=True, tag="evaluate"):
    queries: str
    """Path of the JSONL file of labelled queries."""
    limit: int = 500


class AwaitCutover(_Step, frozen=True, kw_only=True, tag="await-cutover"):
    mode: Literal["manual", "when-ready", "never"] = "manual"
    confirm: str
    """The name that a person must type."""


class SwapAlias(_Step, frozen=True, kw_only=True, tag="swap-alias"):
    alias: str
    expected: str | None
    """Where the alias must point for the swap to go on; None when it must not exist yet."""
    request: Request


class SwitchApplication(_Step, frozen=True, kw_only=True, tag="switch-application"):
    """In place: the application changes the vector name that it searches; nothing is sent to the cluster."""

    vector: str


class Sweep(_Step, frozen=True, kw_only=True, tag="sweep"):
    """After the cutover: writes that still reached the old side are brought over; the newer side wins a conflict."""

    passes: int = 3


class WriteMetadata(_Step, frozen=True, kw_only=True, tag="write-metadata"):
    request: Request


Step: TypeAlias = (
    CreateCollection
    | CreateIndexes
    | AddVector
    | PatchVector
    | PauseIndexing
    | RestoreIndexing
    | Load
    | CatchUp
    | WaitGreen
    | Verify
    | Evaluate
    | AwaitCutover
    | SwapAlias
    | SwitchApplication
    | Sweep
    | WriteMetadata
)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the cluster; the key itself is never stored, only the name of its environment variable."""

    url: str
    grpc_port: int | None = None
    api_key_env: str | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the steps work on."""

    access: Access
    mode: Mode
    source: str
    """Real name of the collection that serves now."""
    target: str
    """Real name of the collection that will serve; the same as `source` in place."""
    name_in_use: str
    """The name that the application searches: an alias, or the collection itself."""
    source_vector: str
    """Vector being replaced; "" if unnamed."""
    target_vector: str
    """Vector that the new model fills."""
    carry: tuple[str, ...] = ()
    """Blue-green: vectors of the source copied unchanged, "" for the unnamed one."""
    model: ModelSpec
    dimension: int
    old_model: ModelSpec | None = None
    template: str
    """Text template over payload paths."""
    batch: int = 256
    streams: int = 2
    rate: float | None = None
    insert_only: bool = False
    """Blue-green under dual writes: never overwrite a point that the application wrote (>= 1.17)."""
    only_absent: bool = False
    """In place: write only where the vector is absent (update_filter, measured race-free on 1.18.3 and 1.19.0)."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """What the plan will cost; computed from the survey and, where measured, the model's speed."""

    points: int
    tokens: int
    seconds: float
    """Of load, at the measured or assumed rates; `basis` says which."""
    disk_bytes: int
    memory_bytes: int
    money: float | None = None
    basis: str = ""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of the survey that a plan depends on; compared again before the plan is applied."""

    version: str
    collection: str
    vectors: dict[str, Any]
    """Vector name -> its parameters."""
    aliases: dict[str, str]
    """Alias -> collection for the aliases that the plan touches."""
    indexes: dict[str, Any]
    collections: tuple[str, ...] = ()
    """Names that the plan needs free: present here means taken when the plan was made."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a run will do. `hash` is over all else; a file edited by hand is refused."""

    format: Literal[1] = 1
    id: str
    created_at: str
    changeover: str
    """Version of Changeover that wrote it."""
    route: RouteName
    job: Job
    answers: Answers
    findings: tuple[Finding, ...]
    steps: tuple[Step, ...]
    estimate: Estimate
    application: str
    """What the application must change, as a unified diff."""
    fingerprint: Fingerprint
    hash: str = ""
