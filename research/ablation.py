"""What each part of the hdc decoder contributes, at equal size of the whole file.

    python research/ablation.py FOLDER [--bpp 0.03 ...] [--metric-weights DIR] [--side 384]
        [--only "full, fidelity"]

Parts of the landed weights are switched off; nothing is trained again: a row shows what a part does
in the weights as they are, not what a decoder trained without it could do. Rows of kept fractions
and of the split share the bits differently: what indices take, latents lose. Sizes are caps met by
the highest quality that fits. Prints JSON lines, then Markdown tables.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hdcodec import Codec, TargetError, weights
from hdcodec._inspect import read_symbols
from hdcodec.eval import measure, picture_files
from hdcodec.format import unpack
from hdcodec.images import load
from hdcodec.models.hdc.drv import DENOISING_STEPS
from hdcodec.models.hdc.graphs import HdcGraphs
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.hdc.options import KEPT_STEPS, Parameters
from hdcodec.models.hdc.runtime import HdcNetworks
from hdcodec.models.hdc.symbols import HdcSymbols
from hdcodec.train.restore import restore

METRICS = ("psnr", "msssim", "lpips_alex", "lpips_vgg", "dists")
INDEX_QUALITIES = (0.0, 20.0, 50.0, 80.0, 95.0)
PARTS = ("fusion", "drv", "guidance", "vq", "predictor", "correction", "texture")
"""What can be switched off: `fusion` is all behind the base image, `drv` both DRVs, `guidance` the
second, which the mask predictor sees, `vq` what is added to the LIC image, `texture` the noise
before the VQ decoder's last blocks."""


class Ablated(HdcModel):
    """The networks without the parts in `off`, their DRVs `sampled` by the denoisers, `regressed`
    by them in one step from nothing, or `transmitted`: extracted from `truth`, 1 x 3 x H x W."""

    off: frozenset[str] = frozenset()
    drv = "sampled"
    truth: Tensor | None = None

    def sample_drvs(
        self, features: Tensor, noise: Tensor, steps: int = DENOISING_STEPS
    ) -> tuple[Tensor, Tensor]:
        """Both DRVs, by the way that `drv` names, zero where they are off."""
        if self.drv == "transmitted":
            base = self.lic.synthesis.head(features) + 0.5
            first, second = self.drv_encoder(self.truth, base.clamp(0, 1))
        elif self.drv == "regressed":
            first, second = super().sample_drvs(features, torch.zeros_like(noise), 1)
        else:
            first, second = super().sample_drvs(features, noise, steps)
        without = "drv" in self.off
        return (
            torch.zeros_like(first) if without else first,
            torch.zeros_like(second) if without or "guidance" in self.off else second,
        )

    def fuse(
        self,
        x_lic: Tensor,
        features: Tensor,
        indices: Tensor,
        kept: Tensor,
        drv: Tensor,
        noise: Tensor,
        fidelity: Tensor,
    ) -> Tensor:
        """The picture of what is left of the VQ decoder."""
        if "vq" in self.off:
            return x_lic
        eighth, sixteenth = self.lic_features(x_lic, features)
        if "predictor" in self.off:
            codes = self.codebook.lookup(indices.clamp(min=0)) * kept
        else:
            codes = self.complete(indices, kept, sixteenth, drv)
        if "correction" in self.off:
            plain: Tensor = self.vq_decoder(codes)
            return plain
        grain = None if "texture" in self.off else noise
        out: Tensor = self.vq_decoder(codes, (x_lic, eighth, sixteenth), fidelity, grain)
        return out

    def reconstruct(self, latent: Tensor, qindex: Tensor, *rest: Any) -> Tensor:
        """The picture, or the base image where nothing is fused with it."""
        if "fusion" in self.off:
            base: Tensor = self.lic.decode(latent, qindex)[0]
            return base
        return super().reconstruct(latent, qindex, *rest)


@dataclass(frozen=True)
class Variant:
    """A row: the parts that are off, the kept code (None: the ladder's), the LIC stream's share of
    the bits (None: what fits), where the DRVs come from, and the decoder's dials."""

    name: str
    off: tuple[str, ...] = ()
    kept: int | None = None
    lic_bpp: float | None = None
    drv: str = "sampled"
    options: dict[str, Any] = field(default_factory=dict)


