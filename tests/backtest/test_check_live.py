"""What a daemon on paper recorded comes out again, and whatever was tampered with is named."""

from __future__ import annotations

import asyncio
import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from backtest.data import RepositorySource
from backtest.engine import BacktestEngine
from daemon.backtest_rules import rules_recorded
from daemon.desk import run_desk_hours
from market.hours import Hour
from market.orders import CASH_SCALE
from market.snapshot import digest_of
from store.desk_files import desk_hours, read_desk
from store.paths import desk_path, metrics_path
from store.trade_files import trades_of
from tests.cycle.house import START, house
from tests.cycle.test_desk import TWO
from tests.daemon.calls import called

HOURS = 14


async def lived(folder: Path) -> None:
    async with house(folder, **TWO) as there:
        for index in range(HOURS):
            await there.hour(START.plus(index))
            assert await run_desk_hours(there.app, there.app.paper)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """Return the repository of a daemon that judged and traded two markets for some hours."""
    folder = tmp_path_factory.mktemp("recorded")
    asyncio.run(lived(folder))
    return folder / "data"


@pytest.fixture
def root(recorded, tmp_path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "data", ignore=shutil.ignore_patterns(".git")))


def checked(root: Path, *more: str):
    return called("backtest", "policy", "--check-live", "--repo", str(root), *more)


def test_everything_comes_out_as_it_was_recorded(root):
    """Verdicts, gates, exits, advice, the desk's hours and its trades, to the byte."""
    done = checked(root, "--format", "json")
    assert done.code == 0, done.out
    found = json.loads(done.out)
    assert found["differences"] == []
    told = found["checked"]
    assert (told["hours"], told["desk hours"]) == (2 * HOURS, HOURS)
    assert told["verdicts"] > 0 and told["decisions"] > 0 and told["trades"] == len(list(trades_of(root))) > 0
    assert "byte for byte" in checked(root).out


def test_a_flipped_byte_in_a_snapshot_is_named(root):
    """One bit of one price: the file is named first, and exit code 1."""
    hour = START.plus(5)
    path = next(path for path in (root / "snapshots").rglob(f"{hour.opens_at:%H}.json") if "ETH" in str(path))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = checked(root)
    assert done.code == 1
    assert str(path.relative_to(root)) in done.out.splitlines()[0]


def test_a_record_that_says_something_else_is_named_with_the_field(root):
    """A probability changed by hand in a judged hour; the first field that differs is printed."""
    path = metrics_path("ETH-USDT", START.plus(7))
    file = root / path
    changed = file.read_text().replace("outcome: analysed", "outcome: no_data")
    assert changed != file.read_text()
    file.write_text(changed)
    done = checked(root, "--from", str(START.plus(7)), "--to", str(START.plus(8)))
    assert done.code == 1 and path in done.out
    assert "outcome: recorded 'no_data', recomputed 'analysed'" in done.out


def test_the_newest_hours_are_checked_alone(root):
    """What a nightly check asks for: the newest hours of each market and of the desk, and no older record."""
    path = root / metrics_path("ETH-USDT", START.plus(2))
    changed = path.read_text().replace("outcome: analysed", "outcome: no_data")
    assert changed != path.read_text()
    path.write_text(changed)
    done = checked(root, "--newest", "4", "--format", "json")
    assert done.code == 0, done.out
    told = json.loads(done.out)["checked"]
    assert (told["hours"], told["desk hours"]) == (2 * 4, 4)
    assert checked(root).code == 1


def test_a_desk_hour_with_other_cash_is_named_with_the_field(root):
    """Even sealed with a right digest: it is not what the hour before leads to."""
    hour = START.plus(6)
    file = root / desk_path(hour)
    value = json.loads(file.read_text())
    value["hour_report"]["account"]["nav"] += 1
    value["digest"] = digest_of({name: each for name, each in value.items() if name != "digest"})
    file.write_text(json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) + "\n")
    assert read_desk(root, hour) is not None
    done = checked(root)
    lines = done.out.splitlines()
    assert done.code == 1 and len(lines) == 2
    assert lines[0].startswith(f"{desk_path(hour)}: hour_report.account.nav: recorded ")


def test_a_lost_line_of_the_trade_log_is_named(root):
    """A trade that is recomputed and does not stand in the log."""
    path = next((root / "trades").glob("*.jsonl"))
    lost = next(trades_of(root)).id
    path.write_bytes(
        b"".join(line for line in path.read_bytes().splitlines(True) if lost.encode() not in line)
    )
    done = checked(root)
    assert done.code == 1 and f"{lost}: not there, but it is recomputed" in done.out


def test_a_backtest_of_the_repository_is_the_paper_desk(root):
    """The engine over the recorded hours: the same trades, the same account as the daemon's paper desk."""
    hours = sorted(desk_hours(root))
    files = [read_desk(root, hour) for hour in hours]
    rules = rules_recorded(root, files[0].config_hash)
    source = RepositorySource(
        root,
        ["BTC-USDT", "ETH-USDT"],
        max_missing_minutes=rules.policy.judging.max_missing_minutes,
        timeframes=rules.timeframes,
    )
    engine = BacktestEngine(rules.policy, rules.trading.cash, rules.trading.fills)
    found = engine.run("policy", source, hours[0], hours[-1].plus(1))
    assert sorted(found.trades, key=lambda each: each.id) == sorted(trades_of(root), key=lambda each: each.id)
    nav = [file.hour_report["account"]["nav"] for file in files]
    assert [int(Decimal(each) * CASH_SCALE) for each in found.nav] == nav


def test_what_cannot_be_checked_is_refused(root, tmp_path):
    """Recorded candles have no record; a span without hours has nothing to check."""
    assert "--repo, not --data" in called("backtest", "policy", "--check-live", "--data", str(tmp_path)).err
    done = checked(root, "--from", str(Hour.parse("2030-01-01T00")))
    assert done.code == 1 and "no judged hour" in done.err
