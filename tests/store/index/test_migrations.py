"""The shipped migrations make the tables that the program expects."""

from __future__ import annotations

import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from store.index.regime_index import RegimeIndex
from store.index.schema import code_names, metadata, regime_codes

pytestmark = pytest.mark.servers


def test_migrations_go_from_nothing_to_the_newest_and_no_further(server):
    """What was applied is named, oldest first; a second time there is nothing to do."""
    index = RegimeIndex.open(server.database(), migrating=True)
    assert index.migrate() == ["0001 First tables and views"]
    assert index.migrate() == []
    assert index.states() == {}
    index.close()


TELLING = """
import logging, sys
logging.basicConfig(level=logging.INFO)
from store.index.regime_index import RegimeIndex
index = RegimeIndex.open(sys.argv[1], migrating=True)
print(index.migrate(), index.states())
"""


def test_alembic_tells_nothing_of_itself(server):
    """A command that logs at INFO says what it does, not what a library sets up."""
    ran = subprocess.run([sys.executable, "-c", TELLING, server.database()], capture_output=True, text=True)
    assert (ran.stdout, ran.stderr) == ("['0001 First tables and views'] {}\n", "")


def test_migrated_tables_are_those_of_the_program(server):
    """Nothing is left for alembic to change, names and codes are those that the program writes."""
    index = RegimeIndex.open(server.database(), migrating=True)
    index.migrate()
    with index._database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, metadata) == []
        names = [
            row._asdict() for row in connection.execute(select(regime_codes).order_by(regime_codes.c.code))
        ]
    assert names == code_names()
    index.close()
