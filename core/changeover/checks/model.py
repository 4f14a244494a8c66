"""What a check concludes."""

from __future__ import annotations

from typing import Literal

import msgspec

from changeover.quality.trials import (
    ColocatedTrial,
    DimensionsTrial,
    GainTrial,
    HybridTrial,
    MapTrial,
    QuantizationTrial,
)

Severity = Literal["info", "warning", "blocker"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One conclusion: what was measured, against which limit, what follows and what to do."""

    code: str
    severity: Severity
    title: str
    """One line a newcomer understands."""
    measured: str = ""
    limit: str = ""
    consequence: str = ""
    remedy: str = ""
    source: str = ""
    """Where the rule comes from: a measured answer, documentation, server source."""
    acknowledge: bool = False
    """Must be accepted by typing its code (or `--accept CODE`) before the plan may run."""


class ModelProbe(msgspec.Struct, frozen=True, kw_only=True):
    """What the new model really does, measured on texts of the sample."""

    dimension: int
    max_tokens: int | None = None
    texts_per_s: float = 0.0
    tokens_per_text: float = 0.0
    truncated: float = 0.0
    """Share of sampled texts longer than `max_tokens`."""
    norm: float = 1.0
    """Mean length of the vectors that it returns."""
    fingerprint: str = ""
    error: str = ""
    """One line when the model could not be loaded or asked; then nothing else is meaningful."""


class Probes(msgspec.Struct, frozen=True, kw_only=True):
    """Measurements taken beside the survey; None means not taken."""

    new_model: ModelProbe | None = None
    queries: int | None = None
    """Labelled queries in the query file; None when there is none."""
    dimensions: DimensionsTrial | None = None
    quantization: QuantizationTrial | None = None
    gain: GainTrial | None = None
    map: MapTrial | None = None
    hybrid: HybridTrial | None = None
    colocated: ColocatedTrial | None = None
    quantizations: tuple[QuantizationTrial, ...] = ()
    """Every kind that was tried on this vector so far; `quantization` is the answered one."""
    texts_changed: float | None = None
    """Share of sampled points whose stored vector no longer fits their text, where most do (proof of the text)."""
