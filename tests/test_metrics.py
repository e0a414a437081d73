"""PSNR, MS-SSIM, LPIPS and DISTS: their definitions, and the weights they are made of."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from metric_weights import CHANNELS, shared_weights
from PIL import Image
from safetensors.torch import load_file, save_file

from hdcodec import HdcError, WeightsError
from hdcodec.eval import METRICS, Reference, measure
from hdcodec.perceptual import (
    DISTS,
    LPIPS,
    Wasserstein,
    find_dists,
    find_lpips,
    find_wasserstein,
    wasserstein,
)

Net = LPIPS | DISTS | Wasserstein


# Of the astronaut's face, every pixel repeated 4 x 4: by an independent implementation.
TRAINED = {
    "psnr": 21.15334,
    "ssim": 0.67863,
    "msssim": 0.86197,
    "lpips_alex": 0.33391,
    "lpips_vgg": 0.51835,
    "dists": 0.37415,
    "wd": 2.12369,
    "kd": 0.22962,
}


LOADERS: dict[str, Callable[[Path], Net]] = {
    "lpips_alex": lambda folder: find_lpips("alex", folder),
    "lpips_vgg": lambda folder: find_lpips("vgg", folder),
    "dists": find_dists,
    "wd": find_wasserstein,
}


@pytest.fixture(params=list(LOADERS))
def net(request: pytest.FixtureRequest, random_weights: Path) -> Net:
    return LOADERS[request.param](random_weights)


@pytest.fixture
def pair(small_astronaut: Image.Image) -> tuple[torch.Tensor, torch.Tensor]:
    """Two different photographs and their blurred copies: 2 x 3 x 64 x 64."""
    whole = torch.tensor(np.asarray(small_astronaut)).permute(2, 0, 1) / 255
    clear = torch.stack([whole[:, :64, :64], whole[:, 64:, 64:]])
    return clear, torch.nn.functional.avg_pool2d(clear, 5, 1, 2)


def test_psnr_of_a_constant_error() -> None:
    black, gray = np.zeros((5, 7, 3), np.uint8), np.full((5, 7, 3), 51, np.uint8)
    assert measure(black, gray, ["psnr"])["psnr"] == pytest.approx(20 * math.log10(5))
    assert measure(black, black, ["psnr"])["psnr"] == math.inf


def test_ms_ssim_is_one_for_equal_pictures_and_falls_with_damage(coffee: Image.Image) -> None:
    copies = [coffee, coffee.reduce(2).resize(coffee.size), coffee.reduce(8).resize(coffee.size)]
    equal, blurred, ruined = (measure(coffee, c, ["msssim"])["msssim"] for c in copies)
    assert equal == pytest.approx(1)
    assert equal > blurred > ruined > 0


def test_pictures_and_arrays_measure_alike(small_cat: Image.Image) -> None:
    worse = small_cat.reduce(2).resize(small_cat.size)
    arrays = np.asarray(small_cat), np.asarray(worse)
    assert measure(small_cat, worse, ["psnr"]) == measure(*arrays, ["psnr"])


def test_gray_pictures_are_compared_as_colour(small_cat: Image.Image) -> None:
    gray = small_cat.convert("L")
    assert measure(gray.convert("RGB"), gray, ["psnr"])["psnr"] == math.inf


def test_what_is_undefined_for_a_small_picture_is_nan(random_weights: Path) -> None:
    tiny = np.zeros((8, 8, 3), np.uint8)
    values = measure(tiny, tiny + 1, weights=str(random_weights))
    assert list(values) == list(METRICS)
    assert [name for name, value in values.items() if math.isnan(value)] == list(METRICS)[1:]


def test_smallest_pictures_are_measured(random_weights: Path) -> None:
    for name, metric in METRICS.items():
        if metric.of_sets:  # which take two patches
            continue
        black = np.zeros((metric.min_side, metric.min_side, 3), np.uint8)
        value = measure(black, black + 9, [name], weights=str(random_weights))[name]
        assert math.isfinite(value), name


def test_unequal_sizes_and_unknown_names_are_errors() -> None:
    a, b = np.zeros((5, 7, 3), np.uint8), np.zeros((7, 5, 3), np.uint8)
    with pytest.raises(HdcError, match="7x5 and 5x7"):
        measure(a, b, ["psnr"])
    with pytest.raises(HdcError, match="'vmaf'"):
        measure(a, a, ["vmaf"])
    with pytest.raises(HdcError, match="float32"):
        measure(a, a.astype(np.float32), ["psnr"])


def test_a_reference_gives_the_same_every_time(
    random_weights: Path, small_coffee: Image.Image
) -> None:
    copies = [small_coffee.reduce(n).resize(small_coffee.size) for n in (2, 4)]
    reference = Reference(small_coffee, ["lpips_alex"], weights=str(random_weights))
    first, second = (reference.compare(c)["lpips_alex"] for c in copies)
    assert reference.compare(copies[0])["lpips_alex"] == first != second


def test_distance_is_zero_for_equals_and_symmetric(
    net: Net, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    a, b = pair
    torch.testing.assert_close(net(a, a), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(net(a, b), net(b, a))
    assert (net(a, b) > 1e-3).all()


def test_each_picture_of_a_batch_stands_alone(
    net: Net, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    a, b = pair
    single = torch.cat([net(x[None], y[None]) for x, y in zip(a, b, strict=True)])
    torch.testing.assert_close(net(a, b), single)


def test_kept_features_give_the_same_distance(
    net: Net, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    a, b = pair
    assert torch.equal(net(a, b), net.distance(net.features(a), net.features(b)))


def test_gradient_reaches_the_picture_and_nothing_else(
    net: Net, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    a, b = pair
    moving = b.clone().requires_grad_()
    before = net(a, moving)
    before.sum().backward()
    assert moving.grad is not None
    assert not any(p.requires_grad for p in net.parameters())
    step = 0.1 * moving.grad / moving.grad.norm()
    assert net(a, b - step).sum() < before.sum()


def test_gradient_is_finite_where_nothing_is_active(net: Net) -> None:
    black = torch.zeros(1, 3, 64, 64, requires_grad=True)
    net(black, torch.ones(1, 3, 64, 64)).backward()
    assert black.grad is not None
    assert black.grad.isfinite().all()


def test_half_precision_and_channels_last(
    net: Net, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    a, b = pair
    exact = net(a, b)
    for conv in net.backbone.convs:
        weight = conv.get_parameter("weight")
        weight.data = weight.to(memory_format=torch.channels_last)
    last = b.to(memory_format=torch.channels_last)
    torch.testing.assert_close(net(a, last), exact)
    with torch.autocast("cpu", torch.bfloat16):
        assert net.features(a)[-1].dtype == torch.bfloat16
        near = net(a, b)
        net.backbone.convs.bfloat16()
        stored = net(a, b)
    assert near.dtype == stored.dtype == torch.float32
    torch.testing.assert_close(near, exact, rtol=0.02, atol=1e-3)
    torch.testing.assert_close(stored, near, rtol=0.02, atol=1e-3)


def flat(level: float) -> torch.Tensor:
    return torch.full((2, 3, 64, 64), level)


def smooth() -> torch.Tensor:
    return torch.linspace(0.4, 0.6, 64).expand(2, 3, 64, 64)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("clear", [None, flat(1.0), flat(0.3), smooth()])
def test_dists_has_the_gradient_that_autograd_finds(
    random_weights: Path,
    pair: tuple[torch.Tensor, torch.Tensor],
    kind: torch.dtype,
    clear: torch.Tensor | None,
) -> None:
    net = find_dists(random_weights)
    generator = torch.Generator().manual_seed(0)
    noise = 0.01 * torch.randn(2, 3, 64, 64, generator=generator)
    pictures = pair if clear is None else (clear, clear - noise.abs())
    wanted, mine = ([tap.to(kind) for tap in net.features(x)] for x in pictures)
    found = []
    for halved in (True, False):
        moving, still = ([t.clone() if halved else t.float() for t in s] for s in (mine, wanted))
        for tap in moving if halved else [*moving, *still]:
            tap.requires_grad_()
        distance = net.distance(moving, still)
        (distance * torch.tensor([1.0, 3.0])).sum().backward()
        found.append((distance.detach(), [tap.grad for tap in moving]))
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0.005, atol=1e-4)
    for near, exact in zip(found[0][1], found[1][1], strict=True):
        assert near is not None and exact is not None
        assert (near.float() - exact).norm() < 0.02 * exact.norm()


def windows(x: np.ndarray) -> np.ndarray:
    """1/4, 1/2, 1/4 along both sides of H x W, zeros beyond them."""
    for axis in (0, 1):
        wide = np.pad(x, [(1, 1) if a == axis else (0, 0) for a in (0, 1)])
        parts = [np.take(wide, range(k, k + x.shape[axis]), axis) for k in range(3)]
        x = parts[0] / 4 + parts[1] / 2 + parts[2] / 4
    return x


def statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Local means and deviations of a map H x W: of the third scale, as Codex computes them."""
    first, second = windows(x), windows(x**2)
    for _ in range(2):
        first, second = windows(first[::2, ::2]), windows(second[::2, ::2])
    return first, np.sqrt(np.maximum(second - first**2, 5e-7))


