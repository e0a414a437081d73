"""The stage `semantic` of the sprdiff family: its semantic encoder imitates a teacher."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hdcodec import weights
from hdcodec.models import identify
from hdcodec.models.hdc.model import HdcModel
from hdcodec.models.sprdiff.config import SemanticConfig
from hdcodec.models.sprdiff.semantic import SemanticEncoder
from hdcodec.perceptual import LPIPS

from .checkpoint import load_average
from .data import Crops
from .figures import Figures, mean
from .loop import Loss
from .restore import restore
from .teacher import CHANNELS, Teacher

MEASURED = 128
"""Crops whose features the teacher's are reduced for."""

SHOWN = ((0, 1, 2), (3, 4, 5))
"""Features in a sheet of samples, three as the colours of a picture."""


class Student(nn.Module):
    """The encoder, and what it is compared with: principal components of the teacher's features,
    each channel of these less its mean, in units of its deviation."""

    middle: Tensor
    into: Tensor

    def __init__(self, cfg: SemanticConfig) -> None:
        super().__init__()
        self.encoder = SemanticEncoder(cfg)
        self.register_buffer("middle", torch.zeros(CHANNELS))
        self.register_buffer("into", torch.zeros(cfg.features, CHANNELS))

    def wanted(self, seen: Tensor) -> Tensor:
        """The teacher's features, N x 112 x h x w, as the encoder is to give them."""
        centred = (seen - self.middle[:, None, None]).permute(0, 2, 3, 1)
        return (centred @ self.into.T).permute(0, 3, 1, 2)

    @torch.no_grad()
    def measure(self, seen: Tensor) -> None:
        """Choose the components for features of many positions, 112 x n."""
        self.middle.copy_(seen.mean(1))
        scale = 1 / seen.std(1).clamp(min=1e-6)
        covariance = torch.cov(seen * scale[:, None]).double()
        vectors = torch.linalg.eigh(covariance)[1].flip(1)[:, : len(self.into)]
        self.into.copy_(vectors.T * scale)


def semantic_loss(model: Student, _: LPIPS, __: object, frozen: Teacher) -> Loss:
    """One minus the cosine between the encoder's features and the teacher's at each position;
    the same in every step."""

    def loss(x: Tensor, progress: float, generator: torch.Generator) -> tuple[Tensor, Figures]:
        apart = cosine_distance(model.encoder(x), model.wanted(frozen(x)))
        return apart.mean(), {"cosine": 1 - mean(apart)}

    return loss


def cosine_distance(features: Tensor, wanted: Tensor) -> Tensor:
    """N x C x h x w twice -> N x h x w: 0 where they have one direction, 2 where opposite ones."""
    return 1 - F.cosine_similarity(features.float(), wanted.float())


def start_semantic(
    path: Path | None, config: SemanticConfig | None, crops: Crops, frozen: Teacher
) -> Student:
    """The averaged student of a checkpoint, or one that begins as hdc's landed analysis."""
    if path is not None:
        return load_student(path, config)
    return from_hdc(restore(weights.find(identify("hdc"))), crops, frozen, config)


def load_student(checkpoint: Path, config: SemanticConfig | None = None) -> Student:
    """The averaged student of a checkpoint of `semantic`."""
    model = Student(config or SemanticConfig())
    load_average(model, checkpoint)
    return model


def from_hdc(
    hdc: HdcModel, crops: Crops, teacher: Teacher, config: SemanticConfig | None
) -> Student:
    """A student that begins as hdc's analysis but for the last layer; raises RuntimeError if the
    sizes are not those of `hdc`."""
    model = Student(config or SemanticConfig())
    begun = dict(list(hdc.lic.analysis.state_dict().items())[:-2])
    model.encoder.analysis.load_state_dict(model.encoder.analysis.state_dict() | begun)
    steps = range(-(-MEASURED // crops.batch))
    seen = torch.cat([teacher(crops(k)).transpose(0, 1).flatten(1) for k in steps], 1)
    model.measure(seen.cpu())
    return model


def semantic_views(model: Student, x: Tensor, frozen: Teacher) -> list[Tensor]:
    """The first components of a picture, N x 3 x H x W, as colours: those of the encoder,
    then the teacher's."""
    views = []
    for features in (model.encoder(x), F.normalize(model.wanted(frozen(x))) * 8):
        for three in SHOWN:
            colours = 0.5 + 0.15 * features[:, list(three)]
            views.append(F.interpolate(colours, scale_factor=16.0, mode="nearest"))
    return views
