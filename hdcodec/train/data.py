"""Photos in memory, random crops out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

Pixels = NDArray[np.uint8]
TOGETHER = 32
"""Crops in a batch where order and number do not matter."""

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".avif"}


def read_photos(folder: Path, *, smallest: int = 128, limit: int | None = None) -> list[Pixels]:
    """All photos of a folder (image files and tar files of them) as H x W x 3 uint8 arrays.

    Photos with a side under `smallest` are left out; the order is that of the sorted names. Raises
    ValueError where there is none, or a tar file is broken.
    """
    blobs = [blob for path in sorted(folder.rglob("*")) for blob in _blobs(path)][:limit]
    with ThreadPoolExecutor() as pool:
        photos = list(pool.map(_decode, blobs))
    found = [p for p in photos if min(p.shape[:2]) >= smallest]
    if not found:
        raise ValueError(f"no photos of at least {smallest} pixels a side in {folder}")
    return found


def _blobs(path: Path) -> list[bytes]:
    if path.suffix.lower() in _SUFFIXES:
        return [path.read_bytes()]
    if path.suffix.lower() != ".tar":
        return []
    try:
        with tarfile.open(path) as tar:
            members = [m for m in tar.getmembers() if Path(m.name).suffix.lower() in _SUFFIXES]
            return [f.read() for m in members if (f := tar.extractfile(m)) is not None]
    except tarfile.TarError as error:
        raise ValueError(f"{path} is not a whole tar file") from error


def _decode(blob: bytes) -> Pixels:
    with Image.open(io.BytesIO(blob)) as image:
        return np.array(image.convert("RGB"))


class Batches(Protocol):
    """What a loop trains on: the batch of a step, of `batch` samples."""

    batch: int

    def __call__(self, step: int) -> Tensor:
        """A batch of always the same shape, which depends on the step only."""


class Crops:
    """Random square crops, flipped at random; the batch of a step depends on seed and step only.

    All photos lie in the memory of `device`, as uint8.
    """

    def __init__(
        self, photos: list[Pixels], *, size: int, batch: int, seed: int = 0, device: str = "cpu"
    ) -> None:
        self.photos = [torch.from_numpy(p).to(device) for p in photos]
        self.size, self.batch, self.seed = size, batch, seed
        areas = np.array([p.shape[0] * p.shape[1] for p in photos], dtype=np.float64)
        self.weights = np.sqrt(areas) / np.sqrt(areas).sum()

    def __call__(self, step: int) -> Tensor:
        """The batch of `step`: batch x 3 x size x size, float32 in [0, 1], channels last."""
        rng = np.random.default_rng([self.seed, step])
        chosen = rng.choice(len(self.photos), self.batch, p=self.weights)
        return self._stacked([self._crop(self.photos[i], rng) for i in chosen])

    def each(self, views: int) -> Iterator[Tensor]:
        """`views` crops of every photo, in batches of at most `TOGETHER`, as `__call__` gives them;
        they depend on the seed only."""
        rng = np.random.default_rng(self.seed)
        photos = [photo for photo in self.photos for _ in range(views)]
        for k in range(0, len(photos), TOGETHER):
            yield self._stacked([self._crop(photo, rng) for photo in photos[k : k + TOGETHER]])

    def _stacked(self, crops: list[Tensor]) -> Tensor:
        return torch.stack(crops).permute(0, 3, 1, 2).float().div_(255)

    def _crop(self, photo: Tensor, rng: np.random.Generator) -> Tensor:
        top = int(rng.integers(photo.shape[0] - self.size + 1))
        left = int(rng.integers(photo.shape[1] - self.size + 1))
        crop = photo[top : top + self.size, left : left + self.size]
        return crop.flip(1) if rng.random() < 0.5 else crop
