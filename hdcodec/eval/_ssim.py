"""Structural similarity, on one scale and on five, as their authors define them."""

import numpy as np
from numpy.typing import NDArray

Channels = NDArray[np.float32]

WINDOW, SIGMA = 11, 1.5
STABILISERS = np.float32(0.01**2), np.float32(0.03**2)
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(a: Channels, b: Channels) -> float:
    """Mean over all positions and channels; H x W x C in [0, 1], sides of at least 11."""
    return float(_similarities(a, b)[0].mean())


def ms_ssim(a: Channels, b: Channels) -> float:
    """The same over five scales, mean over channels; sides of at least 161."""
    product = np.ones(a.shape[2])
    for scale, weight in enumerate(WEIGHTS):
        whole, structure = _similarities(a, b)
        last = scale == len(WEIGHTS) - 1
        product *= np.maximum(whole if last else structure, 0) ** weight
        if not last:
            a, b = _halved(a), _halved(b)
    return float(product.mean())


def _similarities(a: Channels, b: Channels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per channel: SSIM, and its factors for contrast and structure alone."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    both, square_a, square_b = mean_a * mean_b, mean_a**2, mean_b**2
    covariance = _blurred(a * b) - both
    variances = _blurred(a * a) - square_a + _blurred(b * b) - square_b
    one, two = STABILISERS
    structure = (2 * covariance + two) / (variances + two)
    luminance = (2 * both + one) / (square_a + square_b + one)
    return _means(luminance * structure), _means(structure)


def _means(x: Channels) -> NDArray[np.float64]:
    means: NDArray[np.float64] = x.mean((0, 1), dtype=np.float64)
    return means


def _blurred(x: Channels) -> Channels:
    """A Gaussian window where it fits into the picture."""
    distance = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(distance**2) / (2 * SIGMA**2))
    taps = (window / window.sum()).astype(np.float32)
    height, width = (side - WINDOW + 1 for side in x.shape[:2])
    rows: Channels = np.sum([tap * x[k : k + height] for k, tap in enumerate(taps)], 0)
    both: Channels = np.sum([tap * rows[:, k : k + width] for k, tap in enumerate(taps)], 0)
    return both


def _halved(x: Channels) -> Channels:
    """Means of 2 x 2; an odd side gets a border of zeros first, as in the reference."""
    rows, columns = x.shape[0] % 2, x.shape[1] % 2
    x = np.pad(x, ((rows, rows), (columns, columns), (0, 0)))
    x = x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2]
    four: Channels = x[::2, ::2] + x[1::2, ::2] + x[::2, 1::2] + x[1::2, 1::2]
    return four * np.float32(0.25)
