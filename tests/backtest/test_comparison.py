"""Paper beside its backtest: within tolerance, or an alert that says where the money went."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from backtest.comparison import Traded, compare, of_result
from market.errors import DataInvalid
from market.orders import CASH_SCALE
from tests.backtest.samples import START, sample_result
from tests.daemon.calls import called
from tests.store.test_desk_files import SEEN, hour_of_desk, put

RESULT = sample_result()


def expected() -> Traded:
    return of_result(RESULT.as_value(), "result.json")


def worse(side: Traded, daily: int, **parts: int) -> Traded:
    """Return a side that lost more a day, cash units, for the reason that a part of each trade tells."""
    nav = {hour: worth + daily * (hour.index - START.index) // 24 for hour, worth in side.nav.items()}
    trades = [
        replace(each, **{name: getattr(each, name) + more for name, more in parts.items()})
        for each in side.trades
    ]
    return Traded(nav, trades)


def test_the_same_again_is_within_tolerance():
    """Whole days of the common hours, the same figures on both sides, no alert."""
    found = compare(expected(), expected())
    assert found.holds and found.backtest == found.paper
    assert found.start == START and (found.end.index - found.start.index) == 48
    assert found.backtest.trades > 0 and found.backtest.fee_bps == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(
    ("parts", "named"),
    [
        ({"slippage": CASH_SCALE}, "slippage underestimated"),
        ({"edge": -20 * CASH_SCALE}, "edge decay"),
        ({"fees": CASH_SCALE // 100}, "fee model wrong"),
    ],
)
def test_what_is_worse_is_named(parts, named):
    """One part of the result is worse: that one is named, and no other."""
    found = compare(expected(), worse(expected(), -200 * CASH_SCALE, **parts))
    causes = ("slippage underestimated", "edge decay", "fee model wrong")
    assert [each.partition(":")[0] for each in found.alerts if each.startswith(causes)] == [named]
    assert any(each.startswith("paper is below the backtest") for each in found.alerts)


def test_more_than_expected_is_told_too_and_wrong_fees_always_are():
    """A backtest that paper beats by far does not describe it; other fees are wrong in any month."""
    found = compare(expected(), worse(expected(), 500 * CASH_SCALE))
    assert [each.partition(",")[0] for each in found.alerts] == ["paper is above the backtest"]
    dear = compare(expected(), worse(expected(), 0, fees=CASH_SCALE))
    assert [each.partition(":")[0] for each in dear.alerts] == ["fee model wrong"]


def test_too_few_common_hours_are_refused():
    """Two whole days in a row at least; a hole ends them."""
    side = expected()
    short = Traded({hour: worth for hour, worth in side.nav.items() if hour.index % 40}, side.trades)
    for other in (short, Traded({}, [])):
        with pytest.raises(DataInvalid, match="2 whole days"):
            compare(side, other)


def desk_of(root: Path, side: Traded) -> None:
    """Write the desk's hours and the trade log of a side."""
    for hour, nav in side.nav.items():
        account = {"nav": nav, "peak_nav": nav, "available": nav, "exposure": {}}
        report = {"account": account, "triggers": [], "stopped_by": []}
        before = hour.plus(-1) if hour.plus(-1) in side.nav else None
        put(root, hour_of_desk(hour, before, markets={"ETH-USDT": SEEN}, absent={}, hour_report=report))
    lines = sorted(side.trades, key=lambda each: each.exit_at)
    (root / "trades").mkdir()
    (root / "trades" / "2026-02.jsonl").write_bytes(b"".join(each.as_line() for each in lines))


def test_the_command_sets_both_side_by_side(tmp_path):
    """From the files alone: exit code 0 within tolerance, 1 with an alert."""
    file = tmp_path / "result.json"
    file.write_bytes(RESULT.as_bytes())
    desk_of(tmp_path / "good", expected())
    asked = ("compare", "--backtest", str(tmp_path), "--repo")
    done = called(*asked, str(tmp_path / "good"))
    assert done.code == 0 and "no alert" in done.out and "fee bps" in done.out, done.err
    desk_of(tmp_path / "poor", worse(expected(), -200 * CASH_SCALE))
    done = called(*asked, str(tmp_path / "poor"), "--format", "json")
    found = json.loads(done.out)
    assert done.code == 1 and found["holds"] is False
    assert found["alerts"][0].startswith("paper is below the backtest")


@pytest.mark.parametrize("wrong", [("--shadow",), ("--key", "ETH-USDT"), ("--backtest", "nowhere.json")])
def test_what_cannot_be_compared_is_refused(tmp_path, wrong):
    """Two questions at once, a part of the account, a file that is not there."""
    (tmp_path / "result.json").write_bytes(RESULT.as_bytes())
    done = called("compare", "--repo", str(tmp_path), "--backtest", str(tmp_path), *wrong)
    assert done.code == 2 and "Traceback" not in done.err
