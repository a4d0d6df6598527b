"""A database of the index: short transactions with a deadline, and every failure told in one way."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    InvalidRequestError,
    ProgrammingError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from market.errors import IndexUnavailable
from store.index.in_use import InUse

LOCK_S = 10.0  # how long a transaction waits for another one that writes

Watch: TypeAlias = Callable[[Any, float], AbstractContextManager[None]]

# A question of several statements sees one state throughout; in SQLite every transaction does.
_READING: dict[str, dict[str, Any]] = {"postgresql": {"isolation_level": "REPEATABLE READ"}}


def _unwatched(_handle: Any, _seconds: float) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(slots=True)
class Database:
    """One engine; transactions of several threads at once.

    Attributes:
        engine: Its pool and dialect.
        where: What errors call it: a path, or a URL without password.
        name: "sqlite" or "postgresql".
        in_use: Its connections that a call waits for.
        watch: Ends the driver's connection when a block takes longer than so many seconds.
        read_s: How long a reading transaction may take.
        write_s: How long a writing one may take.
    """

    engine: Engine
    where: str
    name: str
    in_use: InUse
    watch: Watch = _unwatched
    read_s: float = 0.0
    write_s: float = 0.0
    _writer: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a transaction that sees one state of the index throughout.

        Raises:
            IndexUnavailable: No answer in time, or a damaged one.
        """
        with self._telling(), self._connected() as connection:
            options = connection.execution_options(**_READING.get(self.name, {}))
            handle = _handle(options)
            with self.in_use.of(handle), self.watch(handle, self.read_s), options.begin():
                yield options

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction that is there as a whole when the block ends, or not at all.

        Raises:
            IndexUnavailable: It is not there.
        """
        with self._telling(), self._turn(), self._connected() as connection:
            options = connection.execution_options(regimed_writes=True)
            handle = _handle(options)
            with self.in_use.of(handle), self.watch(handle, self.write_s), options.begin():
                yield options

    def close(self) -> None:
        self.engine.dispose()

    def _connected(self) -> Connection:
        try:
            return self.engine.connect()
        except InvalidRequestError as error:  # it took connections, and none of them answered
            raise IndexUnavailable(self.where, "it does not answer") from error

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the other writers of this process; a server lets those of other series write at once."""
        if self.name == "postgresql":
            yield
            return
        if not self._writer.acquire(timeout=LOCK_S):
            raise IndexUnavailable(self.where, f"another thread writes it for over {LOCK_S:.0f} s")
        try:
            yield
        finally:
            self._writer.release()

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


def _handle(connection: Connection) -> Any:
    return connection.connection.driver_connection


def _is_outage(error: DBAPIError) -> bool:
    return not isinstance(error, ProgrammingError) or _lacks_tables(error) or _lacks_rights(error)


def _lacks_tables(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) in {"42P01", "42703", "3F000"}


def _lacks_rights(error: DBAPIError) -> bool:
    return getattr(error.orig, "sqlstate", None) == "42501"


def problem_of(error: DBAPIError) -> str:
    """Return what an operator does about a failure of the database, with its first line."""
    said = str(error.orig).strip().split("\n", maxsplit=1)[0] or type(error.orig).__name__
    if _lacks_tables(error) or "no such table" in said:
        return f"its tables are not there ({said}): run `regimed index migrate`"
    if _lacks_rights(error):
        return (
            f"{said}: grant its user SELECT, INSERT, UPDATE, DELETE ON ALL TABLES and USAGE ON ALL SEQUENCES "
            "of the schema; `regimed index migrate` is for who owns the tables or may CREATE the first ones"
        )
    if "disk is full" in said or "No space left" in said:
        return f"{said}: make room; what is missing is filled in later"
    if "malformed" in said or "not a database" in said:
        return f"{said}: restart the daemon or run `regimed index rebuild`, either makes it anew"
    return said
