"""An index that cannot be used says so in time, says what to do, and works again when it can."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError

from market.errors import IndexUnavailable, StoreError
from store.index import database, postgres
from store.index.regime_index import RegimeIndex
from store.index.schema import SCHEMA_VERSION
from tests.postgresql import postgresql
from tests.store.index.conftest import migrated
from tests.store.index.samples import H1, KEY, at, fill


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "index.sqlite"


def opened(path: Path, **how: bool) -> RegimeIndex:
    return RegimeIndex.open(f"sqlite:///{path}", **how)


def test_a_file_is_made_on_first_use_for_its_owner_alone(path):
    """Folder and file appear; nobody else reads them; what was written is there after reopening."""
    index = opened(path)
    fill(index, 0, 20)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    index.close()
    again = opened(path)
    assert again.state(KEY, H1).filled_to_ts == at(20)
    assert again.migrate() == []
    again.close()
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_migrate_makes_the_tables_of_a_new_file(path):
    """A file that is opened to be migrated has no tables until then."""
    index = opened(path, migrating=True)
    with pytest.raises(IndexUnavailable, match="regimed index migrate"):
        index.states()
    assert index.migrate() == [f"schema {SCHEMA_VERSION}"]
    assert index.migrate() == []
    assert index.states() == {}
    index.close()


def test_a_reader_makes_no_file_and_moves_none(path):
    """A command that only asks leaves the folder as it is, and says what is the matter."""
    with pytest.raises(IndexUnavailable, match="no such file"):
        opened(path, create=False)
    assert not path.parent.exists()
    path.parent.mkdir()
    for content, problem in ((b"", "empty"), (b"not a database " * 100, "not a database")):
        path.write_bytes(content)
        with pytest.raises(IndexUnavailable, match=problem) as told:
            opened(path, create=False)
        assert "regimed index rebuild" in str(told.value)
        assert [file.name for file in path.parent.iterdir()] == [path.name]
        assert path.read_bytes() == content


def _of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as handle:
        handle.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def _torn(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 8192] = bytes(range(256)) * 32
    path.write_bytes(data)


def _overwritten(path: Path) -> None:
    path.write_bytes(b"something else\n" * 1000)


@pytest.mark.parametrize("damage", [_of_another_version, _torn, _overwritten])
def test_a_file_that_cannot_be_trusted_is_moved_aside(path, damage):
    """It is derived: a new one is begun at once, and the old one stays for who wants to look, each time."""
    for number in (1, 2):
        index = opened(path)
        assert index.states() == {}
        fill(index, 0, 3000)
        index.close()
        damage(path)
        damaged = path.read_bytes()
        index = opened(path)
        assert index.states() == {}
        fill(index, 0, 20)
        index.close()
        assert path.with_name(f"{path.name}.broken-{number}").read_bytes() == damaged
        path.unlink()


def test_a_full_disk_is_told_and_the_index_goes_on_when_there_is_room(path):
    """Nothing of the write that found no room is there; the next one that does succeeds."""
    index = opened(path)
    fill(index, 0, 20)
    pages, full = 40, True

    @event.listens_for(index._database.engine, "checkout")
    def bounded(handle, _record, _proxy):
        handle.execute(f"PRAGMA max_page_count = {pages if full else 1 << 20}")

    with pytest.raises(IndexUnavailable, match="full: make room"):
        fill(index, 0, 20_000)
    assert index.state(KEY, H1).filled_to_ts == at(20)
    assert index.check() == []
    full = False
    assert fill(index, 0, 20_000).filled_to_ts == at(20_000)
    index.close()


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    """Where something else stands in the way, or no absolute path is given, the error names it."""
    (tmp_path / "state").write_text("a file")
    with pytest.raises(IndexUnavailable, match=r"state/index\.sqlite.*check the folder"):
        opened(tmp_path / "state" / "index.sqlite")
    with pytest.raises(IndexUnavailable, match="absolute path"):
        RegimeIndex.open("sqlite:///index.sqlite")
    with pytest.raises(IndexUnavailable, match="absolute path"):
        RegimeIndex.open("sqlite://")


def test_a_file_that_another_process_keeps_writing_is_not_waited_for_for_ever(path, monkeypatch):
    """A lock that is not let go ends in an error after the deadline; then the write works."""
    monkeypatch.setattr("store.index.sqlite.LOCK_S", 0.05)
    index = opened(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexUnavailable, match="locked"):
            fill(index, 0, 20)
        assert index.states() == {}
        other.execute("ROLLBACK")
    fill(index, 0, 20)
    index.close()


def test_a_thread_that_keeps_writing_is_not_waited_for_for_ever(path, monkeypatch):
    """Writers of one process queue, but not for ever."""
    monkeypatch.setattr(database, "LOCK_S", 0.05)
    index = opened(path)
    with index._database.writing(), pytest.raises(IndexUnavailable, match="another thread writes"):
        fill(index, 0, 20)
    fill(index, 0, 20)
    index.close()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("index", "expected sqlite:///PATH or postgresql://"),
        ("mysql://somewhere/index", "engine 'mysql', expected sqlite or postgresql"),
    ],
)
def test_a_url_of_no_engine_names_those_there_are(url, problem):
    """Before anything is opened."""
    with pytest.raises(IndexUnavailable, match=problem) as told:
        RegimeIndex.open(url)
    assert isinstance(told.value, StoreError)


WITHOUT = """
import sys
sys.modules["psycopg"] = None
from market.errors import IndexUnavailable
from store.index.regime_index import RegimeIndex
RegimeIndex.open("sqlite:///" + sys.argv[1]).close()
assert "alembic" not in sys.modules
try:
    RegimeIndex.open("postgresql://somebody@127.0.0.1/index")
