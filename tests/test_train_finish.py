"""The stage `finish`: all but the encoders learns from pictures."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from small_stages import (
    ALL_SIZES,
    SAMPLER_SIZES,
    changed,
    checkpoint,
    generator,
    losses,
    resumed,
    small_codec,
)
from torch import Tensor

from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler
from hdcodec.perceptual import DISTS, LPIPS, find_dists, find_lpips
from hdcodec.train import diffuse, finish
from hdcodec.train.codec import Encoders
from hdcodec.train.data import Crops
from hdcodec.train.draws import normal
from hdcodec.train.export_sprdiff import renewed
from hdcodec.train.restore import restore_sprdiff
from hdcodec.train.run import train
from hdcodec.train.stages import STAGES
from hdcodec.weights import read_folder

PARTS = {"codec", "sampler", "decoder"}


@pytest.fixture
def frozen(encoders: Encoders, tiny_hdc: HdcModel, monkeypatch: pytest.MonkeyPatch) -> finish.Begun:
    monkeypatch.setattr("hdcodec.train.finish.restore", lambda _: tiny_hdc)
    return finish.Begun(encoders, small_codec(), None)


@pytest.fixture
def model(frozen: finish.Begun, crops: Crops) -> finish.PictureCodec:
    """One that learns, whose denoiser changes something."""
    model = finish.start_picture(None, ALL_SIZES, crops, frozen).requires_grad_(True)
    torch.manual_seed(3)
    torch.nn.init.normal_(model.sampler.denoiser.leave.weight, std=0.1)
    torch.nn.init.normal_(model.decoder.corrected.fused_head.to_full[0].weight, std=0.1)
    return model


@pytest.fixture
def judges(random_weights: Path) -> tuple[LPIPS, DISTS]:
    lpips, dists = find_lpips("alex", random_weights), find_dists(random_weights)
    return lpips.requires_grad_(False), dists.requires_grad_(False)


@pytest.fixture
def options(
    stage_options: dict[str, Any], tiny_hdc: HdcModel, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Of a small stage that begins with untrained networks."""
    monkeypatch.setattr("hdcodec.train.finish.load_codec", lambda _: small_codec())
    monkeypatch.setattr("hdcodec.train.finish.restore", lambda _: tiny_hdc)
    return stage_options | {"config": ALL_SIZES}


def given(model: finish.PictureCodec, frozen: finish.Begun, x: Tensor) -> Reconstructed:
    """What files of a middling quality say."""
    _, rebuilt = model.codec(frozen.encoders.encode(x), torch.full((len(x), 1, 1), 100))
    return rebuilt.given


