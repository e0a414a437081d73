"""What callers may hand over in place of a picture or of the bytes of a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from .format import MAX_FILE_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    from .images import Picture

    Source: TypeAlias = "Image.Image" | "Picture" | NDArray[Any] | str | os.PathLike[str]
    Data: TypeAlias = bytes | bytearray | memoryview | str | os.PathLike[str]


def picture_of(source: Source) -> Picture:
    """The picture in a Pillow image, a Picture, a path, or an array H x W [x 1..4] of uint8.

    Raises TypeError for anything else, ImageError, TooLargeError.
    """
    from PIL import Image

    from .images import Picture, from_pil, load

    if isinstance(source, Picture):
        return source
    if isinstance(source, Image.Image):
        return from_pil(source)
    if isinstance(source, (str, os.PathLike)):
        return load(source)
    if hasattr(source, "__array_interface__"):
        return from_pil(_image_of(source))
    raise TypeError(
        "a picture must be a Pillow image, an array of uint8 or the path of a file, "
        f"not {type(source).__name__}"
    )


def _image_of(array: Any) -> Image.Image:
    """Gray, gray and alpha, RGB or RGBA by the size of the third dimension."""
    import numpy as np
    from PIL import Image

    array = np.asarray(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    fits = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (2, 3, 4))
    if array.dtype != np.uint8 or not fits:
        raise TypeError(
            "an array must be height x width x 1 to 4 of uint8, not "
            f"{' x '.join(map(str, array.shape))} of {array.dtype}"
        )
    return Image.fromarray(np.ascontiguousarray(array))


def bytes_of(data: Data) -> bytes:
    """The bytes of a file, given as such or by its path. Raises TypeError, OSError."""
    if isinstance(data, (str, os.PathLike)):
        with Path(data).open("rb") as stream:
            return stream.read(MAX_FILE_BYTES + 1)
    if isinstance(data, (bytes, bytearray, memoryview)):
        return bytes(data)
    raise TypeError(f"a file must be bytes or its path, not {type(data).__name__}")
