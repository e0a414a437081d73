"""LPIPS v0.1 and DISTS as frozen, differentiable modules: training losses and measurement alike."""

from hdcodec.perceptual._backbone import Backbone
from hdcodec.perceptual._dists import DISTS
from hdcodec.perceptual._installed import installed_dists, installed_lpips, is_installed
from hdcodec.perceptual._lpips import LPIPS
from hdcodec.perceptual._stored import load_backbone, load_dists, load_lpips

__all__ = [
    "DISTS",
    "LPIPS",
    "Backbone",
    "installed_dists",
    "installed_lpips",
    "is_installed",
    "load_backbone",
    "load_dists",
    "load_lpips",
]
