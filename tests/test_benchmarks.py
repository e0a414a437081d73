"""Scripts that print figures of the documents, on made-up points whose answer is known."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[1] / "benchmarks" / "beside.py"


def points(path: Path, codec: str, name: str, rate: float, lift: float) -> Path:
    rows = [
        {"codec": codec, "image": name.format(k), "bpp": rate * 2**step, "psnr": 20 + step + lift}
        for k in (3, 14)
        for step in range(6)
    ]
    path.write_text("".join(f"{json.dumps(row | {'dists': None})}\n" for row in rows))
    return path


def beside(*argv: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(BESIDE), *argv], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[2:]


@pytest.mark.parametrize(
    ("rate", "lift", "cells"),
    [
        (0.005, 0.0, "-50.0 (2) | 1.00 (2) | 1.00 (2)"),
        (0.01, 0.5, "-29.3 (2) | 0.50 (2) | 0.50 (2)"),
        (0.04, 0.0, "300.0 (2) | - | -2.00 (2)"),
    ],
)
def test_rate_difference_and_gaps(tmp_path: Path, rate: float, lift: float, cells: str) -> None:
    ours = points(tmp_path / "points.jsonl", "ours", "kodim{:02}.png", rate, lift)
    theirs = points(tmp_path / "curves.jsonl", "theirs", "{:02}", 0.01, 0.0)
    lines = beside(str(ours), str(theirs), "--anchor", "theirs", "--bpp", "0.02,0.1")
    assert lines == [f"| ours | theirs | psnr | {cells} |"]


def test_gaps_at_the_rates_of_single_points(tmp_path: Path) -> None:
    theirs = points(tmp_path / "curves.jsonl", "theirs", "{:02}", 0.01, 0.0)
    rows = [
        {"codec": "ours", "image": f"{name}.png", "bpp": 0.01 * 2**step, "psnr": 20 + step + lift}
        for name, step, lift in (("03", 1.5, 0.5), ("14", 3.0, 1.0), ("03", 9.0, 5.0))
    ]
    ours = tmp_path / "points.jsonl"
    ours.write_text("".join(f"{json.dumps(row)}\n" for row in rows[:2]))
    argv = (str(ours), str(theirs), "--anchor", "theirs", "--bpp")
    assert beside(*argv, "own,0.02") == ["| ours | theirs | psnr | - | 0.75 (2) | - |"]
    ours.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert beside(*argv, "own")[0].endswith("| 0.75 (2) |")
    assert beside(*argv, "own,9", "--spread")[0].endswith("| 0.50 to 1.00 (2) | - |")


def test_gaps_in_percent(tmp_path: Path) -> None:
    ours = points(tmp_path / "points.jsonl", "ours", "kodim{:02}.png", 0.01, 1.1)
    theirs = points(tmp_path / "curves.jsonl", "theirs", "{:02}", 0.01, 0.0)
    argv = (str(ours), str(theirs), "--anchor", "theirs", "--percent", "--bpp", "0.04,9")
    assert beside(*argv)[0].endswith("| 5.0 (2) | - |")


def test_only_codecs_that_were_asked_for(tmp_path: Path) -> None:
    ours = points(tmp_path / "points.jsonl", "ours", "kodim{:02}.png", 0.01, 0.0)
    assert beside(str(ours), str(ours), "--anchor", "theirs") == []
    assert beside(str(ours), str(ours), "--anchor", "ours", "--codec", "another") == []