class Coded(NamedTuple):
    """A file, its symbols and its size in bits per pixel."""

    data: bytes
    symbols: HdcSymbols
    bpp: float


def variants() -> Iterator[Variant]:
    """The rows in the order of the table."""
    yield Variant("LIC base", ("fusion",), 0)
    yield Variant("+ enhancement, DRV zero", ("drv", "vq"), 0)
    yield Variant("+ enhancement, DRV regressed", ("vq",), 0, drv="regressed")
    yield Variant("+ enhancement, DRV diffused", ("vq",), 0)
    yield Variant(
        "+ enhancement, DRV transmitted (bits not counted)", ("vq",), 0, drv="transmitted"
    )
    yield Variant("VQ decoder without correction, all kept", ("correction",), KEPT_STEPS)
    yield Variant("full, no mask predictor", ("predictor",))
    yield Variant("full, DRVs zero", ("drv",))
    yield Variant("full, DRVs regressed", drv="regressed")
    yield Variant("full, DRVs transmitted (bits not counted)", drv="transmitted")
    yield Variant("full, no noise for texture", ("texture",))
    yield Variant("full, kept by the ladder")
    for kept in (0, 5, 8, 11, 15):
        yield Variant(f"full, kept {100 * (kept / KEPT_STEPS) ** 2:.0f} %", kept=kept)
    for bpp in (0.005, 0.01, 0.02, 0.03):
        yield Variant(f"full, LIC at {bpp}, indices for the rest", lic_bpp=bpp)
    for steps in (1, 2, 4, 8):
        yield Variant(f"full, {steps} denoising steps", options={"denoising_steps": steps})
    for fidelity in (0.0, 0.25, 0.5, 0.75, 1.0):
        yield Variant(f"full, fidelity {fidelity}", options={"fidelity": fidelity})


class Bench:
    """A codec whose decoder can be changed, and what it made of each picture so far."""

    def __init__(self, metric_weights: str | None = None) -> None:
        self.codec = Codec(device="cpu", backend="torch")
        self.weights = metric_weights
        whole = restore(weights.find(self.codec.model_id))
        self.model = Ablated(whole.cfg)
        self.model.load_state_dict(whole.state_dict())
        self.codec.networks = HdcNetworks(
            self.codec.family, HdcGraphs(self.model, torch.device("cpu"))
        )
        self.made: dict[tuple[Any, ...], Coded] = {}

    def row(self, variant: Variant, image: Image.Image, cap: float) -> dict[str, float]:
        """Rate and distortions of one picture; raises TargetError."""
        key = id(image), cap, variant.kept, variant.lic_bpp
        if key not in self.made:
            self.made[key] = self._encode(image, *key[1:])
        coded = self.made[key]
        decoded = self.decode(variant, coded.data, image)
        return {"bpp": coded.bpp, **measure(image, decoded, METRICS, weights=self.weights)}

    def decode(self, variant: Variant, data: bytes, image: Image.Image) -> Image.Image:
        """What the decoder of a row makes of a file; `image` is the original."""
        model = self.model
        model.off, model.drv, model.truth = frozenset(variant.off), variant.drv, padded(image)
        try:
            return self.codec.decompress(data, **variant.options)
        finally:
            model.off, model.drv, model.truth = frozenset(), "sampled", None

    def _encode(
        self, image: Image.Image, cap: float, kept: int | None, lic_bpp: float | None
    ) -> Coded:
        if lic_bpp is None:
            return self.coded(image, bpp=cap, kept=kept)
        if lic_bpp > cap:
            raise TargetError("the LIC stream takes more than all bits")
        lic = self.coded(image, bpp=lic_bpp, kept=0)
        quality = Parameters.parse(unpack(lic.data).header.parameters).quality
        for codes in range(1, KEPT_STEPS + 1):
            more = self.coded(image, quality=quality, kept=codes)
            if more.bpp > cap:
                break
            lic = more
        return lic

    def coded(self, image: Image.Image, **options: Any) -> Coded:
        """A file of a picture, by the options of `Codec.compress`."""
        data = self.codec.compress(image, verify=False, protect="none", **options)
        pixels = image.width * image.height
        return Coded(data, read_symbols(unpack(data)), 8 * len(data) / pixels)


