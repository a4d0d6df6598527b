"""The embedded engine: a file that is made on first use, and made anew when it cannot be trusted."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, insert, text
from sqlalchemy.exc import DisconnectionError

from market.errors import IndexUnavailable
from store.index.database import LOCK_S, Database
from store.index.in_use import InUse
from store.index.schema import SCHEMA_VERSION, VIEWS, code_names, metadata, regime_codes

_TUNED = (
    "PRAGMA foreign_keys = ON",
    "PRAGMA synchronous = NORMAL",  # a crash of the machine may lose the last hours: they are filled again
    "PRAGMA cache_size = -16000",
    "PRAGMA journal_size_limit = 67108864",
)


def open_file(url: URL, *, create: bool, migrating: bool) -> Database:
    """Return the file's database.

    Args:
        url: `sqlite:///ABSOLUTE/PATH`.
        create: Make the file where there is none, move one that cannot be used aside and begin a new one.
        migrating: Leave an empty file without tables.

    Raises:
        IndexUnavailable: No such file, or a damaged one, and not to be made; no rights, disk full.
    """
    path = Path(url.database or "")
    if not path.is_absolute():
        raise IndexUnavailable(str(url), "expected sqlite:/// and an absolute path")
    try:
        if create:
            _make_file(path)
            problem = _fault(path, thorough=True)
            if problem is not None:
                _move_aside(path)
                _make_file(path)
        else:
            problem = _fault(path, thorough=False)
            if problem is not None:
                raise IndexUnavailable(str(path), problem)
    except (OSError, sqlite3.Error) as error:
        raise IndexUnavailable(str(path), f"{error}: check the folder, its rights and the disk") from error
    database = Database(_engine(path), str(path), "sqlite", InUse(sqlite3.Connection.interrupt))
    if create and not migrating:
        try:
            make_tables(database)
        except BaseException:
            database.close()
            raise
    return database


def make_tables(database: Database) -> list[str]:
    """Make the tables of a new file; return what was done, nothing where they are there."""
    with database.writing() as connection:
        if _version(connection) == SCHEMA_VERSION:
            return []
        metadata.create_all(connection)
        connection.execute(insert(regime_codes), code_names())
        for statement in VIEWS:
            connection.execute(text(statement))
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
        return [f"schema {SCHEMA_VERSION}"]


def file_bytes(path: Path) -> int:
    """Return the bytes of the file and of what stands beside it."""
    return sum(file.stat().st_size for file in _files(path) if file.exists())


def _version(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite", database=str(path)), pool_timeout=LOCK_S, connect_args={"timeout": LOCK_S}
    )

    @event.listens_for(engine, "do_connect")
    def found(_dialect: Any, record: Any, arguments: Any, options: Any) -> None:
        """Open what stands at the path and never make it; keep which file that is."""
        record.info["file"] = _identity(path)
        if record.info["file"] is None:
            raise IndexUnavailable(
                str(path),
                "the file is gone: restart the daemon or run `regimed index rebuild`, either makes it anew",
            )
        arguments[0], options["uri"] = f"{path.as_uri()}?mode=rw", True

    @event.listens_for(engine, "checkout")
    def still_there(_handle: Any, record: Any, _proxy: Any) -> None:
        """Leave a file that another process moved aside: who writes into it writes for nobody."""
        if record.info["file"] != _identity(path):
            raise DisconnectionError  # SQLAlchemy connects anew

    @event.listens_for(engine, "connect")
    def tuned(handle: Any, _record: Any) -> None:
        handle.isolation_level = None  # transactions begin where we say, not where sqlite3 guesses
        version = handle.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, SCHEMA_VERSION):  # 0: it has no tables yet
            raise IndexUnavailable(str(path), _other_schema(version))
        for pragma in _TUNED:
            handle.execute(pragma)

    @event.listens_for(engine, "begin")
    def begun(connection: Connection) -> None:
        writes = connection.get_execution_options().get("regimed_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _other_schema(version: int) -> str:
    return f"schema {version}, expected {SCHEMA_VERSION}: run `regimed index rebuild`"


def _files(path: Path) -> list[Path]:
    return [path, *(path.with_name(path.name + suffix) for suffix in ("-wal", "-shm"))]


def _make_file(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _fault(path: Path, *, thorough: bool) -> str | None:
    """Return why a file cannot be used, None when it can or is empty and to be filled."""
    if not path.is_file():
        return "there is no such file: the daemon makes it, or `regimed index rebuild`"
    with closing(sqlite3.connect(path, timeout=LOCK_S, isolation_level=None)) as handle:
        try:
            version = handle.execute("PRAGMA user_version").fetchone()[0]
            if not handle.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                if not thorough:
                    return "it is empty: run `regimed index rebuild`"
                handle.execute("PRAGMA journal_mode = WAL")
                return None
            if version != SCHEMA_VERSION:
                return _other_schema(version)
            found = handle.execute("PRAGMA quick_check(1)").fetchone()[0] if thorough else "ok"
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:
            found = f"{error}: run `regimed index rebuild`"
    return None if found == "ok" else str(found)


def _move_aside(path: Path) -> None:
    number = 1
    while path.with_name(f"{path.name}.broken-{number}").exists():
        number += 1
    for file in _files(path):
        if file.exists():
            suffix = file.name.removeprefix(path.name)
            file.rename(path.with_name(f"{path.name}.broken-{number}{suffix}"))
