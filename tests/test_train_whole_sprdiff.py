"""The stage `whole-sprdiff`: all but the encoders learns from pictures."""

import copy
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from small_stages import (
    SAMPLER_SIZES,
    SIZES,
    beside,
    checkpoint,
    generator,
    resumed,
    small_codec,
    small_encoders,
    stage_options,
)
from torch import Tensor

from hdcodec.models.hdc.config import Config as HdcConfig
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.diffusion import Reconstructed, Sampler
from hdcodec.perceptual import DISTS, LPIPS, find_dists, find_lpips
from hdcodec.train import whole_sprdiff as whole
from hdcodec.train.data import Crops, read_photos
from hdcodec.train.run import train

ROOT = Path(__file__).parents[1]
PARTS = {"codec", "sampler", "decoder"}


@pytest.fixture
def hdc(tiny_config: HdcConfig) -> HdcModel:
    torch.manual_seed(0)
    return HdcModel(tiny_config)


@pytest.fixture
def frozen(hdc: HdcModel) -> whole.Begun:
    return whole.Begun(small_encoders(hdc), small_codec(), None)


@pytest.fixture
def crops(data: Path) -> Crops:
    return Crops(read_photos(data), size=64, batch=4)


@pytest.fixture
def model(frozen: whole.Begun, crops: Crops) -> whole.PictureCodec:
    """One that learns, whose denoiser changes something."""
    model = whole.start_picture(None, SAMPLER_SIZES, crops, frozen).requires_grad_(True)
    torch.manual_seed(3)
    torch.nn.init.normal_(model.sampler.denoiser.leave.weight, std=0.1)
    return model


@pytest.fixture
def judges(random_weights: Path) -> tuple[LPIPS, DISTS]:
    lpips, dists = find_lpips("alex", random_weights), find_dists(random_weights)
    return lpips.requires_grad_(False), dists.requires_grad_(False)


