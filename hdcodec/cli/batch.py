"""hdc batch: folders in, mirrored folders out."""

import os
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from hdcodec.cli import _families as families
from hdcodec.cli import _options as options
from hdcodec.cli._batch import Run, run_batch
from hdcodec.cli._files import STREAM

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
NEW_FOLDER = options.Named(file_okay=False, path_type=Path)
REPORT = options.Named(dir_okay=False, readable=False, allow_dash=True)


def shard(text: str) -> tuple[int, int]:
    """I/N with 1 <= I <= N."""
    found = re.fullmatch(r"(\d+)/(\d+)", text, re.ASCII)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise click.BadParameter(f"{text!r} is not I/N with I from 1 to N.")
    return int(found[1]), int(found[2])


def devices(text: str) -> str:
    """auto, cpu, cuda or a list of cuda:N."""
    if not re.fullmatch(r"auto|cpu|cuda|cuda:\d+(,cuda:\d+)*", text, re.ASCII):
        raise click.BadParameter(f"{text!r} is not auto, cpu, cuda or a list as cuda:0,cuda:1.")
    return text


def report_file(text: str | None) -> Path | None:
    """Where the report goes; - is stdout."""
    return Path("/dev/stdout" if text == STREAM else text) if text else None


folders = options.together(
    click.argument("source", metavar="SRC", type=FOLDER),
    click.argument("target", metavar="DST", type=NEW_FOLDER),
)

run_options = options.together(
    click.option(
        "--device",
        type=devices,
        default="auto",
        show_default=True,
        metavar="LIST",
        help="auto, cpu, cuda (all GPUs), or GPUs as cuda:0,cuda:1.",
    ),
    options.backend,
    click.option(
        "--workers",
        type=click.IntRange(1),
        metavar="N",
        help="Processes; one per GPU, or per core as memory allows, unless given.",
    ),
    click.option(
        "--pattern",
        "patterns",
        multiple=True,
        metavar="GLOB",
        help="Only files of such a name, or with a slash such a path in SRC; may be repeated.",
    ),
    click.option("--skip-existing", is_flag=True, help="Leave out files whose output exists."),
    options.force,
    click.option(
        "--shard",
        type=shard,
        default="1/1",
        metavar="I/N",
        help="Only the I-th of N parts of the files, from 1/N to N/N, for as many machines.",
    ),
    click.option(
        "--engine",
        type=click.Choice(["local", "ray"]),
        default="local",
        show_default=True,
        help="Processes on this machine, or actors on a Ray cluster.",
    ),
    click.option("--ray-address", metavar="ADDR", help="The Ray cluster, if it is another one."),
    click.option(
        "--report",
        type=REPORT,
        callback=lambda _ctx, _param, text: report_file(text),
        help="Write a JSON line per file to this file; - is stdout.",
    ),
    click.option("--fail-fast", is_flag=True, help="Begin no more files after a failure."),
    options.as_json,
    options.quiet,
)


@click.group()
def command() -> None:
    """Compress or decompress whole folders.

    The folder tree is mirrored. Outputs appear whole or not at all, so that a run that was stopped
    in any way is completed by the same command with --skip-existing.

    Exit codes: 0 nothing failed, 3 some files did, 1 the run as a whole did, 2 wrong usage.
    """


@command.command()
@folders
@options.rate
@options.max_side
@options.regions
@families.family_options("Encoding")
@options.model
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Decode each result again before it is written.",
)
@click.option("--keep-metadata", is_flag=True, help="Keep EXIF and XMP; they cost bytes.")
@options.flatten
@options.max_pixels
@run_options
def compress(
    source: Path,
    target: Path,
    quality: float | None,
    bpp: float | None,
    target_size: int | None,
    max_side: int | None,
    regions: tuple[str, ...],
    mask: str | None,
    protect: str,
    model: str,
    verify: bool,
    keep_metadata: bool,
    flatten: options.Rgb | None,
    max_pixels: int | None,
    **others: Any,
) -> None:
    """Compress the pictures in folder SRC to .hdc files in folder DST.

    a.png becomes a.hdc; where that would be the name of two, a.png.hdc and a.jpg.hdc. Hidden files
    and files that are no pictures are left out. --bpp and --target-size are caps for each file;
    where one allows little quality, the picture is coded smaller, and decoding enlarges it.
    """
    from hdcodec._pictures import HDC
    from hdcodec.batch import Job

    run, family = _split(others)
    chosen = families.of_family(model, "Encoding", family)
    rate = options.exclusive(quality=quality, bpp=bpp, target_size=target_size)
    rate |= options.given(max_side=max_side)
    where: dict[str, Any] = {"regions": regions, "mask": mask, "protect": protect}
    job = Job(
        "compress",
        str(target),
        os.getcwd(),
        run.force,
        model=model,
        flatten=flatten,
        max_pixels=max_pixels,
        options={"verify": verify, "keep_metadata": keep_metadata, **rate, **where, **chosen},
        skip_existing=run.skip_existing,
        memory=families.family_kind(model, "Encoding").of(chosen).memory,
        backend=run.backend,
    )
    run_batch(source, job, HDC, run)


@command.command()
@folders
@click.option(
    "--format",
    "suffix",
    default="png",
    show_default=True,
    metavar="EXT",
    help="Extension of the outputs, which names their format.",
)
@families.family_options("Decoding")
@options.flatten
@options.max_pixels
@run_options
def decompress(
    source: Path,
    target: Path,
    suffix: str,
    flatten: options.Rgb | None,
    max_pixels: int | None,
    **others: Any,
) -> None:
    """Decompress the .hdc files in folder SRC to pictures in folder DST.

    Hidden files and files of other kinds are left out.
    """
    from hdcodec.batch import Job

    run, family = _split(others)
    job = Job(
        "decompress",
        str(target),
        os.getcwd(),
        run.force,
        flatten=flatten,
        max_pixels=max_pixels,
        options=options.given(**family),
        skip_existing=run.skip_existing,
        backend=run.backend,
    )
    run_batch(source, job, _checked(suffix), run)


def _split(others: dict[str, Any]) -> tuple[Run, dict[str, Any]]:
    """The options that both directions share, and those of the model families."""
    shared = {field.name: others.pop(field.name) for field in fields(Run)}
    return Run(**shared), others


def _checked(suffix: str) -> str:
    from PIL import Image

    suffix = "." + suffix.lower().lstrip(".")
    if Image.registered_extensions().get(suffix) not in Image.SAVE:
        raise click.UsageError(f"There is no picture format {suffix!r} to write.")
    return suffix
