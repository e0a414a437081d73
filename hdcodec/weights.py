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

FAMILIES = {1: "hdc"}
"""Registered model ids; a number, once given, is never given to another model."""

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
            raise WeightsError(f"weights file {self.folder / name} cannot be read: {error.strerror}") from error
        if len(data) != entry["bytes"] or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise WeightsError(f"weights file {self.folder / name} is not the one that was shipped")
        return data


def family_of(model: str | int) -> tuple[int, str]:
    """(model id, family name) for either of them; raises UnknownModelError."""
    for number, name in FAMILIES.items():
        if model in (number, name):
            return number, name
    known = ", ".join(FAMILIES.values())
    raise UnknownModelError(f"unknown model {model!r}; this release knows {known}")


def find(model: str | int) -> Weights:
    """The weights of a family, by name or model id; raises UnknownModelError or WeightsError."""
    _, name = family_of(model)
    for place in _PLACES:
        path = place / name / "manifest.json"
        if path.is_file():
            return Weights(path.parent, _manifest(path))
    raise WeightsError(f"weights file {_PLACES[-1] / name / 'manifest.json'} is missing")


def _manifest(path: Path) -> dict[str, Any]:
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or "files" not in manifest or "config" not in manifest:
        raise WeightsError(f"{path} is not a manifest of weights")
    return manifest
