"""LPIPS v0.1, DISTS, Wasserstein distortion, patterns and features of patches, differentiable: for
training, search and measurement."""

from hdcodec.perceptual._backbone import Backbone
from hdcodec.perceptual._dists import DISTS
from hdcodec.perceptual._find import find_dists, find_lpips, find_patch_features, find_wasserstein
from hdcodec.perceptual._installed import is_installed
from hdcodec.perceptual._judge import Judge, load_judge
from hdcodec.perceptual._lpips import LPIPS
from hdcodec.perceptual._patches import PatchFeatures
from hdcodec.perceptual._patterns import patterns
from hdcodec.perceptual._views import turned, view
from hdcodec.perceptual._wasserstein import Wasserstein, wasserstein

__all__ = [
    "DISTS",
    "LPIPS",
    "Backbone",
    "Judge",
    "PatchFeatures",
    "Wasserstein",
    "find_dists",
    "find_lpips",
    "find_patch_features",
    "find_wasserstein",
    "is_installed",
    "load_judge",
    "patterns",
    "turned",
    "view",
    "wasserstein",
]
