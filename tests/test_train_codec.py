"""The codec of the sprdiff family: its latents, and the stage that trains them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from command import script
from PIL import Image
from small_stages import (
    SAMPLER_SIZES,
    SIZES,
    VAE_SIZES,
    changed,
    checkpoint,
    generator,
    losses,
    resumed,
    small_codec,
)
from torch import Tensor

from hdcodec.entropy.context import FourParts
from hdcodec.entropy.intnet import IntNet
from hdcodec.entropy.tables import gaussian_tables
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.latent.coding import CodingSizes, EntropyNets, enlarging
from hdcodec.models.latent.distortion import LAMBDA
from hdcodec.models.latent.fixed import FixedNet
from hdcodec.models.latent.twins import coding_nets
from hdcodec.models.sprdiff.codec import CELLS, LOG_SCALE, PARTS, LatentCodec, TripleFeatures, used
from hdcodec.models.sprdiff.diffusion import Sampler, noise_of
from hdcodec.models.sprdiff.vae import Vae
from hdcodec.train import codec
from hdcodec.train.coded import Coded
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.export import net_tensors
from hdcodec.train.from_hdc import REFERENCE, codes_of, decoded, decoder_of, gains_of, log_gains
from hdcodec.train.latents import CachedLatents
from hdcodec.train.run import train


@pytest.fixture
def model() -> LatentCodec:
    return small_codec()


@pytest.fixture
def options(stage_options: dict[str, Any]) -> dict[str, Any]:
    """Of a small stage `codec`."""
    return stage_options | {"config": SIZES, "views": 1}


@pytest.fixture
def batch(crops: Crops, encoders: codec.Encoders) -> Tensor:
    """What the stage sees of crops."""
    return CachedLatents(crops, encoders, views=1)(0)


def seen(rows: int = 8, columns: int = 4, count: int = 2) -> TripleFeatures:
    draws = generator(4)
    return TripleFeatures(
        *(torch.randn(count, c, rows, columns, generator=draws) for c in (8, 72, 8))
    )


# ---- latents ----


def test_latents_are_a_32nd_and_what_they_say_a_16th(model: LatentCodec) -> None:
    qindex = torch.tensor([[[3], [40]], [[7], [9]]])
    coded, rebuilt = model(seen(), qindex)
    assert coded.latent.shape == (2, 16, 4, 2)
    assert coded.y_bits.shape == coded.z_bits.shape == (2, 2, 1)
    assert rebuilt.given.coarse.shape == rebuilt.semantic.shape == (2, 8, 8, 4)
    assert model.reconstruction.picture(rebuilt.given).shape == (2, 3, 128, 64)


def test_quality_counts_where_it_is(model: LatentCodec) -> None:
    ones = torch.ones(1, 2, 2, dtype=torch.long)
    one, other = (model.encode(seen(8, 8, 1), ones * torch.tensor([[0, q]])) for q in (0, 200))
    apart = (one - other).abs().amax((0, 1))
    assert apart[:, :2].max() == 0 and apart[:, 2:].min() > 0


def test_latents_are_foretold_with_about_their_scale() -> None:
    torch.manual_seed(0)
    model = LatentCodec(SIZES)
    with torch.no_grad():
        _, mean, log_scale = model.parts(torch.zeros(1, 16, 8, 8), torch.rand(1, 8, 8, 8))
    assert abs(float(log_scale.mean()) - LOG_SCALE) < 0.2 and abs(float(mean.mean())) < 0.2


def test_a_diffusion_takes_what_latents_say(model: LatentCodec) -> None:
    _, rebuilt = model(seen(count=1), torch.tensor([[[3], [40]]]))
    sample = Sampler(SAMPLER_SIZES).sample(rebuilt.given, noise_of(rebuilt.given.coarse))
    assert sample.shape == rebuilt.given.coarse.shape


@pytest.mark.parametrize("part", PARTS[:3])
def test_what_an_encoder_says_can_be_left_out(model: LatentCodec, part: str) -> None:
    qindex, first = torch.full((2, 2, 1), 100), seen()
    place = PARTS.index(part)
    other = TripleFeatures(*(x + 1 if k == place else x for k, x in enumerate(first)))
    assert not torch.equal(model.encode(first, qindex), model.encode(other, qindex))
    model.used.copy_(used([part]))
    assert torch.equal(model.encode(first, qindex), model.encode(other, qindex))


@pytest.mark.parametrize("cells", [2, 4])
def test_hyper_latents_are_enlarged_to_any_grid(cells: int) -> None:
    net = FixedNet(enlarging(8, cells))
    assert net(torch.rand(1, 192, 3, 2)).shape == (1, 8, 3 * cells, 2 * cells)
    nets = EntropyNets(CodingSizes(16, 4, 8, 9, cells))
    shape = nets.hyper_features(torch.zeros(1, 4, 3, 2), torch.zeros(1, 3, 2)).shape
    assert shape == (1, 8, 3 * cells, 2 * cells)


def test_integer_networks_code_what_their_twins_foretell(model: LatentCodec) -> None:
    """From the symbols of hyper-latents on, integers and floats come to the same latents."""

    class Free:
        """In place of a range coder: gives back what it is given."""

        ended = False

        def code(self, given: Any, *_: Any) -> Any:
            return given

    tensors: dict[str, Any] = {}
    for name, net in coding_nets(model.entropy).items():
        tensors |= net_tensors(name, net)
    nets = {name: IntNet.load(tensors, name) for name in coding_nets(model.entropy)}
    y = 6 * torch.randn(1, 16, 6, 4, generator=generator(6))
    z = (3 * torch.randn(1, 4, 3, 2, generator=generator(7))).round()
    entered = nets["hyper_in"](1024.0 * z[0].permute(1, 2, 0).double().numpy())
    hyper = nets["hyper"](np.clip(entered, 0, 32767)).astype(np.int16)
    with torch.no_grad():
        twin = model.entropy.hyper_features(z, torch.zeros(1, 3, 2))
        latent, _, _ = model.parts(y, twin, silent=True)
    assert np.abs(hyper / 1024 - twin[0].permute(1, 2, 0).numpy()).max() < 0.02
    context = FourParts([nets[f"parts.{p}"] for p in range(4)], gaussian_tables(), CELLS, 4)
    _, decoded = context.code(Free(), hyper, y[0].permute(1, 2, 0).numpy())
    found = torch.tensor(decoded).permute(2, 0, 1).float() / 1024
    assert ((found - latent[0]).abs() < 0.02).float().mean() > 0.97


def test_what_a_file_would_hold_takes_whole_steps(model: LatentCodec) -> None:
    qindex = torch.full((2, 2, 1), 200)
    with torch.no_grad():
        y = 5 * model.encode(seen(), qindex)
        coded = model.written(y, qindex)
        again = model.written(coded.latent, qindex)
    assert coded.y_bits.min() > 0 and coded.z_bits.min() > 0
    assert (coded.latent - y).abs().max() < 0.51
    assert again.latent.shape == coded.latent.shape


# ---- training ----


def test_crops_are_kept_in_bytes(data: Path, encoders: codec.Encoders) -> None:
    crops = Crops(read_photos(data), size=64, batch=3, seed=5)
    latents = CachedLatents(crops, encoders, views=2)
    assert latents.kept.shape == (4, 4, 4, 2 * (8 + 72 + 8) + 768)
    assert latents.kept.dtype == torch.uint8
    x = torch.cat(list(crops.each(2)))
    kept = encoders.unpacked(latents.kept.permute(0, 3, 1, 2))
    torch.testing.assert_close(kept.pixels, x)
    for found, wanted in zip(kept.seen, encoders.encode(x), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0.01, atol=0.01)


def test_a_decoder_feels_what_changes_its_picture() -> None:
    vae = Vae(VAE_SIZES).eval()
    with torch.no_grad():
        vae.decoder.coarse[0].weight[:, 3] *= 10
    felt = codec.felt(vae, torch.rand(4, 3, 64, 64, generator=generator()))
    assert felt.argmax() == 3 and felt[3] > 5 * felt[0]
    torch.testing.assert_close(felt.mean(), torch.tensor(1.0))


def test_steps_lower_the_loss(crops: Crops, encoders: codec.Encoders, batch: Tensor) -> None:
    model = codec.start_codec(None, SIZES, crops, encoders)
    found = losses(model, codec.codec_loss(model, None, None, encoders), batch, 12, 2e-3)
    assert found[-1] < 0.9 * found[0]
    silent = {name for name, p in model.named_parameters() if p.grad is None}
    assert silent == {
        f"reconstruction.synthesis.{name}"
        for name, _ in model.reconstruction.synthesis.named_parameters()
    }
    assert all(p.grad is None for p in encoders.parameters())


def test_what_the_semantic_head_teaches_can_be_left_out(
    batch: Tensor, encoders: codec.Encoders, model: LatentCodec
) -> None:
    for without, silent in (((), False), ((PARTS[3],), True)):
        model.zero_grad()
        model.used.copy_(used(without))
        codec.codec_loss(model, None, None, encoders)(batch, 0.0, generator())[0].backward()
        head = model.reconstruction.semantic
        assert all((p.grad.abs().sum() == 0) == silent for p in head.parameters())


def test_what_the_pixel_head_teaches_can_be_left_out(
    batch: Tensor, encoders: codec.Encoders, model: LatentCodec
) -> None:
    """Then hdc's latents may be others."""
    for without, same in (((), False), ((PARTS[4],), True)):
        model.used.copy_(used(without))
        totals = []
        for _ in range(2):
            torch.manual_seed(0)
            total, _ = codec.codec_loss(model, None, None, encoders)(batch, 0.0, generator())
            totals.append(float(total.detach()))
            with torch.no_grad():
                encoders.lic.analysis.last.bias.add_(1.0)
        assert (totals[0] == totals[1]) == same


