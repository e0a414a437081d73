"""hdc web: a page that opens .hdc files, for any web server."""

from pathlib import Path

import click

from hdcodec.cli import _options as options
from hdcodec.cli._files import printable, say


@click.command()
@click.argument("folder", type=options.Named(file_okay=False, path_type=Path))
@click.option(
    "--runtime",
    type=click.Path(exists=True, path_type=Path),
    metavar="PLACE",
    help="The npm package onnxruntime-web, as `npm pack onnxruntime-web` fetches it or unpacked; "
    "unless given, what HDC_ORT_WEB names or what lies in the current folder.",
)
@options.force
@options.as_json
@options.quiet
def command(folder: Path, runtime: Path | None, force: bool, as_json: bool, quiet: bool) -> None:
    """Write a page that opens .hdc files in a browser.

    FOLDER becomes a site of static files for any web server. It decodes in the browser, sends
    nothing anywhere, and works without a network after its first picture.
    """
    import json

    from hdcodec._site import write_site

    made = write_site(folder, runtime, force=force)
    if as_json:
        told = {"output": str(made.folder), "files": made.files, "bytes": made.bytes}
        say(json.dumps(told | {"version": made.version, "runtime": str(made.runtime)}))
    elif not quiet:
        place = printable(str(made.folder))
        say(
            f"{place}: {made.files} files, {made.bytes / 1e6:.1f} MB; "
            f"to look at it: python -m http.server --directory {place}"
        )
