"""Golden rate and distortion: what photographs cost and how far they are from the original.

After new weights, record anew and look at what has changed:

    python tests/test_quality.py
"""

import itertools
import json
import math
from collections.abc import Iterator
from functools import cache
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from metric_weights import shared_weights
from numpy.typing import NDArray
from PIL import Image

from hdcodec import Codec
from hdcodec.eval import measure
from hdcodec.models import FAMILIES
from hdcodec.models.hdc.runtime import HdcNetworks
from hdcodec.models.latent.networks import Latents

GOLDEN = Path(__file__).with_name("golden_quality.json")
CROPS = {
    "astronaut": ("astronaut.png", (120, 0, 312, 192)),
    "coffee": ("coffee.png", (180, 90, 372, 282)),
    "cat": ("chelsea.png", (90, 20, 282, 212)),
}
QUALITIES = (5, 30, 55, 85)
FIDELITIES = (0.0, 1.0)
PLAIN, PERCEPTUAL = ("psnr", "msssim"), ("lpips_alex", "dists")

TOLERANCES = {"psnr": 0.04, "msssim": 0.002, "lpips_alex": 0.004, "dists": 0.004}
"""Processors round in other places: that changes a symbol here and there."""

BYTES_SHARE, BYTES = 0.01, 3


class Case(NamedTuple):
    """A picture at one quality of a model."""

    model: str
    name: str
    quality: int

    def __str__(self) -> str:
        return f"{self.model} {self.name} {self.quality}"


CASES = [
    Case(model, name, quality) for model in FAMILIES for name in CROPS for quality in QUALITIES
]


def picture(name: str) -> Image.Image:
    file, box = CROPS[name]
    with as_file(files("skimage.data") / file) as path, Image.open(path) as image:
        return image.convert("RGB").crop(box)


@cache
def codec_of(model: str) -> Codec:
    return Codec(model, device="cpu", precision="float32")


def measured(
    case: Case, names: tuple[str, ...], weights: str | None, codec: Codec | None = None
) -> Any:
    """Bytes, and the metrics at each fidelity."""
    image, codec = picture(case.name), codec or codec_of(case.model)
    data = codec.compress(image, quality=case.quality, protect="none")
    return {"bytes": len(data)} | {
        f"fidelity {fidelity:g}": measure(
            image, codec.decompress(data, fidelity=fidelity), names, weights=weights
        )
        for fidelity in FIDELITIES
    }


def differences(found: dict[str, Any], golden: dict[str, Any]) -> Iterator[str]:
    """What of `found` is not as recorded, within the tolerances."""
    size = golden["bytes"]
    if abs(found["bytes"] - size) > BYTES + BYTES_SHARE * size:
        yield f"{found['bytes']} bytes, not {size}"
    for dial, metrics in found.items():
        for name, value in metrics.items() if dial != "bytes" else ():
            wanted = golden[dial][name]
            if not math.isclose(value, wanted, abs_tol=TOLERANCES[name], rel_tol=0):
                yield f"{dial}: {name} {value:.4f}, not {wanted:.4f}"


@pytest.fixture(scope="module")
def golden() -> dict[str, Any]:
    return dict(json.loads(GOLDEN.read_text()))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_rate_and_distortion_are_as_recorded(golden: dict[str, Any], case: Case) -> None:
    assert not list(differences(measured(case, PLAIN, None), golden[str(case)]))


@pytest.mark.parametrize("case", CASES[1::3], ids=str)
def test_perceptual_distances_are_as_recorded(golden: dict[str, Any], case: Case) -> None:
    weights = str(shared_weights())
    assert not list(differences(measured(case, PERCEPTUAL, weights), golden[str(case)]))


def test_more_bytes_are_closer_and_fidelity_trades(golden: dict[str, Any]) -> None:
    """Of what is recorded: else a record of something broken would pass for ever."""
    for model, name in itertools.product(FAMILIES, CROPS):
        rows = [golden[str(Case(model, name, quality))] for quality in QUALITIES]
        for one, next_one in itertools.pairwise(rows):
            assert one["bytes"] < next_one["bytes"]
            for dial in ("fidelity 0", "fidelity 1"):
                assert one[dial]["psnr"] < next_one[dial]["psnr"]
                assert one[dial]["lpips_alex"] > next_one[dial]["lpips_alex"]
        for row in rows:
            assert row["fidelity 1"]["psnr"] > row["fidelity 0"]["psnr"]
            assert row["fidelity 1"]["dists"] > row["fidelity 0"]["dists"]


def wavy(amplitude: float) -> Any:
    """An encoder whose latents before rounding carry a wave of this amplitude."""
    gained = HdcNetworks.gained

    def spoilt(self: HdcNetworks, latents: Latents, qindex: int) -> tuple[Any, NDArray[Any]]:
        y, z = gained(self, latents, qindex)
        wave = np.sin(np.arange(y.size, dtype=np.float32)).reshape(y.shape)
        return y + np.float32(amplitude) * wave, z

    return spoilt


@pytest.mark.parametrize("amplitude", [0.5, 0.2])
@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_an_encoder_that_does_worse_is_found(
    golden: dict[str, Any],
    case: Case,
    amplitude: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(HdcNetworks, "gained", wavy(amplitude))
    assert list(differences(measured(case, PLAIN, None), golden[str(case)]))


@pytest.mark.parametrize("part", ["lic.synthesis.head", "vq_decoder", "enhancer.head"])
def test_a_decoder_that_does_worse_is_found(
    golden: dict[str, Any], part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    codec = Codec(device="cpu", precision="float32", backend="torch")
    network = codec.networks.graphs.model.get_submodule(part)  # type: ignore[attr-defined]
    handle = network.register_forward_hook(lambda _module, _inputs, output: output + 0.01)
    try:
        found = differences(measured(CASES[1], PLAIN, None, codec), golden[str(CASES[1])])
        assert list(found)
    finally:
        handle.remove()


def record() -> None:
    """Write the file of golden figures."""
    weights = str(shared_weights())
    found = {str(case): measured(case, PLAIN + PERCEPTUAL, weights) for case in CASES}
    rounded = json.loads(json.dumps(found), parse_float=lambda text: round(float(text), 4))
    GOLDEN.write_text(json.dumps(rounded, indent=1) + "\n")


if __name__ == "__main__":
    record()
