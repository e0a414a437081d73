"""Structural similarity, on one scale and on five, as their authors define them."""

import torch
from torch import Tensor
from torch.nn import functional as F

WINDOW, SIGMA = 11, 1.5
STABILISERS = 0.01**2, 0.03**2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def ssim(a: Tensor, b: Tensor) -> float:
    """Mean over all positions and channels; N x C x H x W in [0, 1], sides of at least 11."""
    return float(_similarities(a, b)[0].mean())


def ms_ssim(a: Tensor, b: Tensor) -> float:
    """The same over five scales, mean over channels; sides of at least 161."""
    product = torch.ones(a.shape[:2], device=a.device)
    for scale, weight in enumerate(WEIGHTS):
        whole, structure = _similarities(a, b)
        last = scale == len(WEIGHTS) - 1
        product *= (whole if last else structure).relu() ** weight
        if not last:
            a, b = _halved(a), _halved(b)
    return float(product.mean())


def _similarities(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Per picture and channel: SSIM, and its factors for contrast and structure alone."""
    mean_a, mean_b = _blurred(a), _blurred(b)
    both, square_a, square_b = mean_a * mean_b, mean_a**2, mean_b**2
    covariance = _blurred(a * b) - both
    variances = _blurred(a * a) - square_a + _blurred(b * b) - square_b
    one, two = STABILISERS
    structure = (2 * covariance + two) / (variances + two)
    luminance = (2 * both + one) / (square_a + square_b + one)
    return (luminance * structure).mean((2, 3)), structure.mean((2, 3))


def _blurred(x: Tensor) -> Tensor:
    """A Gaussian window where it fits into the picture."""
    channels = x.shape[1]
    distance = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    window = torch.exp(-(distance**2) / (2 * SIGMA**2))
    window = (window / window.sum()).expand(channels, 1, 1, WINDOW)
    x = F.conv2d(x, window, groups=channels)
    return F.conv2d(x, window.mT, groups=channels)


def _halved(x: Tensor) -> Tensor:
    """Means of 2 x 2; an odd side gets a border of zeros first, as in the reference."""
    return F.avg_pool2d(x, 2, padding=(x.shape[2] % 2, x.shape[3] % 2))
