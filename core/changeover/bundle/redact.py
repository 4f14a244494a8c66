"""What a bundle leaves out, as one table: each text of each value stays, is replaced, or passes through `Phrases`.

A text that the table does not name passes through `Phrases`: a new field is closed until somebody opens it here.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec

from changeover.bundle.model import Allowed
from changeover.bundle.phrases import Phrases, without_folders
from changeover.bundle.places import LOOPBACK, Places
from changeover.checks import model as checks
from changeover.decision import answers as said
from changeover.embed.model import ModelSpec, SparseSpec
from changeover.engine import events as ev
from changeover.plan import model as pm
from changeover.quality import model as quality
from changeover.quality import trials
from changeover.survey import lease
from changeover.survey import model as sm
from changeover.survey.template import paths

Value = TypeVar("Value")
Rule = Callable[["Redactor", Any], Any]
OFTEN = 10
"""A key of the payload is a field's name when one sampled point in so many has it; else it may be data itself."""
MODEL_NAME = re.compile(r"[\w.-]{1,60}(/[\w.:-]{1,60})?")
URL = re.compile(r"\w+://(?:[^\s/@]*@)?(?P<host>[^\s/:?#'\"]+)")
ADDRESS = re.compile(r"(?<![\w.])(?P<host>\d{1,3}(?:\.\d{1,3}){3})(?![\w.])")
HOME = re.compile(r"(/home|/Users)/[^/\s:'\"]+")
LATIN, OTHER, DIGIT, SIGN = "x", "ж", "0", "."


