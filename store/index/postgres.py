"""The server engine: PostgreSQL through psycopg, its tables made by migrations that somebody asks for."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select, text
from sqlalchemy.exc import DisconnectionError

from market.errors import IndexUnavailable
from store.index.database import LOCK_S, Database
from store.index.in_use import InUse
from store.index.schema import metadata

logging.getLogger("alembic").setLevel(logging.WARNING)  # it tells of its own plugins while it is imported

try:
    import psycopg
    from alembic import command
    from alembic.config import Config
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory
except ImportError as error:  # named to the operator by `regime_index.open`
    raise IndexUnavailable(
        "on PostgreSQL",
        f"{error.name} is not installed: install the extra, `pip install 'regimed[postgres]'`",
    ) from error

CONNECT_S = 5
STATEMENT_S = 30
READ_S = 35.0  # a statement and what it takes to fetch its answer
WRITE_S = 300.0  # many statements
PING_S = 5.0


def open_server(url: URL, *, migrating: bool) -> Database:
    """Return the server's database.

    Args:
        url: `postgresql://user:password@host:port/database`.
        migrating: Do not look at its tables.

    Raises:
        IndexUnavailable: No answer, or tables of another revision.
    """
    where = url.set(drivername="postgresql", query={}).render_as_string(hide_password=True)
    in_use = InUse(_cut)
    database = Database(
        _engine(url, where, in_use),
        where,
        "postgresql",
        in_use,
        watch=cut_after,
        read_s=READ_S,
        write_s=WRITE_S,
    )
    try:
        with database.reading() as connection:
            stands = _revision(connection)
        if not migrating:
            _refuse_another(where, stands)
    except BaseException:
        database.close()
        raise
    return database


def migrate(database: Database) -> list[str]:
    """Bring the tables to the newest revision; return what was applied, oldest first."""
    config = _config()
    scripts = ScriptDirectory.from_config(config)
    with database.writing() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('regimed migrations', 0))"))
        stands = _revision(connection)
        if stands is not None and stands not in _revisions(scripts):
            _refuse_another(database.where, stands)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    missing = scripts.iterate_revisions("head", stands or "base")
    return [
        f"{script.revision} {script.doc.rstrip('.')}"
        for script in reversed(list(missing))
        if script.revision != stands
    ]


def server_bytes(database: Database) -> int:
    """Return the bytes of the tables with their indexes."""
    with database.reading() as connection:
        sizes = select(*(func.pg_total_relation_size(name) for name in metadata.tables))
        return sum(connection.execute(sizes).one())


@contextmanager
def cut_after(handle: Any, seconds: float) -> Iterator[None]:
    """End the connection's socket when the block takes longer: a server that froze answers nothing, ever."""
    lock, over = threading.Lock(), False

    def cut() -> None:
        with lock:
            if not over:
                _cut(handle)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        with lock:
            over = True
        timer.cancel()


def _cut(handle: Any) -> None:
    """End the socket of a connection: whoever waits for an answer is told that the server closed it."""
    closed_already = suppress(psycopg.Error, OSError)
    with closed_already, socket.socket(fileno=os.dup(handle.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)


def _engine(url: URL, where: str, in_use: InUse) -> Engine:
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_timeout=LOCK_S,
        connect_args={"connect_timeout": CONNECT_S, "application_name": "regimed"},
    )

    @event.listens_for(engine, "connect")
    def limited(handle: Any, _record: Any) -> None:
        handle.execute(f"SET statement_timeout = '{STATEMENT_S}s'")
        handle.execute(f"SET lock_timeout = '{int(LOCK_S)}s'")
        handle.execute("SET timezone = 'UTC'")
        handle.execute("SET max_parallel_workers_per_gather = 0")  # to start one takes longer than an answer
        handle.execute("SET jit = off")  # and so does compiling it
        handle.commit()

    @event.listens_for(engine, "checkout")
    def answers(handle: Any, _record: Any, _proxy: Any) -> None:
        """Ask whether the server is there; without an answer SQLAlchemy connects anew."""
        with in_use.of(handle) as use:
            try:
                with cut_after(handle, PING_S):
                    handle.autocommit = True
                    handle.execute("SELECT 1")
                    handle.autocommit = False
            except psycopg.Error as error:
                if use.cut:
                    raise IndexUnavailable(where, "it was not waited for any longer") from error
                raise DisconnectionError from error

    return engine


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "store.index:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _revisions(scripts: ScriptDirectory) -> set[str]:
    return {script.revision for script in scripts.walk_revisions()}


def _refuse_another(where: str, stands: str | None) -> None:
    scripts = ScriptDirectory.from_config(_config())
    head = scripts.get_current_head()
    if stands == head:
        return
    if stands is None or stands in _revisions(scripts):
        found = "no tables" if stands is None else f"tables of revision {stands}"
        raise IndexUnavailable(where, f"{found}, expected {head}: run `regimed index migrate`")
    raise IndexUnavailable(
        where, f"tables of revision {stands}, which is newer than {head}: install the regimed that made them"
    )
