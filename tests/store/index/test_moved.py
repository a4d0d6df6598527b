"""An open index follows its path: a file that another process moved aside is left."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from market.errors import IndexUnavailable
from store.index.regime_index import RegimeIndex
from store.index.schema import SCHEMA_VERSION
from tests.store.index.samples import H1, KEY, at, fill

OTHER = """
import sys
from store.index.regime_index import RegimeIndex
from tests.store.index.samples import H1, KEY, fill
index = RegimeIndex.open(sys.argv[1])
fill(index, 0, 30, gaps=False)
for _line in sys.stdin:
    print(len(index.get_regimes(KEY, H1, 0, 1 << 40)), len(index.check()), flush=True)
"""


@contextmanager
def another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Give a process that opened the index as the daemon does, filled 30 hours and tells what it holds."""
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, f"sqlite:///{path}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert held(other) == (30, 0)
        yield other
        assert other.stdin is not None
        other.stdin.close()
        assert other.wait(30) == 0


def held(other: subprocess.Popen[str]) -> tuple[int, int]:
    assert other.stdin is not None
    assert other.stdout is not None
    other.stdin.write("\n")
    other.stdin.flush()
    rows, faults = other.stdout.readline().split()
    return int(rows), int(faults)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state of 100% #1" / "index.sqlite"


@pytest.fixture
def index(path: Path) -> Iterator[RegimeIndex]:
    found = RegimeIndex.open(f"sqlite:///{path}")
    fill(found, 0, 3000)
    with closing(sqlite3.connect(path)) as handle:
        handle.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    yield found
    found.close()


def _of_another_version(path: Path) -> None:
    with closing(sqlite3.connect(path)) as handle:
        handle.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")


def _torn(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(range(256)) * 32)


@pytest.mark.parametrize("damage", [_of_another_version, _torn])
def test_an_open_index_goes_on_in_the_file_that_another_process_began(index, path, damage):
    """`regimed index rebuild` beside a daemon: both write the new file, none the one that was moved aside."""
    damage(path)
    with another_process(path) as other:
        aside = path.with_name(f"{path.name}.broken-1")
        damaged = aside.read_bytes()
        assert index.state(KEY, H1).filled_to_ts == at(30)
        assert fill(index, 30, 40, gaps=False).filled_to_ts == at(40)
        assert held(other) == (40, 0)
        assert index.check() == []
        assert aside.read_bytes() == damaged
    index.close()
    again = RegimeIndex.open(f"sqlite:///{path}", create=False)
    assert again.state(KEY, H1).filled_to_ts == at(40)
    again.close()


def test_every_connection_of_an_open_index_follows(index, path):
    """Two that were in use at once are both left when the file is another one."""
    with index._database.reading(), index._database.reading():
        pass
    _torn(path)
    with another_process(path), index._database.reading() as one, index._database.reading() as two:
        for connection in (one, two):
            assert connection.exec_driver_sql("SELECT count(*) FROM regime_rows").scalar_one() == 30


def test_a_torn_file_says_what_makes_it_anew_and_that_does(path, index):
    """The words are true: who opens it as the daemon and the rebuild do begins a new one, and it is used."""
    _torn(path)
    with pytest.raises(IndexUnavailable, match="restart the daemon or run `regimed index rebuild`"):
        index.check()
    with another_process(path):
        assert index.check() == []


def test_a_file_that_is_gone_is_told_and_never_made_by_the_way(index, path):
    """An index without tables would look like an empty one; when there is a file again it is used."""
    path.rename(path.with_name("elsewhere"))
    for ask in (index.states, lambda: fill(index, 0, 10), index.check):
        with pytest.raises(IndexUnavailable, match=r"the file is gone: .* `regimed index rebuild`"):
            ask()
    assert not path.exists()
    path.with_name("elsewhere").rename(path)
    assert index.state(KEY, H1).filled_to_ts == at(3000)


def test_a_file_of_another_schema_in_its_place_is_not_written(index, path):
    """Begun by another version of the program: this one leaves it alone and says so."""
    path.rename(path.with_name("elsewhere"))
    with closing(sqlite3.connect(path)) as handle:
        handle.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(IndexUnavailable, match=f"schema {SCHEMA_VERSION + 1}, expected {SCHEMA_VERSION}"):
        fill(index, 0, 10)
    assert path.read_bytes() == before
