"""The first stage of the sprdiff family: its VAE, how it begins, and what training does to it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from command import script
from PIL import Image
from small_stages import VAE_SIZES, checkpoint, losses
from torch import Tensor

from hdcodec import weights
from hdcodec.models.hdc.config import Config as HdcConfig
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.config import VaeConfig
from hdcodec.models.sprdiff.vae import Normalisation, Vae
from hdcodec.perceptual import find_dists, find_lpips
from hdcodec.train import vae
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.restore import restore
from hdcodec.train.run import train


@pytest.fixture
def options(
    data: Path,
    random_weights: Path,
    tiny_config: HdcConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Options of a small stage that begins with an untrained model of the hdc family."""
    monkeypatch.setattr("hdcodec.train.vae.restore", lambda _: HdcModel(tiny_config))
    monkeypatch.setattr("hdcodec.train.vae.MEASURED", 8)
    shared = {"minutes": 10, "batch": 2, "crop": 48, "config": VAE_SIZES, "out": tmp_path}
    return shared | {"data": data, "metric_weights": random_weights}


def crops(data: Path, size: int = 48) -> Crops:
    return Crops(read_photos(data), size=size, batch=4)


def error(a: Tensor, b: Tensor) -> float:
    return float((a - b).square().mean())


# ---- networks ----


def test_latents_are_a_sixteenth_of_each_side() -> None:
    model, x = Vae(VAE_SIZES).eval(), torch.rand(2, 3, 48, 80)
    z = model.encode(x)
    assert z.shape == (2, VAE_SIZES.latent, 3, 5)
    assert model.decode(z).shape == x.shape
    assert torch.equal(model(x), model.decode(z))
    assert not torch.equal(model(x, torch.ones_like(z)), model(x))


def test_normalisation_follows_what_it_is_shown() -> None:
    layer, generator = Normalisation(2), torch.Generator().manual_seed(0)
    scale = torch.tensor([5.0, 0.1])[:, None, None]
    for _ in range(800):
        layer(3 + scale * torch.randn(4, 2, 8, 8, generator=generator))
    y = 3 + scale * torch.randn(64, 2, 8, 8, generator=generator)
    z = layer.eval()(y)
    assert z.mean((0, 2, 3)).abs().max() < 0.3
    assert (z.std((0, 2, 3)) - 1).abs().max() < 0.2
    assert torch.equal(layer(y), z)


# ---- the start ----


@pytest.mark.parametrize("channels", [1, 4, 16])
def test_a_bottleneck_gives_channels_of_one_deviation(channels: int) -> None:
    mixer = torch.randn(16, 16, generator=torch.Generator().manual_seed(0))
    covariance, gain = mixer @ mixer.T, torch.linspace(0.5, 2, 16)
    into, back = vae.bottleneck(covariance, gain, channels)
    assert torch.allclose((into @ covariance @ into.T).diagonal(), torch.ones(channels), rtol=1e-3)
    assert torch.allclose(into @ back, torch.eye(channels), atol=1e-3)


def test_a_bottleneck_loses_the_least_components() -> None:
    covariance = torch.diag(torch.tensor([9.0, 1e-4, 4.0, 1e-4, 1.0, 1e-4, 2.0, 1e-4]))
    into, back = vae.bottleneck(covariance, torch.ones(8), 4)
    kept = torch.tensor([1.0, 0, 1, 0, 1, 0, 1, 0])
    assert torch.allclose(back @ into, torch.diag(kept), atol=1e-3)


def test_a_hadamard_matrix_needs_a_power_of_two() -> None:
    matrix = vae.hadamard(8)
    assert torch.allclose(matrix @ matrix.T, torch.eye(8, dtype=torch.float64))
    with pytest.raises(ValueError, match="12 channels"):
        vae.hadamard(12)


def test_a_bottleneck_as_wide_as_the_latents_changes_nothing(
    data: Path, tiny_config: HdcConfig
) -> None:
    hdc, x = HdcModel(tiny_config).eval(), crops(data)(0)
    with torch.no_grad():
        base, _ = hdc.lic.synthesis(hdc.lic.analysis(x))
        same = vae.from_hdc(hdc, crops(data), VAE_SIZES).eval()(x)
    assert torch.allclose(same, base, atol=1e-3)


