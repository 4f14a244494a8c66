"""The sandbox's documents, queries and the changes that its application makes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from uuid import UUID

import msgspec
import pytest

from changeover.sandbox import corpus
from changeover.sandbox.changes import WEIGHTS, Changes
from changeover.sandbox.corpus import Document


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return corpus.documents(None)


def test_the_library_gives_enough_documents_with_both_kinds_of_id(documents: list[Document]) -> None:
    assert len(documents) > 3_000
    ids = [document.id for document in documents]
    assert len(set(ids)) == len(ids)
    uuids = [i for i in ids if isinstance(i, str)]
    assert len(uuids) == len(ids) // corpus.UUID_EVERY
    assert all(str(UUID(i)) == i for i in uuids)
    assert len({document.text for document in documents}) == len(documents)
    assert {document.kind for document in documents} == {"module", "class", "function"}


def test_a_document_is_its_docstring_without_the_first_line(documents: list[Document]) -> None:
    [document] = [d for d in documents if d.name == "textwrap.dedent"]
    assert document.title == "Remove any common leading whitespace from every line in `text`."
    assert document.text.startswith("This can be used to make triple-quoted strings line up")
    assert (document.module, document.kind, document.file) == ("textwrap", "function", "textwrap.py")
    assert document.tags == ("textwrap", "public")
    assert set(document.payload()) == set(Document.__struct_fields__) - {"id"}


def test_another_process_sees_the_same_documents(documents: list[Document]) -> None:
    code = (
        "import hashlib, msgspec; from changeover.sandbox import corpus;"
        "print(hashlib.sha256(msgspec.json.encode(corpus.documents(500))).hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == hashlib.sha256(msgspec.json.encode(documents[:500])).hexdigest()


def test_each_query_has_its_one_document(documents: list[Document]) -> None:
    some = documents[:1000]
    queries = corpus.queries(some, 200, seed=1)
    assert len(queries) == 200
    assert queries == corpus.queries(some, 200, seed=1) != corpus.queries(some, 200, seed=2)
    by_id = {document.id: document for document in some}
    for query in queries:
        [(answer, gain)] = query.relevant.items()
        assert by_id[answer].title == query.query
        assert gain == 1
    assert len(corpus.queries(some, 10_000)) < 1000


def test_changes_follow_from_their_seed_and_keep_a_true_account(documents: list[Document]) -> None:
    stored = {document.id: document.payload() for document in documents[:60]}

    def drawn(seed: int) -> list[tuple[str, object]]:
        changes = Changes(stored, documents, seed)
        account = {point: dict(payload) for point, payload in stored.items()}
        seen: list[tuple[str, object]] = []
        for _ in range(400):
            change = changes.next()
            seen.append((change.operation, change.id))
            if change.operation in ("insert", "reinsert"):
                assert change.id not in account
            else:
                assert change.id in account
            if change.payload is None:
                del account[change.id]
            else:
                if change.operation == "edit":
                    assert change.payload["text"] != account[change.id]["text"]
                if change.operation == "payload_edit":
                    assert change.payload == account[change.id] | change.fields
                account[change.id] = change.payload
            changes.done(change)
        return seen

    assert drawn(3) == drawn(3) != drawn(4)
    assert {operation for operation, _ in drawn(3)} == set(WEIGHTS)


def test_inserts_go_on_when_the_library_is_used_up_and_never_take_an_id_twice(documents: list[Document]) -> None:
    small = documents[:5]
    changes = Changes({}, small, seed=0)
    taken = set()
    for _ in range(300):
        change = changes.next()
        if change.operation == "insert":
            assert change.id not in taken
            taken.add(change.id)
        changes.done(change)
    assert len(taken) > 50
    assert {type(i) for i in taken} == {int, str}
