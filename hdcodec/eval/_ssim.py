"""Structural similarity, on one scale and on five, as their authors define them."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float64]

WINDOW, SIGMA = 11, 1.5
STABILISERS = 0.01**2, 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(a: Pixels, b: Pixels) -> float:
    """Mean over all positions and channels; H x W x C, sides of at least 11."""
    return float(np.mean([_similarities(*planes)[0] for planes in _planes(a, b)]))


def ms_ssim(a: Pixels, b: Pixels) -> float:
    """The same over five scales, mean over channels; sides of at least 161."""
    return float(np.mean([_over_scales(*planes) for planes in _planes(a, b)]))


def _planes(a: Pixels, b: Pixels) -> list[tuple[Plane, Plane]]:
    """The channels of both in [0, 1]. In double precision: variances of bright, nearly flat places
    are small differences of large numbers."""
    return [(a[..., k] / 255, b[..., k] / 255) for k in range(a.shape[2])]


def _over_scales(a: Plane, b: Plane) -> float:
    product = 1.0
    for scale, weight in enumerate(WEIGHTS):
        whole, structure = _similarities(a, b)
        last = scale == len(WEIGHTS) - 1
        product *= max(0.0, whole if last else structure) ** weight
        if not last:
            a, b = _halved(a), _halved(b)
    return product


def _similarities(a: Plane, b: Plane) -> tuple[float, float]:
    """SSIM, and its factors for contrast and structure alone."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    both, square_a, square_b = mean_a * mean_b, mean_a**2, mean_b**2
    covariance = _blurred(a * b) - both
    variances = _blurred(a * a) - square_a + _blurred(b * b) - square_b
    one, two = STABILISERS
    structure = (2 * covariance + two) / (variances + two)
    luminance = (2 * both + one) / (square_a + square_b + one)
    return float((luminance * structure).mean()), float(structure.mean())


def _blurred(x: Plane) -> Plane:
    """A Gaussian window where it fits into the picture."""
    distance = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(distance**2) / (2 * SIGMA**2))
    taps = window / window.sum()
    height, width = (side - WINDOW + 1 for side in x.shape)
    rows = np.zeros((height, x.shape[1]))
    for k, tap in enumerate(taps):
        rows += tap * x[k : k + height]
    both = np.zeros((height, width))
    for k, tap in enumerate(taps):
        both += tap * rows[:, k : k + width]
    return both


def _halved(x: Plane) -> Plane:
    """Means of 2 x 2; an odd side gets a border of zeros first, as in the reference."""
    x = np.pad(x, [(side % 2, side % 2) for side in x.shape])
    x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
    four: Plane = (x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]) / 4
    return four
