"""What DISTS compares, with a gradient in closed form, for training in half the time."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

STABLE = 1e-6


class Agreement(torch.autograd.Function):
    """Weighted agreement of means and of covariances of two maps.

    `a` and `b` N x C x H x W, `alpha` and `beta` 1 x C x 1 x 1 in float32; returns N numbers, the
    sums over channels of alpha times the first and beta times the second (Ding et al. 2020,
    equations 5 and 6). Sums are in float32, products in the type of the maps, from which numbers
    near their means are taken before: a map that is nearly flat keeps its digits. The gradient
    reaches `a` alone.
    """

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """N numbers."""
        mean_a, mean_b = averaged(a), averaged(b)
        near_a, near_b = mean_a.to(a.dtype), mean_b.to(b.dtype)
        rest_a, rest_b = mean_a - near_a, mean_b - near_b
        moved_a, moved_b = a - near_a, b - near_b
        between = averaged((moved_a - moved_b).square()) - (rest_a - rest_b).square()
        variances = averaged(moved_a.square()) + averaged(moved_b.square())
        variances = variances - rest_a.square() - rest_b.square()
        total, by_a, by_b, constant = weighed(
            (mean_a, mean_b), (rest_a, rest_b), variances, between, alpha, beta
        )
        ctx.save_for_backward(a, b, near_a, near_b, by_a, by_b, constant)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient of `a`: a linear function of both maps in every channel."""
        a, b, near_a, near_b, *factors = ctx.saved_tensors
        share = gradient[:, None, None, None] / (a.shape[2] * a.shape[3])
        by_a, by_b, constant = ((share * factor).to(a.dtype) for factor in factors)
        found = torch.addcmul(constant, a - near_a, by_a).addcmul_(b - near_b, by_b)
        return found, None, None, None


def weighed(
    means: tuple[Tensor, Tensor],
    rests: tuple[Tensor, Tensor],
    variances: Tensor,
    between: Tensor,
    alpha: Tensor,
    beta: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The agreement of two maps, N, and its gradient to the first, three factors N x C x 1 x 1: of
    the first, of the second, and a constant.

    `rests` is what the means are above the numbers that were taken from the maps before they were
    squared, `variances` the sum of both, `between` the variance of their difference.
    """
    (mean_a, mean_b), (rest_a, rest_b) = means, rests
    spread, level = variances + STABLE, mean_a.square() + mean_b.square() + STABLE
    texture = (2 * mean_a * mean_b + STABLE) / level
    structure = (variances - between + STABLE) / spread
    by_b = 2 * beta / spread
    by_a = -structure * by_b
    constant = 2 * alpha * (mean_b - texture * mean_a) / level - by_b * rest_b - by_a * rest_a
    return (alpha * texture + beta * structure).sum((1, 2, 3)), by_a, by_b, constant


def averaged(x: Tensor) -> Tensor:
    """Means over all positions, in float32: N x C x 1 x 1."""
    return x.mean((2, 3), keepdim=True, dtype=torch.float32)