def test_entropy_networks_learn_first(
    batch: Tensor, encoders: codec.Encoders, model: LatentCodec
) -> None:
    total, figures = codec.rate_loss(model, None, None, encoders)(batch, 0.0, generator())
    total.backward()
    assert all(p.grad is not None for p in model.hyper_analysis.parameters())
    assert all(p.grad is not None for p in model.entropy.parts.parameters())
    assert model.reconstruction.enter.weight.grad is None
    assert 0 < figures["bpp_low"] < 100 and 0 < figures["bpp_high"] < 100


def test_a_tile_counts_by_its_quality() -> None:
    error, factor = torch.ones(1, 8, 4), torch.tensor([[[1.0], [3.0]]])
    weighted = codec.in_tiles(error, factor)
    assert (weighted[:, :4] == 1).all() and (weighted[:, 4:] == 3).all()


def test_the_stage_codec_is_resumed_as_it_was_asked_for(options: dict[str, Any]) -> None:
    first, second = resumed("codec", options, worth=4.0, without=("semantic",))
    for name, wanted in (("worth", 4.0), ("used", [1, 1, 0, 1, 1])):
        assert torch.equal(second["average"][name], torch.tensor(wanted).float())
    assert torch.equal(first["model"]["felt"], second["model"]["felt"])
    with Image.open(options["out"] / "codec.png") as sheet:
        assert sheet.size == (7 * 256, 256)