class Redactor:
    """Replaces what must not leave the customer's machine, and counts it; the same original is replaced alike."""

    def __init__(self, places: Places, allowed: frozenset[Allowed], names: Iterable[str]) -> None:
        self.places = places
        self.allowed = allowed
        self.counts: Counter[str] = Counter()
        self._phrases = Phrases(names)
        self._fields: frozenset[str] = frozenset()
        self._renamed: dict[str, str] = {}

    def learn_hosts(self, hosts: Iterable[tuple[str, str]]) -> None:
        """Hosts by (name, kind) that texts may hold, before any text is looked at."""
        if "hosts" not in self.allowed:
            for host, kind in hosts:
                self.places.host(host, kind)

    def learn_fields(self, sample: tuple[sm.Sampled, ...], named: Iterable[str]) -> None:
        """Which keys of payloads are names of fields: those that are named, and those that are often there."""
        found = Counter(path for point in sample for path in set(_paths(point.payload)))
        often = {path for path, count in found.items() if count * OFTEN >= len(sample)}
        whole = {".".join(parts[: n + 1]) for path in named for parts in [path.split(".")] for n in range(len(parts))}
        self._fields = frozenset(often | whole)

    def apply(self, value: Value) -> Value:
        """The value with everything replaced that the table does not let through."""
        found: Value = self._default(value)
        self.counts["pieces of logs, reasons and errors"] = self._phrases.replaced
        return found

    # The rules of the table

    def words(self, text: str) -> str:
        """Text for people that may quote data."""
        text = self.code(text)
        if "payload" not in self.allowed:
            return "\n".join(map(self._phrases.kept, text.split("\n")))
        return text if "hosts" in self.allowed else self._without_addresses(text)

    def code(self, text: str) -> str:
        """Text that names places at most."""
        if "hosts" in self.allowed:
            return text
        for given, was in sorted(self.places.all().items(), key=lambda pair: -len(pair[1])):
            text = re.sub(rf"(?<![\w.-]){re.escape(was)}(?![\w-])", given, text)
        return "\n".join(map(without_folders, text.split("\n"))) if "File" in text else text

    def code_in(self, texts: dict[str, str]) -> dict[str, str]:
        """The same in several languages."""
        return {language: self.code(text) for language, text in texts.items()}

    def url(self, text: str | None, kind: str) -> str | None:
        if not text or "hosts" in self.allowed:
            return text
        given = self.places.url(text, kind)
        self.counts["addresses of hosts"] += given != text
        return given

    def host(self, name: str) -> str:
        if not name or "hosts" in self.allowed:
            return name
        self.counts["addresses of hosts"] += 1
        return self.places.host(name, "machine")

    def path(self, text: str | None, kind: str, *, keeps_name: bool = False) -> str | None:
        if not text or "hosts" in self.allowed:
            return text
        self.counts["paths of files"] += 1
        return self.places.path(text, kind, keeps_name=keeps_name)

    def payload(self, payload: dict[str, Any]) -> dict[str, Any]:
        """The same fields with texts of the same shape: as long, as many words, no word of them."""
        found: dict[str, Any] = self._open(payload) if "payload" in self.allowed else self._payload(payload, "")
        return found

    def metadata(self, metadata: Any) -> Any:
        """What Changeover recorded and a model's name stay; other texts are replaced and kept on this machine."""
        if not isinstance(metadata, dict):
            return metadata
        return {key: self._metadata(key, item) for key, item in metadata.items()}

    def config(self, config: dict[str, Any]) -> dict[str, Any]:
        """Configuration of the server; its metadata are the user's."""
        return {key: self.metadata(item) if key == "metadata" else item for key, item in config.items()}

    def body(self, body: Any) -> Any:
        """A request's body: configuration and names."""
        return self.config(body) if isinstance(body, dict) else body

    # How they work

    def _default(self, value: Any) -> Any:
        """By the table; a struct of which nothing was replaced stays the same object, as defaults have to."""
        if isinstance(value, msgspec.Struct):
            fields = {name: self._field(type(value), name, getattr(value, name)) for name in value.__struct_fields__}
            same = all(item is getattr(value, name) for name, item in fields.items())
            return value if same else type(value)(**fields)
        if isinstance(value, str):
            return self.words(value)
        if isinstance(value, tuple):
            return tuple(map(self._default, value))
        if isinstance(value, dict):
            return {key: self._default(item) for key, item in value.items()}
        return value

    def _field(self, owner: type, name: str, value: Any) -> Any:
        rule = rule_of(owner, name)
        return self._default(value) if rule is None or value is None else rule(self, value)

    def _payload(self, value: Any, path: str) -> Any:
        if isinstance(value, dict):
            return {self._key(key, path): self._payload(item, _below(path, key)) for key, item in value.items()}
        if isinstance(value, list):
            return [self._payload(item, path) for item in value]
        if isinstance(value, str):
            self.counts["texts of sampled points"] += 1
            return shape_of(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.counts["numbers of sampled points"] += 1
            return type(value)(0)
        return value if value is None else False

    def _key(self, key: str, path: str) -> str:
        if _below(path, key) in self._fields:
            return key
        return self._renamed.setdefault(_below(path, key), f"field-{len(self._renamed) + 1}")

    def _metadata(self, key: str, value: Any) -> Any:
        if key == "changeover" or (key == "model" and isinstance(value, str) and MODEL_NAME.fullmatch(value)):
            return value
        if key == lease.KEY:
            known = lease.read({lease.KEY: value})
            return None if known is None else msgspec.to_builtins(self._lease(known))
        return self._open(value) if "payload" in self.allowed else self._values(value)

    def _without_addresses(self, text: str) -> str:
        """Text that was let in, without the hosts of URLs, IP addresses and home folders that nobody knew of."""

        def stand_in(found: re.Match[str]) -> str:
            host = found["host"]
            known = host in LOOPBACK or host.endswith(".invalid")
            return found[0] if known else found[0].replace(host, self.places.host(host, "host"))

        return HOME.sub(r"\1/user", ADDRESS.sub(stand_in, URL.sub(stand_in, text)))

    def _lease(self, known: lease.Lease) -> lease.Lease:
        place = known.place if "hosts" in self.allowed else ""
        return msgspec.structs.replace(known, host=self.host(known.host), place=place)

    def _open(self, value: Any) -> Any:
        """What was let in, without hosts where these were not."""
        if isinstance(value, dict):
            return {key: self._open(item) for key, item in value.items()}
        if isinstance(value, list):
            return list(map(self._open, value))
        return self.code(value) if isinstance(value, str) else value

    def _values(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._values(item) for key, item in value.items()}
        if isinstance(value, list):
            return list(map(self._values, value))
        if isinstance(value, str) and value:
            self.counts["texts in the collection's metadata"] += 1
            return self.places.value(value, "metadata")
        return value


def shape_of(text: str) -> str:
    """As long and with its white space; every letter, digit and sign replaced by one of its kind."""
    return "".join(map(_shape, text))


def names_of(survey: sm.Survey | None, plan: pm.Plan | None, answers: said.Answers) -> Iterator[str]:
    """What is called by name in a bundle and stays: collections, vectors, fields, models, steps, codes."""
    for model in (answers.model, answers.old_model):
        yield from (model.name, model.provider) if model is not None else ()
    if survey is not None:
        yield from (survey.asked, survey.collection, *survey.collections)
        yield from (alias.name for alias in (*survey.aliases, *survey.other_aliases))
        yield from (vector.name for vector in survey.vectors)
        yield from (*(index.field for index in survey.indexes), *(field.path for field in survey.text.fields))
    if plan is not None:
        job = plan.job
        yield from (plan.id, plan.follows, plan.route, job.source, job.target, job.name_in_use)
        yield from (job.source_vector, job.target_vector, *job.carry, *job.carry.values())
        yield from (name for step in plan.steps for name in (step.id, step.title))
        yield from (finding.code for finding in plan.findings)


def fields_of(survey: sm.Survey, answers: said.Answers) -> Iterator[str]:
    """Paths in the payload that the survey or an answer names."""
    yield from (field.path for field in survey.text.fields)
    yield from (index.field for index in survey.indexes)
    for template in (survey.text.template, answers.text.template):
        yield from paths(template) if template else ()
    yield from (path for path in (answers.text.field, answers.queries.title_field) if path)


def without_keys(value: Any, keys: Iterable[str]) -> tuple[Any, int]:
    """Plain values with every key in any text replaced by ***; and how many texts had one."""
    wanted, had = sorted(keys, key=len, reverse=True), 0

    def blot(found: Any) -> Any:
        nonlocal had
        if isinstance(found, str):
            clear = found
            for key in wanted:
                clear = clear.replace(key, "***")
            had += clear != found
            return clear
        if isinstance(found, Mapping):
            return {blot(key): blot(item) for key, item in found.items()}
        return [blot(item) for item in found] if isinstance(found, list | tuple) else found

    return blot(value), had


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield _below(path, key)
            yield from _paths(item, _below(path, key))
    elif isinstance(value, list):
        for item in value:
            yield from _paths(item, path)


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _shape(char: str) -> str:
    if char.isspace():
        return char
    if char.isalpha():
        return LATIN if char.isascii() or unicodedata.name(char, "").startswith("LATIN") else OTHER
    return DIGIT if char.isdigit() else SIGN


def _stays(redactor: Redactor, value: Any) -> Any:
    return value


def _url(kind: str) -> Rule:
    return lambda redactor, value: redactor.url(value, kind)


def _path(kind: str, *, keeps_name: bool = False) -> Rule:
    return lambda redactor, value: redactor.path(value, kind, keeps_name=keeps_name)


STAYS: dict[type, str] = {
    sm.Peer: "version",
    sm.Cluster: "version",
    sm.Vector: "name kind distance datatype params",
    sm.Index: "field schema",
    sm.Alias: "name collection",
    sm.Replica: "state shard_key",
    sm.Shards: "method keys",
    sm.State: "color",
    sm.Sampled: "id shard_key",
    sm.Field: "path",
    sm.Proof: "template prefix",
    sm.Text: "template",
    sm.Survey: "taken_at asked collection collections strict id_cuts",
    ModelSpec: "provider name kind api_key_env document_prefix query_prefix pooling model_file",
    SparseSpec: "encoder model language",
    said.Answers: "collection avoid route writers cutover cleanup",
    said.TextAnswer: "field template",
    said.VectorAnswer: "source name distance carried_name reserve",
    said.TargetAnswer: "collection reduction",
    said.SparseAnswer: "encoder model language name",
    said.QuantizationAnswer: "kind query_encoding",
    said.MapAnswer: "method",
    said.AliasAnswer: "name",
    said.QueriesAnswer: "title_field",
    said.RollbackAnswer: "window",
    checks.ModelProbe: "fingerprint",
    checks.Finding: "code severity",
    trials.Cut: "method",
    trials.DimensionsTrial: "vector",
    trials.QuantizationTrial: "vector kind",
    trials.GainTrial: "verdict",
    trials.MapTrial: "method",
    trials.HybridTrial: "encoder guessed_language",
    trials.ColocatedTrial: "vector",
    quality.Score: "metric",
    quality.Variant: "name",
    quality.QualityReport: "verdict",
    pm.Plan: "format id created_at changeover route follows hash",
    pm.Access: "api_key_env",
    pm.Job: "mode source target name_in_use source_vector target_vector carry template",
    pm.FromText: "vector",
    pm.FromTerms: "vector",
    pm.FromVector: "vector source distance source_distance method",
    pm.Kept: "vector",
    pm.Request: "method path",
    pm.Slice: "shard_key start end",
    pm._Step: "id title",
    pm.FitMatrix: "title_field",
    pm.MeasureStorage: "vector",
    pm.WaitGreen: "collection",
    pm.Evaluate: "title_field",
    pm.AwaitCutover: "mode confirm",
    pm.SwapAlias: "alias expected",
    pm.SwitchApplication: "vector",
    pm.DropVector: "vector",
    pm.Fingerprint: "version collection vectors aliases indexes collections",
    ev.EngineStarted: "version server",
    ev.StepStarted: "step",
    ev.StepDone: "step",
    ev.Progress: "step",
    ev.SliceAcked: "step position",
    ev.Stream: "shard_key",
    ev.Differences: "step",
    ev.Skipped: "id",
    ev.Settled: "id how",
    ev.Log: "level",
    ev.MatrixFitted: "method digest",
    ev.StorageMeasured: "vector",
    ev.Conflict: "id kept",
    ev.Controlled: "verb",
    ev.RunFinished: "report",
}
"""Names, words of a fixed list, ids and configuration: needed, and no text of anybody's."""

REPLACED: dict[type, dict[str, Rule]] = {
    sm.Peer: {"uri": _url("peer")},
    sm.Cluster: {"url": _url("cluster")},
    sm.Sampled: {"payload": Redactor.payload},
    sm.Survey: {"config": Redactor.config, "metadata": Redactor.metadata},
    ModelSpec: {"url": _url("model"), "path": _path("model", keeps_name=True)},
    SparseSpec: {"path": _path("encoder", keeps_name=True)},
    said.SparseAnswer: {"path": _path("encoder", keeps_name=True)},
    said.QueriesAnswer: {"file": _path("queries")},
    pm.Plan: {"application": Redactor.code, "application_in": Redactor.code_in},
    pm.Access: {"url": _url("cluster")},
    pm.Request: {"body": Redactor.body},
    pm.FitMatrix: {"queries": _path("queries")},
    pm.Evaluate: {"queries": _path("queries")},
    ev.EngineStarted: {"host": Redactor.host},
}

RULES: dict[tuple[type, str], Rule] = {
    **{(owner, name): _stays for owner, names in STAYS.items() for name in names.split()},
    **{(owner, name): rule for owner, rules in REPLACED.items() for name, rule in rules.items()},
}


def rule_of(owner: type, name: str) -> Rule | None:
    """The rule of that field; None where its texts pass through `Phrases` and its values through their own rules."""
    return next((RULES[base, name] for base in owner.__mro__ if (base, name) in RULES), None)
