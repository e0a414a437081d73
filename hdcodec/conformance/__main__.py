"""`python -m hdcodec.conformance`: does this installation decode what every other one decodes?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hdcodec._errors import HdcError, describe
from hdcodec.cli import _options as options
from hdcodec.models import DEFAULT, identify
from hdcodec.models.devices import ONNX, TORCH, choose_backend

from . import environment

if TYPE_CHECKING:
    from .suite import CodecOf


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--symbols", is_flag=True, help="Check the symbols alone; needs no torch.")
@options.device
@options.backend
@click.option("--threads", type=click.IntRange(1), metavar="N", help="Use so many threads.")
@click.option(
    "--with",
    "settings",
    multiple=True,
    type=click.Choice(list(environment.SETTINGS)),
    help="Change a setting of torch that must not change symbols; may be repeated.",
)
@click.option(
    "--write",
    "out",
    type=click.Path(file_okay=False, path_type=Path),
    help="Also encode the decoded pictures again, into this folder.",
)
@options.as_json
@options.quiet
def command(
    names: tuple[str, ...],
    symbols: bool,
    device: str,
    backend: str,
    threads: int | None,
    settings: tuple[str, ...],
    out: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Decode the files that come with the package, or those named, and compare.

    Symbols must be exactly the expected ones, pixels lie within a tolerance. The exit code is 1 if
    anything differs.
    """
    if symbols and (settings or out):
        raise click.UsageError("--symbols excludes --with and --write.")
    if settings and backend == ONNX:
        raise click.UsageError("--with is for the backend torch.")
    if threads is not None:
        environment.limit_threads(threads)
    try:
        codec_of = (
            None if symbols else _codecs(device, TORCH if settings else backend, threads, settings)
        )
        about = _about(codec_of, threads, settings)
    except HdcError as error:
        raise click.ClickException(describe(error)) from error

    from .report import lines, run

    try:
        report = {"environment": about} | run(names, codec_of, out)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    if as_json:
        click.echo(json.dumps(report))
    elif not (quiet and report["ok"]):
        click.echo("\n".join(lines(report)))
    click.get_current_context().exit(0 if report["ok"] else 1)


def _codecs(device: str, backend: str, threads: int | None, settings: tuple[str, ...]) -> CodecOf:
    """A codec for each model id, loaded at first use."""
    if choose_backend(backend, device) == TORCH:
        environment.apply(settings, threads)

    from hdcodec.codec import shared_codec

    return lambda model: shared_codec(model, device, backend)


def _about(
    codec_of: CodecOf | None, threads: int | None, settings: tuple[str, ...]
) -> dict[str, Any]:
    if codec_of is None:
        return environment.describe_symbols(threads)
    codec = codec_of(identify(DEFAULT))
    return environment.describe_pixels(
        codec.backend, codec.device, codec.networks.precision, settings
    )


if __name__ == "__main__":
    command(prog_name="python -m hdcodec.conformance")
