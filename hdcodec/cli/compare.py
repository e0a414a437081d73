"""hdc compare: a page that shows a picture, an .hdc file of it, and rivals at the same bytes."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hdcodec._errors import ImageError
from hdcodec.cli import _families as families
from hdcodec.cli import _options as options
from hdcodec.cli._files import STREAM, Output, naming, read_hdc
from hdcodec.cli.compress import load_picture
from hdcodec.format import unpack

if TYPE_CHECKING:
    from hdcodec.images import Picture


@click.command()
@click.argument("original", type=options.FILE)
@click.argument("file", metavar="FILE.hdc", type=options.FILE)
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    metavar="PAGE",
    help="The page; FILE.html unless given.",
)
@click.option(
    "--against",
    metavar="LIST",
    callback=options.listed(click.STRING.convert),
    help="Rivals: avif, webp, jpeg, jxl, vvc; with @x2 or @x4 for a downscale around the codec. "
    "All that are installed unless given.",
)
@families.family_options("Decoding")
@click.option(
    "--metrics",
    metavar="LIST",
    callback=options.listed(click.STRING.convert),
    help="psnr, ssim, msssim, lpips_alex, lpips_vgg, dists, wd, kd; unless given, those that "
    "need nothing to be fetched, without wd and kd.",
)
@options.metric_weights
@options.device
@options.backend
@options.max_pixels
@options.force
@options.as_json
@options.quiet
def command(
    original: str,
    file: str,
    output: str | None,
    against: list[str] | None,
    metrics: list[str] | None,
    metric_weights: str | None,
    device: str,
    backend: str,
    max_pixels: int | None,
    force: bool,
    as_json: bool,
    quiet: bool,
    **family: Any,
) -> None:
    """Show ORIGINAL beside FILE.hdc and what other formats make of the same bytes.

    The page is one HTML file with all pictures in it, for any browser, without a network. A rival
    that cannot get so small is shown at its lowest quality.
    """
    started = time.perf_counter()
    target = Output.planned(file, output, ".html", force, original)
    data = read_hdc(file)
    with naming(file):
        box = unpack(data, **options.given(max_pixels=max_pixels))
    chosen = families.of_family(box.header.model, "Decoding", family)
    picture, _ = load_picture(original, None, max_pixels)
    _check(original, picture.rgb.size, box.header.size)

    from hdcodec import Codec, images
    from hdcodec.eval.comparison import Subject, available_metrics, installed_rivals
    from hdcodec.pages.comparison import comparison_page, facts

    names = available_metrics(metric_weights) if metrics is None else metrics
    before = images.flatten(picture).rgb
    subject = Subject(before, names, weights=metric_weights, device=device)
    pixels = math.prod(box.header.coded_size)
    codec = Codec(box.header.model, device, backend=backend, pixels=pixels)
    with naming(file):
        decoded = codec.decode(box, **chosen)
    after = images.flatten(images.from_pil(decoded)).rgb
    quality = codec.family.settings(box.header.parameters)["quality"]
    entries = [subject.coded(codec.name, after, len(box.data), quality)]
    for rival in installed_rivals() if against is None else against:
        entries.append(subject.rival(rival, len(box.data)))

    name = "Standard input" if original == STREAM else Path(original).name
    page = comparison_page(before, entries, name, _notes(picture, chosen))
    target.write(page)
    told: dict[str, Any] = {"original": original, "input": file, "output": target.name}
    told |= facts(before, entries) | {"page_bytes": len(page)}
    told |= {"device": codec.device, "backend": codec.backend}
    told |= {"seconds": time.perf_counter() - started}
    target.report(_line(told), told, as_json, quiet)


def _check(original: str, size: tuple[int, int], wanted: tuple[int, int]) -> None:
    if size != wanted:
        raise ImageError(
            f"{original} has {size[0]} x {size[1]} pixels, the file {wanted[0]} x {wanted[1]}: "
            "they are not of one picture"
        )


def _notes(picture: "Picture", chosen: dict[str, Any]) -> list[str]:
    dials = [f"{name.replace('_', ' ')} {value:g}" for name, value in chosen.items()]
    notes = [f"Decoded with {', '.join(dials)}."] if dials else []
    if picture.alpha is not None:
        notes.append(
            "The picture is transparent: it is shown and measured on white, and the bytes of the "
            ".hdc file pay for its transparency as well."
        )
    return notes


def _line(told: dict[str, Any]) -> str:
    ours, *rivals = told["codecs"]
    against = ", ".join(f"{rival['codec']} {rival['bytes']:,}" for rival in rivals)
    return (
        f"{told['output']}: {ours['codec']} {ours['bytes']:,} bytes"
        f"{f' against {against}' if against else ''}; "
        f"a page of {told['page_bytes'] / 1e6:.1f} MB, {told['seconds']:.1f} s"
    )