except IndexUnavailable as error:
    print(error)
"""


def test_the_extra_is_asked_for_by_name_and_only_by_its_own_url(path):
    """SQLite needs no more than what every installation has."""
    ran = subprocess.run([sys.executable, "-c", WITHOUT, str(path)], capture_output=True, text=True)
    assert "pip install 'regimed[postgres]'" in ran.stdout, ran.stderr


@pytest.mark.servers
def test_a_server_without_tables_names_the_command_that_makes_them(server):
    """So does one whose tables are gone while the index is open; a newer one asks for a newer program."""
    url = server.database()
    with pytest.raises(IndexUnavailable, match=r"no tables, expected .*: run `regimed index migrate`"):
        RegimeIndex.open(url)
    with migrated(url) as index:
        RegimeIndex.open(url).close()
        with index._database.writing() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        with pytest.raises(IndexUnavailable, match="revision 9999, which is newer than"):
            RegimeIndex.open(url)
        with pytest.raises(IndexUnavailable, match="revision 9999, which is newer than"):
            index.migrate()
        with index._database.writing() as connection:
            connection.exec_driver_sql("DROP TABLE series CASCADE")
        with pytest.raises(IndexUnavailable, match="run `regimed index migrate`"):
            index.states()


@pytest.mark.servers
def test_a_server_that_goes_away_is_told_and_used_again_when_it_is_back(server):
    """The same open index, without any call to reopen it; no error tells the password."""
    folder = Path(server.folder).parent / "other"
    with postgresql(folder) as other, migrated(other.database()) as index:
        fill(index, 0, 20)
        other.stop()
        began = time.perf_counter()
        for ask in (index.states, lambda: fill(index, 20, 30), index.check):
            with pytest.raises(IndexUnavailable, match=r"127\.0\.0\.1"):
                ask()
        with pytest.raises(IndexUnavailable) as told:
            RegimeIndex.open(index._database.where.replace("postgres@", "postgres:s3cret@"))
        assert time.perf_counter() - began < 20
        assert "s3cret" not in str(told.value)
        assert "postgres:***@" in str(told.value)
        other.start()
        assert fill(index, 20, 30).filled_to_ts == at(30)
        assert index.check() == []


@pytest.mark.servers
def test_a_server_that_takes_connections_and_answers_none_is_told(server):
    """Each new connection is asked before it is used; when none answers, the call ends."""
    with migrated(server.database()) as index:

        @event.listens_for(index._database.engine, "checkout")
        def silent(_handle, _record, _proxy):
            raise DisconnectionError

        with pytest.raises(IndexUnavailable, match="does not answer"):
            index.states()


@pytest.mark.servers
def test_a_server_that_freezes_is_not_waited_for_for_ever(server, monkeypatch):
    """A server that accepts and never answers costs a deadline, in a question as before it."""
    monkeypatch.setattr(postgres, "PING_S", 0.2)
    monkeypatch.setattr(postgres, "CONNECT_S", 2)  # the least that libpq takes
    with migrated(server.database()) as index:
        fill(index, 0, 20)
        with index._database.reading() as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
        os.kill(process, signal.SIGSTOP)
        try:
            assert index.state(KEY, H1).filled_to_ts == at(20)  # on a new connection
        finally:
            os.kill(process, signal.SIGCONT)
        index._database.read_s = 0.2
        with pytest.raises(IndexUnavailable), index._database.reading() as connection:
            process = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            os.kill(process, signal.SIGSTOP)
            try:
                connection.exec_driver_sql("SELECT 1")
            finally:
                os.kill(process, signal.SIGCONT)
        index._database.read_s = 30
        assert index.check() == []
