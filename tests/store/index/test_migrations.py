"""The shipped migrations make the tables that the program expects."""

from __future__ import annotations

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
