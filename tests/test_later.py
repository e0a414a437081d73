"""Work in another thread: its result, or its error."""

import threading

import pytest

from hdcodec._later import Later


def test_the_result_is_waited_for() -> None:
    gate = threading.Event()
    later = Later(lambda: gate.wait(60) and "done")
    gate.set()
    assert later.get() == "done" == later.get()


def test_an_error_is_raised_where_the_result_is_wanted() -> None:
    later = Later(lambda: [][0])
    for _ in range(2):
        with pytest.raises(IndexError):
            later.get()


def test_without_a_thread_the_work_is_done_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    done: list[int] = []
    later = Later(lambda: done.append(1) or "done")
    assert done == [1]
    assert later.get() == "done"
