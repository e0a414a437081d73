"""Triton kernels of training beside the plain ways; without a GPU in Triton's interpreter."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hdcodec.perceptual import DISTS, LPIPS, Backbone, _dists, _lpips
from hdcodec.perceptual._agreement import Agreement
from hdcodec.perceptual._backbone import layout, rectified

GPU = torch.cuda.is_available()
DEVICE = "cuda" if GPU else "cpu"
LIMIT = {torch.float32: 2e-5, torch.bfloat16: 0.02}


@pytest.fixture(scope="module")
def fused() -> Any:
    """The kernels, for this machine."""
    with pytest.MonkeyPatch.context() as patch:
        if not GPU:
            patch.setenv("TRITON_INTERPRET", "1")
        pytest.importorskip("triton", reason="needs Triton")
        from hdcodec.train import fused

        yield fused


def maps(kind: torch.dtype, channels: int = 20, side: int = 11) -> tuple[Tensor, Tensor]:
    """Two batches of rectified maps that have something in common, channels last."""
    torch.manual_seed(0)
    a = torch.randn(2, channels, side, side + 3)
    b = a + 0.3 * torch.randn_like(a)
    return tuple(x.relu().to(DEVICE, kind, memory_format=torch.channels_last) for x in (a, b))


def assert_near(found: Tensor, wanted: Tensor, limit: float) -> None:
    assert found.dtype == wanted.dtype
    assert found.shape == wanted.shape
    gap = (found.float() - wanted.float()).norm() / wanted.float().norm()
    assert wanted.float().norm() > 0
    assert gap < limit


def assert_same(
    mine: Callable[[Tensor], Tensor],
    plain: Callable[[Tensor], Tensor],
    x: Tensor,
    slack: float = 2,
) -> None:
    """Values of both agree, and gradients with some slack."""
    results = []
    for function in (mine, plain):
        leaf = x.detach().clone().requires_grad_(True)
        y = function(leaf)
        torch.manual_seed(1)
        weight = torch.randn(y.shape).to(y)
        y.backward(weight * (y.detach() > 0.05) if y.dim() == 4 else weight)
        results.append((y.detach(), leaf.grad))
    (y, gradient), (wanted, wanted_gradient) = results
    assert gradient is not None
    assert wanted_gradient is not None
    assert_near(y, wanted, LIMIT[x.dtype])
    assert_near(gradient, wanted_gradient, slack * LIMIT[x.dtype])


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("side", [1, 8, 11])
def test_pooling(fused: Any, kind: torch.dtype, side: int) -> None:
    assert_same(fused.Pool.apply, _dists.l2_pool, maps(kind, side=side)[0])


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [3, 20, 70])
def test_agreement(fused: Any, kind: torch.dtype, channels: int) -> None:
    a, b = maps(kind, channels)
    alpha, beta = torch.rand(2, 1, channels, 1, 1).to(DEVICE)
    assert_same(
        lambda x: fused.FusedAgreement.apply(x, b, alpha, beta),
        lambda x: Agreement.apply(x, b, alpha, beta),
        a,
    )


def test_flat_maps_keep_their_digits(fused: Any) -> None:
    a, b = (1 + 0.002 * x for x in maps(torch.float32))
    alpha, beta = torch.rand(2, 1, a.shape[1], 1, 1).to(DEVICE)
    exact = Agreement.apply(a.double(), b.double(), alpha.double(), beta.double())
    assert_near(fused.FusedAgreement.apply(a, b, alpha, beta), exact.float(), 1e-4)


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("channels", [16, 20])
def test_gap(fused: Any, kind: torch.dtype, channels: int) -> None:
    a, b = maps(kind, channels)
    weight = torch.rand(1, channels, 1, 1).to(DEVICE)
    assert_same(
        lambda x: fused.Gap.apply(x, b, weight), lambda x: _lpips.weighted_gap(x, b, weight), a
    )


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_rectified_convolution(fused: Any, kind: torch.dtype) -> None:
    x, _ = maps(kind)
    conv = nn.Conv2d(20, 8, 3, padding=1).to(DEVICE, kind).requires_grad_(False)
    assert_same(lambda y: fused.rectified(conv, y), lambda y: rectified(conv, y), x)


def test_lpips_and_dists_as_before(fused: Any) -> None:
    torch.manual_seed(0)
    a, b = (torch.rand(2, 3, 48, 64, device=DEVICE) for _ in range(2))
    plain, other = distances(), distances()
    fused.fuse(*other)
    for mine, wanted in zip(other, plain, strict=True):
        assert_same(
            lambda x, mine=mine: mine.distance(mine.features(x), mine.features(b)),
            lambda x, wanted=wanted: wanted.distance(wanted.features(x), wanted.features(b)),
            a,
            slack=100,
        )


def distances() -> tuple[LPIPS, DISTS]:
    """Both with random weights, the same at every call."""
    torch.manual_seed(7)
    lpips = LPIPS(backbone("alex"), [torch.rand(c) for c in backbone("alex").channels])
    vgg = backbone("vgg", _dists.l2_pool)
    count = 3 + sum(vgg.channels)
    dists = DISTS(vgg, torch.rand(count), torch.rand(count))
    return lpips.to(DEVICE), dists.to(DEVICE)


def backbone(net: str, pool: Callable[[Tensor], Tensor] | None = None) -> Backbone:
    """A network with weights that keep activations at their size."""
    weights = []
    for stage in layout(net):
        for conv in stage.convs:
            shape = (conv.outputs, conv.inputs, conv.kernel, conv.kernel)
            scale = (2 / (conv.inputs * conv.kernel**2)) ** 0.5
            weights.append((torch.randn(shape) * scale, 0.1 * torch.randn(conv.outputs)))
    return Backbone(net, weights, pool)


def test_a_map_of_one_value_has_a_gradient_of_zero(fused: Any) -> None:
    x = torch.zeros(1, 4, 6, 6, device=DEVICE, requires_grad=True)
    fused.Pool.apply(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.zeros_like(x))
