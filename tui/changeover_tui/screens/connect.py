"""Where the cluster is and which key opens it; nothing of it is stored."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlsplit

from textual.containers import Vertical
from textual.widget import Widget
from textual.widgets import Input

from changeover.errors import UsageError
from changeover.plan.model import Access
from changeover_tui import crash, messages
from changeover_tui.bindings import bindings
from changeover_tui.screens.base import WizardScreen
from changeover_tui.widgets.cell import Cell
from changeover_tui.widgets.enter import Field

TYPED_KEY_ENV = "QDRANT_API_KEY"
"""The variable that a typed key is handed to the engine process in; only the name of it is ever stored."""


class ConnectScreen(WizardScreen[None]):
    """URL, port, key."""

    CSS_PATH = "connect.tcss"
    STAGE = "connect"
    KEYS_OF = "connect"
    HEADING = "Connect to a cluster"
    EXPLAIN = (
        "Give the address of the REST interface, for example http://localhost:6333. If the cluster wants an API key, "
        "name the environment variable that holds it, or type the key. A typed key stays in memory and is handed to "
        "the engine process; it is never written to a plan, a journal, a log or an error.\n\n"
        "Connecting only reads: the version, the collections and their sizes."
    )
    HINT = "Enter connects and lists the collections; nothing is written to the cluster."
    BINDINGS = bindings("connect")

    def body(self) -> Iterable[Widget]:
        given, environ = self.wizard_app.access, self.wizard_app.environ
        url = given.url if given else environ.get("QDRANT_URL", "http://localhost:6333")
        key_env = (given.api_key_env or "") if given else (TYPED_KEY_ENV if environ.get(TYPED_KEY_ENV) else "")
        yield Cell("Where is your cluster?", classes="heading")
        with Vertical(id="form"):
            yield _titled(Field(value=url, id="url", placeholder="http://localhost:6333"), "Address (REST)")
            port = str(given.grpc_port) if given and given.grpc_port else ""
            yield _titled(
                Field(value=port, id="grpc", placeholder="found by itself", type="integer"), "gRPC port (optional)"
            )
            yield _titled(
                Field(value=key_env, id="key-env", placeholder="none"),
                "Environment variable with the API key (optional)",
            )
            yield _titled(
                Field(id="key", password=True, placeholder="not stored anywhere"), "Or type the key here (optional)"
            )

    def on_mount(self) -> None:
        """The address first."""
        self.query_one("#url", Input).focus()

    def action_submit(self) -> None:
        """Check what was typed, then connect."""
        try:
            access, environ = self._typed()
        except UsageError as error:
            self.fail(error)
            return
        self.tell(f"Connecting to {access.url} …")
        self.in_background(self._connect(access, environ), "connect")

    async def _connect(self, access: Access, environ: dict[str, str]) -> None:
        wizard = await self.wizard_app.open_wizard(access, environ)
        await wizard.collections()
        self.tell()
        self.post_message(messages.Connected(wizard))

    def _typed(self) -> tuple[Access, dict[str, str]]:
        url, port, key_env, key = (
            self.query_one(f"#{name}", Input).value.strip() for name in ("url", "grpc", "key-env", "key")
        )
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url or 'the address'}: not an address; write it like http://localhost:6333")
        environ = dict(self.wizard_app.environ)
        if key:
            crash.remember_secret(key)
            key_env = TYPED_KEY_ENV
            environ[key_env] = key
        elif key_env and not environ.get(key_env):
            raise UsageError(f"{key_env}: no such environment variable; export it first, or type the key below")
        return Access(url=url, grpc_port=int(port) if port else None, api_key_env=key_env or None), environ


def _titled(field: Input, title: str) -> Input:
    field.border_title = title
    return field
