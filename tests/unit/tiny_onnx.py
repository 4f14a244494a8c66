"""ONNX files of a few hundred bytes, written by hand: one lookup table, so that fastembed runs without any download.

The bytes follow onnx.proto3: a field is its number and kind, then a varint or a length and that many bytes.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import BertPreTokenizer

FLOAT, INT64 = 1, 7


def lookup_folder(folder: Path, words: list[str], table: list[list[float]]) -> Path:
    """A model folder whose output is `table[token]` per token; row 0 is padding, row 1 unknown words, then `words`.

    Output shape (texts, tokens, columns): read as a SPLADE, a column is a vocabulary entry and its weight log(1 + x).
    """
    folder.mkdir(parents=True, exist_ok=True)
    rows = np.array([[0.0] * len(table[0]), *table], np.float32)
    (folder / "model.onnx").write_bytes(_model(rows))
    vocabulary = {word: i for i, word in enumerate(["[PAD]", "[UNK]", *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.add_special_tokens(["[PAD]", "[UNK]"])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 16, "pad_token": "[PAD]"}))
    (folder / "config.json").write_text(json.dumps({"pad_token_id": 0}))
    return folder


def _model(rows: np.ndarray) -> bytes:
    tensor = (
        b"".join(_number(1, size) for size in rows.shape)
        + _number(2, FLOAT)
        + _bytes(8, b"table")
        + _bytes(9, rows.astype("<f4").tobytes())
    )
    node = _bytes(1, b"table") + _bytes(1, b"input_ids") + _bytes(2, b"out") + _bytes(4, b"Gather")
    graph = (
        _bytes(1, node)
        + _bytes(2, b"lookup")
        + _bytes(5, tensor)
        + b"".join(_bytes(11, _value(name, INT64, [b"texts", b"tokens"])) for name in (b"input_ids", b"attention_mask"))
        + _bytes(12, _value(b"out", FLOAT, [b"texts", b"tokens", rows.shape[1]]))
    )
    return _number(1, 8) + _bytes(7, graph) + _bytes(8, _number(2, 13))


def _value(name: bytes, kind: int, sizes: list[bytes | int]) -> bytes:
    dims = b"".join(_bytes(1, _number(1, s) if isinstance(s, int) else _bytes(2, s)) for s in sizes)
    return _bytes(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, dims)))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
