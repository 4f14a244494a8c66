"""The plan and its steps: frozen, hashed, a JSON file. Data only: no code, no keys."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import msgspec

from changeover.checks.model import Finding
from changeover.decision.answers import Answers, RouteName
from changeover.embed.model import ModelSpec, SparseSpec
from changeover.survey.model import PointId, ShardKey

Mode: TypeAlias = Literal["in-place", "blue-green"]


class FromText(msgspec.Struct, frozen=True, kw_only=True, tag_field="input", tag="text"):
    """A vector that the job's model makes from the job's text: dense, or one vector per token (`multi`)."""

    vector: str
    dimension: int
    multi: bool = False


class FromTerms(msgspec.Struct, frozen=True, kw_only=True, tag_field="input", tag="terms"):
    """A sparse vector that an encoder makes from the job's text."""

    vector: str
    encoder: SparseSpec


class FromVector(msgspec.Struct, frozen=True, kw_only=True, tag_field="input", tag="vector"):
    """A vector computed from a stored one: cut, or mapped by a matrix that the run fits and keeps (`matrix.npz`)."""

    vector: str
    source: str
    dimension: int
    distance: str
    source_distance: str = ""
    """Of the stored vector, where it is another one."""
    method: Literal["leading", "pca", "ridge", "procrustes"]

    @property
    def maps(self) -> bool:
        """Whether it approximates another model's vectors, instead of cutting those that are there."""
        return self.method in ("ridge", "procrustes")


class Kept(msgspec.Struct, frozen=True, kw_only=True, tag_field="input", tag="kept"):
    """A vector that nobody can make here: it stays where the point's text stays, a new or edited point gets none."""

    vector: str


Make: TypeAlias = FromText | FromTerms | FromVector | Kept
"""One new vector of every point: its name and what it is made from."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One REST request exactly as it will be sent."""

    method: Literal["GET", "PUT", "POST", "PATCH", "DELETE"]
    path: str
    body: Any = None


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """A range of ids: `start` inclusive, `end` exclusive, None for open. Order: integers ascending, then UUIDs."""

    number: int
    shard_key: ShardKey | None = None
    """Under custom sharding, the key whose points these are."""
    start: PointId | None = None
    end: PointId | None = None


