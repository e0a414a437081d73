"""Headers of files of the `hdc` family, for tests."""

from hdcodec.format import Header


def header(
    width: int,
    height: int,
    quality: int = 0,
    kept: int = 0,
    model: int = 1,
    scale: int = 0,
    flags: int = 0,
) -> Header:
    """With a quality index 0..200 and a kept code 0..15."""
    return Header(width, height, model, bytes([kept, quality]), scale, flags)
