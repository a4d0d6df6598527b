"""Many rows at once, by the quickest way of each engine."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

BATCH = 50_000  # rows in memory at a time


def insert(connection: Connection, table: Table, batches: Iterable[Sequence[tuple[Any, ...]]]) -> None:
    """Insert rows in the order of the table's columns."""
    names = ", ".join(column.name for column in table.columns)
    if connection.dialect.name == "sqlite":
        statement = f"INSERT INTO {table.name} ({names}) VALUES ({', '.join('?' * len(table.columns))})"  # noqa: S608
        for rows in batches:
            connection.exec_driver_sql(statement, rows if len(rows) > 1 else rows[0])
        return
    statement, driver = f"COPY {table.name} ({names}) FROM STDIN", connection.dialect.loaded_dbapi
    cursor = connection.connection.cursor()
    try:
        for rows in batches:
            with cursor.copy(statement) as copy:
                for row in rows:
                    copy.write_row(row)
    except driver.Error as error:  # past SQLAlchemy, which would have named it like this
        raise DBAPIError.instance(statement, None, error, driver.Error, dialect=connection.dialect) from error
    finally:
        cursor.close()
