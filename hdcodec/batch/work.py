"""One worker: a model that is loaded once, and the way of one file through it."""

from __future__ import annotations

import io
import os
import socket
import stat
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from hdcodec._errors import ExistsError, HdcError, OutputError, describe
from hdcodec.batch.plan import EXISTS, Direction, leaves
from hdcodec.batch.rows import Item, Row
from hdcodec.format import ALPHA, MAX_FILE_BYTES, MAX_PIXELS, unpack
from hdcodec.models import DEFAULT, identify
from hdcodec.models.options import MEMORY, choices

if TYPE_CHECKING:
    from PIL import Image

    from hdcodec.codec import Codec
    from hdcodec.images import Picture


@dataclass(frozen=True)
class Job:
    """What is done with every file.

    target: the folder that no output may leave. base: the folder that relative paths start from.
    options: keywords for Codec.compress or Codec.decompress. flatten: the colour to put
    transparent pictures on. model: to compress with, and to load first for decompressing.
    skip_existing: an output that another run has made meanwhile is no failure. memory: bytes that
    a worker may take. backend: what computes the networks.
    """

    direction: Direction
    target: str
    base: str
    force: bool = False
    model: str = DEFAULT
    flatten: tuple[int, int, int] | None = None
    max_pixels: int | None = None
    options: dict[str, Any] = field(default_factory=dict)
    skip_existing: bool = False
    memory: int = MEMORY
    backend: str = "auto"


