"""hdc compress: a picture in, an .hdc file out."""

import os
import time
from typing import TYPE_CHECKING, Any

import click

from hdcodec.cli import _options as options
from hdcodec.cli._files import STREAM, Output, reading
from hdcodec.format import MAX_SIDE, MODELS, unpack

if TYPE_CHECKING:
    from hdcodec.images import Picture


@click.command()
@click.argument("source", metavar="INPUT", type=options.FILE)
@click.argument("output", metavar="[OUTPUT]", type=options.FILE, required=False)
@options.rate
@options.effort
@options.tune
@options.metric_weights
@click.option("--model", default="hdc", show_default=True, help="One of `hdc models`.")
@options.device
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decode the result again before it is written.",
)
@click.option(
    "--kept",
    type=click.IntRange(0, 15),
    metavar="K",
    help="Send a share (K / 15)^2 of the VQ indices, 0 to 15, instead of what the quality says.",
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
    effort: int,
    tune: str,
    metric_weights: str | None,
    model: str,
    device: str,
    verify: bool,
    kept: int | None,
    keep_metadata: bool,
    flatten: options.Rgb | None,
    max_pixels: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Compress INPUT, any picture that Pillow opens, to OUTPUT.

    OUTPUT is the input's name with .hdc unless given; - is stdin or stdout. --bpp and --target-size
    are hard caps on the whole file: where even the lowest quality is above, nothing is written.
    """
    started = time.perf_counter()
    rate = options.exclusive(quality=quality, bpp=bpp, target_size=target_size)
    target = Output.planned(source, output, ".hdc", force)
    picture, input_bytes = load_picture(source, flatten, max_pixels)

    from hdcodec import Codec

    codec = Codec(model=model, device=device)
    coding = time.perf_counter()
    data = codec.compress(
        picture,
        effort=effort,
        tune=tune,
        metric_weights=metric_weights,
        verify=verify,
        kept=kept,
        keep_metadata=keep_metadata,
        **rate,
    )
    coded = time.perf_counter() - coding
    target.write(data)

    facts: dict[str, Any] = {"input": source, "output": target.name}
    facts |= _sizes(data, input_bytes)
    facts |= {"device": codec.device, "codec_seconds": coded}
    facts |= {"seconds": time.perf_counter() - started}
    target.report(_line(facts), facts, as_json, quiet)


def load_picture(
    source: str, flatten: options.Rgb | None, max_pixels: int | None
) -> "tuple[Picture, int]":
    """The picture, and the bytes of the file it was in."""
    from hdcodec import images
    from hdcodec.images.load import seekable

    if source != STREAM and os.path.isfile(source):
        picture, size = images.load(source, max_pixels=max_pixels), os.path.getsize(source)
    else:
        with reading(source) as opened:
            stream = seekable(opened)
            picture = images.load(stream, max_pixels=max_pixels)
            size = stream.seek(0, os.SEEK_END)
    return (images.flatten(picture, flatten) if flatten else picture), size


def _sizes(data: bytes, input_bytes: int) -> dict[str, Any]:
    """What is to be said of the file; ratios are against 24 bits a pixel and against the input."""
    header = unpack(data, max_pixels=MAX_SIDE**2).header
    pixels = header.width * header.height
    return {
        "width": header.width,
        "height": header.height,
        "bytes": len(data),
        "bpp": round(8 * len(data) / pixels, 5),
        "quality": header.quality / 2,
        "model": MODELS[header.model],
        "input_bytes": input_bytes,
        "ratio": pixels * 3 / len(data),
        "input_ratio": input_bytes / len(data),
    }


def _line(facts: dict[str, Any]) -> str:
    return (
        f"{facts['output']}: {facts['bytes']:,} bytes, {facts['bpp']:.4f} bpp, "
        f"1:{facts['ratio']:.0f} of raw pixels, 1:{facts['input_ratio']:.0f} of the input, "
        f"quality {facts['quality']:g}, {facts['seconds']:.2f} s"
    )
