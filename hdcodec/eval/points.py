"""Codes and measures every picture at every setting, and keeps each result as it comes."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from PIL import Image

from hdcodec import images
from hdcodec._errors import HdcError
from hdcodec._pictures import readable
from hdcodec.eval._sets import FeatureStore, distance_of_pictures
from hdcodec.eval.codecs import Curve
from hdcodec.eval.metrics import METRICS, Reference

# codec, version, setting, image, digest, width, height, bytes, bpp, encode_seconds,
# decode_seconds, and one number per metric
Point = dict[str, Any]
T = TypeVar("T")
Key = tuple[str, str, float, str, str]
CODING_FAULTS = (HdcError, OSError, ValueError, RuntimeError)


@dataclass(frozen=True)
class Original:
    """One picture of the folder: its name, sRGB pixels, and their digest."""

    name: str
    image: Image.Image
    digest: str

    @classmethod
    def load(cls, path: Path) -> "Original":
        """Reads any picture file. Raises ImageError or TooLargeError."""
        image = images.load(path).rgb
        return cls(path.name, image, hashlib.sha256(image.tobytes()).hexdigest()[:16])


class Store:
    """Rows by key, kept in a file of JSON lines as well where a path is given.

    A line cut off by a kill is ignored; a later row replaces an earlier one of the same key. What
    metrics of sets need lies in files of the folder `patches` beside it.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.features = FeatureStore(path and path.parent / "patches")
        self._rows: dict[Key, Point] = {}
        if path and path.exists():
            self._rows = {key(row): row for row in read_rows(path)}
            end_line(path)

    def get(self, wanted: Key, names: Iterable[str]) -> Point | None:
        """The row of that key, if it holds all the metrics named."""
        row = self._rows.get(wanted)
        return row if row and all(name in row for name in names) else None

    def add(self, row: Point) -> None:
        """Keeps a row, on disk before this returns."""
        self._rows[key(row)] = row
        if self.path:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(finite(row))}\n")


class Encoded(NamedTuple):
    """A file, and how long it took."""

    data: bytes
    seconds: float


class Files:
    """What was encoded, each file once for all curves that decode it."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, float], Encoded] = {}

    def get(self, original: Original, curve: Curve, setting: float) -> Encoded:
        """The file of a picture at a setting."""
        wanted = original.digest, curve.encoder or curve.name, setting
        if wanted not in self._made:
            started = time.perf_counter()
            data = curve.encode(original.image, setting)
            self._made[wanted] = Encoded(data, time.perf_counter() - started)
        return self._made[wanted]


def run(
    paths: Iterable[Path],
    curves: Sequence[Curve],
    names: Sequence[str],
    *,
    store: Store | None = None,
    files: Files | None = None,
    weights: str | None = None,
    device: str = "cpu",
    advance: Callable[[str], None] = lambda _: None,
    fail: Callable[[str], None] | None = None,
) -> list[Point]:
    """Measures `names` for every picture, curve and setting that the store does not hold yet.

    A metric of sets is that of all pictures of a curve at a setting, the same in each of their
    rows.
    `advance` is told the name of every point that is done. A picture or point that fails is left
    out and `fail` is told why; without `fail` its error is raised.
    """
    store, files, warm = store or Store(), files or Files(), set[str]()
    plain = [name for name in names if not METRICS[name].of_sets]
    sets = len(plain) < len(names)
    rows: list[Point] = []

    def attempt(what: str, work: Callable[[], T]) -> T | None:
        try:
            return work()
        except CODING_FAULTS as error:
            if fail is None:
                raise
            fail(f"{what}: {error}")
            return None

    for path in paths:
        original = attempt(path.name, partial(Original.load, path))
        if original is None:
            continue
        reference = Reference(original.image, plain, weights=weights, device=device)
        for curve, setting in ((c, s) for c in curves for s in c.settings):
            name = f"{original.name} {curve.name} {setting:g}"
            wanted = (curve.name, curve.version, float(setting), original.name, original.digest)
            row = store.get(wanted, plain)
            if row is None or (sets and store.features.get(wanted) is None):
                coded = attempt(name, partial(_coded, original, curve, setting, files, warm))
                if coded is None:
                    continue
                row = coded[0] | reference.compare(coded[1])
                if sets:
                    store.features.add(wanted, reference.patches(coded[1]))
                store.add(row)
            advance(name)
            rows.append(row)
    return _with_sets(rows, store.features) if sets else rows


def _with_sets(rows: Sequence[Point], features: FeatureStore) -> list[Point]:
    """The rows with the kernel distance of the pictures of their curve and setting."""
    groups: dict[tuple[str, float], list[Key]] = {}
    for row in rows:
        groups.setdefault((row["codec"], row["setting"]), []).append(key(row))
    found = {
        group: distance_of_pictures(pair for k in keys if (pair := features.get(k)) is not None)
        for group, keys in groups.items()
    }
    return [row | {"kd": found[row["codec"], row["setting"]]} for row in rows]


def _coded(
    original: Original, curve: Curve, setting: float, files: Files, warm: set[str]
) -> tuple[Point, Image.Image]:
    """The row without its metrics, and the decoded picture. `warm`: curves that need no first
    run any more."""
    if curve.name not in warm:
        curve.warm(original.image)
        warm.add(curve.name)
    file = files.get(original, curve, setting)
    started = time.perf_counter()
    decoded = curve.decode(file.data, original.image.size)
    seconds = time.perf_counter() - started
    width, height = original.image.size
    row = {
        "codec": curve.name,
        "version": curve.version,
        "setting": setting,
        "image": original.name,
        "digest": original.digest,
        "width": width,
        "height": height,
        "bytes": len(file.data),
        "bpp": len(file.data) * 8 / (width * height),
        "encode_seconds": file.seconds,
        "decode_seconds": seconds,
    }
    return row, decoded


def picture_files(folder: Path) -> list[Path]:
    """The picture files directly in `folder`, by name. Raises HdcError where there is none."""
    may_be_read = readable()
    found = sorted(p for p in folder.iterdir() if may_be_read(p) and p.is_file())
    if not found:
        raise HdcError(f"no pictures in {folder}")
    return found


def key(row: Point) -> Key:
    """What tells a measurement from all others; raises KeyError."""
    setting = float(row["setting"])
    return (row["codec"], row["version"], setting, row["image"], row["digest"])


def read_rows(path: Path) -> Iterator[Point]:
    """The rows of a file of JSON lines, null read as NaN; lines that are not whole are skipped."""
    for line in path.read_bytes().splitlines():
        try:
            row = json.loads(line)
            key(row)
        except (ValueError, KeyError, TypeError):
            continue
        yield {name: math.nan if value is None else value for name, value in row.items()}


def end_line(path: Path) -> None:
    """Closes a line that a kill cut off, so that the next one stands alone."""
    if path.read_bytes()[-1:] not in (b"", b"\n"):
        with path.open("ab") as file:
            file.write(b"\n")


def finite(row: Mapping[str, Any]) -> Point:
    """A row for JSON, which has no infinity and no NaN: null stands for both."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
