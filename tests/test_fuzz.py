"""A short run of tests/fuzz over every target, and proof that a run sees each kind of fault."""

import os
import signal

import pytest
from fuzz.report import summary
from fuzz.run import fuzz

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="not for Windows")


@pytest.mark.parametrize(
    ("target", "runs", "least"),
    [("parser", 5000, 8), ("chunks", 400, 6), ("decoder", 40, 3), ("pictures", 1500, 3)],
)
def test_damage_is_refused_or_harmless(target: str, runs: int, least: int) -> None:
    """least: outcomes of different kinds, without which the damage would not have gone deep."""
    result = fuzz(target, runs, seed=20_251)
    assert result.clean, summary(result)
    assert sum(result.outcomes.values()) == result.runs == runs
    assert result.outcomes["accepted"] > runs / 10
    assert len(result.outcomes) >= least


@pytest.mark.parametrize("trap", ["fault", "greed"])
def test_a_fault_in_one_file_is_seen(trap: str) -> None:
    if trap == "greed" and not os.path.exists("/proc/self/status"):
        pytest.skip("memory is bounded on Linux alone")
    result = fuzz(trap, 2000, seed=1)
    assert not result.clean
    kind = {"fault": "KeyError", "greed": "MemoryError"}[trap]
    assert all(kind in fault["error"] for fault in result.faults)
    assert 0 < result.outcomes["accepted"] == result.runs - len(result.faults)


TRAPS = [
    ("hang", "Timeout"),
    ("busy", f"exit code -{signal.SIGPROF:d}"),
    ("crash", f"exit code -{signal.SIGSEGV:d}"),
]


@pytest.mark.parametrize(("trap", "sign"), TRAPS)
def test_the_end_of_the_process_is_seen(trap: str, sign: str) -> None:
    result = fuzz(trap, 2000, seed=1)
    assert not result.clean
    assert sign in (result.died or "")
