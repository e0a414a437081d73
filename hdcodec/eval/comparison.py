"""One picture at one size of file: this codec's, and what rivals make of the same bytes."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec

from PIL import Image

from hdcodec._errors import HdcError
from hdcodec.eval.codecs import (
    RIVALS,
    largest_within,
    restore,
    rival_parts,
    rival_version,
    shrink,
)
from hdcodec.eval.metrics import METRICS, Reference

PLAIN_METRICS = ("psnr", "ssim", "msssim")
NETWORK_METRICS = ("lpips_alex", "dists")


@dataclass(frozen=True)
class Entry:
    """A picture after a codec, measured against the original.

    bytes: of the whole file. quality: the codec's own setting. within: whether the file keeps to
    the bytes asked for; if not, it is the codec's at its lowest quality.
    """

    codec: str
    image: Image.Image
    bytes: int
    quality: float
    within: bool
    metrics: dict[str, float]

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / (self.image.width * self.image.height)


def available_metrics(weights: str | None = None) -> tuple[str, ...]:
    """What can be measured without fetching anything; with a folder of `weights` LPIPS and DISTS,
    too."""
    if find_spec("torch") is None or not (weights or find_spec("torchvision")):
        return PLAIN_METRICS
    from hdcodec.perceptual import is_installed

    ready = (name for name in NETWORK_METRICS if weights or is_installed(name))
    return (*PLAIN_METRICS, *ready)


def installed_rivals() -> list[str]:
    """The rivals that can be compared with here without long waits; AVIF at half its size as
    well."""
    names = [name for name, rival in RIVALS.items() if not rival.slow and _is_there(name)]
    return ["avif", "avif@x2", *names[1:]] if "avif" in names else names


def _is_there(name: str) -> bool:
    try:
        return bool(rival_version(name))
    except HdcError:
        return False


class Subject:
    """An RGB picture, and the metrics `names` of what codecs make of it.

    `weights` and `device` are for the metrics, as for `measure`.
    """

    def __init__(
        self,
        image: Image.Image,
        names: Iterable[str],
        *,
        weights: str | None = None,
        device: str = "cpu",
    ) -> None:
        self.image = image
        self._reference = Reference(image, names, weights=weights, device=device)

    def coded(
        self, codec: str, decoded: Image.Image, size: int, quality: float, within: bool = True
    ) -> Entry:
        """Measures what a codec has made of `size` bytes."""
        metrics = self._reference.compare(decoded)
        return Entry(codec, decoded, size, quality, within, metrics)

    def rival(self, name: str, size: int) -> Entry:
        """A rival's best file of at most `size` bytes, or else its file of lowest quality.

        The name is avif, webp, jpeg, jxl or vvc, with @x2 or @x4 for half or a quarter of the size.
        Raises HdcError for an unknown name or a codec that is not installed.
        """
        base, factor = rival_parts(name)
        rival_version(base)
        data, quality = largest_within(shrink(self.image, factor), RIVALS[base], size)
        decoded = restore(data, self.image.size)
        return self.coded(name, decoded, len(data), quality, len(data) <= size)


def winners(entries: Iterable[Entry]) -> dict[str, float]:
    """The best value of each metric among the files that keep to the bytes."""
    found: dict[str, float] = {}
    for entry in entries:
        for name, value in entry.metrics.items():
            if entry.within and not math.isnan(value):
                best = max if METRICS[name].higher_is_better else min
                found[name] = best(found.get(name, value), value)
    return found
