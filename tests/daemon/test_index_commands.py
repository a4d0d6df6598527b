"""`regimed index`: made anew, checked against the files, migrated; and what each says when it cannot."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from daemon.indexing import Filling
from daemon.settings import Settings
from market.hours import Timeframe
from regime.series import STORED
from store.index.regime_index import RegimeIndex
from tests.daemon.calls import called
from tests.daemon.regimes import commit, repository
from tests.store.markets import COARSE_END, KEY, coarse_files, hour_file, hour_files


@pytest.fixture
def config(tmp_path: Path) -> Path:
    repository(tmp_path / "data", coarse_files() | hour_files(5))
    return written(tmp_path)


def written(folder: Path, **changes) -> Path:
    path = folder / "config.yaml"
    base = {
        "data_repository": {"base_path": str(folder / "data")},
        "exchanges": {"one": {"kind": "kucoin"}},
        "markets": [{"exchange": "one", "symbol": KEY}],
    }
    path.write_text(yaml.safe_dump(base | changes))
    return path


def file_of(config: Path) -> Path:
    return config.parent / "data.state" / "index.sqlite"


def test_a_rebuilt_index_passes_its_check(config: Path):
    """And says how much it holds; a second rebuild drops and makes the same."""
    first = called("index", "rebuild", "--config", str(config), "--format", "json")
    assert first.code == 0, first.err
    told = json.loads(first.out)
    assert told["rows"] > 10_000 and told["dropped"] == 0 and told["markets"] == 1 and told["faults"] == []
    again = called("index", "rebuild", "--config", str(config))
    assert f"{told['rows']} rows written, {told['rows']} dropped before" in again.out
    checked = called("index", "check", "--config", str(config))
    assert checked.code == 0 and checked.out == f"{told['rows']} rows in 3 series, 0 findings\n"


def test_resuming_keeps_what_is_current(config: Path):
    """Only what was dropped or not reached is made."""
    called("index", "rebuild", "--config", str(config))
    index = RegimeIndex.open(f"sqlite:///{file_of(config)}")
    removed = index.delete_regimes(KEY, Timeframe.H1, COARSE_END.plus(-100).open_ts)
    index.close()
    resumed = called("index", "rebuild", "--resume", "--config", str(config))
    assert removed == 105 and resumed.out.startswith("105 rows written, 0 dropped before")
    assert called("index", "check", "--config", str(config)).code == 0


def test_each_difference_is_a_finding(config: Path):
    """Behind, changed by hand, stale, not stored, of no market: each named, and the exit code is 1."""
    called("index", "rebuild", "--config", str(config))
    with closing(sqlite3.connect(file_of(config))) as database, database:
        (first,) = database.execute("SELECT min(place) FROM regime_rows").fetchone()
        database.execute("UPDATE regime_rows SET state = state + 1 WHERE place = ?", (first + 500,))
    commit(config.parent / "data", hour_file(COARSE_END.plus(5)))
    told = called("index", "check", "--config", str(config), "--format", "json")
    assert told.code == 1
    findings = "\n".join(json.loads(told.out)["findings"])
    assert f"{KEY} 1h: filled to 2024-06-10T05:00:00Z, data reach to 2024-06-10T06:00:00Z" in findings
    assert "differ from those of the files" in findings
    other = written(config.parent, regime={"components": {"momentum": 0.7}})
    stale = called("index", "check", "--config", str(other))
    assert stale.code == 1 and stale.out.count("stale") == len(STORED)
    index = RegimeIndex.open(f"sqlite:///{file_of(config)}")
    index.delete_regimes(KEY, Timeframe.M15)
    index.close()
    assert f"{KEY} 15m: not stored" in called("index", "check", "--config", str(other)).out


def test_only_one_fills_at_a_time(config: Path):
    """While the daemon fills it, a rebuild says so and touches nothing."""
    with Filling(config.parent / "data.state").at_once():
        refused = called("index", "rebuild", "--config", str(config))
    assert refused.code == 3 and "fills the index right now" in refused.err


def test_what_is_missing_is_named(config: Path, tmp_path: Path):
    """No index to check, no repository, no commit, a server that is not there."""
    unfilled = called("index", "check", "--config", str(config))
    assert unfilled.code == 3 and "index.sqlite" in unfilled.err
    (tmp_path / "empty").mkdir()
    nowhere = called("index", "rebuild", "--config", str(written(tmp_path / "empty")))
    assert nowhere.code == 2 and "no such folder" in nowhere.err
    (tmp_path / "empty" / "data").mkdir()
    bare = called("index", "rebuild", "--config", str(written(tmp_path / "empty")))
    assert bare.code == 3 and "no data repository with a commit" in bare.err
    away = written(tmp_path, index={"url": "postgresql://nobody@127.0.0.1:1/none"})
    gone = called("index", "check", "--config", str(away))
    assert gone.code == 3 and "127.0.0.1" in gone.err and "Traceback" not in gone.err


def test_migrating_a_file_makes_its_tables(config: Path):
    """Twice is once."""
    assert "its tables are made" in called("index", "migrate", "--config", str(config)).out
    assert called("index", "migrate", "--config", str(config)).out == "sqlite: nothing to do\n"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("postgresql://u:secret@host/db", "holds a password"),
        ("mysql://u@host/db", "engine 'mysql'"),
        ("postgresql://u@host/db?password=secret", "holds a password"),
        ("no url", "expected postgresql://"),
    ],
)
def test_an_address_is_checked_before_it_is_used(tmp_path: Path, url: str, problem: str):
    """And a password in it is never repeated."""
    told = called("index", "migrate", "--config", str(written(tmp_path, index={"url": url})))
    assert told.code == 2 and problem in told.err and "secret" not in told.err


def test_a_password_comes_from_a_mounted_file(tmp_path: Path):
    """Into the address that is opened, and nowhere else; a missing file is named."""
    (tmp_path / "password").write_text("s3cret/@\n")
    section = {"url": "postgresql://u@host/db", "password_file": str(tmp_path / "password")}
    settings = Settings.model_validate(yaml.safe_load(written(tmp_path, index=section).read_text()))
    assert settings.index_url() == "postgresql://u:s3cret%2F%40@host/db"
    assert "s3cret" not in repr(settings)
    section["password_file"] = str(tmp_path / "none")
    told = called("index", "migrate", "--config", str(written(tmp_path, index=section)))
    assert told.code == 2 and "index.password_file" in told.err
    alone = written(tmp_path, index={"password_file": str(tmp_path / "password")})
    assert "password_file belongs to a url" in called("index", "migrate", "--config", str(alone)).err
