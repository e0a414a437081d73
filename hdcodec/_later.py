"""Work that another thread does, beside this one."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """What `work` returns, which a thread begins with at once; where no thread can be had it is
    done here and now. A process that ends before does not wait for it."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # the system has no more threads
            self._run()

    def get(self) -> T:
        """The result, waited for; raises what the work raised."""
        if self._thread.ident is not None:
            self._thread.join()
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        try:
            self._result = self._work()
        except BaseException as error:  # of any kind: it belongs to who asks for the result
            self._error = error
