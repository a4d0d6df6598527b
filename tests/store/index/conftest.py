"""An empty index on each engine; PostgreSQL is a real one, started once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from store.index.regime_index import RegimeIndex
from tests.postgresql import Server, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A running PostgreSQL; in a folder that its own user may enter, which pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="regimed-postgresql-") as folder:
        Path(folder).chmod(0o755)
        with postgresql(Path(folder) / "server") as running:
            yield running


@contextmanager
def migrated(url: str) -> Iterator[RegimeIndex]:
    """Give an open index on a fresh database of a server."""
    found = RegimeIndex.open(url, migrating=True)
    try:
        found.migrate()
        yield found
    finally:
        found.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.servers)])
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RegimeIndex]:
    """An empty index; every test that takes it runs on both engines."""
    if request.param == "postgresql":
        with migrated(request.getfixturevalue("server").database()) as found:
            yield found
        return
    found = RegimeIndex.open(f"sqlite:///{tmp_path / 'state' / 'index.sqlite'}")
    try:
        yield found
    finally:
        found.close()
