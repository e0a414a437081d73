"""Tokens at 1/32 for what hdc's latents leave open, and the stages that train them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.residual import (
    FeatureTokens,
    LatentTokens,
    ResidualTokens,
    TokenConfig,
    square_distances,
)
from hdcodec.models.latent.coding import uniform
from hdcodec.train.run import train
from hdcodec.train.tokens import Beside, felt, load_tokens, spoken, tokens_views

KINDS = (LatentTokens, FeatureTokens)
SIZES = TokenConfig(width=16, dim=4, codes=8, books=2)


@pytest.fixture
def hdc(tiny_config: Config) -> HdcModel:
    torch.manual_seed(0)
    model = HdcModel(tiny_config)
    for p in model.parameters():
        torch.nn.init.normal_(p, std=0.05)
    return model.eval().requires_grad_(False)


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest, tiny_config: Config) -> ResidualTokens:
    torch.manual_seed(1)
    made: ResidualTokens = request.param(SIZES, tiny_config)
    return made


def pictures(model: ResidualTokens, hdc: HdcModel, x: Tensor, vectors: str) -> Any:
    noise = torch.zeros(len(x), 2 * hdc.cfg.drv, x.shape[2] // 32, x.shape[3] // 32)
    qindex = uniform(torch.full((len(x),), 60), x)
    return spoken(model, Beside(hdc), x, qindex, torch.zeros(len(x), 1, 1, 1), noise, vectors)


def test_without_tokens_the_picture_is_hdcs_own(model: ResidualTokens, hdc: HdcModel) -> None:
    x, noise = torch.rand(2, 3, 64, 128), torch.zeros(2, 2 * hdc.cfg.drv, 2, 4)
    qindex = uniform(torch.full((2,), 60), x)
    latent = hdc.lic.written(hdc.lic.analysis(x) * hdc.lic.gain(qindex), qindex).latent
    none = torch.zeros(2, 1, 4, 8)
    own = hdc.reconstruct(
        latent, qindex, none.long()[:, 0], none.bool(), noise, torch.zeros(2, 1, 1, 1), 1
    )
    silent = pictures(model, hdc, x, "silent")
    torch.testing.assert_close(silent.picture, own, atol=1e-5, rtol=0)
    assert not torch.equal(pictures(model, hdc, x, "sent").picture, silent.picture)


def test_vectors_are_sums_of_the_nearest_codes(model: ResidualTokens, hdc: HdcModel) -> None:
    x = torch.rand(1, 3, 64, 64)
    named = pictures(model, hdc, x, "sent").named
    assert named.indices.shape == (1, 2, 2, 2) and named.bits.shape == named.indices.shape
    books = [book.vectors() for book in model.books]  # type: ignore[operator]
    assert all(not book[0].any() for book in books)
    total = sum(book[named.indices[:, k]] for k, book in enumerate(books))
    torch.testing.assert_close(named.vectors, total.permute(0, 3, 1, 2))  # type: ignore[union-attr]


def test_vectors_keep_to_deviation_1(
    model: ResidualTokens, hdc: HdcModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = model.known(torch.rand(2, hdc.cfg.latent, 8, 8), torch.rand(2, hdc.cfg.context, 8, 8))
    known = known._replace(mean=torch.zeros_like(known.mean), spread=torch.ones_like(known.spread))
    features = torch.randn(2, hdc.cfg.analysis_width + 64, 8, 8)
    missed = torch.randn(2, hdc.cfg.latent, 8, 8)
    monkeypatch.setattr("hdcodec.models.hdc.residual.PACE", 1.0)
    model.train().whitened(5 * features, missed, known)
    seen = model.eval().power.clone()
    whitened = model.whitened(5 * features, missed, known)
    torch.testing.assert_close(
        whitened.square().mean((0, 2, 3)), torch.ones(SIZES.dim), rtol=1e-4, atol=0
    )
    assert torch.equal(model.power, seen)


def test_distances() -> None:
    x, codes = torch.randn(2, 4, 3, 5), torch.randn(6, 4)
    wanted = (x[:, None] - codes[None, :, :, None, None]).square().sum(2)
    torch.testing.assert_close(square_distances(x, codes), wanted)


def test_bits_are_those_of_the_chances(model: ResidualTokens, hdc: HdcModel) -> None:
    named = pictures(model, hdc, torch.rand(1, 3, 64, 64), "sent").named
    assert bool((named.bits > 0).all() and (named.soft_bits > 0).all())
    for book in model.books:
        last = book.prior[-1]  # type: ignore[union-attr, index]
        torch.nn.init.zeros_(last.weight)  # type: ignore[arg-type, union-attr]
        torch.nn.init.zeros_(last.bias)  # type: ignore[arg-type, union-attr]
    named = pictures(model, hdc, torch.rand(1, 3, 64, 64), "sent").named
    torch.testing.assert_close(named.bits, torch.full_like(named.bits, 3.0))


def test_guessed_tokens_are_the_likeliest_codes(model: ResidualTokens, hdc: HdcModel) -> None:
    for k, book in enumerate(model.books):
        last = book.prior[-1]  # type: ignore[union-attr, index]
        torch.nn.init.zeros_(last.weight)  # type: ignore[arg-type, union-attr]
        torch.nn.init.zeros_(last.bias)  # type: ignore[arg-type, union-attr]
        last.bias.data[3 * k] = 1  # type: ignore[operator, union-attr]
    known = model.known(torch.rand(1, hdc.cfg.latent, 4, 8), torch.rand(1, hdc.cfg.context, 4, 8))
    code = model.books[1].vectors()[3]  # type: ignore[operator]
    wanted = code[None, :, None, None].expand(1, SIZES.dim, 2, 4)
    torch.testing.assert_close(model.guessed(known), wanted)


def test_every_part_learns_by_the_picture_and_the_bits(
    model: ResidualTokens, hdc: HdcModel
) -> None:
    said = pictures(model, hdc, torch.rand(2, 3, 64, 64), "sent")
    total = said.picture.square().mean() + said.named.soft_bits.mean() + said.named.commitment
    total.backward()
    without = [name for name, p in model.named_parameters() if p.grad is None]
    assert without == []


@pytest.fixture
def options(
    hdc: HdcModel,
    photo_files: dict[str, Path],
    random_weights: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:
    """Of small stages beside an untrained hdc."""
    monkeypatch.setattr("hdcodec.train.tokens.restore", lambda _: hdc)
    data = tmp_path / "data"
    data.mkdir()
    for path in photo_files.values():
        (data / path.name).symlink_to(path)
    shared = {"minutes": 10, "batch": 4, "crop": 64, "views": 1, "config": SIZES}
    return shared | {"data": data, "out": tmp_path / "out", "metric_weights": random_weights}


def test_tokens_go_on_from_latents_to_pictures(hdc: HdcModel, options: dict[str, Any]) -> None:
    train("tokens", max_steps=3, **options)
    first = load_tokens(LatentTokens, options["out"] / "tokens.pt", hdc, SIZES)
    assert first.felt.mean() == pytest.approx(1) and first.felt.std() > 0
    train("tokens-latents", max_steps=2, worth=0.5, **options)
    train("tokens-features", max_steps=2, init=options["out"] / "tokens.pt", **options)
    for kind, name in zip(KINDS, ("tokens-latents", "tokens-features"), strict=True):
        model = load_tokens(kind, options["out"] / f"{name}.pt", hdc, SIZES)
        assert torch.equal(model.felt, first.felt)
        assert model.worth == (0.5 if kind is LatentTokens else 1)
        code, begun = (m.books[0].codes for m in (model, first))  # type: ignore[union-attr]
        assert 0 < (code - begun).abs().max() < 0.02  # type: ignore[operator]
        views = tokens_views(model, torch.rand(1, 3, 64, 64), Beside(hdc))
        assert [view.shape for view in views] == [(1, 3, 64, 64)] * 3


def test_checkpoints_of_other_networks(hdc: HdcModel, options: dict[str, Any]) -> None:
    train("tokens", max_steps=1, **options)
    path = options["out"] / "tokens.pt"
    with pytest.raises(ValueError, match="other networks than tokens"):
        load_tokens(LatentTokens, path, hdc, TokenConfig(width=8, dim=4, codes=8, books=2))
    torch.save({"average": {"lic.level": torch.zeros(1)}}, path)
    with pytest.raises(ValueError, match="other networks than tokens"):
        load_tokens(FeatureTokens, path, hdc, SIZES)


def test_what_the_synthesis_feels(hdc: HdcModel) -> None:
    first = hdc.lic.synthesis.coarse[0]
    with torch.no_grad():
        first.weight[:, 1] = 0  # type: ignore[index]
    power = felt(hdc, torch.rand(2, 3, 64, 64))
    assert power[1] == 0 and power.mean() == pytest.approx(1) and power.min() >= 0
