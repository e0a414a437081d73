"""Integer frequency tables: Gaussians for latents, softmax for indices.

The tables themselves are computed once, when weights are exported, and shipped; at run time only
integers are looked up, multiplied and divided.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from .fixedpoint import (
    FRACTION_BITS,
    LOG_SCALE_MIN,
    PROBABILITY_BITS,
    SCALE_STEP,
    SCALES,
    SYMBOL_MAX,
)

TOTAL = 1 << PROBABILITY_BITS
EXP_RANGE = 16 << FRACTION_BITS
"""Logits more than 16 nats under the largest one count as 16."""


def scale_index(log_scale: NDArray[np.float64]) -> NDArray[np.intp]:
    """Fixed-point logarithms of scales -> table numbers 0..63."""
    index = np.floor((log_scale - LOG_SCALE_MIN + SCALE_STEP / 2) / SCALE_STEP)
    return np.clip(index, 0, SCALES - 1).astype(np.intp)


def gaussian_tables() -> NDArray[np.int32]:
    """Frequencies of symbols -24..24 for each of the 64 scales: 64 x 49, rows sum to 2**24.

    Uses floating point, so it belongs to the export; what is exported is what counts.
    """
    rows = []
    for k in range(SCALES):
        scale = math.exp((LOG_SCALE_MIN + SCALE_STEP * k) / (1 << FRACTION_BITS))
        edges = [-math.inf, *(s + 0.5 for s in range(-SYMBOL_MAX, SYMBOL_MAX)), math.inf]
        cdf = [0.5 * (1 + math.erf(e / (scale * math.sqrt(2)))) for e in edges]
        mass = np.diff(np.array(cdf))
        rows.append(_normalised((mass * 2**36).astype(np.int64)[None])[0])
    return np.stack(rows).astype(np.int32)


def exp_table() -> NDArray[np.int32]:
    """round(2**20 * exp(-d / 1024)) for d = 0..16 * 1024; exported, as the Gaussians are."""
    d = np.arange(EXP_RANGE + 1) / (1 << FRACTION_BITS)
    return np.round(np.exp(-d) * (1 << 20)).astype(np.int32)


def softmax_frequencies(logits: NDArray[np.float64], exp: NDArray[np.int32]) -> NDArray[np.int64]:
    """Fixed-point logits n x K -> frequencies n x K, each at least 1, rows summing to 2**24."""
    below = np.minimum(logits.max(1, keepdims=True) - logits, EXP_RANGE).astype(np.intp)
    return _normalised(exp[below].astype(np.int64))


def _normalised(mass: NDArray[np.int64]) -> NDArray[np.int64]:
    free = TOTAL - mass.shape[1]
    frequencies: NDArray[np.int64] = 1 + mass * free // mass.sum(1, keepdims=True)
    rows = np.arange(len(mass))
    frequencies[rows, mass.argmax(1)] += TOTAL - frequencies.sum(1)
    return frequencies
