"""What the engine remembers between hours: folds, to be extended instead of folded again."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import Generic, Protocol, Self, TypeVar

from market.candles import Bars
from regime.config import RegimeConfig
from regime.folds import shared_rows

Name = tuple[str | int, ...]


class Fold(Protocol):
    """What can be cut back to earlier bars and extended by later ones."""

    @property
    def bars(self) -> Bars: ...

    def rows(self, count: int) -> Self: ...

    def extended(self, bars: Bars, config: RegimeConfig) -> Self: ...


T = TypeVar("T")
F = TypeVar("F", bound=Fold)


class Memory(Generic[T]):
    """A bounded memory, least recently used out first; safe to share between threads.

    Args:
        capacity: Values kept.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._values: OrderedDict[Name, T] = OrderedDict()
        self._lock = Lock()

    def recall(self, name: Name) -> T | None:
        """Return the value kept under a name."""
        with self._lock:
            if name in self._values:
                self._values.move_to_end(name)
            return self._values.get(name)

    def keep(self, name: Name, value: T) -> None:
        """Keep a value, instead of an earlier one of this name."""
        with self._lock:
            self._values[name] = value
            self._values.move_to_end(name)
            while len(self._values) > self._capacity:
                self._values.popitem(last=False)


def folded(memory: Memory[F], name: Name, empty: F, bars: Bars, config: RegimeConfig) -> F:
    """Return a fold whose first rows are those of `bars`; it may go on beyond them.

    What is remembered under the name is used as far as its bars are the same as these, so that remembering
    changes the time an answer takes and never the answer.
    """
    fold = memory.recall(name)
    fold = empty if fold is None else fold
    kept = shared_rows(fold.bars, bars)
    if kept < len(bars):
        fold = fold.rows(kept).extended(bars.rows(kept, len(bars)), config)
        memory.keep(name, fold)
    return fold
