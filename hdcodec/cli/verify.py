"""hdc verify: whether .hdc files are whole and faithful, without their pixels."""

import json
from typing import Any

import click

from hdcodec._errors import HdcError, WeightsError, describe
from hdcodec.cli import _options as options
from hdcodec.cli._files import printable, read_hdc, say, tell


@click.command()
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=options.FILE)
@options.max_pixels
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file and line.")
@options.quiet
def command(files: tuple[str, ...], max_pixels: int | None, as_json: bool, quiet: bool) -> int:
    """Check every FILE; - is stdin.

    A file is right if its checksum fits, its alpha and its symbols decode, and coding these symbols
    again gives the same file, byte for byte. The exit code is 1 if any is not.
    """
    wrong = 0
    for file in files:
        facts = {"input": file} | _checked(file, options.given(max_pixels=max_pixels))
        wrong += not facts["ok"]
        if as_json:
            say(json.dumps(facts))
        elif not facts["ok"]:
            tell(f"hdc: {printable(file)}: {printable(facts['error'])}")
        elif not quiet:
            say(f"{printable(file)}: ok, symbols {facts['symbols_sha256']}")
    return int(wrong > 0)


def _checked(file: str, limit: dict[str, int]) -> dict[str, Any]:
    from hdcodec import verify

    try:
        return {"ok": True, "symbols_sha256": verify(read_hdc(file), **limit)}
    except WeightsError:
        raise
    except OSError as error:
        fault = error.strerror or describe(error)
    except (HdcError, MemoryError) as error:
        fault = describe(error)
    return {"ok": False, "symbols_sha256": None, "error": fault}