def padded(image: Image.Image) -> Tensor:
    """1 x 3 x H x W in [0, 1], its sides multiples of 64."""
    pixels = np.asarray(image)
    sides = [(0, -side % 64) for side in pixels.shape[:2]]
    whole = np.pad(pixels, (*sides, (0, 0)), mode="edge")
    return torch.from_numpy(whole).permute(2, 0, 1)[None].float() / 255


def centre(image: Image.Image, side: int) -> Image.Image:
    """The middle of a picture, at most `side` pixels wide and high."""
    width, height = min(side, image.width), min(side, image.height)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def index_coding(
    bench: Bench, pictures: list[Image.Image], quality: float, kept: int = KEPT_STEPS
) -> tuple[dict[str, float], NDArray[np.int64]]:
    """Bits per index: by a uniform code, by a static table counted on all the other pictures (each
    code once more), and by the prior. And how often each code was kept."""
    found = [bench.coded(p, quality=quality, kept=kept).symbols for p in pictures]
    codes = len(bench.model.codebook.seed)
    counts = [np.bincount(s.indices[s.kept], minlength=codes) for s in found]
    total: NDArray[np.int64] = np.sum(counts, axis=0)
    static = [_cross_entropy(c, total + 1 - c) for c in counts]
    costs = {
        "uniform": math.log2(codes),
        "static table": mean(static),
        "prior": mean(s.vq_bits / s.kept.sum() for s in found),
        "codes used (%)": 100 * float((total > 0).mean()),
    }
    return costs, total


def _cross_entropy(counts: NDArray[np.int64], table: NDArray[np.int64]) -> float:
    return float(-(counts * np.log2(table / table.sum())).sum() / counts.sum())


def mean(values: Iterable[float]) -> float:
    """Mean of some numbers."""
    numbers = list(values)
    return sum(numbers) / len(numbers)


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown."""
    names = ("bpp", *METRICS)
    lines = [f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        lines.append(f"| {row['name']} | {' | '.join(f'{row[n]:.4f}' for n in names)} |")
    return "\n".join(lines)


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--bpp", "rates", multiple=True, type=float, default=(0.015, 0.03, 0.05))
@click.option("--metric-weights", type=click.Path(exists=True, file_okay=False))
@click.option("--side", default=384, show_default=True, help="Pictures are cut to this side.")
@click.option("--limit", type=int, help="Only the first N pictures.")
@click.option("--only", multiple=True, help="Only rows whose names begin so, and no index coding.")
def main(
    folder: Path,
    rates: tuple[float, ...],
    metric_weights: str | None,
    side: int,
    limit: int | None,
    only: tuple[str, ...],
) -> None:
    """Switch parts off one by one and measure on the pictures of FOLDER."""
    bench = Bench(metric_weights)
    pictures = [centre(load(path).rgb, side) for path in picture_files(folder)[:limit]]
    for rate in rates:
        rows: list[dict[str, Any]] = []
        for variant in variants():
            if only and not variant.name.startswith(only):
                continue
            try:
                found = [bench.row(variant, p, rate) for p in pictures]
            except TargetError:
                continue
            rows.append({"name": variant.name} | {k: mean(f[k] for f in found) for k in found[0]})
            print(json.dumps({"cap": rate, "pictures": len(pictures), **rows[-1]}), flush=True)
        print(f"\nAt most {rate} bpp, {len(pictures)} pictures:\n\n{table(rows)}\n", flush=True)
    if not only:
        print_index_coding(bench, pictures)


def print_index_coding(bench: Bench, pictures: list[Image.Image]) -> None:
    """What an index costs at some qualities, and how many of the codes are ever used."""
    used = []
    for quality in INDEX_QUALITIES:
        costs, counts = index_coding(bench, pictures, quality)
        costs["prior, a quarter kept"] = index_coding(bench, pictures, quality, 8)[0]["prior"]
        used.append(counts > 0)
        listed = ", ".join(f"{k} {v:.2f}" for k, v in costs.items())
        print(f"Bits per index at quality {quality}: {listed}")
    print(f"Codes used at any of these: {100 * np.any(used, axis=0).mean():.0f} %")


if __name__ == "__main__":
    main()