def test_all_but_the_encoders_learns(
    model: finish.PictureCodec,
    frozen: finish.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    finish.finish_loss(model, *judges, frozen)(crops(0), 0.0, generator())[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    codec = model.codec
    learning = (codec.fusion, codec.hyper_analysis, codec.reconstruction, codec.entropy.parts)
    for part in (*learning, model.sampler, model.decoder):
        assert all(p.grad.isfinite().all() for p in part.parameters())
        assert any(p.grad.any() for p in part.parameters())
    assert codec.log_gain.grad.any() and codec.level.grad.any()
    assert all(p.grad is None for p in frozen.parameters())


def test_some_pictures_are_made_of_their_own_latents(
    model: finish.PictureCodec, frozen: finish.Begun, crops: Crops
) -> None:
    """The last quarter, with noise; the others' are samples, constant to the gradient."""
    x = crops(0)
    said, own = given(model, frozen, x), frozen.vae.encode(x)
    _, samples, _ = diffuse.sample_loss(model.sampler, said, own, generator(3))
    z = finish.known_or_sampled(samples, own, generator(3))
    noise = normal(own, tuple(own.shape), generator(3))
    torch.testing.assert_close(z[-1:], own[-1:] + finish.NOISE * noise[-1:])
    torch.testing.assert_close(z[:-1], model.sampler.sample(said, noise)[:-1])
    assert not z.requires_grad


def test_both_pictures_are_learnt_by_all_that_made_them(
    model: finish.PictureCodec, frozen: finish.Begun, crops: Crops
) -> None:
    x = crops(0)
    said = given(model, frozen, x)
    z = model.sampler.sample(said, torch.randn(said.coarse.shape))
    heads = model.codec.reconstruction
    model.pictures(said, z)[1].square().mean().backward()
    for part in (model.codec.fusion, heads, model.sampler, model.decoder):
        own = [p for name, p in part.named_parameters() if not name.startswith("semantic.")]
        assert all(p.grad is not None for p in own) and any(p.grad.any() for p in own)
    model.zero_grad()
    model.pictures(said.detach(), z.detach())[0].square().mean().backward()
    for part in (heads.synthesis.head, model.decoder.refinement):
        assert all(p.grad is not None for p in part.parameters())
    assert all(p.grad is None for p in model.decoder.corrected.parameters())


def test_coarse_pictures_can_be_left_out(
    model: finish.PictureCodec,
    frozen: finish.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    x = crops(0)
    loss, totals = finish.finish_loss(model, *judges, frozen), []
    for part in (1, 0):
        model.codec.used[4] = part
        torch.manual_seed(0)
        total, figures = loss(x, 0.0, generator())
        totals.append(float(total.detach()))
    assert totals[1] < totals[0] and figures["coarse_lpips"] > 0


def test_a_part_of_the_originals_is_at_least_one() -> None:
    wanted = finish.Wanted(torch.rand(6, 3, 64, 64), torch.rand(6), torch.rand(6, 1, 1))
    for part, count in ((0.5, 3), (0.01, 1), (1.0, 6)):
        some = wanted.some(part)
        assert [len(value) for value in some] == [count] * 3
        assert torch.equal(some.worth, wanted.worth[:count])


def test_steps_lower_the_loss(
    model: finish.PictureCodec,
    frozen: finish.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    found = losses(model, finish.finish_loss(model, *judges, frozen), crops(0), 8, 2e-3)
    assert found[-1] < 0.95 * found[0]


def test_an_untrained_diffusion_samples_the_coarse_estimate(
    frozen: finish.Begun, crops: Crops
) -> None:
    model = finish.start_picture(None, ALL_SIZES, crops, frozen)
    said = given(model, frozen, crops(0))
    sample = model.sampler.sample(said, torch.randn(said.coarse.shape))
    torch.testing.assert_close(sample, said.coarse)


def test_the_stage_begins_with_what_it_is_given(options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(5)
    sampler = Sampler(SAMPLER_SIZES)
    torch.save({"average": sampler.state_dict()}, tmp_path / "diffuse.pt")
    train("finish", max_steps=0, diffusion=tmp_path / "diffuse.pt", **options)
    begun = checkpoint(tmp_path / "finish.pt")["average"]
    wanted = {"codec": small_codec(), "sampler": sampler}
    for part, network in wanted.items():
        assert all(torch.equal(begun[f"{part}.{k}"], v) for k, v in network.state_dict().items())
    train("finish", max_steps=0, **options)
    without = checkpoint(tmp_path / "finish.pt")["average"]
    other = {k: v for k, v in without.items() if not torch.allclose(v, begun[k], atol=1e-5)}
    assert {name.split(".")[0] for name in other} == {"sampler"}
    with pytest.raises(ValueError, match=r"codec\.pt is a checkpoint of other networks"):
        torch.save({"average": small_codec().state_dict()}, tmp_path / "codec.pt")
        train("finish", max_steps=0, **options | {"diffusion": tmp_path / "codec.pt"})


def test_landed_weights_are_all_that_the_stage_needs(
    sprdiff: Path, options: dict[str, Any], tmp_path: Path
) -> None:
    rest = {name: value for name, value in options.items() if name not in STAGES["finish"].needs}
    train("finish", max_steps=0, init=sprdiff, **rest)
    begun = checkpoint(tmp_path / "finish.pt")["average"]
    landed = restore_sprdiff(read_folder(sprdiff))
    for part in ("codec", "sampler", "decoder"):
        state = landed.get_submodule(part).state_dict()
        assert all(torch.equal(begun[f"{part}.{name}"], value) for name, value in state.items())
    train("finish", max_steps=2, init=sprdiff, **rest)
    assert changed(checkpoint(tmp_path / "finish.pt")["average"], begun) == PARTS
    chosen: dict[str, Any] = {"without": ("semantic", "pixel-head"), "sigma": 0.0}
    train("finish", max_steps=2, init=sprdiff, **rest, **chosen)
    model = renewed(sprdiff, tmp_path / "finish.pt")  # what was chosen goes with the checkpoint
    assert (model.codec.used.tolist(), model.sampler.sigma.item()) == ([1, 1, 0, 1, 0], 0)


def test_the_stage_goes_on_with_its_own_checkpoint(options: dict[str, Any], tmp_path: Path) -> None:
    first, second = resumed("finish", options)
    assert changed(first["average"], second["average"]) == PARTS
    with Image.open(tmp_path / "finish.png") as sheet:
        assert sheet.size == (7 * 256, 256)
    (tmp_path / "finish.pt").rename(tmp_path / "first.pt")
    train("finish", max_steps=0, **options | {"init": tmp_path / "first.pt"})
    again = checkpoint(tmp_path / "finish.pt")
    assert again["step"] == 0 and not changed(again["model"], second["average"])
