"""The stage in which hdc's decoder learns to draw what a file leaves open."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from metric_weights import shared_weights
from torch import Tensor

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.decoder import Texture
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.draw import GRAIN, wake
from hdcodec.train.labeller import Labeller, play
from hdcodec.train.loop import Settings
from hdcodec.train.models import grown, start_hdc
from hdcodec.train.run import prepare

CHANNELS = (8, 12, 16)


@pytest.fixture
def data(photo_files: dict[str, Path], tmp_path: Path) -> Path:
    for path in photo_files.values():
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.fixture
def metric_weights() -> Path:
    return shared_weights()


@pytest.fixture
def maps() -> list[Tensor]:
    torch.manual_seed(0)
    return [torch.randn(2, c, 64 // s, 64 // s) for c, s in zip(CHANNELS, (2, 4, 8), strict=True)]


def test_first_weights_have_noise_at_one_scale_and_new_ones_at_two() -> None:
    assert Config.from_dict({}).textures == 1
    assert Config.from_dict(Config().to_dict()).textures == 2


def test_a_decoder_that_learns_to_draw_begins_with_noise(tiny_config: Config) -> None:
    torch.manual_seed(0)
    model = grown(
        HdcModel(Config.from_dict(tiny_config.to_dict() | {"textures": 1})).state_dict(),
        tiny_config,
    )
    pictures = [_pictures(model, seed) for seed in (0, 1)]
    assert torch.equal(*pictures)
    wake(model)
    pictures = [_pictures(model, seed) for seed in (0, 1)]
    assert not torch.equal(*pictures)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    wake(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def _pictures(model: HdcModel, seed: int) -> Tensor:
    """A picture at fidelity 0 from codes alone, whatever the noise of DRVs makes of it."""
    cfg, decoder = model.cfg, model.vq_decoder
    torch.nn.init.normal_(
        decoder.fused_head.to_full[0].weight, generator=torch.Generator().manual_seed(9)
    )
    lic = (
        torch.full((1, 3, 64, 64), 0.5),
        torch.full((1, cfg.decoder_detail, 8, 8), 0.1),
        torch.full((1, cfg.predictor_width, 4, 4), 0.1),
    )
    noise = torch.randn(1, 2 * cfg.drv, 2, 2, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        codes = torch.full((1, cfg.code_dim, 4, 4), 0.1)
        picture: Tensor = decoder(codes, lic, torch.zeros(1, 1, 1, 1), noise)
    return picture


def test_noise_is_as_strong_as_asked_and_absent_at_fidelity_1() -> None:
    texture = Texture(24, 128, 4)
    texture.wake(GRAIN)
    x, noise = torch.zeros(1, 24, 64, 64), torch.randn(1, 128, 16, 16)
    with torch.no_grad():
        drawn = texture(x, noise, torch.zeros(1, 1, 1, 1))
        faithful = texture(x, noise, torch.ones(1, 1, 1, 1))
    assert drawn.std() == pytest.approx(GRAIN, rel=0.3)
    assert torch.equal(faithful, x)


def test_the_labeller_learns_to_tell_originals_from_decoded_ones(maps: list[Tensor]) -> None:
    """And its two losses reach only whom they are for."""
    torch.manual_seed(1)
    labeller = Labeller(CHANNELS, 6, 5, width=8)
    fake = [(x * 0.2 + 1).requires_grad_() for x in maps]
    latent, labels = torch.randn(2, 6, 4, 4), torch.randint(0, 5, (2, 4, 4))
    optimizer = torch.optim.Adam(labeller.parameters(), 1e-2)
    losses, chances = [], []
    for step in range(40):
        generator = torch.Generator().manual_seed(step)
        critic, fooled = play(labeller, fake, maps, latent, labels, generator)
        optimizer.zero_grad()
        critic.backward()
        assert all(x.grad is None for x in fake)
        optimizer.step()
        losses.append(float(critic.detach()))
        chances.append(float(fooled.detach().mean()))
    assert losses[-1] < 0.5 * losses[0]
    assert chances[-1] > 2 * chances[0]
    own = [p.grad.clone() for p in labeller.parameters() if p.grad is not None]
    _, fooled = play(labeller, fake, maps, latent, labels, torch.Generator())
    fooled.sum().backward()
    assert all(x.grad is not None and x.grad.any() for x in fake)
    assert all(torch.equal(a, p.grad) for a, p in zip(own, labeller.parameters(), strict=True))


def test_files_and_lic_images_stay_as_they_are(
    data: Path, metric_weights: Path, tiny_config: Config, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model = start_hdc(None, tiny_config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    crops = Crops(read_photos(data), size=128, batch=2)
    settings = Settings(out=tmp_path / "out", minutes=9, max_steps=3)
    trainer = prepare("draw", model, crops, settings, metric_weights)
    trainer.run()
    kept = ("lic.", "vq_encoder.", "codebook.", "prior.", "condition.", "denoisers.0.", "enhancer.")
    after = model.state_dict()
    assert all(torch.equal(before[n], after[n]) for n in before if n.startswith(kept))
    changed = [n for n in before if not torch.equal(before[n], after[n])]
    for part in ("vq_decoder.coarse_grain.", "vq_decoder.grain.", "predictor.", "denoisers.1."):
        assert any(n.startswith(part) for n in changed), part
