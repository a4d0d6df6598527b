"""What a PostgreSQL server refuses in the middle of a write is told like every outage."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from sqlalchemy import event, make_url

from market.errors import IndexUnavailable
from store.index.regime_index import RegimeIndex
from tests.postgresql import Server
from tests.store.index.conftest import migrated
from tests.store.index.samples import H1, KEY, at, fill

pytestmark = pytest.mark.servers
NO_ROOM = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON candle_rows FOR EACH ROW EXECUTE FUNCTION no_room();
"""


@pytest.mark.parametrize("limit", ["lock", "statement"])
@pytest.mark.parametrize("table", ["candle_rows", "regime_rows", "series"])
def test_a_table_that_somebody_locks_is_told(server, limit, table):
    """COPY tells of a lock that is not let go like every other statement; then the write works."""
    url = server.database()
    with migrated(url) as index:
        fill(index, 0, 20)

        @event.listens_for(index._database.engine, "connect")
        def hurried(handle, _record):
            handle.execute(f"SET {limit}_timeout = '100ms'")
            handle.commit()

        index._database.engine.dispose()
        with psycopg.connect(url) as other:
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(IndexUnavailable, match=f"due to {limit} timeout"):
                fill(index, 20, 30)
        assert index.state(KEY, H1).filled_to_ts == at(20)
        assert fill(index, 20, 30).filled_to_ts == at(30)
        assert index.check() == []


def test_a_server_without_room_is_told(server):
    """Nothing of the write is there; the operator makes room, and the next one succeeds."""
    url = server.database()
    with migrated(url) as index, psycopg.connect(url, autocommit=True) as other:
        fill(index, 0, 20)
        other.execute(NO_ROOM)
        with pytest.raises(IndexUnavailable, match="No space left on device: make room"):
            fill(index, 20, 30)
        other.execute("DROP TRIGGER no_room ON candle_rows")
        assert fill(index, 20, 30).filled_to_ts == at(30)
        assert index.check() == []


@pytest.fixture
def owned(server: Server) -> Iterator[tuple[psycopg.Connection, str]]:
    """Give the owner's connection to a migrated database, and the URL of a user without rights."""
    url = server.database()
    with migrated(url), psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE ROLE guest LOGIN")
        try:
            yield owner, make_url(url).set(username="guest").render_as_string()
        finally:
            owner.execute("DROP OWNED BY guest")
            owner.execute("DROP ROLE guest")


def test_a_user_without_rights_is_told_what_to_grant(owned):
    """Opening names it; with exactly what is named everything works."""
    owner, url = owned
    with pytest.raises(IndexUnavailable, match=r"permission denied.*: grant its user SELECT, INSERT, UPDATE"):
        RegimeIndex.open(url)
    owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest")
    owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO guest")
    index = RegimeIndex.open(url)
    fill(index, 0, 20)
    fill(index, 10, 30, variant=1)
    index.mark(KEY, H1, "c3" * 20)
    assert index.check() == []
    assert index.size_bytes() > 0
    assert index.delete_regimes(KEY) > 0
    index.close()


@pytest.mark.parametrize("table", ["rules", "series", "candle_rows", "regime_rows", "period_rows"])
def test_a_user_who_may_not_write_a_table_is_told(owned, table):
    """Whichever statement meets it, COPY too; who may read still does."""
    owner, url = owned
    owner.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO guest")
    owner.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO guest")
    owner.execute(f"REVOKE INSERT ON {table} FROM guest")
    index = RegimeIndex.open(url)
    with pytest.raises(IndexUnavailable, match=f"permission denied for table {table}: grant"):
        fill(index, 0, 20)
    assert index.states() == {}
    index.close()


def test_a_user_who_may_make_no_tables_is_told(server, owned):
    """Migrating asks for more than writing does, and says so."""
    _owner, url = owned
    with psycopg.connect(server.url, autocommit=True) as admin:
        admin.execute("CREATE DATABASE empty_for_guest")
    index = RegimeIndex.open(make_url(url).set(database="empty_for_guest").render_as_string(), migrating=True)
    with pytest.raises(IndexUnavailable, match=r"permission denied for schema public: .*may CREATE"):
        index.migrate()
    index.close()