@pytest.fixture
def options(
    data: Path, random_weights: Path, hdc: HdcModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Of a small stage that begins with untrained networks."""
    beside(small_encoders(hdc), hdc, monkeypatch)
    monkeypatch.setattr("hdcodec.train.whole_sprdiff.load_codec", lambda _: small_codec())
    named = {"data": data, "metric_weights": random_weights, "config": SAMPLER_SIZES}
    return named | stage_options(tmp_path)


def given(model: whole.PictureCodec, frozen: whole.Begun, x: Tensor) -> Reconstructed:
    """What files of a middling quality say."""
    _, rebuilt = model.codec(frozen.encoders.encode(x), torch.full((len(x), 1, 1), 100))
    return rebuilt.given


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The parts that differ."""
    return {name.split(".")[0] for name in after if not torch.equal(after[name], before[name])}


def test_all_but_the_encoders_learns(
    model: whole.PictureCodec,
    frozen: whole.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    whole.whole_sprdiff_loss(model, *judges, frozen)(crops(0), 0.0, generator())[0].backward()
    assert all(p.grad is not None for p in model.parameters())
    codec = model.codec
    learning = (codec.fusion, codec.hyper_analysis, codec.reconstruction, codec.entropy.parts)
    for part in (*learning, model.sampler, model.decoder):
        assert all(p.grad.isfinite().all() for p in part.parameters())
        assert any(p.grad.any() for p in part.parameters())
    assert codec.log_gain.grad.any() and codec.level.grad.any()
    assert all(p.grad is None for p in frozen.parameters())


def test_what_a_sample_loses_is_learnt_by_all_that_made_it(
    model: whole.PictureCodec,
    frozen: whole.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    x = crops(0)
    wanted = whole.Wanted(x, torch.ones(4), torch.ones(4, 1, 1))
    said = given(model, frozen, x)
    whole.sampled_loss(model, *judges, said, wanted, generator())[0].backward()
    heads = model.codec.reconstruction
    for part in (model.codec.fusion, heads.deep, heads.coarse, model.sampler, model.decoder):
        assert all(p.grad is not None for p in part.parameters())
        assert any(p.grad.any() for p in part.parameters())
    assert all(p.grad is None for p in heads.synthesis.head.parameters())
    model.zero_grad()
    whole.coarse_loss(model, judges[0], said.detach(), wanted, generator())[0].backward()
    assert all(p.grad is not None for p in heads.synthesis.head.parameters())
    assert all(p.grad is None for p in model.decoder.parameters())


def test_a_loss_counts_as_it_is_asked_for(
    model: whole.PictureCodec,
    frozen: whole.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    x, found = crops(0), []
    said = given(model, frozen, x)
    for worth in (1.0, 3.0):
        wanted = whole.Wanted(x, torch.full((4,), worth), torch.ones(4, 1, 1))
        sampled, _ = whole.sampled_loss(model, *judges, said, wanted, generator())
        coarse, _ = whole.coarse_loss(model, judges[0], said, wanted, generator())
        found.append(torch.stack([sampled, coarse]))
    torch.testing.assert_close(found[1], 3 * found[0])
    model.codec.used[4] = 0
    assert whole.coarse_loss(model, judges[0], said, wanted, generator())[0] == 0


def test_a_part_of_the_originals_is_at_least_one() -> None:
    wanted = whole.Wanted(torch.rand(6, 3, 64, 64), torch.rand(6), torch.rand(6, 1, 1))
    for part, count in ((0.5, 3), (0.01, 1), (1.0, 6)):
        some = wanted.some(part)
        assert [len(value) for value in some] == [count] * 3
        assert torch.equal(some.worth, wanted.worth[:count])


def test_steps_lower_the_loss(
    model: whole.PictureCodec,
    frozen: whole.Begun,
    crops: Crops,
    judges: tuple[LPIPS, DISTS],
) -> None:
    loss = whole.whole_sprdiff_loss(model, *judges, frozen)
    optimizer, found, batch = torch.optim.AdamW(model.parameters(), 2e-3), [], crops(0)
    for _ in range(8):
        torch.manual_seed(0)
        total, figures = loss(batch, 0.5, generator(1))
        found.append(float(total.detach()))
        assert all(bool(value.isfinite()) for value in figures.values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert found[-1] < 0.95 * found[0]


def test_an_untrained_diffusion_samples_the_coarse_estimate(
    frozen: whole.Begun, crops: Crops
) -> None:
    model = whole.start_picture(None, SAMPLER_SIZES, crops, frozen)
    said = given(model, frozen, crops(0))
    sample = model.sampled(said, torch.randn(said.coarse.shape))
    torch.testing.assert_close(sample, frozen.vae.decode(said.coarse))


def test_the_stage_begins_with_what_it_is_given(options: dict[str, Any], tmp_path: Path) -> None:
    torch.manual_seed(5)
    sampler = Sampler(SAMPLER_SIZES)
    torch.save({"average": sampler.state_dict()}, tmp_path / "finish.pt")
    train("whole-sprdiff", max_steps=0, diffusion=tmp_path / "finish.pt", **options)
    begun = checkpoint(tmp_path / "whole-sprdiff.pt")["average"]
    wanted = {"codec": small_codec(), "sampler": sampler}
    for part, network in wanted.items():
        assert all(torch.equal(begun[f"{part}.{k}"], v) for k, v in network.state_dict().items())
    train("whole-sprdiff", max_steps=0, **options)
    without = checkpoint(tmp_path / "whole-sprdiff.pt")["average"]
    assert changed(begun, without) == {"sampler"}
    with pytest.raises(ValueError, match=r"codec\.pt is a checkpoint of other networks"):
        torch.save({"average": small_codec().state_dict()}, tmp_path / "codec.pt")
        train("whole-sprdiff", max_steps=0, **options | {"diffusion": tmp_path / "codec.pt"})


def test_the_stage_goes_on_with_its_own_checkpoint(options: dict[str, Any], tmp_path: Path) -> None:
    first, second = resumed("whole-sprdiff", options)
    assert changed(first["average"], second["average"]) == PARTS
    with Image.open(tmp_path / "whole-sprdiff.png") as sheet:
        assert sheet.size == (7 * 256, 256)
    (tmp_path / "whole-sprdiff.pt").rename(tmp_path / "first.pt")
    train("whole-sprdiff", max_steps=0, **options | {"init": tmp_path / "first.pt"})
    again = checkpoint(tmp_path / "whole-sprdiff.pt")
    assert again["step"] == 0 and not changed(again["model"], second["average"])


def test_the_table_has_the_decoder_of_the_checkpoint(
    data: Path,
    frozen: whole.Begun,
    model: whole.PictureCodec,
    random_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    latents = import_module("latents")
    monkeypatch.setattr(latents, "LatentCodecConfig", lambda: SIZES)
    monkeypatch.setattr(latents, "DiffusionConfig", lambda: SAMPLER_SIZES)
    monkeypatch.setattr(latents, "load_encoders", lambda *_: copy.deepcopy(frozen.encoders))
    line = f"{tmp_path / 'whole.pt'} {data} --vae {data} --semantic {data} --qualities 150"
    line += f" --limit 1 --metric-weights {random_weights} --whole"
    found = []
    for scale in (1, 3):
        with torch.no_grad():
            model.decoder.head.to_full[0].weight.mul_(scale)
        torch.save({"average": model.state_dict()}, tmp_path / "whole.pt")
        done = CliRunner().invoke(latents.main, line, catch_exceptions=False)
        rows = [[cell.strip() for cell in row.split("|")] for row in done.output.splitlines()]
        found.append({row[3]: row[4:] for row in rows[2:]})
    assert len(found[0]) == 8
    differing = {row for row in found[0] if found[0][row] != found[1][row]}
    assert differing == {row for row in found[0] if row[:5] == "codec" and row[-7:] != "picture"}
    done = CliRunner().invoke(latents.main, f"{line} --diffusion {data}")
    assert done.exit_code == 2 and "--whole" in done.output