def test_landed_weights_are_a_start(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between hdc's trained transforms a third of the latents is enough, and some noise is borne;
    random maps are no bottleneck."""
    monkeypatch.setattr(vae, "MEASURED", 16)
    hdc, x = restore(weights.find(1)), crops(data, 128)(9)
    model = vae.from_hdc(hdc, crops(data, 128), VaeConfig()).eval()
    torch.manual_seed(0)
    monkeypatch.setattr(vae, "bottleneck", lambda c, g, n: (torch.randn(n, 96), torch.randn(96, n)))
    random = vae.from_hdc(hdc, crops(data, 128), VaeConfig()).eval()
    with torch.no_grad():
        z = model.encode(x)
        noise = 0.2 * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
        assert error(model.decode(z), x) < 10**-2.6
        assert error(model.decode(z + noise), x) < 10**-2.3
        assert error(random(x), x) > 0.01
        assert 0.5 < z.std() < 2


# ---- training ----


def test_noise_is_of_random_strength() -> None:
    generator, x = torch.Generator().manual_seed(0), torch.zeros(4, 3, 8, 8)
    drawn = torch.stack([vae.random_strength(x, generator) for _ in range(200)])
    assert drawn.shape == (200, 4, 1, 1, 1)
    assert torch.equal((drawn == 0).sum(1).flatten(), torch.ones(200))
    assert 0.59 < drawn.max() <= 0.6
    assert ((drawn.mean((0, 2, 3, 4)) - 0.225).abs() < 0.05).all()


def test_a_step_lowers_the_loss(data: Path, random_weights: Path) -> None:
    model = Vae(VAE_SIZES)
    lpips, dists = find_lpips("alex", random_weights), find_dists(random_weights)
    loss = vae.vae_loss(model, lpips.requires_grad_(False), dists.requires_grad_(False))
    first, second = losses(model, loss, crops(data)(0), 2, 1e-3)
    assert second < first
    assert all(p.grad is not None for p in model.parameters())


def test_the_stage_can_be_resumed(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without what it began with."""
    train("vae", max_steps=2, **options)
    first = checkpoint(tmp_path / "vae.pt")
    with Image.open(tmp_path / "vae.png") as sheet:
        assert sheet.size == (4 * 256, 256)
    monkeypatch.setattr("hdcodec.train.vae.from_hdc", None)
    train("vae", max_steps=3, resume=True, **options)
    second = checkpoint(tmp_path / "vae.pt")
    assert (first["step"], second["step"]) == (2, 3)
    for name in ("encoder.net.4.weight", "decoder.coarse.0.weight", "normalisation.deviation"):
        assert not torch.equal(first["model"][name], second["model"][name]), name
    assert torch.equal(
        second["average"]["normalisation.mean"], second["model"]["normalisation.mean"]
    )


def test_the_stage_goes_on_from_a_checkpoint(options: dict[str, Any], tmp_path: Path) -> None:
    train("vae", max_steps=1, **options)
    begun = checkpoint(tmp_path / "vae.pt")["average"]
    train("vae", max_steps=0, init=tmp_path / "vae.pt", **options | {"out": tmp_path / "next"})
    after = checkpoint(tmp_path / "next" / "vae.pt")["model"]
    assert all(torch.equal(after[name], tensor) for name, tensor in begun.items())


def test_a_pause_ends_a_run_and_not_its_schedule(options: dict[str, Any], tmp_path: Path) -> None:
    for step in (1, 2):
        train("vae", pause=1e-9, resume=True, **options)
        assert checkpoint(tmp_path / "vae.pt")["step"] == step


def test_a_checkpoint_in_pieces_is_resumed(options: dict[str, Any], tmp_path: Path) -> None:
    train("vae", max_steps=2, optimizer="muon", **options)
    path, joined = tmp_path / "vae.pt", tmp_path / "again" / "vae.pt"
    pieces = script("research/gpu/pieces.py")
    for line in (f"split {path} {tmp_path / 'few'}", f"join {tmp_path / 'few'} {joined}"):
        CliRunner().invoke(pieces.main, line, catch_exceptions=False)
    before, after = checkpoint(path), checkpoint(joined)
    assert all(torch.equal(before["model"][k], value) for k, value in after["model"].items())
    for name, value in after["average"].items():
        assert torch.allclose(before["average"][name], value, rtol=2**-10, atol=1e-6), name
    again = options | {"out": joined.parent}
    train("vae", max_steps=3, optimizer="muon", resume=True, **again)
    assert checkpoint(joined)["step"] == 3


def test_the_average_alone_is_a_start(options: dict[str, Any], tmp_path: Path) -> None:
    train("vae", max_steps=1, **options)
    pieces, out = script("research/gpu/pieces.py"), tmp_path / "start.pt"
    CliRunner().invoke(pieces.main, f"start {tmp_path / 'vae.pt'} {out}", catch_exceptions=False)
    few, joined = tmp_path / "few", tmp_path / "joined.pt"
    for line in (f"split --average {tmp_path / 'vae.pt'} {few}", f"join {few} {few / 'vae.pt'}"):
        CliRunner().invoke(pieces.main, line, catch_exceptions=False)
    (few / "vae.pt").rename(joined)
    whole = vae.load_vae(tmp_path / "vae.pt", VAE_SIZES).state_dict()
    for model in (vae.load_vae(path, VAE_SIZES) for path in (out, joined)):
        for name, tensor in model.state_dict().items():
            assert torch.equal(tensor, whole[name].half().float()), name


def test_a_mean_lies_half_way(options: dict[str, Any], tmp_path: Path) -> None:
    pieces, files = script("research/gpu/pieces.py"), [tmp_path / f"{k}.pt" for k in range(3)]
    for seed, path in enumerate(files[:2]):
        train("vae", max_steps=1, **options | {"seed": seed})
        (tmp_path / "vae.pt").rename(path)
    CliRunner().invoke(pieces.main, ["mean", *map(str, files)], catch_exceptions=False)
    one, other, mean = (vae.load_vae(path, VAE_SIZES).state_dict() for path in files)
    assert any(not torch.equal(one[name], other[name]) for name in mean)
    for name, tensor in mean.items():
        torch.testing.assert_close(tensor, (one[name] + other[name]) / 2, rtol=1e-3, atol=1e-4)


def test_the_table_has_a_line_for_each_noise(
    data: Path, random_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reconstruction = script("benchmarks/reconstruction.py")
    monkeypatch.setattr(reconstruction, "load_vae", lambda path: Vae(VAE_SIZES))
    line = f"{data} {data} --metric-weights {random_weights} --noise 0,0.5 --side 100"
    done = CliRunner().invoke(reconstruction.main, line, catch_exceptions=False)
    rows = [[cell.strip() for cell in row.split("|")] for row in done.output.splitlines()]
    assert [row[1] for row in rows if len(row) > 1] == ["noise", "---", "0", "0.5"]
    assert float(rows[2][2]) > float(rows[3][2])
    assert rows[-1][0].startswith("2 pictures")