def test_the_same_seed_trains_the_same(options: dict[str, Any], tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        train("codec", max_steps=2, **options)
        found.append(checkpoint(tmp_path / "codec.pt")["model"])
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


# ---- what it begins with ----


def test_a_codec_begins_with_latents_of_hdc(crops: Crops, encoders: codec.Encoders) -> None:
    """As many latents as hdc has in four positions lose nothing of them, and the coarse picture is
    hdc's; half as many lose what varies least."""
    lic, x, qindex = encoders.lic, crops(0), torch.full((4, 1, 1), 120)
    features = encoders.encode(x)
    wanted, missed = lic.analysis(x), []
    for latent in (32, 16):
        model = codec.start_codec(None, replace(SIZES, latent=latent, deep=32), crops, encoders)
        with torch.no_grad():
            rebuilt = model.decode(model.encode(features, qindex), qindex)
            missed.append(float((rebuilt.between - wanted).square().mean()))
            if latent == 32:
                picture = model.reconstruction.picture(rebuilt.given)
                torch.testing.assert_close(picture, lic.synthesis(wanted)[0], atol=1e-3, rtol=0)
    assert missed[0] < 1e-6 < missed[1] < 0.5 * float(wanted.var())


def test_gains_are_those_of_hdc_where_distortion_counts_as_much(tiny_hdc: HdcModel) -> None:
    with torch.no_grad():
        tiny_hdc.lic.log_gain.add_(torch.arange(9)[:, None] * 0.1)
    one = torch.eye(32)[:1]
    found = log_gains(tiny_hdc.lic, one, 9, LAMBDA).exp()[:, 0]
    wanted = tiny_hdc.lic.log_gain.exp()[:, 0] / gains_of(tiny_hdc.lic, REFERENCE)[0]
    torch.testing.assert_close(found, wanted)
    below = log_gains(tiny_hdc.lic, one, 2, (LAMBDA[0] / 4, LAMBDA[0])).exp()[:, 0]
    torch.testing.assert_close(below, wanted[0] * torch.tensor([0.5, 1.0]))


def test_a_decoder_begins_as_that_of_hdc(tiny_hdc: HdcModel) -> None:
    """Given codewords in the place of the VAE's latents it paints as hdc does."""
    for head in (tiny_hdc.vq_decoder.fused_head, tiny_hdc.enhancer.head):
        torch.nn.init.normal_(head.to_full[0].weight, std=0.1)
    torch.nn.init.normal_(tiny_hdc.predictor.head[-1].weight)
    x = torch.rand(6, 3, 64, 64, generator=generator())
    with torch.no_grad():
        codes = codes_of(tiny_hdc, x)
        base, features = tiny_hdc.lic.synthesis(tiny_hdc.lic.analysis(x))
        decoder = decoder_of(tiny_hdc, x, codes, tiny_hdc.cfg.decoder)
        coarse = decoder.refinement(base, features)
        painted = decoder(coarse, features, codes)
        drv = decoded(tiny_hdc, x)[2].mean((0, 2, 3))[None, :, None, None].expand(6, -1, 2, 2)
        x_lic = tiny_hdc.enhancer(base, features, drv)
        told = (x_lic, *tiny_hdc.lic_features(x_lic, features))
        wanted = tiny_hdc.vq_decoder(codes, told, torch.zeros(1, 1, 1, 1))
    torch.testing.assert_close(coarse, x_lic, atol=1e-5, rtol=0)
    torch.testing.assert_close(painted, wanted, atol=1e-3, rtol=0)
    assert float((wanted - x_lic).abs().mean()) > 0.01 < float((x_lic - base).abs().mean())


# ---- a diffusion behind it ----


def test_a_diffusion_is_given_what_files_say(encoders: codec.Encoders, model: LatentCodec) -> None:
    frozen, x = Coded(encoders, model), torch.rand(3, 3, 64, 128, generator=generator())
    kept = frozen.kept(x).permute(0, 3, 1, 2)
    given, z = frozen.told(kept, generator(1))
    assert given.qindex.shape == (3, 1, 2) and len(given.qindex.unique()) > 1
    again = frozen.rebuilt(encoders.unpacked(kept).seen, given.qindex).given
    assert torch.equal(again.coarse, given.coarse) and torch.equal(again.features, given.features)
    assert torch.allclose(z, encoders.vae.encode(x), atol=1e-2)


def test_a_diffusion_learns_behind_a_codec(
    options: dict[str, Any], model: LatentCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hdcodec.train.coded.load_codec", lambda _: model)
    first, second = resumed("diffuse", options | {"config": SAMPLER_SIZES}, sigma=0.5)
    assert first["average"]["sigma"] == 0.5
    assert changed(first["average"], second["average"]) == {"denoiser"}
    with Image.open(options["out"] / "diffuse.png") as sheet:
        assert sheet.size == (6 * 256, 256)


# ---- the table ----


def test_the_table_has_hdc_beside_the_codec(
    data: Path,
    encoders: codec.Encoders,
    model: LatentCodec,
    random_weights: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    latents = script("benchmarks/latents.py")
    monkeypatch.setattr(latents, "load_encoders", lambda *_: encoders)
    monkeypatch.setattr(latents, "load_codec", lambda _: model)
    line = f"{data} {data} --vae {data} --semantic {data} --qualities 150 --limit 1"
    line += f" --metric-weights {random_weights}"
    done = CliRunner().invoke(latents.main, line, catch_exceptions=False)
    rows = [[cell.strip() for cell in row.split("|")] for row in done.output.splitlines()]
    assert [row[3] for row in rows[2:]] == [
        "coarse picture",
        "coarse estimate through the VAE",
        "hdc, fidelity 0",
        "hdc, fidelity 1",
    ]
    assert float(rows[4][2]) <= float(rows[2][2]) + 1e-4
    assert np.isfinite([float(row[4]) for row in rows[2:]]).all()
