"""A page that opens .hdc files, as a folder for any web server: docs/web.md.

It is hdcodec/web, the weights that decoding takes, in 8 bits, and onnxruntime-web, which comes from
its npm package. `site.json` lists all of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from base64 import b64encode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import weights
from ._atomic import output_errors, write_bytes
from ._eight_bits import packed
from ._errors import ExistsError, HdcError, OutputError
from .conformance import suite
from .format import MODELS
from .models import FAMILIES, family_class, newest
from .weights import NETWORKS

PAGES = Path(__file__).parent / "web"
KINDS = (".css", ".html", ".js", ".svg")
GRAPH, EIGHT_BITS = "picture.onnx", "networks.8bit"
LIST, FIRST = "site.json", "index.html"
CHECKED = "CHECKED"
"""The file of the conformance suite by which a browser is checked, in a family's `recipes`."""

PACKAGE, VARIABLE = "onnxruntime-web", "HDC_ORT_WEB"
"""The npm package, and the variable of the environment that says where it lies."""

RUNTIME = {"ort.wasm.bundle.min.mjs": "ort.js", "ort-wasm-simd-threaded.wasm": "ort.wasm"}
"""What is taken of it, the build that has the WASM backend alone, and its names in the site: not
every web server knows .mjs."""

WASM_MAGIC = b"\0asm"

_INSIDE = ("", "dist", "package/dist", f"node_modules/{PACKAGE}/dist")


@dataclass(frozen=True)
class Site:
    """What was written: files, bytes, the version that `site.json` names, whence the runtime."""

    folder: Path
    files: int
    bytes: int
    version: str
    runtime: Path


def write_site(folder: Path, runtime: Path | None = None, *, force: bool = False) -> Site:
    """Write a site into a folder that is new or empty; with `force` files there are replaced.

    `runtime`: the npm package onnxruntime-web, as the .tgz that `npm pack` writes or unpacked; see
    `find_runtime`. Each file is written whole or not at all, index.html last. Raises ExistsError,
    OutputError, WeightsError, HdcError where there is no runtime.
    """
    with output_errors(str(folder)):
        if not force and folder.is_dir() and any(folder.iterdir()):
            raise ExistsError(f"{folder} is not empty")
    source = find_runtime(runtime)
    files = dict(_pages())
    files |= {f"runtime/{RUNTIME[name]}": data for name, data in read_runtime(source).items()}
    models: dict[int, list[str]] = {}
    for number in newest():
        found = dict(_of_model(number))
        files |= found
        models[number] = list(found)
    digest = hashlib.sha256()
    for name in sorted(files):
        digest.update(f"{name} {hashlib.sha256(files[name]).hexdigest()}\n".encode())
    version = digest.hexdigest()[:12]
    listed = {
        "version": version,
        "files": {name: len(data) for name, data in sorted(files.items())},
        "models": models,
        "checks": {number: _check(MODELS[number].family) for number in newest()},
    }
    files[LIST] = json.dumps(listed, indent=1).encode()
    _write(folder, files, force)
    return Site(folder, len(files), sum(map(len, files.values())), version, source)


def find_runtime(named: Path | None = None) -> Path:
    """The npm package onnxruntime-web: what is named, else what HDC_ORT_WEB names, else a package
    or a .tgz of it in the current folder. Raises HdcError."""
    variable = os.environ.get(VARIABLE)
    if named is None and variable:
        named = Path(variable)
    if named is not None:
        return named
    archives = sorted(Path().glob(f"{PACKAGE}-*.tgz"))
    for place in (*reversed(archives), Path(), Path(PACKAGE)):
        if place.is_file() or _folder(place):
            return place
    raise HdcError(
        "the page needs onnxruntime-web: `npm pack onnxruntime-web` fetches it, --runtime FILE.tgz "
        "names it"
    )


def read_runtime(place: Path) -> dict[str, bytes]:
    """The files of the runtime out of the npm package. Raises HdcError."""
    found: dict[str, bytes] = {}
    try:
        if place.is_file():
            found = dict(_packed(place))
        elif folder := _folder(place):
            found = {name: (folder / name).read_bytes() for name in RUNTIME}
    except (OSError, EOFError, tarfile.TarError, zlib.error) as error:
        raise HdcError(f"{place} cannot be read: {error}") from error
    for name in RUNTIME:
        if not found.get(name) or (name.endswith(".wasm") and found[name][:4] != WASM_MAGIC):
            raise _foreign(place, name)
    return found


def _folder(place: Path) -> Path | None:
    """Where the files of the runtime lie, in a package or in a folder that has one."""
    folders = (place / inside for inside in _INSIDE)
    return next((x for x in folders if all((x / name).is_file() for name in RUNTIME)), None)


def _packed(archive: Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(archive) as package:
        members = {member.name: member for member in package if member.isreg()}
        for name in RUNTIME:
            member = members.get(f"package/dist/{name}")
            content = package.extractfile(member) if member else None
            if content is None:
                raise _foreign(archive, name)
            yield name, content.read()


def _foreign(place: Path, name: str) -> HdcError:
    return HdcError(f"{place} is not the npm package onnxruntime-web: it has no {name}")


def _pages() -> Iterator[tuple[str, bytes]]:
    """The page and the modules, by their place in the site."""
    for path in sorted(PAGES.rglob("*")):
        if path.suffix in KINDS:
            yield path.relative_to(PAGES).as_posix(), path.read_bytes()


def _of_model(number: int) -> Iterator[tuple[str, bytes]]:
    """What decoding takes of a model's weights, the manifest first; it names further files."""
    found = weights.find(number)
    folder = f"weights/{MODELS[number].family}"
    precise = family_class(MODELS[number].family).precise
    small, whole = packed(found.read(NETWORKS), precise)
    meant = {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}
    manifest = found.manifest | {"files": found.manifest["files"] | {NETWORKS: meant}}
    yield f"{folder}/manifest.json", json.dumps(manifest).encode()
    yield f"{folder}/{EIGHT_BITS}", small
    for name in (*found.deciding, GRAPH):
        if name != NETWORKS:
            yield f"{folder}/{name}", found.read(name)


def _check(family: str) -> dict[str, Any]:
    """A file of a family, its picture at a quarter of its size, and what the suite allows that to
    differ."""
    name = str(getattr(import_module(f"{FAMILIES[family]}.recipes"), CHECKED))
    with Image.open(suite.DATA / f"{name}.png") as image:
        pixels = np.asarray(image.convert("RGB")).tobytes()
    return {
        "file": b64encode(suite.read(name)).decode(),
        "pixels": b64encode(pixels).decode(),
        "mean": suite.MEAN_TOLERANCE,
        "worst": suite.WORST_TOLERANCE,
    }


def _write(folder: Path, files: dict[str, bytes], force: bool) -> None:
    for name in files:
        _refuse(folder, folder / name)
    for name in _ordered(files):
        path = folder / name
        if path.is_symlink():
            path.unlink()  # what it leads to is no part of the site
        with output_errors(str(path.parent)):
            path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, files[name], force=force)


def _refuse(folder: Path, path: Path) -> None:
    """Raises OutputError where something else is in the way, before anything is written."""
    between = path.parent
    while between != folder:
        if between.is_symlink() or (between.exists() and not between.is_dir()):
            raise OutputError(f"cannot write {path}: {between} is not a folder of this site")
        between = between.parent
    if path.is_dir() and not path.is_symlink():
        raise OutputError(f"cannot write {path}: it is a directory")


def _ordered(names: Iterable[str]) -> list[str]:
    """What makes a site of the others comes last."""
    return sorted(names, key=lambda name: (name == FIRST, name == LIST, name))
