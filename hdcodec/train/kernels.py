"""Triton kernels for maps N x C x H x W with channels last: what lies at one position, all of its
channels, is one run of memory. Sums are in float32, whatever the maps are stored in.
"""

import triton
import triton.language as tl


@triton.jit
def pool_forward(
    x,
    y,
    total,
    C: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    OH: tl.constexpr,
    OW: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Roots of Hann-weighted means of squares: H x W -> OH x OW, half of it rounded up."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    c, p = at % C, at // C
    j, p = p % OW, p // OW
    i, n = p % OH, p // OH
    sums = tl.zeros([BLOCK], tl.float32)
    for a in tl.static_range(3):
        for b in tl.static_range(3):
            r, s = 2 * i + (a - 1), 2 * j + (b - 1)
            ok = inside & (r >= 0) & (r < H) & (s >= 0) & (s < W)
            v = tl.load(x + ((n * H + r) * W + s) * C + c, mask=ok, other=0.0).to(tl.float32)
            weight = (0.5 if a == 1 else 0.25) * (0.5 if b == 1 else 0.25)
            sums += v * v * weight
    tl.store(y + at, tl.sqrt(sums + 1e-12).to(y.dtype.element_ty), mask=inside)


@triton.jit
def pool_backward(
    x,
    y,
    gy,
    gx,
    total,
    C: tl.constexpr,
    H: tl.constexpr,
    W: tl.constexpr,
    OH: tl.constexpr,
    OW: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """The gradient of `x` from that of `y`."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    c, p = at % C, at // C
    s, p = p % W, p // W
    r, n = p % H, p // H
    sums = tl.zeros([BLOCK], tl.float32)
    for a in tl.static_range(3):
        for b in tl.static_range(3):
            twice_i, twice_j = r - (a - 1), s - (b - 1)
            i, j = twice_i // 2, twice_j // 2
            ok = inside & (twice_i >= 0) & (twice_j >= 0) & (i < OH) & (j < OW)
            ok = ok & (twice_i % 2 == 0) & (twice_j % 2 == 0)
            place = ((n * OH + i) * OW + j) * C + c
            g = tl.load(gy + place, mask=ok, other=0.0).to(tl.float32)
            v = tl.load(y + place, mask=ok, other=1.0).to(tl.float32)
            weight = (0.5 if a == 1 else 0.25) * (0.5 if b == 1 else 0.25)
            sums += weight * g / tl.maximum(v, 1e-6)
    v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    tl.store(gx + at, (v * sums).to(gx.dtype.element_ty), mask=inside)


@triton.jit
def moments(
    a, b, out, N, C, HW, ROWS: tl.constexpr, ROW_BLOCK: tl.constexpr, C_BLOCK: tl.constexpr
):
    """Adds to `out` (5 x N x C) the sums over all positions of a, b, their squares and that of
    their difference, less the values at the first position, so that flat maps keep their digits."""
    n = tl.program_id(0)
    c = tl.program_id(1) * C_BLOCK + tl.arange(0, C_BLOCK)
    start = tl.program_id(2) * ROWS
    first_a = tl.load(a + n * HW * C + c, mask=c < C, other=0.0).to(tl.float32)
    first_b = tl.load(b + n * HW * C + c, mask=c < C, other=0.0).to(tl.float32)
    sum_a = tl.zeros([C_BLOCK], tl.float32)
    sum_b = tl.zeros([C_BLOCK], tl.float32)
    sum_aa = tl.zeros([C_BLOCK], tl.float32)
    sum_bb = tl.zeros([C_BLOCK], tl.float32)
    sum_gap = tl.zeros([C_BLOCK], tl.float32)
    for k in range(0, ROWS, ROW_BLOCK):
        r = start + k + tl.arange(0, ROW_BLOCK)
        at = (n * HW + r[:, None]) * C + c[None, :]
        ok = (r[:, None] < HW) & (c[None, :] < C)
        u = tl.load(a + at, mask=ok, other=0.0).to(tl.float32)
        v = tl.load(b + at, mask=ok, other=0.0).to(tl.float32)
        u = tl.where(ok, u - first_a[None, :], 0.0)
        v = tl.where(ok, v - first_b[None, :], 0.0)
        sum_a += tl.sum(u, 0)
        sum_b += tl.sum(v, 0)
        sum_aa += tl.sum(u * u, 0)
        sum_bb += tl.sum(v * v, 0)
        sum_gap += tl.sum((u - v) * (u - v), 0)
    place = out + n * C + c
    tl.atomic_add(place, sum_a, mask=c < C)
    tl.atomic_add(place + N * C, sum_b, mask=c < C)
    tl.atomic_add(place + 2 * N * C, sum_aa, mask=c < C)
    tl.atomic_add(place + 3 * N * C, sum_bb, mask=c < C)
    tl.atomic_add(place + 4 * N * C, sum_gap, mask=c < C)


@triton.jit
def linear(
    a, b, by_a, by_b, constant, out, total, C: tl.constexpr, HWC: tl.constexpr, BLOCK: tl.constexpr
):
    """constant + by_a a + by_b b, factors N x C."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    place = (at // HWC) * C + at % C
    u = tl.load(a + at, mask=inside, other=0.0).to(tl.float32)
    v = tl.load(b + at, mask=inside, other=0.0).to(tl.float32)
    y = tl.load(constant + place, mask=inside, other=0.0)
    y += u * tl.load(by_a + place, mask=inside, other=0.0)
    y += v * tl.load(by_b + place, mask=inside, other=0.0)
    tl.store(out + at, y.to(out.dtype.element_ty), mask=inside)


@triton.jit
def bias_relu(x, bias, total, C: tl.constexpr, BLOCK: tl.constexpr):
    """x becomes max(x + bias, 0)."""
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < total
    v = tl.load(x + at, mask=inside, other=0.0).to(tl.float32)
    v += tl.load(bias + at % C, mask=inside, other=0.0).to(tl.float32)
    tl.store(x + at, tl.maximum(v, 0.0).to(x.dtype.element_ty), mask=inside)


@triton.jit
def length(x):
    """Of each row, above zero."""
    return tl.maximum(tl.sqrt(tl.sum(x * x, 1)), 1e-10)[:, None]


@triton.jit
def gap_forward(a, b, weight, out, C, HW, ROWS: tl.constexpr, C_BLOCK: tl.constexpr):
    """Adds to `out` (N) the mean weighted squared difference of the directions of a and b."""
    n = tl.program_id(0)
    r = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, C_BLOCK)
    ok = (r[:, None] < HW) & (c[None, :] < C)
    at = (n * HW + r[:, None]) * C + c[None, :]
    u = tl.load(a + at, mask=ok, other=0.0).to(tl.float32)
    v = tl.load(b + at, mask=ok, other=0.0).to(tl.float32)
    w = tl.load(weight + c, mask=c < C, other=0.0)
    gap = u / length(u) - v / length(v)
    tl.atomic_add(out + n, tl.sum(tl.sum(gap * gap * w[None, :], 1), 0) / HW)


@triton.jit
def gap_backward(a, b, weight, gradient, ga, C, HW, ROWS: tl.constexpr, C_BLOCK: tl.constexpr):
    """The gradient of a."""
    n = tl.program_id(0)
    r = tl.program_id(1) * ROWS + tl.arange(0, ROWS)
    c = tl.arange(0, C_BLOCK)
    ok = (r[:, None] < HW) & (c[None, :] < C)
    at = (n * HW + r[:, None]) * C + c[None, :]
    u = tl.load(a + at, mask=ok, other=0.0).to(tl.float32)
    v = tl.load(b + at, mask=ok, other=0.0).to(tl.float32)
    w = tl.load(weight + c, mask=c < C, other=0.0)
    size = length(u)
    u = u / size
    g = 2 * w[None, :] * (u - v / length(v)) * (tl.load(gradient + n) / HW)
    g = (g - u * tl.sum(u * g, 1)[:, None]) / size
    tl.store(ga + at, g.to(ga.dtype.element_ty), mask=ok)
