"""Every fault that hdcodec reports, one class per kind."""

from __future__ import annotations

import errno
import re


class HdcError(Exception):
    """Base of all faults. The message is one line that names the fault."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.splitlines()))


class NotHdcError(HdcError):
    """The data is empty or does not begin as an .hdc file does."""


class TruncatedError(HdcError):
    """The data ends before the fields that it announces."""


class ChecksumError(HdcError):
    """The data does not match its checksum: it was damaged or cut."""


class UnsupportedVersionError(HdcError):
    """The file needs a later release: its version or one of its chunks is not known here."""


class UnknownModelError(HdcError):
    """The file was made by a model that this release does not know."""


class CorruptError(HdcError):
    """The file is whole, but says something that no .hdc file may say."""


class TooLargeError(HdcError):
    """A picture, a file or a chunk is beyond a limit."""


class ImageError(HdcError):
    """The input picture cannot be read."""


class TargetError(HdcError):
    """The asked size or bit rate cannot be met."""


class RegionError(HdcError, ValueError):
    """A region lies outside the picture."""


class WeightsError(HdcError):
    """A file of weights is missing or is not the one that was shipped."""


class MissingWeightsError(WeightsError):
    """The file was made with weights that this release knows, but that are not installed."""


class DeviceError(HdcError):
    """The asked device is not there or cannot do the work."""


class OutputError(HdcError):
    """The output cannot be written."""


class ExistsError(OutputError):
    """The output exists already."""


# How torch, onnxruntime and the system's loader of libraries say it, which have no type of
# exception for it.
_OUT_OF_MEMORY = re.compile(
    "DefaultCPUAllocator: (can't allocate|not enough) memory|bad_alloc|out of memory|"
    "Failed to allocate memory|Cannot allocate memory|failed to map segment"
)


def lacks_memory(error: Exception) -> bool:
    """Whether an error of any library means that there is not enough memory."""
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    told = isinstance(error, (RuntimeError, ImportError))
    return told and _OUT_OF_MEMORY.search(str(error)) is not None


def describe(error: Exception) -> str:
    """One line on any error, for the user: what went wrong, where known without program terms."""
    text = " ".join(str(error).split())
    if isinstance(error, HdcError):
        return text
    if lacks_memory(error):
        return "not enough memory for this picture"
    if isinstance(error, ModuleNotFoundError):
        return f"this needs the Python package {error.name}, which is not installed"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"unforeseen {type(error).__name__}: {text} (HDC_DEBUG=1 shows where)"
