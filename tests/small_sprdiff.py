"""Small weights of the sprdiff family that no one has trained, under a model id of their own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from small_stages import ALL_SIZES
from torch import nn

from hdcodec import models, weights
from hdcodec.codec import forget
from hdcodec.format import MODELS, Model
from hdcodec.models.sprdiff.model import SprdiffModel
from hdcodec.train.export_sprdiff import export_sprdiff

MODEL_ID = 97
MODEL = Model("sprdiff", 2, "tests")


def untrained() -> SprdiffModel:
    """Networks whose answers differ from place to place, with no layer that is zero."""
    torch.manual_seed(0)
    model = SprdiffModel(ALL_SIZES).eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and not module.weight.any():
            nn.init.normal_(module.weight, std=0.2)
    model.codec.log_gain.data += 1.5
    model.codec.fusion.net[-1].weight.data *= 4
    model.decoder.corrected.fused_head.to_full[0].weight.data *= 0.3  # within 0..1, mostly
    return model


@contextmanager
def registered(place: Path) -> Iterator[Path]:
    """The family, and the folder in `place` where its weights and graphs are written to."""
    from hdcodec.train.graphs import write_graphs

    folder = place / "sprdiff"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(models.FAMILIES, "sprdiff", "hdcodec.models.sprdiff")
        patch.setitem(MODELS, MODEL_ID, MODEL)
        patch.setattr(weights, "_PLACES", (place, *weights._PLACES))
        export_sprdiff(untrained(), folder, MODEL_ID, {})
        write_graphs(folder)
        forget()
        yield folder
    forget()
