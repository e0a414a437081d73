"""docs/format.md read literally: symbols in int64 and Python's integers, without hdcodec's code."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Tensors = Mapping[str, NDArray[Any]]
Ints = NDArray[np.int64]

LOW, HIGH = -32768, 32767


# ---- the container ----


class Fields(NamedTuple):
    """What the header says, width and height as coded, whether there is a map, and the range
    stream."""

    width: int
    height: int
    quality: int
    kept: int
    mapped: bool
    stream: bytes


class Cursor:
    """Reads the numbers of a file one after another."""

    def __init__(self, data: bytes, at: int) -> None:
        self.data, self.at = data, at

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def varint(self) -> int:
        number, shift, byte = 0, 0, 128
        while byte >= 128:
            byte = self.byte()
            number |= (byte & 127) << shift
            shift += 7
        return number


def parse(data: bytes) -> Fields:
    """The fields of an intact file."""
    cursor = Cursor(data[:-3], 4)
    width, height, quality = cursor.varint(), cursor.varint(), cursor.byte()
    flags, scale = divmod(cursor.byte() if data[2] >> 4 == 2 else 0, 32)
    while data[3] & 1 and cursor.byte():
        size = cursor.varint()
        cursor.at += size
    width, height = coded(width, scale), coded(height, scale)
    return Fields(width, height, quality, data[2] & 15, flags == 1, cursor.data[cursor.at :])


def coded(side: int, scale: int) -> int:
    """The side of the picture that is coded."""
    unit, part = 65536 * 2 ** (scale // 4), (65536, 55109, 46341, 38968)[scale % 4]
    return max(1, (side * part + unit // 2) // unit)


# ---- the range stream ----


def words(stream: bytes) -> Iterator[int]:
    """The stream's big-endian 32-bit words, then zeros for ever."""
    padded = stream + bytes(-len(stream) % 4)
    for at in range(0, len(padded), 4):
        yield int.from_bytes(padded[at : at + 4], "big")
    while True:
        yield 0


class RangeReader:
    """A range decoder: 64 bits of state, 32-bit words, 24-bit frequencies."""

    MASK = 2**64 - 1

    def __init__(self, stream: bytes) -> None:
        self.source = words(stream)
        self.point = next(self.source) << 32 | next(self.source)
        self.low, self.width = 0, self.MASK

    def symbol(self, table: Sequence[int]) -> int:
        unit = self.width >> 24
        target, symbol, left = ((self.point - self.low) & self.MASK) // unit, 0, 0
        while left + table[symbol] <= target:
            left += table[symbol]
            symbol += 1
        self.low, self.width = (self.low + unit * left) & self.MASK, unit * table[symbol]
        if self.width < 2**32:
            self.low, self.width = self.low << 32 & self.MASK, self.width << 32
            self.point = (self.point << 32 & self.MASK) | next(self.source)
        return symbol


# ---- the integer networks ----


def network(tensors: Tensors, name: str, x: Ints) -> Ints:
    """The integer network `name` by its definition, with shifts in place of floats."""
    keys = {key.removesuffix(".weight") for key in tensors if key.endswith(".weight")}
    own = [key.removeprefix(f"{name}.") for key in keys if key.startswith(f"{name}.")]
    for stem in sorted(own, key=lambda stem: int(stem.partition(".")[0])):
        weight = tensors[f"{name}.{stem}.weight"].astype(np.int64)
        bias = tensors[f"{name}.{stem}.bias"].astype(np.int64)
        _, kind, *relu = stem.split(".")
        x = shuffled(x) if kind == "up" else rescaled(sums(kind, x, weight) + bias, bool(relu))
    return x


def sums(kind: str, x: Ints, weight: Ints) -> Ints:
    if kind == "pw":
        product: Ints = np.einsum("hwc,cd->hwd", x, weight)
        return product
    height, width, channels = x.shape
    total = np.zeros((height + 2, width + 2, channels), np.int64)
    for k, (down, right) in enumerate(np.ndindex(3, 3)):
        total[2 - down : 2 - down + height, 2 - right : 2 - right + width] += x * weight[k]
    return total[1:-1, 1:-1]


def rescaled(total: Ints, relu: bool) -> Ints:
    return np.asarray(np.clip((total + 2048) >> 12, 0 if relu else LOW, HIGH))


