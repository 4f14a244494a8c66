"""BM25 over whole texts, written from its formula and nothing of the sandbox."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any


def words(text: str) -> list[str]:
    """Runs of letters and digits, in lower case."""
    return re.findall(r"[^\W_]+", text.lower())


def scores(texts: Mapping[Any, str], query: str, *, k: float = 1.2, b: float = 0.75) -> dict[Any, float]:
    """Score by id of the texts that hold a word of the query; a word counts once, however often the query has it."""
    counted = {i: Counter(words(text)) for i, text in texts.items()}
    lengths = {i: counts.total() for i, counts in counted.items()}
    average = sum(lengths.values()) / max(1, len(texts))
    found: dict[Any, float] = {}
    for word in set(words(query)):
        holders = [i for i, counts in counted.items() if word in counts]
        rarity = math.log(1 + (len(texts) - len(holders) + 0.5) / (len(holders) + 0.5))
        for i in holders:
            often = counted[i][word]
            share = often * (k + 1) / (often + k * (1 - b + b * lengths[i] / average))
            found[i] = found.get(i, 0.0) + rarity * share
    return found
