"""Rate-quality curves: value at a rate, and the Bjontegaard rate difference.

Rates are bits per pixel, qualities are higher-is-better (negate a distance). Both calculations
interpolate monotonically (PCHIP) in the logarithm of the rate and never extrapolate.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hdcodec._errors import HdcError

Floats = NDArray[np.float64]


def frontier(rates: Sequence[float], qualities: Sequence[float]) -> tuple[Floats, Floats]:
    """The points that no cheaper point matches, rates and qualities both strictly rising."""
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(zip(rates, qualities, strict=True), key=lambda p: (p[0], -p[1])):
        if math.isfinite(quality) and (not kept or quality > kept[-1][1]):
            kept.append((rate, quality))
    table = np.array(kept, np.float64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def at_rate(rates: Sequence[float], qualities: Sequence[float], targets: Sequence[float]) -> Floats:
    """Quality at each target rate; NaN outside the rates measured."""
    wanted = np.asarray(targets, np.float64)
    x, y = frontier(rates, qualities)
    if not len(x):
        return np.full(wanted.shape, math.nan)
    inside = np.log(np.clip(wanted, x[0], x[-1]))
    values = pchip(np.log(x), y)(inside) if len(x) > 1 else np.full(wanted.shape, y[0])
    measured = (wanted >= min(rates)) & (wanted <= max(rates))
    return np.where(measured, values, math.nan)


def bd_rate(
    rates: Sequence[float],
    qualities: Sequence[float],
    anchor_rates: Sequence[float],
    anchor_qualities: Sequence[float],
) -> float:
    """Mean difference in rate at equal quality, in percent of the anchor; negative is smaller.

    NaN where the curves have no interval of quality in common.
    """
    tested, anchor = frontier(rates, qualities), frontier(anchor_rates, anchor_qualities)
    if min(len(tested[0]), len(anchor[0])) < 2:
        return math.nan
    low, high = max(tested[1][0], anchor[1][0]), min(tested[1][-1], anchor[1][-1])
    if low >= high:
        return math.nan
    areas = [pchip(y, np.log(x)).integrate(low, high) for x, y in (tested, anchor)]
    return 100 * math.expm1((areas[0] - areas[1]) / (high - low))


def pchip(x: Floats, y: Floats) -> Any:
    """The monotone interpolant through at least two points of rising x. Raises HdcError where scipy
    is not installed."""
    try:
        from scipy.interpolate import PchipInterpolator
    except ImportError as error:
        raise HdcError("measuring needs scipy: pip install 'hdcodec[eval]'") from error
    return PchipInterpolator(x, y)