class _Step(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What all steps have."""

    id: str
    title: str


class CreateCollection(_Step, frozen=True, kw_only=True, tag="create-collection"):
    request: Request


class CreateShardKeys(_Step, frozen=True, kw_only=True, tag="create-shard-keys"):
    """Under custom sharding: the target gets the source's keys before any point."""

    requests: tuple[Request, ...]


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


class FitMatrix(_Step, frozen=True, kw_only=True, tag="fit-matrix"):
    """Fit the matrix of a `FromVector` on stored vectors (pca) or on pairs with the new model (a map), and keep it.

    A map that does not beat the old side on held-out queries ends the run here.
    """

    sample: int
    """Stored vectors or anchor points read."""
    queries: str = ""
    """Labelled queries that a map is judged by; "" for queries made from `title_field`."""
    title_field: str = ""


class ChangeStorage(_Step, frozen=True, kw_only=True, tag="change-storage"):
    """Another quantization or placement of vectors that stay; `undo` brings the former configuration back."""

    request: Request
    undo: Request


class MeasureStorage(_Step, frozen=True, kw_only=True, tag="measure-storage"):
    """Recall@10 of the vector against exact search, at several search parameters, and latency.

    Below `least_recall` (0 before the change) the former configuration is sent and the run ends as not passed.
    """

    vector: str
    least_recall: float = 0.0
    sample: int = 100
    """Stored vectors asked with."""


class CreateTextIndex(_Step, frozen=True, kw_only=True, tag="create-text-index"):
    """A text index with scoring on a payload field: lexical search without a vector (servers from 1.20)."""

    request: Request


class TakeSnapshot(_Step, frozen=True, kw_only=True, tag="take-snapshot"):
    """A snapshot of the old collection before it is removed."""

    request: Request


class ReplaceByAlias(_Step, frozen=True, kw_only=True, tag="replace-by-alias"):
    """Remove the verified old collection and give its name, as an alias, to the new one; searches see a gap."""

    remove: Request
    name: Request


class Load(_Step, frozen=True, kw_only=True, tag="load"):
    """Read every slice of the source, embed its text, write the new vector (and, blue-green, everything else)."""

    slices: tuple[Slice, ...]


class CatchUp(_Step, frozen=True, kw_only=True, tag="catch-up"):
    """Compare source, ledger and target in id order until little or nothing changed since."""

    passes: int = 5
    """Passes at most before going on with what is left; the sweep after the cutover takes the rest."""
    slices: tuple[Slice, ...] = ()
    """What passes work on in a plan without a load."""


class WaitGreen(_Step, frozen=True, kw_only=True, tag="wait-green"):
    collection: str
    patience_s: float = 3600.0


class Verify(_Step, frozen=True, kw_only=True, tag="verify"):
    sample: int = 200
    """Points whose text is embedded anew and compared with the stored vector."""
    cosine: float = 0.99
    """Least cosine between the stored and the fresh vector."""


class Evaluate(_Step, frozen=True, kw_only=True, tag="evaluate"):
    queries: str = ""
    """Path of the JSONL file of labelled queries; "" for known items made from `title_field`."""
    title_field: str = ""
    """Payload field whose values are the queries, each with its own point as the relevant one."""
    limit: int = 500


class AwaitCutover(_Step, frozen=True, kw_only=True, tag="await-cutover"):
    mode: Literal["manual", "when-ready", "never"] = "manual"
    confirm: str
    """The name that a person must type."""
    window_s: float = 0.0
    """The run ends without a cutover when nobody asked for it for so long; 0: it waits for ever."""


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


class CountLacking(_Step, frozen=True, kw_only=True, tag="count-lacking"):
    """On the way back without the old model: which points would lack an old vector. Reads only, and ends the run
    unless there are none or a person accepted it."""


class OpenWayBack(_Step, frozen=True, kw_only=True, tag="open-way-back"):
    """Start a run that keeps the old side fresh, so that going back loses no write made after the cutover."""

    window_s: float
    """How long it does so."""


class DropCollection(_Step, frozen=True, kw_only=True, tag="drop-collection"):
    """Remove the old collection, unless anything still depends on it."""

    request: Request


class DropVector(_Step, frozen=True, kw_only=True, tag="drop-vector"):
    """Remove the old vector (servers from 1.19 do it without danger)."""

    vector: str
    request: Request


Step: TypeAlias = (
    CreateCollection
    | CreateShardKeys
    | CreateIndexes
    | AddVector
    | PatchVector
    | PauseIndexing
    | RestoreIndexing
    | FitMatrix
    | ChangeStorage
    | MeasureStorage
    | CreateTextIndex
    | TakeSnapshot
    | ReplaceByAlias
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
    | CountLacking
    | OpenWayBack
    | DropCollection
    | DropVector
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
    """Vector that the application searches after the cutover: one of `makes`, or the old one where it stays."""
    makes: tuple[Make, ...] = ()
    """The new vectors of every point; () where only the configuration changes."""
    carry: dict[str, str] = {}
    """Blue-green: vectors copied unchanged, name in the source -> name in the target; "" for the unnamed one."""
    model: ModelSpec | None = None
    """The model of `FromText`, and of the queries after the cutover."""
    dimension: int = 0
    """Of `target_vector`; 0 where that is sparse."""
    old_model: ModelSpec | None = None
    template: str = ""
    """Text template over payload paths; "" where no text is read."""
    batch: int = 256
    streams: int = 2
    rate: float | None = None
    insert_only: bool = False
    """Blue-green under dual writes: never overwrite a point that the application wrote (>= 1.17)."""
    only_absent: bool = False
    """In place: write only where the vector is absent (update_filter, measured race-free on 1.18.3 and 1.19.0)."""
    bridge: bool = False
    """The new vectors are approximations by a linear map, to be replaced by re-embedding later."""
    keeps_serving: bool = True
    """Searches and writes go on all the while: catch-up and canary run."""
    spend: float | None = None
    """Money at most, at the model's price per million tokens."""
    thorough: bool = False
    """Passes compare the carried vectors too: an update of one of them alone is found."""
    lease: bool = False
    """A lease is kept in the metadata of `source` while an engine works (servers from 1.16, keys that may manage)."""

    def make(self, vector: str) -> Make | None:
        """How that vector is made, or None for one that is not made by this job."""
        return next((make for make in self.makes if make.vector == vector), None)


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
    """What the application must change, as a unified diff in Python."""
    fingerprint: Fingerprint
    application_in: dict[str, str] = {}
    """The same in other languages: typescript, curl."""
    follows: str = ""
    """The run that this one goes on from (the way back, the cleanup): its ledger is where this one's begins."""
    hash: str = ""