def shuffled(x: Ints) -> Ints:
    height, width, channels = x.shape
    out = np.zeros((2 * height, 2 * width, channels // 4), np.int64)
    for c, i, j in np.ndindex(channels // 4, 2, 2):
        out[i::2, j::2, c] = x[:, :, 4 * c + 2 * i + j]
    return out


# ---- the symbols ----


def level(rows: Ints, quality: int) -> Ints:
    """A table of nine rows at a quality 0..200."""
    low = min(quality // 25, 7)
    part = quality - 25 * low
    return np.asarray((rows[low] * (25 - part) + rows[low + 1] * part) // 25)


def levels(rows: Ints, q: Ints) -> Ints:
    """The same at each position of a map of qualities: h x w x C."""
    return np.array([[level(rows, quality) for quality in line] for line in q.tolist()])


def index_frequencies(exp: Ints, logits: Ints) -> Ints:
    """n x K logits to n x K frequencies."""
    e = exp[np.minimum(logits.max(1, keepdims=True) - logits, 16384)]
    table = 1 + e * (2**24 - e.shape[1]) // e.sum(1, keepdims=True)
    table[np.arange(len(table)), e.argmax(1)] += 2**24 - table.sum(1)
    return np.asarray(table)


def gaussian_table(log_scale: int) -> int:
    """The number of a table."""
    return min(max((log_scale + 2260 + 48) // 96, 0), 63)


class Symbols:
    """Decodes one file with the tensors of entropy.safetensors."""

    def __init__(self, tensors: Tensors, data: bytes) -> None:
        self.fields, self.tensors = parse(data), tensors
        self.reader = RangeReader(self.fields.stream)
        self.gaussians = tensors["gaussians"].tolist()

    def sha256(self) -> str:
        """The hash of z, y and indices, if the weights have any, as 32-bit integers, lowest byte
        first."""
        fields = self.fields
        rows, columns = -(-fields.height // 64), -(-fields.width // 64)
        offsets = self._map(rows, columns) if fields.mapped else np.zeros((rows, columns), np.int64)
        q = np.clip(fields.quality + 10 * offsets, 0, 200)
        z = self._z(q)
        hyper = network(self.tensors, "hyper_in", 1024 * z)
        hyper = hyper + levels(self.tensors["quality"].astype(np.int64), q)
        hyper = network(self.tensors, "hyper", np.clip(hyper, 0, HIGH))
        y, latent = self._y(hyper)
        indexed = any(name.startswith("prior.") for name in self.tensors)
        indices = [self._indices(latent, hyper)] if indexed else []
        arrays = (*[offsets] * fields.mapped, z, y, *indices)
        return hashlib.sha256(b"".join(a.astype("<i4").tobytes() for a in arrays)).hexdigest()

    def _gaussian(self, log_scale: int) -> int:
        table = gaussian_table(log_scale)
        return self.reader.symbol(self.gaussians[table]) - 24 if table else 0

    def _counted(self, counts: list[int]) -> int:
        """A symbol by counts that adapt."""
        table = [1 + count * (2**24 - len(counts)) // sum(counts) for count in counts]
        table[0] += 2**24 - sum(table)
        symbol = self.reader.symbol(table)
        counts[symbol] += 4
        return symbol

    def _map(self, rows: int, columns: int) -> Ints:
        """The offsets of quality."""
        found: dict[tuple[int, int], int] = {}
        flat, edge, other, values = [32, 1], [2, 1], [1, 1], [1] * 41
        for row, column in np.ndindex(rows, columns):
            n, w = found.get((row - 1, column), 0), found.get((row, column - 1), 0)
            c = found.get((row - 1, column - 1), 0)
            guess = min(max(n + w - c, min(n, w)), max(n, w))
            neighbour = n if guess == w else w
            number = guess
            if self._counted(flat if n == w == c else edge):
                number = neighbour
                if neighbour == guess or self._counted(other):
                    number = self._counted(values) - 20
            found[row, column] = number
        return np.array(list(found.values()), np.int64).reshape(rows, columns)

    def _z(self, q: Ints) -> Ints:
        scales = levels(self.tensors["z_log_scale"].astype(np.int64), q)
        symbols = [self._gaussian(scale) for scale in scales.ravel().tolist()]
        return np.array(symbols, np.int64).reshape(scales.shape)

    def _y(self, hyper: Ints) -> tuple[Ints, Ints]:
        height, width, _ = hyper.shape
        y = latent = np.zeros((height, width, 0), np.int64)
        for part in range(4):
            known = np.concatenate([hyper, latent], 2) if part else hyper
            mean, log_scale = np.split(network(self.tensors, f"parts.{part}", known), 2, 2)
            if not part:
                y, latent = np.zeros_like(mean), np.zeros_like(mean)
            channels = y.shape[2]
            places = [
                (row, column, c)
                for row, column, c in np.ndindex(y.shape)
                if 2 * (row % 2) + column % 2 == part ^ (4 * c // channels)
            ]
            if "by_scale" in self.tensors:
                places.sort(key=lambda place: -gaussian_table(int(log_scale[place])))
            for place in places:
                symbol = self._gaussian(int(log_scale[place]))
                y[place] = symbol
                latent[place] = min(max(1024 * symbol + mean[place], -24 * 1024), 24 * 1024)
        return y, latent

    def _indices(self, latent: Ints, hyper: Ints) -> Ints:
        size = latent.shape[0] * latent.shape[1]
        indices = np.full(size, -1)
        count = (2 * self.fields.kept**2 * size + 225) // 450
        if count:
            logits = network(self.tensors, "prior", np.concatenate([latent, hyper], 2))
            exp = self.tensors["exp"].astype(np.int64)
            tables = index_frequencies(exp, logits.reshape(size, -1))
            first = sorted(range(size), key=lambda n: (tables[n].max(), n))[:count]
            for n in sorted(first):
                indices[n] = self.reader.symbol(tables[n].tolist())
        return indices