def test_wasserstein_distortion_is_its_formula() -> None:
    random = np.random.default_rng(0)
    shapes = [(2, 5, 24, 40), (2, 3, 12, 20)]
    maps = [[random.gamma(2, size=shape) for shape in shapes] for _ in range(2)]
    wanted = np.zeros(2)
    for a, b in zip(*maps, strict=True):
        for n, c in np.ndindex(a.shape[:2]):
            (mean_a, deviation_a), (mean_b, deviation_b) = statistics(a[n, c]), statistics(b[n, c])
            apart = (mean_a - mean_b) ** 2 + (deviation_a - deviation_b) ** 2
            wanted[n] += apart.mean() / a.shape[1]
    found = wasserstein(*([torch.tensor(x).float() for x in side] for side in maps))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4)


def test_wasserstein_distortion_overlooks_where_noise_lies() -> None:
    """Other noise of the same strength is nearer to noise than none is."""
    random = torch.Generator().manual_seed(0)
    noise, other = torch.randn(2, 1, 8, 64, 64, generator=random)
    assert wasserstein([noise], [other]) < 0.4 * wasserstein([noise], [torch.zeros_like(noise)])
    assert (noise - other).square().mean() > 1.8 * noise.square().mean()


def test_wasserstein_distortion_sees_pictures_as_they_are(
    random_weights: Path, pair: tuple[torch.Tensor, torch.Tensor]
) -> None:
    net, plain = find_wasserstein(random_weights), find_lpips("vgg", random_weights).backbone
    plain.mean.zero_()
    plain.std.fill_(1)
    for mine, wanted in zip(net.features(pair[0]), plain(pair[0])[:4], strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-4, atol=1e-4)


