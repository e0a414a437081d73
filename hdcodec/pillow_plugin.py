"""Pillow reads and writes .hdc files once this module is imported.

    import hdcodec.pillow_plugin
    Image.open("photo.png").save("photo.hdc", quality=30)
    Image.open("photo.hdc").size  # known without decoding

`save` takes model, device, quality, bpp or target_size, max_side, verify, keep_metadata and the
options of the model as hdcodec.compress does; `exif` and `xmp`, bytes, go into the file, as in
other formats.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from PIL import Image, ImageFile

from hdcodec._errors import CorruptError, HdcError, TooLargeError, TruncatedError
from hdcodec.format import (
    ALPHA,
    EXIF,
    GRAY,
    MAGIC,
    MAX_FILE_BYTES,
    MAX_METADATA_BYTES,
    MAX_SIDE,
    MODELS,
    XMP,
    unpack,
)
from hdcodec.format._bytes import Reader, parse_varint
from hdcodec.format.header import parse_header

FORMAT = "HDC"
EXTENSION = ".hdc"
MIME = "image/x-hdc"
SAVE_OPTIONS = (
    *("model", "device", "backend", "quality", "bpp", "target_size", "max_side", "verify"),
    *("keep_metadata", "regions", "mask", "protect"),
)
METADATA = ("exif", "xmp")


class HdcImageFile(ImageFile.ImageFile):
    """An .hdc file: size, mode, EXIF and XMP when it is opened, pixels when it is loaded.

    What is wrong with a file is a SyntaxError when it is opened, of which Image.open makes an
    UnidentifiedImageError, and an OSError when it is loaded.
    """

    format = FORMAT
    format_description = "HDCompression learned image"
    _pending = False

    def _open(self) -> None:
        with _faults_as(SyntaxError):
            reader = _StreamReader(self._stream)
            header, has_chunks = parse_header(reader)
            kinds = self._pass_chunks(reader) if has_chunks else set()
        self._size = header.width, header.height
        self._mode = ("L" if GRAY in kinds else "RGB") + ("A" if ALPHA in kinds else "")
        self._pending = True

    @property
    def _stream(self) -> IO[bytes]:
        if self.fp is None:
            raise OSError("the file is closed")
        return self.fp

    def _pass_chunks(self, reader: _StreamReader) -> set[int]:
        """The types of all chunks; metadata go to `info`, other contents are skipped."""
        kinds: list[int] = [0]
        while kind := reader.byte("chunk list"):
            if kind <= kinds[-1]:
                raise CorruptError(f"chunk {kind} comes after chunk {kinds[-1]}")
            kinds.append(kind)
            size = parse_varint(reader, "chunk length")
            if kind not in (EXIF, XMP):
                reader.skip(size)
                continue
            if size > MAX_METADATA_BYTES:
                raise TooLargeError(f"the metadata is larger than {MAX_METADATA_BYTES} bytes")
            content = reader.take(size, "metadata")
            self.info |= {"exif": b"Exif\0\0" + content} if kind == EXIF else {"xmp": content}
        return set(kinds)

    def load(self) -> Any:
        """Decode the pixels, once; Pillow calls this when they are needed."""
        if self._pending:
            from hdcodec.codec import decompress

            with _faults_as(OSError):
                image = decompress(self._data(), max_pixels=_max_pixels())
            if (image.mode, image.size) != (self.mode, self.size):
                raise OSError("the .hdc file changed after it was opened")
            self.im, self._pending = image.im, False
            self._leave_file()
        return Image.Image.load(self)

    def verify(self) -> None:
        """Check the file without decoding it; raises OSError. The image cannot be used after."""
        with _faults_as(OSError):
            unpack(self._data(), max_pixels=_max_pixels())
        super().verify()

    def _data(self) -> bytes:
        self._stream.seek(0)
        return self._stream.read(MAX_FILE_BYTES + 1)

    def _leave_file(self) -> None:
        if self._exclusive_fp and self.fp is not None:
            self.fp.close()
        self.fp = None


class _StreamReader(Reader):
    """Reads a stream no further than it is asked to."""

    def __init__(self, stream: IO[bytes]) -> None:
        super().__init__(b"")
        self.stream = stream

    def take(self, count: int, what: str) -> bytes:
        data = self.stream.read(count)
        if len(data) < count:
            raise TruncatedError(f"the data ends inside the {what}")
        return data

    def skip(self, count: int) -> None:
        self.stream.seek(count, os.SEEK_CUR)


def _save(image: Image.Image, stream: IO[bytes], filename: str | bytes) -> None:
    from hdcodec.codec import compress
    from hdcodec.models import DEFAULT, family_class, identify
    from hdcodec.models.options import choices

    info: dict[str, Any] = image.encoderinfo
    with _faults_as(OSError):
        model = MODELS[identify(info.get("model", DEFAULT))].family
        known = (*SAVE_OPTIONS, *choices(family_class(model).Encoding))
        options = {name: info[name] for name in known if name in info}
        picture, kept = _with_metadata(image, info)
        stream.write(compress(picture, **kept | options))


def _with_metadata(image: Image.Image, info: dict[str, Any]) -> tuple[Image.Image, dict[str, Any]]:
    """The picture with the EXIF and XMP that `save` was given, and the option that keeps them."""
    given = {name: info[name] for name in METADATA if info.get(name)}
    if not given:
        return image, {}
    image = image.copy()
    for name, content in given.items():
        image.info[name] = content.tobytes() if isinstance(content, Image.Exif) else content
    return image, {"keep_metadata": True}


@contextmanager
def _faults_as(kind: type[Exception]) -> Iterator[None]:
    """Raise what this package has to say as the kind of error that Pillow's callers expect."""
    try:
        yield
    except HdcError as error:
        raise kind(str(error)) from error


def _max_pixels() -> int:
    """The most pixels that Pillow opens; it has no limit if a program says so."""
    limit = Image.MAX_IMAGE_PIXELS
    return MAX_SIDE * MAX_SIDE if limit is None else 2 * limit


def _accept(prefix: bytes) -> bool:
    return prefix.startswith(MAGIC)


def register() -> None:
    """Make Pillow read and write .hdc files; importing this module has done so already."""
    Image.register_open(FORMAT, HdcImageFile, _accept)
    Image.register_save(FORMAT, _save)
    Image.register_extension(FORMAT, EXTENSION)
    Image.register_mime(FORMAT, MIME)


register()
