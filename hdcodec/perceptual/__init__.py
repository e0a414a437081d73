"""LPIPS v0.1, DISTS and patterns, differentiable: for training, search and measurement."""

from hdcodec.perceptual._backbone import Backbone
from hdcodec.perceptual._dists import DISTS
from hdcodec.perceptual._find import find_dists, find_lpips
from hdcodec.perceptual._installed import is_installed
from hdcodec.perceptual._judge import Judge, load_judge
from hdcodec.perceptual._lpips import LPIPS
from hdcodec.perceptual._patterns import patterns
from hdcodec.perceptual._views import turned, view

__all__ = [
    "DISTS",
    "LPIPS",
    "Backbone",
    "Judge",
    "find_dists",
    "find_lpips",
    "is_installed",
    "load_judge",
    "patterns",
    "turned",
    "view",
]
