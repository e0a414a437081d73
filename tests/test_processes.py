"""One codec in many threads, and in processes that are forked after it was used."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from PIL import Image

import hdcodec
from hdcodec import Codec, codec
from hdcodec.entropy import threads
from hdcodec.models.hdc.family import Hdc

THREADS = 8


@contextmanager
def frequent_switches() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def test_many_threads_share_one_codec(small_photos: dict[str, Image.Image]) -> None:
    shared = Codec(device="cpu")
    jobs = [(name, quality) for name in ("cat", "coffee") for quality in (10, 95)]

    def work(job: tuple[str, int]) -> tuple[bytes, bytes]:
        data = shared.compress(small_photos[job[0]], quality=job[1])
        return data, shared.decompress(data).tobytes()

    alone = [work(job) for job in jobs]
    before = torch.get_default_dtype(), torch.get_num_threads()
    with frequent_switches(), ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(work, jobs)) == alone
    assert (torch.get_default_dtype(), torch.get_num_threads()) == before


def test_the_first_use_from_many_threads_loads_once(
    small_cat: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = []
    load: Callable[..., Any] = Hdc.load

    def counted(*arguments: Any) -> Any:
        loads.append(threading.get_ident())
        return load(*arguments)

    monkeypatch.setattr(Hdc, "load", counted)
    codec.forget()
    start = threading.Barrier(THREADS)

    def first(_: int) -> bytes:
        start.wait()
        return hdcodec.compress(small_cat, device="cpu", quality=20)

    with frequent_switches(), ThreadPoolExecutor(THREADS) as pool:
        found = set(pool.map(first, range(THREADS)))
    assert len(found) == 1
    assert len(loads) == 1


def test_threads_restore_what_they_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of BLAS threads, which is the process's: one while any thread is inside."""
    set_to = [4]

    class Library:
        def limit(self, limits: int) -> "Library":
            self.before, set_to[0] = set_to[0], limits
            return self

        def restore_original_limits(self) -> None:
            set_to[0] = self.before

    monkeypatch.setattr(threads, "_blas", lambda: Library())
    first, second = threads.one_blas_thread(), threads.one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert set_to == [1]
    second.__exit__(None, None, None)
    assert set_to == [4]


FORKED = """
import multiprocessing, os, sys
import hdcodec
from PIL import Image
image = Image.effect_mandelbrot((90, 70), (-2, -1.2, 0.6, 1.2), 50).convert("RGB")
data = hdcodec.compress(image, device="cpu", quality=30)
hdcodec.decompress(data, device="cpu")
def work(quality):
    made = hdcodec.compress(image, device="cpu", quality=quality)
    return made, hdcodec.decompress(made, device="cpu").size, hdcodec.verify(made)
with multiprocessing.get_context("fork").Pool(2) as pool:
    made = pool.map(work, [30, 30])
assert all(m[0] == data and m[1] == (90, 70) for m in made), made
print("same")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no fork on Windows")
def test_processes_that_are_forked_after_use() -> None:
    """Workers of a data loader, web servers that load first and then fork."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.returncode) == ("same\n", 0), done.stderr
