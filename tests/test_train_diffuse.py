"""The diffusion of the sprdiff family: its networks, its samples, and the stages that train it."""

from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from small_stages import checkpoint, generator, resumed
from torch import Tensor

from hdcodec.models.hdc.config import Config as HdcConfig
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.config import DiffusionConfig, VaeConfig
from hdcodec.models.sprdiff.diffusion import Diffusion, Reconstructed, noise_of
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.perceptual import find_dists, find_lpips
from hdcodec.train import diffuse
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.latents import QUALITIES, CachedLatents, Frozen
from hdcodec.train.run import train

ROOT = Path(__file__).parents[1]

SIZES = DiffusionConfig(
    latent=8,
    decoded=8,
    trunk_width=16,
    trunk_depth=1,
    width=16,
    depth=1,
    deep_width=24,
    deep_depth=1,
    embedding=16,
)


@pytest.fixture
def hdc(tiny_config: HdcConfig) -> HdcModel:
    torch.manual_seed(0)
    return HdcModel(tiny_config)


@pytest.fixture
def frozen(hdc: HdcModel) -> Frozen:
    torch.manual_seed(1)
    return Frozen(hdc.lic, Vae(VaeConfig(8, 8, 1, 16, 1, 8, 1, 1)))


@pytest.fixture
def model() -> Diffusion:
    """One whose last layers are not zero."""
    torch.manual_seed(2)
    model = Diffusion(SIZES)
    for layer in (model.denoiser.leave, model.reconstruction.leave):
        torch.nn.init.normal_(layer.weight, std=0.1)
    return model


@pytest.fixture
def given(model: Diffusion) -> Reconstructed:
    y = torch.randn(2, 8, 8, 4, generator=generator())
    return model.reconstruction(y, torch.tensor([[[3], [40]], [[7], [9]]]))


