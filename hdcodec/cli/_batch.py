"""A run of hdc batch: its plan, its rows as they come in, and what is said of it."""

import json
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hdcodec.cli._files import refuse_kind, say, shares_stdout, tell

if TYPE_CHECKING:
    from hdcodec.batch import Crew, Item, Job, Plan, Row, Tally
    from hdcodec.batch.plan import Existing

SOME_FAILED = 3


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


def run_batch(source: Path, job: "Job", suffix: str, run: Run) -> None:
    """Send the files in `source` through `job`, whose outputs end in `suffix`; exits with
    `SOME_FAILED` where one failed."""
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
