"""LPIPS and DISTS on a GPU with less traffic of memory: the same sums, in the kernels of `kernels`.

Maps are N x C x H x W with channels last; gradients reach the first map alone. Needs Triton.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
import triton
from torch import Tensor, nn

from hdcodec.perceptual import DISTS, LPIPS
from hdcodec.perceptual._agreement import weighed

from . import kernels

BLOCK = 1024


def fuse(lpips: LPIPS, dists: DISTS | None) -> None:
    """Let both compute in these kernels from now on."""
    lpips.gap = Gap.apply
    if dists is not None:
        dists.agreement = FusedAgreement.apply
        dists.backbone.pool = Pool.apply
        dists.backbone.layer = rectified


def rectified(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution of stride 1 and its ReLU."""
    y: Tensor = Rectified.apply(x, conv.weight, conv.bias)  # type: ignore[no-untyped-call]
    return y


class Pool(torch.autograd.Function):
    """As `hdcodec.perceptual._dists.l2_pool`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """N x C x H x W -> half of both sides, rounded up."""
        x = _last(x)
        n, c, h, w = x.shape
        y = torch.empty(
            (n, c, (h + 1) // 2, (w + 1) // 2),
            dtype=x.dtype,
            device=x.device,
            memory_format=torch.channels_last,
        )
        kernels.pool_forward[_blocks(y)](x, y, y.numel(), c, h, w, *y.shape[2:], BLOCK=BLOCK)
        ctx.save_for_backward(x, y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        """The gradient of `x`."""
        x, y = ctx.saved_tensors
        found = torch.empty_like(x)
        kernels.pool_backward[_blocks(x)](
            x, y, _last(gradient), found, x.numel(), *x.shape[1:], *y.shape[2:], BLOCK=BLOCK
        )
        return found


class FusedAgreement(torch.autograd.Function):
    """As `hdcodec.perceptual._agreement.Agreement`, in two passes over the maps."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, alpha: Tensor, beta: Tensor) -> Tensor:
        """N numbers, float32."""
        a, b = _last(a), _last(b)
        n, c, h, w = a.shape
        sums = torch.zeros((5, n, c), device=a.device)
        rows = min(1024, max(32, triton.next_power_of_2(h * w)))
        kernels.moments[n, triton.cdiv(c, 64), triton.cdiv(h * w, rows)](
            a, b, sums, n, c, h * w, ROWS=rows, ROW_BLOCK=32, C_BLOCK=64
        )
        mean_a, mean_b, aa, bb, between = (sums / (h * w))[:, :, :, None, None]
        between = between - (mean_a - mean_b).square()
        variances = aa + bb - mean_a.square() - mean_b.square()
        means = mean_a + a[:, :, :1, :1].float(), mean_b + b[:, :, :1, :1].float()
        total, by_a, by_b, constant = weighed(means, means, variances, between, alpha, beta)
        ctx.save_for_backward(a, b, by_a, by_b, constant)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient of `a`: a linear function of both maps in every channel."""
        a, b, *factors = ctx.saved_tensors
        _, c, h, w = a.shape
        share = gradient[:, None, None, None] / (h * w)
        by_a, by_b, constant = ((share * factor).contiguous() for factor in factors)
        found = torch.empty_like(a)
        kernels.linear[_blocks(a)](
            a, b, by_a, by_b, constant, found, a.numel(), c, c * h * w, BLOCK=BLOCK
        )
        return found, None, None, None


class Gap(torch.autograd.Function):
    """As `hdcodec.perceptual._lpips.weighted_gap`."""

    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, weight: Tensor) -> Tensor:
        """N numbers, float32."""
        a, b, weight = _last(a), _last(b), weight.float().contiguous()
        total = torch.zeros(len(a), device=a.device)
        grid, sizes, blocks = _positions(a)
        kernels.gap_forward[grid](a, b, weight, total, *sizes, **blocks)
        ctx.save_for_backward(a, b, weight)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of `a`."""
        a, b, weight = ctx.saved_tensors
        found = torch.empty_like(a)
        grid, sizes, blocks = _positions(a)
        kernels.gap_backward[grid](a, b, weight, gradient.contiguous(), found, *sizes, **blocks)
        return found, None, None


class Rectified(torch.autograd.Function):
    """A 3x3 convolution of stride 1 with its ReLU; bias and ReLU in one pass. Only the input has a
    gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """N x C x H x W -> N x C' x H x W."""
        y = _last(F.conv2d(x, weight, None, 1, 1))
        kernels.bias_relu[_blocks(y)](y, bias, y.numel(), y.shape[1], BLOCK=BLOCK)
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """The gradient of `x`."""
        x, weight, y = ctx.saved_tensors
        passed = torch.ops.aten.threshold_backward(_last(gradient), y, 0)
        one, zero = [1, 1], [0, 0]
        found = torch.ops.aten.convolution_backward(
            passed, x, weight, None, one, one, one, False, zero, 1, [True, False, False]
        )
        gradient_of_x: Tensor = found[0]
        return gradient_of_x, None, None


def _last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _blocks(x: Tensor) -> tuple[int]:
    return (triton.cdiv(x.numel(), BLOCK),)


def _positions(x: Tensor) -> tuple[tuple[int, int], tuple[int, int], dict[str, int]]:
    """The grid, sizes and blocks of a kernel that sees all channels of 8 positions."""
    n, c, h, w = x.shape
    blocks = {"ROWS": 8, "C_BLOCK": triton.next_power_of_2(c)}
    return (n, triton.cdiv(h * w, 8)), (c, h * w), blocks
