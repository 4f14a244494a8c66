"""The collections and aliases of one sandbox, kept in a folder; and the thread that tends them."""

from __future__ import annotations

import fcntl
import shutil
import threading
import traceback
from pathlib import Path
from typing import IO, Any

import msgspec
import orjson

from changeover.errors import BlockedError
from changeover.sandbox.server import refusals, schema
from changeover.sandbox.server.collection import Collection, write_json
from changeover.sandbox.server.generations import Generation
from changeover.sandbox.server.inference import Inference

PEER_ID = 4211789340115213
SLOW_REQUESTS = 32


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a test can set (`PUT /sandbox/settings`); an omitted one gets its default back."""

    optimised_from: int = 1000
    """A point counts as sitting in an optimised segment once its collection has this many points."""
    quiet_s: float = 0.3
    """The optimiser starts this long after the last write or PATCH; until then a collection may be yellow."""


class Cluster:
    """Everything that one sandbox holds; safe to use from any thread."""

    def __init__(self, root: Path, generation: Generation, inference: Inference | None = None) -> None:
        """Open the folder; BlockedError when another sandbox has it open."""
        self.generation = generation
        self.inference = inference
        self.settings = Settings()
        self.slow: list[schema.Document] = []
        self._root = root
        self._collections: dict[str, Collection] = {}
        self._aliases: dict[str, str] = {}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        (root / "collections").mkdir(parents=True, exist_ok=True)
        self._guard = self._claim()
        self._load()
        self._housekeeper = threading.Thread(target=self._tend, name="housekeeper", daemon=True)
        self._housekeeper.start()

    def names(self) -> list[str]:
        """Names of the collections."""
        with self._lock:
            return list(self._collections)

    def aliases(self) -> dict[str, str]:
        """Alias -> collection."""
        with self._lock:
            return dict(self._aliases)

    def find(self, name: str) -> Collection:
        """The collection of that name or behind that alias; Refused when there is none."""
        with self._lock:
            found = self._collections.get(self._aliases.get(name, name))
        if found is None:
            raise refusals.no_collection(name)
        return found

    def exists(self, name: str) -> bool:
        """Whether a collection or an alias has that name."""
        with self._lock:
            return self._aliases.get(name, name) in self._collections

    def create(self, name: str, body: schema.Document) -> bool:
        """Create a collection: 409 when it is there, 400 when an alias has the name."""
        with self._lock:
            if name in self._collections:
                raise refusals.Refused(409, f"Wrong input: Collection `{name}` already exists!")
            if name in self._aliases:
                taken = f"Can't create collection with name {name}. Alias with the same name already exists"
                raise refusals.Refused(400, f"Wrong input: {taken}")
            config = schema.created(body, self.generation)
            self._collections[name] = Collection.create(self._root / "collections", name, config)
        return True

    def delete(self, name: str) -> bool:
        """Delete a collection and the aliases to it; False for an alias or an unknown name, which changes nothing."""
        with self._lock:
            found = self._collections.pop(name, None)
            if found is None:
                return False
            self._keep({alias: target for alias, target in self._aliases.items() if target != name})
        found.delete()
        return True

    def change_aliases(self, actions: list[Any]) -> bool:
        """Apply alias actions one by one; those before a refused one stay applied (measured on 1.17.1 to 1.19.0)."""
        with self._lock:
            for action in actions:
                self._change_alias(action)
        return True

    def close(self) -> None:
        """Flush and close everything."""
        self._closing.set()
        if self._housekeeper.is_alive():
            self._housekeeper.join()
        with self._lock:
            for collection in self._collections.values():
                collection.close()
            self._guard.close()

    def _change_alias(self, action: Any) -> None:
        kind, given = next(iter(action.items())) if isinstance(action, dict) and action else ("", {})
        aliases = dict(self._aliases)
        if kind == "create_alias":
            alias, target = given["alias_name"], given["collection_name"]
            if target not in self._collections:
                raise refusals.no_collection(target)
            if alias in self._collections:
                raise refusals.Refused(409, f"Wrong input: Collection `{alias}` already exists!")
            aliases[alias] = target
        elif kind == "delete_alias":
            aliases.pop(given["alias_name"], None)
        elif kind == "rename_alias":
            old = given["old_alias_name"]
            if old not in aliases:
                raise refusals.Refused(404, f"Not found: Alias {old} does not exists!")
            aliases[given["new_alias_name"]] = aliases.pop(old)
        else:
            raise refusals.malformed("data did not match any variant of untagged enum AliasOperations")
        self._keep(aliases)

    def _keep(self, aliases: dict[str, str]) -> None:
        if aliases != self._aliases:
            write_json(self._root / "aliases.json", aliases)
            self._aliases = aliases

    def _claim(self) -> IO[bytes]:
        file = (self._root / "lock").open("wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise BlockedError(
                f"{self._root} is in use by another sandbox; stop it or choose another --data."
            ) from error
        return file

    def _load(self) -> None:
        saved = self._root / "aliases.json"
        if saved.exists():
            self._aliases = orjson.loads(saved.read_bytes())
        for directory in (self._root / "collections").iterdir():
            if not (directory / "collection.json").exists():
                shutil.rmtree(directory)
                continue
            collection = Collection.load(directory)
            self._collections[collection.name] = collection
        self._aliases = {name: target for name, target in self._aliases.items() if target in self._collections}

    def _tend(self) -> None:
        while not self._closing.wait(0.1):
            with self._lock:
                collections = list(self._collections.values())
            for collection in collections:
                try:
                    collection.tend(self.settings.quiet_s)
                except Exception:
                    # The other collections need their housekeeper all the same; the log says what went wrong.
                    traceback.print_exc()
