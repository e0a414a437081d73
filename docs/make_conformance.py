"""Makes the table of docs/conformance.md from runs of the suite.

In each installation, NAME being any name:

    python -m hdcodec.conformance --json --write RUNS/NAME > RUNS/NAME.json

Then, in any of them:

    python docs/make_conformance.py RUNS

All files made in those runs are verified by the Python that makes the table; the exit code is 1 if
one of them does not have the symbols that its maker coded.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

import hdcodec

HEAD = (
    "Python",
    "numpy",
    "backend",
    "device",
    "decoder",
    "threads",
    "settings",
    "symbols",
    "pixels",
    "made",
)


def row(report: dict[str, Any], right_made: int) -> list[str]:
    """The cells of one run."""
    about = report["environment"]
    right = sum(file["ok"] for file in report["files"])
    gaps = "-"
    if report["mean_gap"] is not None:
        gaps = f"{report['mean_gap']:.4f} / {report['worst_gap']}"
    return [
        about["python"],
        about["numpy"],
        backend(about),
        about["device"] or "-",
        about["decoder"] or "-",
        str(about["threads"] or "-"),
        ", ".join(about["settings"]) or "-",
        f"{right} of {len(report['files'])}",
        gaps,
        f"{right_made} of {sum(file['made_sha256'] is not None for file in report['files'])}",
    ]


def backend(about: dict[str, Any]) -> str:
    """What computed the pictures, with its version."""
    found = [f"{name} {about[name]}" for name in ("torch", "onnxruntime") if about.get(name)]
    return found[0] if found else "-"


def count_verified(report: dict[str, Any], folder: Path) -> int:
    """How many files that were made in a run decode to the symbols that their maker coded."""
    made = [file for file in report["files"] if file["made_sha256"]]
    return sum(verified(folder / f"{file['file']}.hdc") == file["made_sha256"] for file in made)


def verified(path: Path) -> str | None:
    """The hash of the symbols in a file, None if it is not right."""
    try:
        return hdcodec.verify(path.read_bytes())
    except hdcodec.HdcError:
        return None


@click.command()
@click.argument("runs", type=click.Path(exists=True, file_okay=False, path_type=Path))
def main(runs: Path) -> None:
    """Print the table of all runs in the folder RUNS, a Markdown row for each."""
    click.echo(f"| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    right = True
    for path in sorted(runs.glob("*.json")):
        report = json.loads(path.read_text())
        count = count_verified(report, path.with_suffix(""))
        right &= report["ok"] and count == sum(bool(x["made_sha256"]) for x in report["files"])
        click.echo(f"| {' | '.join(row(report, count))} |")
    sys.exit(0 if right else 1)


if __name__ == "__main__":
    main()
