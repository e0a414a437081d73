"""A run of the suite, as facts and as text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import suite
from .environment import BACKENDS, PACKAGES


def run(
    names: Sequence[str], codec_of: suite.CodecOf | None, out: Path | None = None
) -> dict[str, Any]:
    """Check files (all if none is named; without `codec_of` their symbols alone).

    Returns `ok` and what was found of each; raises ValueError for a name that is not known.
    """
    known = suite.names()
    if not set(names) <= set(known):
        raise ValueError(f"no file is named {sorted(set(names) - set(known))[0]!r}")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    weights_error = suite.check_weights()
    results = [suite.check(name, codec_of, out) for name in names or known]
    return {
        "ok": weights_error is None and all(result.error is None for result in results),
        "weights_error": weights_error,
        "mean_tolerance": suite.MEAN_TOLERANCE,
        "worst_tolerance": suite.WORST_TOLERANCE,
        "mean_gap": max((x.mean_gap for x in results if x.mean_gap is not None), default=None),
        "worst_gap": max((x.worst_gap for x in results if x.worst_gap is not None), default=None),
        "files": [result.to_dict() for result in results],
    }


def lines(report: dict[str, Any]) -> list[str]:
    """The report for people: where, each file, and what it comes to."""
    return [
        *_where(report["environment"]),
        *map(_line, report["files"]),
        *([report["weights_error"]] if report["weights_error"] else []),
        _sum(report),
    ]


def _where(about: dict[str, Any]) -> list[str]:
    versions = ("hdcodec", "python", *PACKAGES, *BACKENDS.values())
    known = [f"{name} {about[name]}" for name in versions if about[name]]
    places = [about["platform"], about["device"], about["decoder"], *about["settings"]]
    if about["threads"]:
        places.append(f"{about['threads']} thread{'s' * (about['threads'] > 1)}")
    return [", ".join(known), ", ".join(place for place in places if place)]


def _line(file: dict[str, Any]) -> str:
    start = f"{'ok' if file['ok'] else 'WRONG':<6}{file['file']:<20}"
    if file["error"]:
        return start + str(file["error"])
    if file["mean_gap"] is None:
        return start + str(file["symbols_sha256"])[:16]
    return (
        f"{start}{file['symbols_sha256'][:16]}"
        f"  pixels off by {file['mean_gap']:.3f}, at worst {file['worst_gap']}"
    )


def _sum(report: dict[str, Any]) -> str:
    count = len(report["files"])
    if not report["ok"]:
        wrong = sum(not file["ok"] for file in report["files"])
        return f"{wrong} of {count} files are not as expected"
    if report["mean_gap"] is None:
        return f"{count} files: all symbols are exact"
    return (
        f"{count} files: all symbols are exact; pixels are off by {report['mean_gap']:.3f} in the "
        f"mean (at most {report['mean_tolerance']} is allowed) and {report['worst_gap']} at worst "
        f"({report['worst_tolerance']}), of 255, at a quarter of the size"
    )
