"""Work for a crew, whatever it is made of: each member pulls the next item when it is free."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from hdcodec._errors import HdcError
from hdcodec.batch.rows import Item, Row


@dataclass(frozen=True)
class Death:
    """A member went away in the middle of its item."""

    cause: str


Outcome = Row | HdcError | Death


class Crew(Protocol):
    """Members in numbered slots, each with at most one item in hand."""

    size: int

    def hire(self, slot: int) -> None:
        """Put a new member into an empty slot."""

    def give(self, slot: int, item: Item) -> None:
        """Hand an item to a free member; a death that this uncovers is a later outcome."""

    def outcomes(self) -> Sequence[tuple[int, Outcome]]:
        """Wait until something happens and return what has, by slot; a Death empties the slot."""

    def close(self) -> None:
        """End all members now, whatever they have in hand."""


def schedule(crew: Crew, items: Iterable[Item]) -> Iterator[Row]:
    """Rows in the order in which the crew gets done.

    An item whose member dies goes to a new member, once; then it has failed. Raises the HdcError
    that keeps the members from working, or one that says that they die all the time. The crew is
    closed when this ends.
    """
    todo = _Todo(items)
    in_hand: dict[int, Item] = {}
    try:
        for slot in range(crew.size):
            if (item := todo.take()) is not None:
                crew.hire(slot)
                in_hand[slot] = item
                crew.give(slot, item)
        while in_hand:
            for slot, outcome in crew.outcomes():
                if slot not in in_hand:  # it died with nothing to do
                    continue
                row = todo.judged(in_hand.pop(slot), outcome)
                if row is not None:
                    yield row
                if (item := todo.take()) is not None:
                    if isinstance(outcome, Death):
                        crew.hire(slot)
                    in_hand[slot] = item
                    crew.give(slot, item)
    finally:
        crew.close()


class _Todo:
    """Items that are still to be given out, and the deaths that have come between."""

    PATIENCE = 8

    def __init__(self, items: Iterable[Item]) -> None:
        self.fresh = iter(items)
        self.orphans: deque[Item] = deque()
        self.deaths_in_a_row = 0

    def take(self) -> Item | None:
        return self.orphans.popleft() if self.orphans else next(self.fresh, None)

    def judged(self, item: Item, outcome: Outcome) -> Row | None:
        """The row of an item, unless its member died and another is to try."""
        if isinstance(outcome, HdcError):
            raise outcome
        if isinstance(outcome, Row):
            self.deaths_in_a_row = 0
            return outcome
        self.deaths_in_a_row += 1
        if self.deaths_in_a_row > self.PATIENCE:
            raise HdcError(f"worker processes die one after the other: {outcome.cause}")
        if item.again:
            error = f"two worker processes died on this file: {outcome.cause}"
            return Row(item.index, "failed", item.input, item.output, error=error)
        self.orphans.append(replace(item, again=True))
        return None
