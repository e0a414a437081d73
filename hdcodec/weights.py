"""Where the shipped weights lie, and that they are the ones that were shipped.

A family's folder holds `manifest.json` (sizes, sha256, model configuration, quality ladder),
`entropy.safetensors` (integer networks and tables) and `networks.safetensors` (float16).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ._errors import UnknownModelError, WeightsError
from .entropy.fixedpoint import QUALITIES
from .format import MODELS
from .format.header import KEPT_STEPS

_PLACES = (Path(__file__).parent / "_weights", Path(__file__).parent.parent / "weights")


@dataclass(frozen=True)
class Weights:
    """One family's folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    def read(self, name: str) -> bytes:
        """A file of weights after checking its size and sha256; raises WeightsError."""
        entry = self.manifest["files"].get(name)
        if entry is None:
            raise WeightsError(f"{self.folder / 'manifest.json'} does not list {name}")
        try:
            data = (self.folder / name).read_bytes()
        except OSError as error:
            raise WeightsError(
                f"weights file {self.folder / name} cannot be read: {error.strerror}"
            ) from error
        if len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise WeightsError(f"weights file {self.folder / name} is not the one that was shipped")
        return data


def family_of(model: str | int) -> tuple[int, str]:
    """(model id, family name) for either of them; raises UnknownModelError."""
    for number, name in MODELS.items():
        if model in (number, name):
            return number, name
    known = ", ".join(MODELS.values())
    raise UnknownModelError(f"unknown model {model!r}; this release knows {known}")


def find(model: str | int) -> Weights:
    """The weights of a family, by name or model id; raises UnknownModelError or WeightsError."""
    _, name = family_of(model)
    for place in _PLACES:
        if (place / name / "manifest.json").is_file():
            return read_folder(place / name)
    raise WeightsError(f"weights file {_PLACES[-1] / name / 'manifest.json'} is missing")


def read_folder(folder: Path) -> Weights:
    """The weights in a folder with a manifest; raises WeightsError."""
    return Weights(folder, _manifest(folder / "manifest.json"))


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if not _is_manifest(manifest):
        raise WeightsError(f"{path} is not a manifest of weights")
    return dict(manifest)


def _is_manifest(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("config"), dict)
        and isinstance(found.get("files"), dict)
        and all(map(_is_entry, found["files"], found["files"].values()))
        and _is_ladder(found.get("ladder"))
    )


def _is_entry(name: str, found: Any) -> bool:
    """Whether it is the size and the sha256 of a file that lies beside the manifest."""
    return Path(name).name == name and isinstance(found, dict) and {"bytes", "sha256"} <= set(found)


def _is_ladder(found: Any) -> bool:
    """Whether it is one kept code 0..15 for each quality index."""
    return (
        isinstance(found, list)
        and len(found) == QUALITIES
        and all(isinstance(kept, int) and 0 <= kept <= KEPT_STEPS for kept in found)
    )
