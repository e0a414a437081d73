"""hdc batch: folders in, mirrored folders out."""

import json
import os
import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hdcodec.cli import _options as options
from hdcodec.cli._files import STREAM, refuse_kind, say, shares_stdout, tell

if TYPE_CHECKING:
    from hdcodec.batch import Crew, Item, Job, Plan, Row, Tally
    from hdcodec.batch.plan import Existing

SOME_FAILED = 3
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


@dataclass(frozen=True)
class Run:
    """The options that both directions share, as they were given."""

    device: str
    backend: str
    workers: int | None
    patterns: tuple[str, ...]
    skip_existing: bool
    force: bool
    shard: tuple[int, int]
    engine: str
    ray_address: str | None
    report: Path | None
    fail_fast: bool
    as_json: bool
    quiet: bool

    def __post_init__(self) -> None:
        if self.skip_existing and self.force:
            raise click.UsageError("--skip-existing and --force exclude each other.")
        if self.ray_address and self.engine != "ray":
            raise click.UsageError("--ray-address is for --engine ray.")

    @property
    def existing(self) -> "Existing":
        """What becomes of a file whose output is there."""
        if self.skip_existing:
            return "skip"
        return "replace" if self.force else "fail"


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
@options.family_options("Encoding")
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
    chosen = options.of_family(model, "Encoding", family)
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
        memory=options.family_kind(model, "Encoding").of(chosen).memory,
        backend=run.backend,
    )
    _run(source, job, HDC, run)


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
@options.family_options("Decoding")
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
    _run(source, job, _checked(suffix), run)


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


def _run(source: Path, job: "Job", suffix: str, run: Run) -> None:
    from hdcodec.batch import Tally, make_plan

    if run.report:
        refuse_kind(str(run.report), ".jsonl")
    plan = make_plan(
        source,
        Path(job.target),
        job.direction,
        suffix,
        patterns=run.patterns,
        shard=run.shard,
        existing=run.existing,
    )
    tally = Tally(len(plan))
    try:
        _work(plan, job, run, tally)
    finally:
        _summarise(tally, run)
    if tally.failed:
        click.get_current_context().exit(SOME_FAILED)


def _work(plan: "Plan", job: "Job", run: Run, tally: "Tally") -> None:
    """Let rows come in, and note each wherever it is wanted."""
    from hdcodec.batch import ReportFile
    from hdcodec.cli._progress import BatchBar

    shown = BatchBar(plan, run.quiet)
    report = ReportFile(run.report) if run.report else nullcontext()
    with report as written, shown, closing(_rows(plan, job, run, tally)) as rows:
        for row in rows:
            tally.add(row)
            if written:
                written.add(row)
            shown.show(row, tally)


def _rows(plan: "Plan", job: "Job", run: Run, tally: "Tally") -> "Generator[Row, None, None]":
    from hdcodec.batch import schedule

    yield from plan.settled
    items = _until_failure(plan.items, tally) if run.fail_fast else plan.items
    if plan.items:
        yield from schedule(_crew(job, run, len(plan.items)), items)


def _until_failure(items: "Iterable[Item]", tally: "Tally") -> "Iterator[Item]":
    for item in items:
        if tally.failed:
            return
        yield item


def _crew(job: "Job", run: Run, files: int) -> "Crew":
    if run.engine == "ray":
        from hdcodec.batch.cluster import RayCrew

        return RayCrew(job, run.device, run.workers, run.ray_address, files)
    from hdcodec.batch import LocalCrew, layout

    return LocalCrew(job, layout(run.device, run.workers, files, job.memory, run.backend))


def _summarise(tally: "Tally", run: Run) -> None:
    facts = tally.facts()
    show = tell if run.report and shares_stdout(str(run.report)) else say
    if run.as_json:
        show(json.dumps(facts))
    elif not run.quiet:
        show(_line(facts))


def _line(facts: dict[str, Any]) -> str:
    counts = [f"{facts[name]} {name}" for name in ("done", "skipped", "failed")]
    if facts["unfinished"]:
        counts.append(f"{facts['unfinished']} unfinished")
    if facts["skipped_because"]:
        reasons = [f"{count} {reason}" for reason, count in facts["skipped_because"].items()]
        counts[1] += f" ({', '.join(reasons)})"
    bpp = "" if facts["mean_bpp"] is None else f", mean {facts['mean_bpp']:.4f} bpp"
    return (
        f"{', '.join(counts)}; {facts['input_bytes']:,} bytes in, {facts['bytes']:,} out{bpp}; "
        f"{facts['seconds']:.1f} s, {facts['images_per_second']:.2f} images/s"
    )
