"""Where the shipped weights lie, and that they are the ones that were shipped.

A family's folder holds `manifest.json` (model id, sizes, sha256, configuration of the networks) and
the files that it lists. `training.safetensors` is what only a further training needs; all others
take part in coding. Graphs, which are made from the weights and hold none, are listed apart.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ._errors import MissingWeightsError, WeightsError
from .format import MODELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PLACES = (Path(__file__).parent / "_weights", Path(__file__).parent.parent / "weights")
NETWORKS = "networks.safetensors"
_TRAINING, _GRAPH = "training.safetensors", ".onnx"


@dataclass(frozen=True)
class Weights:
    """One family's folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change whenever the manifest does, but for its graphs."""
        known = {key: value for key, value in self.manifest.items() if key != "graphs"}
        text = json.dumps(known, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def content(self) -> str:
        """Twelve hex digits of the files and the sizes of the networks: what graphs are made of."""
        text = json.dumps([self.manifest["files"], self.manifest["config"]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def deciding(self) -> dict[str, str]:
        """The sha256 of each file that takes part in coding."""
        files = self.manifest["files"].items()
        return {name: entry["sha256"] for name, entry in files if name != _TRAINING}

    @property
    def graphs(self) -> dict[str, Any]:
        """The graphs that lie beside the weights: name of the file to size and sha256."""
        return dict(self.manifest.get("graphs", {}))

    def read(self, name: str) -> bytes:
        """A file of weights or a graph after checking its size and sha256; raises WeightsError."""
        entry = (self.manifest["files"] | self.graphs).get(name)
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

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """The tensors of a safetensors file as numpy arrays; raises WeightsError."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            return load(self.read(name))
        except SafetensorError as error:
            raise WeightsError(f"{self.folder / name} cannot be parsed: {error}") from error


def find(model_id: int) -> Weights:
    """The installed weights of a registered model id.

    Raises MissingWeightsError where the family's installed weights are those of another id,
    WeightsError where there are none or they are damaged.
    """
    model = MODELS[model_id]
    for place in _PLACES:
        if (place / model.family / "manifest.json").is_file():
            found = read_folder(place / model.family)
            if found.manifest["model_id"] != model_id:
                raise MissingWeightsError(
                    f"the weights of model {model_id} ({model.family}) are not installed: "
                    f"they come with hdcodec {model.release}"
                )
            return found
    raise WeightsError(f"weights file {_PLACES[-1] / model.family / 'manifest.json'} is missing")


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
        and isinstance(found.get("model_id"), int)
        and isinstance(found.get("config"), dict)
        and isinstance(found.get("files"), dict)
        and isinstance(found.get("graphs", {}), dict)
        and all(map(_is_entry, found["files"], found["files"].values()))
        and all(map(_is_entry, found.get("graphs", {}), found.get("graphs", {}).values()))
        and all(Path(name).suffix == _GRAPH for name in found.get("graphs", {}))
        and not any(Path(name).suffix == _GRAPH for name in found["files"])
    )


def _is_entry(name: str, found: Any) -> bool:
    """Whether it is the size and the sha256 of a file that lies beside the manifest."""
    return (
        Path(name).name == name
        and isinstance(found, dict)
        and isinstance(found.get("bytes"), int)
        and isinstance(found.get("sha256"), str)
    )
