"""hdc decompress: an .hdc file in, a picture out."""

import math
import time
from typing import TYPE_CHECKING, Any

import click

from hdcodec.cli import _families as families
from hdcodec.cli import _options as options
from hdcodec.cli._files import Output, naming, read_hdc
from hdcodec.format import ALPHA, unpack

if TYPE_CHECKING:
    from PIL import Image


@click.command()
@click.argument("source", metavar="INPUT", type=options.FILE)
@click.argument("output", metavar="[OUTPUT]", type=options.FILE, required=False)
@families.family_options("Decoding")
@click.option(
    "--format", "kind", metavar="EXT", help="Format of OUTPUT; that of its extension unless given."
)
@click.option(
    "--partial",
    is_flag=True,
    help="INPUT may be a beginning of a file, cut anywhere: make the best picture of it.",
)
@click.option(
    "--coded-size",
    is_flag=True,
    help="Of a picture that was coded smaller, write the small one, not enlarged.",
)
@options.device
@options.backend
@options.flatten
@options.max_pixels
@options.force
@options.as_json
@options.quiet
def command(
    source: str,
    output: str | None,
    kind: str | None,
    partial: bool,
    coded_size: bool,
    device: str,
    backend: str,
    flatten: options.Rgb | None,
    max_pixels: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **family: Any,
) -> None:
    """Decompress INPUT to OUTPUT, in the format that its extension names.

    OUTPUT is the input's name with .png unless given; - is stdin or stdout, where PNG is written
    unless --format names another.
    """
    started = time.perf_counter()
    target = Output.planned(source, output, _suffix(kind), force)
    data = read_hdc(source)
    with naming(source):
        box = unpack(data, partial=partial, **options.given(max_pixels=max_pixels))
    chosen = families.of_family(box.header.model, "Decoding", family)

    from hdcodec import Codec, images

    transparent = flatten is None and ALPHA in box.chunks
    size = box.header.coded_size if coded_size else box.header.size
    images.check(target.place, kind, size=size, transparent=transparent)
    pixels = math.prod(box.header.coded_size)
    codec = Codec(box.header.model, device, backend=backend, pixels=pixels)
    coding = time.perf_counter()
    with naming(source):
        image = codec.decode(box, coded_size=coded_size, **chosen)
    coded = time.perf_counter() - coding
    images.save(_flattened(image, flatten), target.place, kind, force=force)

    facts: dict[str, Any] = {"input": source, "output": target.name}
    facts |= {"width": image.width, "height": image.height, "mode": image.mode}
    facts |= box.header.coded_facts
    facts |= {
        "model": codec.name,
        "model_id": codec.model_id,
        "device": codec.device,
        "backend": codec.backend,
        "codec_seconds": coded,
    }
    facts |= {"share": image.info.get("share", 1.0)}
    facts |= {"seconds": time.perf_counter() - started}
    target.report(_line(facts), facts, as_json, quiet)


def _suffix(kind: str | None) -> str:
    return f".{kind.lower().lstrip('.')}" if kind else ".png"


def _flattened(image: "Image.Image", colour: options.Rgb | None) -> "Image.Image":
    from hdcodec import images

    if colour is None:
        return image
    return images.to_pil(images.flatten(images.from_pil(image), colour))


def _line(facts: dict[str, Any]) -> str:
    part = "" if facts["share"] == 1 else f"{100 * facts['share']:.0f} % of its symbols, "
    return (
        f"{facts['output']}: {facts['width']}x{facts['height']}, {part}"
        f"{facts['seconds']:.2f} s on {facts['device']}"
    )