def test_bare_backbone_gives_the_taps(random_weights: Path) -> None:
    backbone = find_lpips("vgg", random_weights).backbone
    taps = backbone(torch.rand(1, 3, 32, 48))
    assert backbone.channels == CHANNELS["vgg"] == tuple(t.shape[1] for t in taps)
    assert [tuple(t.shape[2:]) for t in taps] == [(32, 48), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert all((t >= 0).all() for t in taps)


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("lpips_alex", "lpips_alex.safetensors"),
        ("lpips_vgg", "lpips_vgg.safetensors"),
        ("dists", "dists_alpha_beta.safetensors"),
        ("wd", "lpips_vgg.safetensors"),
    ],
)
def test_missing_and_broken_files_are_named(name: str, file: str, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=file):
        LOADERS[name](tmp_path)
    (tmp_path / file).write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match=f"unreadable.*{file}"):
        LOADERS[name](tmp_path)


def test_incomplete_and_foreign_tensors_are_named(random_weights: Path, tmp_path: Path) -> None:
    file = tmp_path / "lpips_alex.safetensors"
    good = load_file(random_weights / file.name)
    save_file({k: v for k, v in good.items() if k != "conv3.bias"}, file)
    with pytest.raises(WeightsError, match=r"has no conv3\.bias"):
        find_lpips("alex", tmp_path)
    save_file(good | {"conv1.weight": torch.zeros(192, 64, 3, 3)}, file)
    with pytest.raises(WeightsError, match="conv1"):
        find_lpips("alex", tmp_path)
    save_file(good | {"lin4": torch.zeros(255)}, file)
    with pytest.raises(WeightsError, match="255"):
        find_lpips("alex", tmp_path)


def test_values_of_the_trained_networks(photos: dict[str, Image.Image]) -> None:
    weights = shared_weights()
    clear = np.asarray(photos["astronaut"])[:192, 128:384]
    coarse = clear[::4, ::4].repeat(4, 0).repeat(4, 1)
    assert measure(clear, coarse, weights=str(weights)) == pytest.approx(TRAINED, abs=1e-4)
