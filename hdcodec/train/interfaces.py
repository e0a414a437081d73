"""What the graphs of each family take and give: names, sizes that vary, and an example."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from hdcodec.models.hdc.config import Config
from hdcodec.models.hdc.graphs import HdcGraphs
from hdcodec.models.sprdiff.config import SprdiffConfig
from hdcodec.models.sprdiff.graphs import SprdiffGraphs
from hdcodec.models.sprdiff.options import STEPS
from hdcodec.models.sprdiff.runtime import COARSE, picture_name
from hdcodec.weights import Weights

from .restore import restore

Axes = dict[int, str]

LATENT, TILE = {0: "rows", 1: "columns"}, {0: "tile_rows", 1: "tile_columns"}
PIXEL, NOISE = {0: "H", 1: "W"}, {0: "drv_rows", 1: "drv_columns"}

ENCODER = {"analysis": {"pixels": PIXEL}, "gained": {"latents": LATENT, "qindex": TILE}}
ENCODED = {"analysis": {"latents": LATENT}, "gained": {"y": LATENT, "z": TILE}}

HDC = ENCODER | {
    "indices": {"pixels": PIXEL, "latent": LATENT, "qindex": TILE},
    "picture": {
        "latent": LATENT,
        "qindex": TILE,
        "indices": LATENT,
        "kept": LATENT,
        "noise": NOISE,
        "fidelity": {},
    },
}
DRAWN = {"latent": LATENT, "qindex": TILE, "noise": NOISE, "fidelity": {}}
SPRDIFF = ENCODER | {
    COARSE: {"latent": LATENT, "qindex": TILE},
    **{picture_name(steps): DRAWN for steps in STEPS},
}


class Described(NamedTuple):
    """A graph's module, the axes that vary of each of its inputs and outputs, by name, and inputs:
    their shapes and types are what counts."""

    module: nn.Module
    inputs: dict[str, Axes]
    outputs: dict[str, Axes]
    example: tuple[Tensor, ...]


def described(weights: Weights) -> dict[str, Described]:
    """The graphs of a folder of weights, of any family, by name."""
    if weights.manifest["family"] == "sprdiff":
        model = SprdiffGraphs.stored(weights).eval().requires_grad_(False)
        return _described(SprdiffGraphs.graphs_of(model), SPRDIFF, sprdiff_example(model.cfg))
    hdc = restore(weights).eval().requires_grad_(False)
    return _described(HdcGraphs.graphs_of(hdc), HDC, hdc_example(hdc.cfg))


def _described(
    graphs: dict[str, nn.Module], inputs: dict[str, dict[str, Axes]], example: dict[str, Tensor]
) -> dict[str, Described]:
    outputs = ENCODED | {"indices": {"indices": LATENT}}
    return {
        name: Described(
            module,
            inputs[name],
            outputs.get(name, {"pixels": PIXEL}),
            tuple(example[part] for part in inputs[name]),
        )
        for name, module in graphs.items()
    }


def hdc_example(cfg: Config) -> dict[str, Tensor]:
    """Whatever graphs of hdc take, by name, for a picture of 128 x 64 pixels: two tiles."""
    return {
        **_common(4, cfg.latent),
        "indices": torch.randint(0, cfg.codes, (4, 8)),
        "kept": torch.rand(4, 8) < 0.5,
        "noise": torch.randn(2, 4, 2 * cfg.drv),
    }


def sprdiff_example(cfg: SprdiffConfig) -> dict[str, Tensor]:
    """The same of sprdiff."""
    return {**_common(2, cfg.codec.latent), "noise": torch.randn(4, 8, cfg.vae.latent)}


def _common(cells: int, channels: int) -> dict[str, Tensor]:
    """What any family's graphs take, with `cells` x `cells` latents in each tile."""
    latent = (cells, 2 * cells, channels)
    return {
        "pixels": torch.randint(0, 256, (64, 128, 3), dtype=torch.uint8),
        "latents": torch.randn(latent),
        "latent": torch.randint(-2000, 2000, latent, dtype=torch.int16),
        "qindex": torch.randint(0, 201, (1, 2)),
        "fidelity": torch.tensor([0.75]),
    }
