"""Metric networks from a folder of weights where one is given, else from installed packages."""

from __future__ import annotations

from hdcodec.perceptual import _installed, _stored
from hdcodec.perceptual._backbone import Backbone
from hdcodec.perceptual._dists import DISTS, l2_pool
from hdcodec.perceptual._lpips import LPIPS
from hdcodec.perceptual._patches import PatchFeatures
from hdcodec.perceptual._stored import Folder
from hdcodec.perceptual._wasserstein import Wasserstein


def find_lpips(net: str, folder: Folder | None = None) -> LPIPS:
    """LPIPS over `net` ("alex" or "vgg"), float32 on the CPU.

    Raises WeightsError naming the file that is at fault, or what to install.
    """
    convs, lins = _stored.of_lpips(net, folder) if folder else _installed.of_lpips(net)
    return LPIPS(Backbone(net, convs), lins)


def find_dists(folder: Folder | None = None) -> DISTS:
    """DISTS, float32 on the CPU; raises WeightsError as `find_lpips` does."""
    convs, alpha, beta = _stored.of_dists(folder) if folder else _installed.of_dists()
    return DISTS(Backbone("vgg", convs, l2_pool), alpha, beta)


def find_wasserstein(folder: Folder | None = None) -> Wasserstein:
    """Wasserstein distortion, float32 on the CPU; VGG16 comes with the weights of LPIPS. Raises
    WeightsError as `find_lpips` does."""
    convs, _ = _stored.of_lpips("vgg", folder) if folder else _installed.of_lpips("vgg")
    return Wasserstein(Backbone("vgg", convs))


def find_patch_features(folder: Folder | None = None) -> PatchFeatures:
    """Features of patches, float32 on the CPU; AlexNet comes with the weights of LPIPS. Raises
    WeightsError as `find_lpips` does."""
    return PatchFeatures(find_lpips("alex", folder).backbone)
