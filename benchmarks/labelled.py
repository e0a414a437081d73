"""The pictures whose faces and lines of text are in labels.json."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hdcodec import HdcError

LABELS = Path(__file__).parent / "labels.json"


def read_labels() -> dict[str, Any]:
    """The labels of each picture by its file name."""
    labels: dict[str, Any] = json.loads(LABELS.read_text())["pictures"]
    return labels


def find_pictures(folders: Iterable[Path], names: set[str]) -> dict[str, Any]:
    """The labelled pictures that are there: pixels by name. Raises HdcError where there is none."""
    found: dict[str, Any] = {}
    for path in (path for folder in folders for path in sorted(folder.rglob("*"))):
        if path.name in names:
            found[path.name] = pixels(path)
        elif path.suffix == ".tar":
            with tarfile.open(path) as tar:
                for member in tar:
                    name = Path(member.name).name
                    if name in names and (file := tar.extractfile(member)) is not None:
                        found[name] = pixels(io.BytesIO(file.read()))
    if not found:
        raise HdcError("no labelled picture is in the folders")
    return found


def pixels(file: Path | io.BytesIO) -> Any:
    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
