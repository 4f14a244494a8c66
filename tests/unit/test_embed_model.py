"""ModelSpec, Fingerprint, batches and the factory's plain mistakes."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.embed import Fingerprint, ModelSpec, load
from changeover.embed.vectors import by_size
from changeover.errors import UsageError

FINGERPRINT = Fingerprint(provider="openai", model="m", dimension=3, query_prefix="query: ")


def test_a_spec_survives_a_file_and_refuses_keys_it_does_not_know() -> None:
    spec = ModelSpec(provider="openai", name="m", url="http://h/v1", api_key_env="KEY", dimension=3)
    assert msgspec.json.decode(msgspec.json.encode(spec), type=ModelSpec) == spec
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"provider": "openai", "api_key": "secret"}, ModelSpec)


def test_the_fingerprint_digest_is_short_stable_and_moves_with_every_field() -> None:
    assert FINGERPRINT.digest == "a3f4632176da"
    changed = {
        "provider": "fastembed",
        "model": "n",
        "revision": "ab",
        "dimension": 4,
        "document_prefix": "d",
        "query_prefix": "",
        "pooling": "cls",
        "normalised": False,
        "max_tokens": 8,
    }
    assert set(changed) == set(Fingerprint.__struct_fields__)
    for field, value in changed.items():
        assert msgspec.structs.replace(FINGERPRINT, **{field: value}).digest != FINGERPRINT.digest


def test_an_unknown_provider_is_named_beside_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"'nobody'; known are cohere, fastembed, .*, tei, voyage"):
        load(ModelSpec(provider="nobody"))


@given(
    st.lists(st.integers(1, 300), max_size=80),
    st.integers(1, 20),
    st.integers(1, 1000),
)
def test_batches_cover_every_text_once_within_both_limits(sizes: list[int], texts: int, size: int) -> None:
    batches = list(by_size(sizes, texts, size))
    assert sorted(i for batch in batches for i in batch) == list(range(len(sizes)))
    for batch in batches:
        assert len(batch) <= texts
        assert len(batch) == 1 or len(batch) * max(sizes[i] for i in batch) <= size
    ends = [max(sizes[i] for i in batch) for batch in batches]
    assert ends == sorted(ends)


def test_importing_the_room_stays_light() -> None:
    code = (
        "import sys, changeover.embed;"
        "print([m for m in ('numpy','httpx','fastembed','onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
