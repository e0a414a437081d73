"""hdc compress: a picture in, an .hdc file out."""

import os
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hdcodec._atomic import is_special
from hdcodec.cli import _families as families
from hdcodec.cli import _options as options
from hdcodec.cli._files import STREAM, Output, reading
from hdcodec.cli._packets import BYTES, Cut, Packets, bare, parity

if TYPE_CHECKING:
    from collections.abc import Callable

    from hdcodec.detect import Box
    from hdcodec.format import Container
    from hdcodec.images import Picture

packets = options.together(
    click.option(
        "--packets",
        type=click.IntRange(1),
        metavar="K",
        help="Best quality that goes into K packets, which are written beside OUTPUT.",
    ),
    click.option(
        "--packet-size", type=BYTES, metavar="N", help="Bytes of a packet, at most; for --packets."
    ),
    parity,
    bare,
)


@click.command()
@click.argument("source", metavar="INPUT", type=options.FILE)
@click.argument("output", metavar="[OUTPUT]", type=options.FILE, required=False)
@options.rate
@options.max_side
@packets
@options.regions
@families.family_options("Encoding")
@options.model
@options.device
@options.backend
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decode the result again before it is written.",
)
@click.option(
    "--page", type=click.IntRange(1), metavar="N", help="Of several pages or frames, code this one."
)
@click.option("--keep-metadata", is_flag=True, help="Keep EXIF and XMP; they cost bytes.")
@options.flatten
@options.max_pixels
@options.force
@options.as_json
@options.quiet
def command(
    source: str,
    output: str | None,
    quality: float | None,
    bpp: float | None,
    target_size: int | None,
    max_side: int | None,
    packets: int | None,
    packet_size: int | None,
    parity: bool,
    bare: bool,
    regions: tuple[str, ...],
    mask: str | None,
    protect: str,
    model: str,
    device: str,
    backend: str,
    verify: bool,
    page: int | None,
    keep_metadata: bool,
    flatten: options.Rgb | None,
    max_pixels: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **family: Any,
) -> None:
    """Compress INPUT, any picture that Pillow opens, to OUTPUT.

    OUTPUT is the input's name with .hdc unless given; - is stdin or stdout. --bpp and --target-size
    are hard caps on the whole file. Where one allows little quality, the picture is coded smaller,
    and decoding enlarges it; where even that is above the cap, nothing is written. With --packets
    the file is also cut into photo.1-of-3.hdp and so on (hdc packets join).
    """
    started = time.perf_counter()
    rate = options.exclusive(quality=quality, bpp=bpp, target_size=target_size, packets=packets)
    cut = _cut(packets, packet_size, parity, bare)
    if cut is not None:
        rate = {"target_size": cut.room(rate["packets"])}
    rate |= options.given(max_side=max_side)
    chosen = families.of_family(model, "Encoding", family)
    target = Output.planned(source, output, ".hdc", force, mask)
    if cut is not None and (target.streams or is_special(Path(target.name))):
        raise click.UsageError("Packets are named after the file: name an OUTPUT.")
    picture, input_bytes = load_picture(source, flatten, max_pixels, page)

    from hdcodec import Codec

    protected = _sought(picture, protect)
    width, height = picture.rgb.size
    codec = Codec(model, device, backend=backend, pixels=width * height)
    coding = time.perf_counter()
    chosen |= {"regions": regions, "mask": mask, "protect": protected()} | rate
    box = codec.encode(picture, verify=verify, keep_metadata=keep_metadata, **chosen)
    coded = time.perf_counter() - coding
    path = Path(target.name)
    sent = cut and Packets.planned(box.data, cut, path.parent, path.stem, force)
    target.write(box.data)
    if sent:
        sent.write()

    facts: dict[str, Any] = {"input": source, "output": target.name}
    facts |= _sizes(box, input_bytes)
    facts |= {"quality": codec.family.settings(box.header.parameters)["quality"]}
    facts |= {"protected": dict(box.found)} | ({"packets": sent.facts} if sent else {})
    facts |= {"model": codec.name, "model_id": codec.model_id}
    facts |= {"device": codec.device, "backend": codec.backend, "codec_seconds": coded}
    facts |= {"seconds": time.perf_counter() - started}
    line = _line(facts) + (f"; {sent.line}" if sent else "")
    target.report(line, facts, as_json, quiet)


def _sought(picture: "Picture", protect: str) -> "Callable[[], str | tuple[Box, ...]]":
    """Starts to look for what is to be protected, while the model is loaded; the result waits for
    what was found."""
    if protect == "none":
        return lambda: protect
    from hdcodec._later import Later
    from hdcodec._regions import look_for

    return Later(partial(look_for, picture.rgb, protect)).get


def _cut(packets: int | None, size: int | None, parity: bool, bare: bool) -> Cut | None:
    """How the file is cut, if it is; options without those that they belong to are wrong usage."""
    if packets is None or size is None:
        if packets is not None or size is not None or parity or bare:
            raise click.UsageError("Packets take both --packets and --packet-size.")
        return None
    return Cut(size, parity, bare)


def load_picture(
    source: str, flatten: options.Rgb | None, max_pixels: int | None, page: int | None = None
) -> "tuple[Picture, int]":
    """The picture, and the bytes of the file it was in."""
    from hdcodec import images
    from hdcodec.images.load import seekable

    if source != STREAM and os.path.isfile(source):
        picture = images.load(source, max_pixels=max_pixels, page=page)
        size = os.path.getsize(source)
    else:
        with reading(source) as opened:
            stream = seekable(opened)
            picture = images.load(stream, max_pixels=max_pixels, page=page)
            size = stream.seek(0, os.SEEK_END)
    return (images.flatten(picture, flatten) if flatten else picture), size


def _sizes(box: "Container", input_bytes: int) -> dict[str, Any]:
    """What is to be said of the file; ratios are against 24 bits a pixel and against the input."""
    width, height = box.header.size
    return {
        "width": width,
        "height": height,
        **box.header.coded_facts,
        "bytes": len(box.data),
        "bpp": box.bpp,
        "input_bytes": input_bytes,
        "ratio": width * height * 3 / len(box.data),
        "input_ratio": input_bytes / len(box.data),
    }


def _line(facts: dict[str, Any]) -> str:
    smaller = "coded_width" in facts
    at = f"coded at {facts['coded_width']}x{facts['coded_height']}, " if smaller else ""
    return (
        f"{facts['output']}: {facts['bytes']:,} bytes, {facts['bpp']:.4f} bpp, "
        f"1:{facts['ratio']:.0f} of raw pixels, 1:{facts['input_ratio']:.0f} of the input, "
        f"{at}quality {facts['quality']:g}, {_found(facts['protected'])}{facts['seconds']:.2f} s"
    )


def _found(protected: dict[str, int]) -> str:
    """What was found, in words."""
    words = {"face": ("face", "faces"), "text": ("line of text", "lines of text")}
    return "".join(f"{count} {words[kind][count > 1]}, " for kind, count in protected.items())
