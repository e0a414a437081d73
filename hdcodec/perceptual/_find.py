"""Metric networks from a folder of weights where one is given, else from installed packages."""

from __future__ import annotations

from hdcodec.perceptual._dists import DISTS
from hdcodec.perceptual._installed import installed_dists, installed_lpips
from hdcodec.perceptual._lpips import LPIPS
from hdcodec.perceptual._stored import Folder, load_dists, load_lpips


def find_lpips(net: str, folder: Folder | None = None) -> LPIPS:
    """LPIPS over `net` ("alex" or "vgg"), float32 on the CPU.

    Raises WeightsError naming the file that is at fault, or what to install.
    """
    return load_lpips(net, folder) if folder else installed_lpips(net)


def find_dists(folder: Folder | None = None) -> DISTS:
    """DISTS, float32 on the CPU; raises WeightsError as `find_lpips` does."""
    return load_dists(folder) if folder else installed_dists()
