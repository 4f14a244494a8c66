"""What all fastembed models share: quiet opening, names as fastembed spells them, local folders, one-line failures."""

from __future__ import annotations

import difflib
import hashlib
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from changeover.errors import UnreachableError, UsageError


def quiet() -> Any:
    """The module fastembed, with its log lines and the hub's progress bars off: a screen may be in use."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # read once, when huggingface_hub is imported
    import fastembed
    from loguru import logger

    logger.disable("fastembed")
    return fastembed


def known_name(family: Any, name: str, question: str) -> str:
    """The name as fastembed spells it; UsageError with near names when this family of models has none like it.

    `question` is the group of questions that the name is an answer of, "model" or "sparse".
    """
    known = [model["model"] for model in family.list_supported_models()]
    for candidate in known:
        if candidate.lower() == name.lower():
            return str(candidate)
    close = difflib.get_close_matches(name, known, n=3, cutoff=0.3)
    near = f" (near: {', '.join(close)})" if close else ""
    if question == "sparse":
        raise UsageError(f"fastembed has no sparse model {name!r} (sparse.model); it has {', '.join(known)}.")
    raise UsageError(f"fastembed has no model {name!r}{near}; give a local ONNX folder as model.path instead.")


def opened(make: Callable[..., Any], name: str, folder: Path | None, question: str = "model", **options: Any) -> Any:
    """The loaded model that `make` gives; its failures become one line."""
    local: dict[str, Any] = {"specific_model_path": str(folder)} if folder else {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(name, **local, **options)
    except Exception as error:
        reason = one_line(error)
        if folder:
            raise UsageError(f"{question}.path {folder} could not be opened as an ONNX model: {reason}") from error
        raise UnreachableError(
            f"fastembed could not get {name}: it is not in its cache and the model hub did not give it ({reason}) "
            f"Check the network, or give a downloaded folder as {question}.path."
        ) from error


def model_file(folder: Path, wanted: str) -> str:
    """The ONNX file's path inside the folder; UsageError when the folder is not a model folder."""
    if not folder.is_dir():
        raise UsageError(f"model.path {folder} is not a folder; give one with {wanted} and tokenizer.json.")
    found = next((file for file in (wanted, f"onnx/{wanted}") if (folder / file).is_file()), None)
    if found is None:
        raise UsageError(f"model.path {folder} is not a model folder: it has no {wanted}.")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        if not (folder / file).is_file():
            raise UsageError(f"model.path {folder} has no {file}; copy it from where the model came from.")
    return found


def on_cpu(model: Any) -> bool:
    """True too for fastembed's static models, which have no onnxruntime session."""
    session = getattr(model, "model", None)
    get_providers = getattr(session, "get_providers", None)
    return get_providers is None or get_providers()[0] == "CPUExecutionProvider"


def max_tokens(model: Any) -> int | None:
    """Tokens after which the model's tokenizer truncates; None without a tokenizer."""
    tokenizer = getattr(model, "tokenizer", None)
    truncation = getattr(tokenizer, "truncation", None)
    return int(truncation["max_length"]) if truncation else None


def revision(model: Any) -> str:
    """sha256 of the model file that fastembed opened; "" where it does not say which one that is."""
    folder, description = getattr(model, "_model_dir", None), getattr(model, "model_description", None)
    if folder is None or description is None or not (Path(folder) / description.model_file).is_file():
        return ""
    with (Path(folder) / description.model_file).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def token_lengths(tokenizer: Any, texts: list[str]) -> list[int]:
    """Tokens per text after truncation; a quarter of the characters where there is no tokenizer."""
    if tokenizer is None:
        return [1 + len(text) // 4 for text in texts]
    return [sum(encoding.attention_mask) for encoding in tokenizer.encode_batch(texts)]


def one_line(error: Exception) -> str:
    """The first line of what an exception says, or its kind."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
