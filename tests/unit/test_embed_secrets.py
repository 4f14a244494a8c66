"""No key or password of an embedding endpoint in an error, a plan or an answer, and no control characters either."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from changeover.cluster.address import resolve
from changeover.decision.answers import Answers, from_toml, set_answer
from changeover.embed.http import HttpEmbedder
from changeover.embed.model import ModelSpec
from changeover.embed.protocol import load
from changeover.errors import ChangeoverError, UsageError
from changeover.plan import file as plan_file
from changeover.plan.model import Access
from tests.engine.fakes import plan, slices

KEY = "sk-SECRET-0123456789abcdef0123456789"
SPEC = ModelSpec(provider="openai", name="m", url="http://model.test/v1", api_key_env="MODEL_KEY")
SECRET_URLS = (
    "https://user:hunter2@host/v1",
    "https://hunter2@host/v1",
    "https://user:hun/ter2@host/v1",
    "user:hunter2@host/v1",
    "https://host/v1?api-key=hunter2",
    "https://host/v1#hunter2",
)


def refused(status: int, body: bytes, key: str = KEY) -> str:
    """The one line that a person gets when the endpoint answers so."""
    transport = httpx.MockTransport(lambda request: httpx.Response(status, content=body))
    with pytest.raises(ChangeoverError) as caught:
        HttpEmbedder(SPEC, key, transport, first_wait=0.0001)
    return str(caught.value)


@given(st.integers(0, 400), st.sampled_from([400, 401, 404, 429, 500]), st.booleans())
def test_a_key_across_the_cut_is_taken_out_first(before: int, status: int, as_json: bool) -> None:
    text = "x " * (before // 2) + "y" * (before % 2) + KEY + " tail" * 40
    body = msgspec.json.encode({"error": {"message": text}}) if as_json else text.encode()
    line = refused(status, body)
    assert not any(KEY[:n] in line for n in range(5, len(KEY) + 1))


def test_a_key_that_control_characters_hid_is_taken_out_too() -> None:
    assert "SECRET" not in refused(401, f"bad {KEY[:9]}\x1b[0m{KEY[9:]}".encode())


def test_foreign_words_are_one_safe_line() -> None:
    line = refused(401, msgspec.json.encode({"error": {"message": "bad \x1b]0;owned\x07 \u202e key\nagain"}}))
    assert "bad key again" in line
    assert line.isprintable()


def test_a_key_with_blanks_around_it_works_and_is_in_no_error() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401, text=f"no such key: {KEY}")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("changeover.embed.caller.httpx.Client", _client(answer))
        with pytest.raises(ChangeoverError) as caught:
            load(SPEC, {"MODEL_KEY": f" {KEY}\n"})
    assert seen == [f"Bearer {KEY}"]
    assert "SECRET" not in str(caught.value)


def test_what_the_transport_says_is_without_the_key() -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.LocalProtocolError(f"Illegal header value b'Bearer {KEY}' \x1b[2J")

    with pytest.raises(ChangeoverError, match="gave no vectors") as caught:
        HttpEmbedder(SPEC, KEY, httpx.MockTransport(broken), first_wait=0.0001)
    assert "SECRET" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("url", SECRET_URLS)
def test_a_url_with_a_secret_is_refused_wherever_it_comes_from(url: str, tmp_path: Path) -> None:
    answers = set_answer(set_answer(Answers(), "model.provider", "openai"), "model.name", "m")
    toml = tmp_path / "answers.toml"
    toml.write_text(f'[old_model]\nprovider = "openai"\nname = "m"\nurl = "{url}"\n')
    data = plan_file.to_json(plan("in-place", slices(), model=msgspec.structs.replace(SPEC, url="https://PLACE")))
    data = data.replace(b"https://PLACE", url.encode())
    for attempt in (
        lambda: set_answer(answers, "model.url", url),
        lambda: from_toml(toml),
        lambda: plan_file.from_json(data, "plan.json"),
        lambda: msgspec.structs.replace(SPEC, url=url),
    ):
        with pytest.raises(UsageError, match="api_key_env") as caught:
            attempt()
        assert "ter2" not in str(caught.value)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match=r"plan\.json.*job\.model"):
        plan_file.from_json(data, "plan.json")
    with pytest.raises(UsageError, match=r"answers\.toml.*old_model"):
        from_toml(toml)


@pytest.mark.parametrize("name", [KEY, "two words", "AIza/x+y=="])
def test_a_key_in_the_place_of_its_variable_is_not_repeated(name: str) -> None:
    answers = set_answer(set_answer(Answers(), "model.provider", "openai"), "model.name", "m")
    with pytest.raises(UsageError, match="the name of an environment variable") as caught:
        set_answer(answers, "model.api_key_env", name)
    assert name not in str(caught.value)
    with pytest.raises(UsageError, match="the name of an environment variable") as caught:
        resolve(Access(url="http://localhost", api_key_env=name), {})
    assert name not in str(caught.value)


@pytest.mark.parametrize("url", SECRET_URLS)
def test_the_clusters_url_is_refused_for_the_same(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(Access(url=url), {})
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://[::1]:8080/v1",
        "http://host:8/a/@cf/x",
        "https://resource.example.com/x.y_z~",
    ],
)
def test_other_urls_are_taken(url: str) -> None:
    assert msgspec.structs.replace(SPEC, url=url).url == url


def test_a_url_with_control_characters_is_refused() -> None:
    with pytest.raises(UsageError, match="not an http or https URL") as caught:
        load(ModelSpec(provider="openai", name="m", url="http://host/\u202ev1"), {})
    assert str(caught.value).isprintable()


def _client(answer: object) -> object:
    real = httpx.Client
    return lambda **given: real(**{**given, "transport": httpx.MockTransport(answer)})  # type: ignore[arg-type]


def test_httpx_logs_no_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        refused(401, b"no")
    assert "SECRET" not in caplog.text
