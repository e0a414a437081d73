"""The colours of a PNG that has no profile but says in numbers what they are, as an ICC profile."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
Point = tuple[float, float]

_D65 = (0.3127, 0.3290)
_SRGB_PRIMARIES: tuple[Point, ...] = (_D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
_SRGB_GAMMA = 0.45455
_D50 = np.array((0.9642, 1.0, 0.8249))
_BRADFORD = np.array(
    ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
)

# Code points of ITU-T H.273: white, red, green and blue; parameters of an ICC curve.
_PRIMARIES: dict[int, tuple[Point, ...]] = {
    1: _SRGB_PRIMARIES,
    4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (_D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    7: (_D65, (0.630, 0.340), (0.310, 0.595), (0.155, 0.070)),
    9: (_D65, (0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    12: (_D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
_CAMERA_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
_CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), _CAMERA_CURVE),
    4: (2.2,),
    5: (2.8,),
    8: (1.0,),
    13: _SRGB_CURVE,
}
_NAMES = {16: "PQ", 18: "HLG"}


def of_png(info: Mapping[Any, Any], cicp: bytes | None) -> bytes | None:
    """The profile by the chunk that counts: cICP, iCCP, sRGB, gAMA with cHRM; None for sRGB.

    info: what Pillow read. What no profile can say is ignored with a warning.
    """
    if cicp is not None:
        try:
            return _coded(*cicp)
        except (KeyError, TypeError):
            code = "-".join(map(str, cicp[:4]))
            name = _NAMES.get(cicp[1] if len(cicp) > 1 else 0, "unknown")
            warnings.warn(f"the colour code {code} ({name}) is ignored", stacklevel=2)
    gamma, embedded = info.get("gamma"), info.get("icc_profile")
    if embedded or "srgb" in info or not gamma:
        return embedded or None
    try:
        return _measured(gamma, info.get("chromaticity"))
    except (ArithmeticError, ValueError, struct.error) as error:
        warnings.warn(f"the colour profile is ignored: {error}", stacklevel=2)
        return None


def _coded(primaries: int, curve: int, matrix: int, full_range: int) -> bytes | None:
    """Raises KeyError for what is no RGB of full range, and for curves and primaries unknown."""
    if (primaries, curve, matrix, full_range) == (1, 13, 0, 1):
        return None
    if (matrix, full_range) != (0, 1):
        raise KeyError(matrix, full_range)
    return _profile(_PRIMARIES[primaries], _CURVES[curve])


def _measured(gamma: float, chromaticity: tuple[float, ...] | None) -> bytes | None:
    points = _SRGB_PRIMARIES
    if chromaticity:
        points = tuple(zip(chromaticity[::2], chromaticity[1::2], strict=True))
    near = np.allclose(points, _SRGB_PRIMARIES, rtol=0, atol=0.002)
    if near and abs(gamma - _SRGB_GAMMA) < 0.005:
        return None  # how sRGB was written before it had a chunk of its own
    return _profile(points, (1 / gamma,))


def _profile(points: tuple[Point, ...], curve: tuple[float, ...]) -> bytes:
    """A matrix profile of the points of white, red, green and blue, and one curve for all."""
    tags = {b"wtpt": b"XYZ \0\0\0\0" + _fixed(*_D50)}
    for letter, colorant in zip((b"r", b"g", b"b"), _colorants(points).T, strict=True):
        tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + _fixed(*colorant)
        kind = 0 if len(curve) == 1 else 3
        tags[letter + b"TRC"] = b"para\0\0\0\0" + struct.pack(">HH", kind, 0) + _fixed(*curve)
    start = 128 + 4 + 12 * len(tags)
    table, body = struct.pack(">I", len(tags)), b""
    for tag, content in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(content))
        body += content
    header = struct.pack(">I4xI4s4s4s12x4s28x", start + len(body), 0x04300000,
                         b"mntr", b"RGB ", b"XYZ ", b"acsp") + _fixed(*_D50)  # fmt: skip
    return header.ljust(128, b"\0") + table + body


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(value * 65_536) for value in values))


def _colorants(points: tuple[Point, ...]) -> Floats:
    """Red, green and blue as columns of XYZ, adapted to D50 by the Bradford transform."""
    white, *primaries = (np.array((x / y, 1, (1 - x - y) / y)) for x, y in points)
    matrix = np.stack(primaries, axis=1)
    matrix = matrix * np.linalg.solve(matrix, white)
    scale = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    adapted: Floats = np.linalg.inv(_BRADFORD) @ np.diag(scale) @ _BRADFORD @ matrix
    return adapted
