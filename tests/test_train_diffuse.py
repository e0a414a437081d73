"""The diffusion of the sprdiff family: its networks, its samples, and what it is asked for."""

from pathlib import Path

import pytest
import torch
from small_stages import SAMPLER_SIZES, generator, losses, small_codec
from torch import Tensor

from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler, noise_of
from hdcodec.train import diffuse
from hdcodec.train.codec import Encoders
from hdcodec.train.coded import Coded
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.latents import CachedLatents


@pytest.fixture
def frozen(encoders: Encoders) -> Coded:
    return Coded(encoders, small_codec())


@pytest.fixture
def model() -> Sampler:
    """One whose last layer is not zero."""
    torch.manual_seed(2)
    model = Sampler(SAMPLER_SIZES)
    torch.nn.init.normal_(model.denoiser.leave.weight, std=0.1)
    return model


@pytest.fixture
def given() -> Reconstructed:
    coarse, features = (torch.randn(2, c, 8, 4, generator=generator(c)) for c in (8, 16))
    return Reconstructed(coarse, features, torch.tensor([[[3], [40]], [[7], [9]]]))


def moving(model: Sampler, given: Reconstructed, steps: int, seed: int = 0) -> Tensor:
    return model.sample(given, torch.cat([noise_of(given.coarse, seed)] * 2), steps)


# ---- networks ----


def test_a_sample_has_the_shape_of_the_latents(model: Sampler, given: Reconstructed) -> None:
    assert given.coarse.shape == (2, 8, 8, 4)
    for steps in (1, 2, 4):
        assert moving(model, given, steps).shape == given.coarse.shape


def test_a_sample_follows_its_seed_and_its_steps(model: Sampler, given: Reconstructed) -> None:
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


def test_an_untrained_diffusion_gives_the_coarse_estimate(given: Reconstructed) -> None:
    torch.testing.assert_close(moving(Sampler(SAMPLER_SIZES), given, 1), given.coarse)


def test_steps_lead_where_a_perfect_denoiser_points(given: Reconstructed) -> None:
    """Whatever the number of steps and the noise."""
    model, wanted = Sampler(SAMPLER_SIZES), torch.randn(2, 8, 8, 4, generator=generator(3))

    def change(offset: Tensor, time: Tensor, given: Reconstructed) -> Tensor:
        t = time[:, None, None, None]
        return (wanted - given.coarse - (1 - t) * offset) / t

    model.denoiser.forward = change  # type: ignore[method-assign]
    for steps in (1, 2, 4):
        assert torch.allclose(moving(model, given, steps), wanted, atol=1e-5)


def test_quality_counts_where_it_is(model: Sampler, given: Reconstructed) -> None:
    torch.nn.init.normal_(model.denoiser.quality)
    for film in model.denoiser.last.films:
        torch.nn.init.normal_(film.weight)
    other = given._replace(qindex=given.qindex + torch.tensor([[[0], [9]], [[0], [0]]]))
    apart = (moving(model, given, 1) - moving(model, other, 1)).abs().amax(1)
    assert apart[0, 6:].min() > 0
    assert apart[1].max() == 0


# ---- what training sees ----


def test_latents_are_those_of_every_photo(data: Path, frozen: Coded) -> None:
    crops = Crops(read_photos(data), size=64, batch=3, seed=5)
    latents = CachedLatents(crops, frozen, views=2)
    assert torch.equal(CachedLatents(crops, frozen, views=2).kept, latents.kept)
    assert latents(7).shape == (3, latents.kept.shape[3], 4, 4)
    assert torch.equal(latents(7), latents(7))
    x = torch.cat(list(crops.each(2)))
    known = frozen.encoders.unpacked(latents.kept.permute(0, 3, 1, 2))
    torch.testing.assert_close(known.pixels, x, rtol=0, atol=0.5 / 255)
    for kept, wanted in zip(known.seen, frozen.encoders.encode(x), strict=True):
        torch.testing.assert_close(kept, wanted, rtol=0.01, atol=0.01)


def test_times_of_a_batch_are_evenly_spread() -> None:
    z, shared = torch.zeros(8, 1, 1, 1), generator()
    for _ in range(100):
        times = diffuse.random_time(z, shared).sort().values
        assert times[0] > 0 and times[-1] <= 1
        assert torch.allclose(times.diff(), torch.tensor(1 / 8))


def test_samples_score_best_with_the_deviation_of_originals(given: Reconstructed) -> None:
    """And are then as far from each other as from an original."""

    class Gaussian(Sampler):
        deviation = 0.0

        def sample(self, given: Reconstructed, noise: Tensor, steps: int = 1) -> Tensor:
            return given.coarse + self.deviation * noise

    many = Reconstructed(*(part.repeat_interleave(100, 0) for part in given))
    z = many.coarse + torch.randn(many.coarse.shape, generator=generator(7))
    model, scores = Gaussian(SAMPLER_SIZES), {}
    for model.deviation in (0.0, 0.8, 1.0, 1.2, 2.0):
        drawn, first, figures = diffuse.sample_loss(model, many, z, generator(8))
        assert drawn.shape == (200,) and first.shape == z.shape
        scores[model.deviation] = float(drawn.mean())
        if model.deviation == 1:
            assert abs(float(figures["near"] / figures["apart"]) - 1) < 0.02
    assert min(scores, key=scores.__getitem__) == 1
    assert scores[0] - scores[1] > 0.1 * scores[1]


def test_the_denoiser_is_asked_for_the_clean_latents(model: Sampler, given: Reconstructed) -> None:
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


def test_steps_in_latents_lower_the_loss(crops: Crops, frozen: Coded, model: Sampler) -> None:
    batch = CachedLatents(crops, frozen, views=1)(0)
    found = losses(model, diffuse.diffuse_loss(model, None, None, frozen), batch, 12, 2e-3)
    assert found[-1] < 0.95 * found[0]
    assert all(p.grad is not None for p in model.parameters())
    assert all(p.grad is None for p in frozen.parameters())