class Worker:
    """Called with items, it answers with rows; a fault of one file is in its row.

    A fault that all files would share (weights, device) is answered as an HdcError.
    """

    def __init__(self, job: Job, device: str) -> None:
        self.job, self.device = job, device
        self.codecs: dict[int, Codec] = {}

    def __call__(self, item: Item) -> Row | HdcError:
        """The row of one file, done or failed; an HdcError for what all files would share."""
        try:
            self._own_codec()
            started = time.perf_counter()
            facts = self._facts(item)
        except _BrokenError as broken:
            return broken.fault
        facts |= {"seconds": round(time.perf_counter() - started, 4), "worker": self._name}
        return Row(item.index, input=item.input, output=item.output, **facts)

    @cached_property
    def _name(self) -> str:
        return f"{socket.gethostname()}:{os.getpid()}"

    def _facts(self, item: Item) -> dict[str, Any]:
        facts: dict[str, Any] = {"status": "done"}
        try:
            with _noted_warnings(facts):
                facts |= self._process(item)
        except _BrokenError:
            raise
        except Exception as error:
            if self.job.skip_existing and isinstance(error, ExistsError):
                return facts | {"status": "skipped", "reason": EXISTS}
            if os.environ.get("HDC_DEBUG"):
                traceback.print_exc()
            facts |= {"status": "failed", "error": describe(error)}
        return facts

    def _process(self, item: Item) -> dict[str, Any]:
        """Make the output, and tell sizes."""
        source, output = self._path(item.input), self._path(item.output)
        again = item.again and not self.job.force and os.path.isfile(output)
        if again:
            self._refuse_to_leave(output)
        else:
            self._refuse(output)
        content, sizes = self._make(source, output)
        if again:
            _compare(content, output)
        else:
            self._write(content, output)
        return sizes

    def _make(self, source: str, output: str) -> tuple[bytes, dict[str, Any]]:
        """What is to be in the file `output`, and sizes."""
        if self.job.direction == "compress":
            return self._compress(source)
        return self._decompress(source, output)

    def _path(self, name: str) -> str:
        return os.path.join(self.job.base, name)

    def _refuse(self, output: str) -> None:
        """Spare the work whose result could not be written. Another run may make the output at any
        moment: it is looked at once."""
        self._refuse_to_leave(output)
        try:
            regular = stat.S_ISREG(os.stat(output).st_mode)
        except OSError:
            if os.path.islink(output) and not self.job.force:
                raise OutputError(f"cannot write {output}: it is not a regular file") from None
            return
        if not regular:
            raise OutputError(f"cannot write {output}: it is not a regular file")
        if not self.job.force:
            raise ExistsError(f"{output} exists already")

    def _refuse_to_leave(self, output: str) -> None:
        if leaves(self._path(self.job.target), output):
            raise OutputError(f"cannot write {output}: a link leads out of the destination")

    def _write(self, content: bytes, output: str) -> None:
        """A link may have come while the picture was worked on, so look again."""
        from hdcodec._atomic import write_bytes

        self._refuse_to_leave(output)
        folder = os.path.dirname(output)
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error
        write_bytes(output, content, force=self.job.force, follow=False)

    def _compress(self, source: str) -> tuple[bytes, dict[str, Any]]:
        picture, input_bytes = self._load(source)
        codec = self._own_codec()
        box = codec.encode(picture, **self.job.options | self._named_paths(codec))
        size = len(box.data)
        return box.data, _sizes(picture.rgb, input_bytes, size, size) | box.header.coded_facts

    def _named_paths(self, codec: Codec) -> dict[str, str]:
        """Options that name files, where they lie: a worker may have another current folder."""
        kinds = choices(codec.family.Encoding).items()
        names = ("mask", *(name for name, choice in kinds if choice.folder))
        options = self.job.options.items()
        return {k: self._path(v) for k, v in options if k in names and isinstance(v, str)}

    def _load(self, source: str) -> tuple[Picture, int]:
        from hdcodec import images

        with open(source, "rb") as stream:
            picture = images.load(stream, max_pixels=self.job.max_pixels)
            size = os.fstat(stream.fileno()).st_size
        return images.flatten(picture, self.job.flatten) if self.job.flatten else picture, size

    def _decompress(self, source: str, output: str) -> tuple[bytes, dict[str, Any]]:
        from hdcodec import images

        with open(source, "rb") as stream:
            data = stream.read(MAX_FILE_BYTES + 1)
        box = unpack(data, max_pixels=self.job.max_pixels or MAX_PIXELS)
        transparent = not self.job.flatten and ALPHA in box.chunks
        images.check(output, size=box.header.size, transparent=transparent)
        codec = self._codec(box.header.model)
        self._refuse_options(codec)
        image = codec.decode(box, **self.job.options)
        if self.job.flatten:
            image = images.to_pil(images.flatten(images.from_pil(image), self.job.flatten))
        content = io.BytesIO()
        images.save(image, content, os.path.splitext(output)[1])
        return content.getvalue(), _sizes(image, len(data), content.tell(), len(data))

    def _refuse_options(self, codec: Codec) -> None:
        """A folder may have files of several families, which have options of their own."""
        known = ("coded_size", *choices(codec.family.Decoding))
        for name in self.job.options:
            if name not in known:
                raise HdcError(f"{name.replace('_', '-')} is not an option of {codec.name}")

    def _own_codec(self) -> Codec:
        """The codec of the job's model, without which nothing can be done."""
        try:
            return self._codec(identify(self.job.model))
        except HdcError as fault:
            raise _BrokenError(fault) from fault

    def _codec(self, model_id: int) -> Codec:
        if model_id not in self.codecs:
            from hdcodec.codec import Codec

            self.codecs[model_id] = Codec(model_id, self.device, backend=self.job.backend)
        return self.codecs[model_id]


def _compare(content: bytes, output: str) -> None:
    """Let pass what a worker made that died before it could say so."""
    with open(output, "rb") as stream:
        if stream.read(len(content) + 1) != content:
            raise ExistsError(f"{output} exists already")


class _BrokenError(Exception):
    """This worker cannot work on any file."""

    def __init__(self, fault: HdcError) -> None:
        super().__init__(fault)
        self.fault = fault


@contextmanager
def _noted_warnings(facts: dict[str, Any]) -> Iterator[None]:
    """Put what this package warns of on the data into `facts`, and drop all other warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("always", category=UserWarning, module="hdcodec")
        try:
            yield
        finally:
            facts["warnings"] = tuple(str(warning.message) for warning in caught)


def _sizes(image: Image.Image, read: int, written: int, coded: int) -> dict[str, Any]:
    bpp = round(8 * coded / (image.width * image.height), 5)
    size = {"width": image.width, "height": image.height, "bpp": bpp}
    return size | {"input_bytes": read, "bytes": written}
