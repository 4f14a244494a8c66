"""From the answers to an address: URL, port, key; one clear line for whatever is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from changeover.errors import UsageError
from changeover.plan.model import Access
from changeover.urls import is_variable, may_hold_secret

DEFAULT_PORT = 6333
LIKE = "; write it like http://localhost:6333"


class Address(NamedTuple):
    """Where the server is. `key` is never shown."""

    scheme: str
    host: str
    port: int
    prefix: str
    key: str | None
    grpc_port: int | None

    @property
    def url(self) -> str:
        """The URL with its port, without a trailing slash."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{self.prefix}"

    def __repr__(self) -> str:
        return f"Address({self.url})"


def resolve(access: Access, environ: Mapping[str, str]) -> Address:
    """Read the URL (port 6333 when it names none, as Qdrant's clients do) and the key. Raises UsageError."""
    text = access.url.strip()
    if may_hold_secret(text):
        raise UsageError(
            "a key or password does not belong into the address (--url); name its variable with --api-key-env"
        )
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        port = parts.port or DEFAULT_PORT
    except ValueError:
        raise UsageError(f"the address {text} is not a URL{LIKE}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"the address {text} is not an http or https URL{LIKE}")
    key = None
    if access.api_key_env:
        if not is_variable(access.api_key_env):
            raise UsageError("--api-key-env: give the name of an environment variable, such as QDRANT_KEY, not the key")
        # A key read from a file often brings its newline along; a header that ends in one is refused, key and all.
        key = environ.get(access.api_key_env, "").strip()
        if not key:
            raise UsageError(
                f"the environment variable {access.api_key_env} is not set; export it with the API key, then start again"
            )
        if not key.isascii() or not key.isprintable():
            raise UsageError(f"the key in {access.api_key_env} holds characters that no HTTP header can carry")
    return Address(parts.scheme, parts.hostname, port, parts.path.rstrip("/"), key, access.grpc_port)
