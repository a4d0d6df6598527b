"""A database of the index: short transactions with a deadline, and every failure told in one way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from market.errors import IndexUnavailable

LOCK_S = 10.0  # how long a transaction waits for another one that writes


@dataclass(slots=True)
class Database:
    """One engine; transactions of several threads at once.

    Attributes:
        engine: Its pool and dialect.
        where: What errors call it: a path, or a URL without password.
        name: "sqlite" or "postgresql".
    """

    engine: Engine
    where: str
    name: str
    _writer: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the index throughout.

        Raises:
            IndexUnavailable: No answer in time, or a damaged one.
        """
        with self._telling(), self.engine.connect() as connection:
            if self.name == "postgresql":
                connection = connection.execution_options(isolation_level="REPEATABLE READ")  # noqa: PLW2901
            with connection.begin():
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that is there as a whole when the block ends, or not at all.

        Raises:
            IndexUnavailable: It is not there.
        """
        with self._telling():
            if not self._writer.acquire(timeout=LOCK_S):
                raise IndexUnavailable(self.where, f"another thread writes it for over {LOCK_S:.0f} s")
            try:
                with self.engine.connect() as connection:
                    options = connection.execution_options(regimed_writes=True)
                    with options.begin():
                        yield options
            finally:
                self._writer.release()

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except PoolTimeout as error:
            raise IndexUnavailable(self.where, "too many questions at once; try again") from error
        except DBAPIError as error:
            if isinstance(error, DataError | IntegrityError) or not _is_outage(error):
                raise
            raise IndexUnavailable(self.where, problem_of(error)) from error
        except OSError as error:
            raise IndexUnavailable(self.where, str(error)) from error


def _is_outage(error: DBAPIError) -> bool:
    return not isinstance(error, ProgrammingError) or _lacks_tables(error)


def _lacks_tables(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in {"42P01", "42703", "3F000"}


def problem_of(error: DBAPIError) -> str:
    """Return what an operator does about a failure of the database, with its first line."""
    said = str(error.orig).strip().split("\n", maxsplit=1)[0] or type(error.orig).__name__
    if _lacks_tables(error) or "no such table" in said:
        return f"its tables are not there ({said}): run `regimed index migrate`"
    if "disk is full" in said or "No space left" in said:
        return f"{said}: make room; what is missing is filled in later"
    if "malformed" in said or "not a database" in said:
        return f"{said}: restart the daemon or run `regimed index rebuild`, either makes it anew"
    return said
