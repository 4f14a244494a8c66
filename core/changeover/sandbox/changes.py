"""What the application's users do to the documents: an endless, seeded sequence of inserts, edits and deletes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from changeover.sandbox.corpus import NAMESPACE, Document
from changeover.survey.model import PointId

Operation = Literal["insert", "edit", "payload_edit", "delete", "reinsert"]
WEIGHTS: dict[Operation, int] = {"insert": 30, "edit": 35, "payload_edit": 20, "delete": 10, "reinsert": 5}
FIRST_NEW_ID = 1_000_000


class Change(msgspec.Struct, frozen=True):
    """One write: the point, and its whole payload afterwards (None when deleted)."""

    operation: Operation
    id: PointId
    payload: dict[str, Any] | None
    fields: dict[str, Any] = {}
    """payload_edit: only the fields that change."""


class Changes:
    """Draws changes against what is stored now; `done` must be called for each change that was acknowledged."""

    def __init__(self, stored: Mapping[PointId, Mapping[str, Any]], library: Sequence[Document], seed: int) -> None:
        self._random = random.Random(seed)
        self._stored = {point: dict(payload) for point, payload in stored.items()}
        self._ids = list(self._stored)
        self._deleted: dict[PointId, dict[str, Any]] = {}
        self._library = library
        self._unused = [document for document in reversed(library) if document.id not in self._stored]
        self._drawn = 0
        # a second run of the application must not take the ids of the first
        self._next_id = max([FIRST_NEW_ID, *(i + 1 for i in self._ids if isinstance(i, int))])

    def next(self) -> Change:
        """The next change; every operation that needs a point falls back to an insert when there is none."""
        self._drawn += 1
        operation = self._random.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        if operation == "reinsert" and self._deleted:
            point = self._random.choice(list(self._deleted))
            return Change("reinsert", point, self._deleted[point])
        if operation in ("edit", "payload_edit", "delete") and self._ids:
            point = self._random.choice(self._ids)
            if operation == "delete":
                return Change("delete", point, None)
            payload = self._stored[point]
            if operation == "edit":
                return Change("edit", point, {**payload, "text": self._edited(payload["text"])})
            fields = {"reviewed": self._drawn}
            return Change("payload_edit", point, {**payload, **fields}, fields)
        return self._insert()

    def done(self, change: Change) -> None:
        """Remember that the change is stored."""
        if change.payload is None:
            self._deleted[change.id] = self._stored.pop(change.id)
            self._ids.remove(change.id)
            return
        if change.id not in self._stored:
            self._ids.append(change.id)
            self._deleted.pop(change.id, None)
        self._stored[change.id] = change.payload

    def _edited(self, text: str) -> str:
        """The text with a sentence of another document in front, so that its vector moves visibly."""
        other = self._random.choice(self._library)
        return f"{other.title}\n\n{text}"[:4_000]

    def _insert(self) -> Change:
        if self._unused:
            document = self._unused.pop()
            return Change("insert", document.id, document.payload())
        number = self._next_id
        self._next_id += 1
        document = self._random.choice(self._library)
        payload = {**document.payload(), "text": self._edited(document.text)}
        point: PointId = number if number % 10 else str(uuid.uuid5(NAMESPACE, f"new {number}"))
        return Change("insert", point, payload)