@pytest.fixture
def options(
    data: Path,
    random_weights: Path,
    frozen: Frozen,
    hdc: HdcModel,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Options of a small stage that begins with an untrained model of the hdc family."""
    monkeypatch.setattr("hdcodec.train.latents.restore", lambda _: SimpleNamespace(lic=frozen.lic))
    monkeypatch.setattr("hdcodec.train.latents.load_vae", lambda _: frozen.vae)
    monkeypatch.setattr("hdcodec.train.diffuse.restore", lambda _: hdc)
    shared = {"minutes": 10, "batch": 4, "crop": 64, "config": SIZES, "out": tmp_path}
    return shared | {"data": data, "metric_weights": random_weights, "vae": tmp_path / "vae.pt"}


def moving(model: Diffusion, given: Reconstructed, steps: int, seed: int = 0) -> Tensor:
    return model.sample(given, torch.cat([noise_of(given.coarse, seed)] * 2), steps)


# ---- networks ----


def test_a_sample_has_the_shape_of_the_latents(model: Diffusion, given: Reconstructed) -> None:
    assert given.coarse.shape == (2, 8, 8, 4)
    for steps in (1, 2, 4):
        assert moving(model, given, steps).shape == given.coarse.shape


def test_a_sample_follows_its_seed_and_its_steps(model: Diffusion, given: Reconstructed) -> None:
    assert torch.equal(moving(model, given, 2), moving(model, given, 2))
    assert not torch.equal(moving(model, given, 2), moving(model, given, 2, seed=1))
    assert not torch.equal(moving(model, given, 2), moving(model, given, 4))


def test_noise_is_of_one_deviation_and_another_for_each_seed() -> None:
    like = torch.zeros(1, 32, 32, 16)
    first, second = noise_of(like), noise_of(like, 1)
    assert torch.equal(noise_of(like[:, :, :1]), first[:, :, :1])
    assert first.shape == like.shape
    assert abs(float(first.std()) - 1) < 0.02
    assert abs(float((first * second).mean())) < 0.03


def test_an_untrained_diffusion_gives_the_coarse_estimate(model: Diffusion) -> None:
    torch.nn.init.zeros_(model.denoiser.leave.weight)
    given = model.reconstruction(torch.randn(1, 8, 4, 4), torch.tensor([[[20]]]))
    torch.testing.assert_close(model.sample(given, torch.randn(1, 8, 4, 4)), given.coarse)


def test_steps_lead_where_a_perfect_denoiser_points(given: Reconstructed) -> None:
    """Whatever the number of steps and the noise."""
    model, wanted = Diffusion(SIZES), torch.randn(2, 8, 8, 4, generator=generator(3))

    def change(offset: Tensor, time: Tensor, given: Reconstructed) -> Tensor:
        t = time[:, None, None, None]
        return (wanted - given.coarse - (1 - t) * offset) / t

    model.denoiser.forward = change  # type: ignore[method-assign]
    for steps in (1, 2, 4):
        assert torch.allclose(moving(model, given, steps), wanted, atol=1e-5)


def test_quality_counts_where_it_is(model: Diffusion, given: Reconstructed) -> None:
    torch.nn.init.normal_(model.denoiser.quality)
    for film in model.denoiser.last.films:
        torch.nn.init.normal_(film.weight)
    other = given._replace(qindex=given.qindex + torch.tensor([[[0], [9]], [[0], [0]]]))
    apart = (moving(model, given, 1) - moving(model, other, 1)).abs().amax(1)
    assert apart[0, 6:].min() > 0
    assert apart[1].max() == 0


# ---- what training sees ----


def test_files_hold_what_training_sees(frozen: Frozen) -> None:
    """Symbols are whole numbers from the means, which follow what was known before."""
    lic, y = frozen.lic, 3 * torch.randn(2, 8, 8, 8, generator=generator())
    qindex = torch.full((2, 2, 2), 40)
    with torch.no_grad():
        latent = frozen.decoded(y, qindex) * lic.gain(qindex)
        z = lic.hyper(y * lic.gain(qindex), qindex).round()
        _, mean, _ = lic.parts(latent, lic.entropy.hyper_features(z, qindex))
    symbols = latent - mean
    torch.testing.assert_close(symbols, symbols.round(), atol=1e-3, rtol=0)


def test_latents_are_those_of_every_photo(data: Path, frozen: Frozen) -> None:
    crops = Crops(read_photos(data), size=64, batch=3, seed=5)
    latents = CachedLatents(crops, frozen, views=2)
    assert latents.kept.shape == (4, 4, 4, 16)
    assert torch.equal(CachedLatents(crops, frozen, views=2).kept, latents.kept)
    assert latents(7).shape == (3, 16, 4, 4)
    assert torch.equal(latents(7), latents(7))
    x = torch.cat(list(crops.each(2)))
    both = frozen.encode(x)
    assert torch.equal(both[:, 8:], frozen.vae.eval().encode(x))
    torch.testing.assert_close(latents.kept.permute(0, 3, 1, 2).float(), both, rtol=0.01, atol=0.01)


def test_qualities_are_low_and_one_for_each_picture(frozen: Frozen) -> None:
    _, qindex, z = frozen.pair(torch.randn(64, 16, 8, 4), generator())
    assert qindex.shape == (64, 2, 1)
    assert torch.equal(qindex[:, 0], qindex[:, 1])
    assert 0 <= qindex.min() < 5 and QUALITIES - 5 < qindex.max() < QUALITIES
    assert z.shape == (64, 8, 8, 4)


def test_a_quarter_of_the_times_is_the_start() -> None:
    z, shared = torch.zeros(8, 1, 1, 1), generator()
    times = torch.stack([diffuse.random_time(z, shared) for _ in range(100)])
    assert ((times == 1).sum(1) >= 2).all() and ((times == 1).sum(1) <= 3).all()
    assert 0 < times.min() < 0.02
    assert abs(float(times.mean()) - (0.75 * 0.5 + 0.25)) < 0.02


def test_the_denoiser_is_asked_for_the_clean_latents(
    model: Diffusion, given: Reconstructed
) -> None:
    """The error of its change is that of the clean latents over the time."""
    z, time = torch.randn(2, 8, 8, 4, generator=generator(1)), torch.tensor([0.3, 1.0])
    with torch.no_grad():
        error = diffuse.denoising_error(model, given, z, time, generator(5))
        noise = model.sigma * torch.randn(z.shape, generator=generator(5))
        t = time[:, None, None, None]
        clean = model.clean((1 - t) * z + t * (given.coarse + noise), time, given)
    wanted = ((clean - z) / t).square().mean((1, 2, 3))
    torch.testing.assert_close(error, wanted, rtol=1e-4, atol=1e-5)


# ---- training ----


def losses(model: Diffusion, loss: Any, batch: Tensor, steps: int = 12) -> list[float]:
    """Of an optimizer's steps on one batch with the same random numbers."""
    optimizer = torch.optim.AdamW(model.parameters(), 2e-3)
    found = []
    for _ in range(steps):
        total, figures = loss(batch, 0.5, generator(1))
        found.append(float(total.detach()))
        assert all(bool(value.isfinite()) for value in figures.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    return found


def test_steps_in_latents_lower_the_loss(data: Path, frozen: Frozen, hdc: HdcModel) -> None:
    model = diffuse.from_hdc(hdc, SIZES)
    assert torch.equal(model.reconstruction.enter.weight, hdc.lic.synthesis.coarse[0].weight)
    latents = CachedLatents(Crops(read_photos(data), size=64, batch=4), frozen, views=1)
    found = losses(model, diffuse.diffuse_loss(model, None, None, frozen), latents(0))
    assert found[-1] < 0.95 * found[0]
    assert all(p.grad is not None for p in model.parameters())


def test_steps_through_the_decoder_lower_the_loss(
    data: Path, random_weights: Path, frozen: Frozen, model: Diffusion
) -> None:
    judges = find_lpips("alex", random_weights), find_dists(random_weights)
    loss = diffuse.finish_loss(model, *judges, frozen)
    found = losses(model, loss, Crops(read_photos(data), size=64, batch=4)(0), 6)
    assert found[-1] < found[0]
    assert all(p.grad is None for p in model.reconstruction.parameters())
    assert all(p.grad is None for p in frozen.parameters())
    assert all(p.grad is not None for p in model.denoiser.parameters())


def test_the_coarse_estimate_learns_by_its_own_error_alone(
    frozen: Frozen, model: Diffusion
) -> None:
    both, gradients = torch.randn(4, 16, 4, 4, generator=generator()), []
    for scale in (1, 100):
        model.zero_grad()
        with torch.no_grad():
            model.denoiser.leave.weight.mul_(scale)
        loss = diffuse.diffuse_loss(model, None, None, frozen)
        loss(both, 0.0, generator())[0].backward()
        assert model.reconstruction.enter.weight.grad is not None
        gradients.append(model.reconstruction.enter.weight.grad.clone())
    assert torch.equal(*gradients)


def test_the_stages_follow_each_other_and_can_be_resumed(
    options: dict[str, Any], tmp_path: Path
) -> None:
    _, second = resumed("diffuse-lic", options | {"views": 1}, sigma=0.5)
    with Image.open(tmp_path / "diffuse-lic.png") as sheet:
        assert sheet.size == (6 * 256, 256)
    assert second["model"]["sigma"] == 0.5
    train("finish-lic", max_steps=0, **options)
    third = checkpoint(tmp_path / "finish-lic.pt")
    assert all(torch.equal(third["model"][k], v) for k, v in second["average"].items())
    train("finish-lic", max_steps=1, resume=True, **options)
    after = checkpoint(tmp_path / "finish-lic.pt")["model"]
    changed = {k.split(".")[0] for k, v in after.items() if not torch.equal(v, third["model"][k])}
    assert changed == {"denoiser"}


def test_the_same_seed_trains_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        train("diffuse-lic", max_steps=2, views=1, **options)
        found.append(checkpoint(tmp_path / "diffuse-lic.pt")["model"])
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


# ---- the table ----


def test_the_table_has_a_line_for_each_picture_of_a_file(
    data: Path, random_weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    sampling = import_module("sampling")
    model, vae = Diffusion(DiffusionConfig()), Vae(VaeConfig())
    torch.save({"average": model.state_dict()}, tmp_path / "model.pt")
    torch.save({"average": vae.state_dict()}, tmp_path / "vae.pt")
    sheet = tmp_path / "sheet.png"
    line = f"{tmp_path / 'model.pt'} {data} --vae {tmp_path / 'vae.pt'} --rates 0.03 --limit 1"
    line += f" --metric-weights {random_weights} --rows hdc,again,coarse,1,original --sheet {sheet}"
    done = CliRunner().invoke(sampling.main, line, catch_exceptions=False)
    rows = [[cell.strip() for cell in row.split("|")] for row in done.output.splitlines()]
    assert [row[2] for row in rows[2:]] == [
        "hdc, fidelity 0",
        "the same through the VAE",
        "coarse estimate through the VAE",
        "one step",
        "the original through the VAE",
    ]
    assert all(float(row[1]) <= 0.03 for row in rows[2:-1])
    assert float(rows[2][3]) > float(rows[4][3])
    with Image.open(sheet) as picture:
        assert picture.size == (6 * sampling.SIDE, sampling.SIDE)
