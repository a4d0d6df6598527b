"""What an outcome is measured by comes from the records alone; what they lack is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from daemon.evaluating import LookBack, Looked
from daemon.settings import MarketSettings
from decisions.actions import Answer
from decisions.answering import Set
from decisions.evaluate import Evaluation, evaluate
from decisions.inputs import Policy
from decisions.outcomes import Horizon
from decisions.realised import OutcomesConfig
from grid.parameters import GridKind
from grid.record import EventKind, GridRecord, new_record, with_event
from market.candles import Candle
from market.hours import Hour
from market.snapshot import build_snapshot
from store import yaml_text
from store.advice import Deed, deed_change_set, read_advice
from store.decision_files import evaluation_path
from store.grids import GridShelf, encode_grid, grid_path
from store.minutes import MinuteShelf
from store.outcomes import (
    close_named,
    due_evaluations,
    encode_evaluation,
    open_horizons,
    read_record,
)
from store.paths import SnapshotName, metrics_path
from store.records import encode_metrics, metrics_file
from store.snapshots import encode_snapshot
from tests.decisions.builders import (
    CHEAP,
    HOUR,
    KEY,
    RULES,
    advice_of,
    analysis,
    inputs,
    no_data,
    parameters,
    policy,
    running,
    trending,
    unjudged,
)
from tests.store.samples import decision_files

ID = "2026-02-02/dec-ETH-USDT-150000"
GRID = "eth-usdt-1"
CLOSE = HOUR.closes_at
NOW = HOUR.plus(200).closes_at
MARKET = MarketSettings(key=KEY, exchange="sandbox", symbol=KEY)
RULE_TEXTS = {name: str(value) for name, value in asdict(RULES).items()}
RUNS = with_event(
    new_record(GRID, KEY, GridKind.NORMAL, parameters(), HOUR.plus(-9).opens_at),
    EventKind.ENABLED,
    HOUR.opens_at,
    1,
)
HOLD = evaluate(inputs(grids=(running(),)), policy())
STOP = evaluate(inputs(grids=(running(),), close=2400.0), policy(analysis(price=2400.0)))
CREATE = evaluate(inputs(), policy(costs=CHEAP))
NOTHING_PROPOSED = evaluate(inputs(rules=None), policy(trending()))
Price = Callable[[int], Decimal | None]


def calm(_minute: int) -> Decimal:
    return Decimal(2000)


def lay(root: Path, files: Mapping[str, bytes]) -> None:
    """Put files where a repository has them."""
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def lay_hours(
    root: Path,
    first: Hour,
    count: int,
    price: Price = calm,
    rules: Mapping[str, str] | None = RULE_TEXTS,
    scale: int = 100,
) -> None:
    """Put the snapshots of some hours there; `price` tells each minute's, None for one that is missing."""
    for offset in range(count):
        hour, candles = first.plus(offset), []
        for minute in range(60):
            now = price(60 * offset + minute)
            if now is not None:
                candles.append(Candle(hour.open_ts + 60 * minute, now, now, now, now, Decimal(1)))
        snapshot = build_snapshot(
            key=KEY,
            exchange="sandbox",
            symbol=KEY,
            hour=hour,
            collected_at=hour.closes_at + timedelta(seconds=5),
            source="live",
            candles=candles,
            unfetched=[minute for minute in range(60) if price(60 * offset + minute) is None],
            price_scale=scale,
            rules=rules,
        )
        name = SnapshotName(KEY, hour, None if snapshot.is_complete else 1)
        lay(root, {name.path: encode_snapshot(snapshot)})


def lay_advice(root: Path, evaluation: Evaluation, grid: GridRecord | None = None) -> None:
    """Put an hour's record and its recommendation there, and the grid that it is about."""
    hour = evaluation.inputs.hour
    lay(root, decision_files(evaluation))
    lay(root, {metrics_path(KEY, hour): encode_metrics(metrics_file(evaluation))})
    if grid is not None:
        lay(root, {grid_path(grid.grid_id): encode_grid(grid)})


def looked(root: Path, horizon: Horizon = Horizon.DAY, rules: Policy | None = None) -> Looked:
    """Look back as the daemon does."""
    shelf = GridShelf(root)
    look_back = LookBack(
        root, MinuteShelf(root), rules or policy(), OutcomesConfig(), shelf.records(), shelf.faults
    )
    return look_back.at(MARKET, ID, horizon, NOW)


def outcome(root: Path, horizon: Horizon = Horizon.DAY) -> dict[str, Any]:
    found = looked(root, horizon)
    assert found.file is not None, found.reason
    return found.file.outcome


def reworked(root: Path, path: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """Change a YAML file in place, as an operator's editor would."""
    value = yaml_text.load((root / path).read_bytes(), path)
    change(value)
    (root / path).write_bytes(yaml_text.dump(value))


def test_an_evaluation_says_what_holding_was_worth_against_stopping(tmp_path):
    """A calm day: nothing moved, so holding saves the cost of selling; it names decision and instant."""
    lay_advice(tmp_path, HOLD, RUNS)
    lay_hours(tmp_path, HOUR, 25)
    found = looked(tmp_path)
    assert found.file is not None
    assert found.path == evaluation_path(ID, "24h")
    assert (found.file.decision, found.file.market) == (ID, KEY)
    assert found.file.evaluated_at == "2026-02-10T23:00:00Z"
    told = found.file.outcome
    assert (told["price_start"], told["price_end"], told["missing_minutes"]) == (2000.0, 2000.0, 0)
    assert told["realised_verdict"] == "RANGE_OK"
    assert set(told["values"]) == {"hold", "stop"}
    allocation = HOLD.exits_value()[GRID]["position"]["figures"]["allocation"]
    assert told["values"]["hold"] == pytest.approx(allocation, rel=0.01)
    quality = told["recommendation_quality"]
    assert 0 < quality["quote_impact"] < 0.01 * allocation
    assert (quality["correct"], quality["quote"]) == (True, "USDT")
    assert yaml_text.load(encode_evaluation(found.file), "x")["outcome"] == told


def test_the_worth_is_the_same_whether_the_snapshot_of_the_hour_is_there_or_not(tmp_path):
    """The grid's own units of coin stand in its record; a snapshot in quarantine scales nothing."""
    for name, hours in (("with", (HOUR, 25)), ("without", (HOUR.plus(1), 24))):
        lay_advice(tmp_path / name, HOLD, RUNS)
        lay_hours(tmp_path / name, *hours)
    assert outcome(tmp_path / "with") == outcome(tmp_path / "without")


def test_a_finer_price_later_changes_no_worth(tmp_path):
    """Hours whose prices need more digits are brought to one scale with the grid's."""
    for name, scale in (("coarse", 100), ("fine", 10_000)):
        lay_advice(tmp_path / name, HOLD, RUNS)
        lay_hours(tmp_path / name, HOUR, 10)
        lay_hours(tmp_path / name, HOUR.plus(10), 15, scale=scale)
    coarse, fine = outcome(tmp_path / "coarse"), outcome(tmp_path / "fine")
    assert coarse["values"] == pytest.approx(fine["values"], rel=1e-7)
    assert {**coarse, "values": 0, "recommendation_quality": 0} == {
        **fine,
        "values": 0,
        "recommendation_quality": 0,
    }


def test_minutes_that_are_missing_are_counted_and_never_made_up(tmp_path):
    """A hole, an hour that is gone and one that cannot be read: the known is judged, the rest said."""
    lay_advice(tmp_path, HOLD, RUNS)
    lay_hours(tmp_path, HOUR, 25, lambda minute: None if 120 <= minute < 130 else Decimal(2000))
    (tmp_path / "snapshots/ETH-USDT/2026/02/03/01.json").unlink()
    damaged = tmp_path / "snapshots/ETH-USDT/2026/02/03/02.json"
    damaged.write_bytes(damaged.read_bytes().replace(b"200000", b"300000", 1))
    told = outcome(tmp_path)
    assert told["missing_minutes"] == 10 + 60 + 60
    assert told["max_up_pct"] == 0.0
    assert told["realised_verdict"] == "RANGE_OK"


def test_with_no_minute_known_only_the_price_of_the_hour_is_told(tmp_path):
    """No paths, no verdict, no price at the end, and nobody called right or wrong."""
    lay_advice(tmp_path, HOLD, RUNS)
    told = outcome(tmp_path)
    assert (told["price_start"], told["price_end"]) == (2000.0, None)
    assert (told["values"], told["realised_verdict"], told["brier"]) == ({}, None, None)
    assert told["recommendation_quality"]["correct"] is None
    assert told["missing_minutes"] == 24 * 60


def test_an_hour_without_a_price_is_never_evaluated_and_that_is_no_damage(tmp_path):
    """Nothing was known then, so nothing can be compared; the reason says which hour."""
    lay_advice(tmp_path, evaluate(no_data(grids=(running(),)), policy()), RUNS)
    lay_hours(tmp_path, HOUR.plus(1), 24)
    found = looked(tmp_path)
    assert (found.file, found.is_damaged) == (None, False)
    assert found.reason == f"hour {HOUR} has no price"


def test_an_hour_that_was_not_judged_is_measured_without_a_range(tmp_path):
    """WITHHELD advised nothing: the price is told, no path and no verdict."""
    lay_advice(tmp_path, evaluate(unjudged(grids=(running(),)), policy()))
    lay_hours(tmp_path, HOUR.plus(1), 24)
    told = outcome(tmp_path)
    assert (told["values"], told["realised_verdict"]) == ({}, None)
    assert told["price_end"] == 2000.0


def test_a_setup_that_was_not_made_is_measured_by_the_range_of_its_hour(tmp_path):
    """NO_SETUP without a grid to draw: no worth, but what the range did."""
    lay_advice(tmp_path, NOTHING_PROPOSED)
    lay_hours(tmp_path, HOUR, 25, rules=None)
    told = outcome(tmp_path)
    assert told["values"] == {}
    assert told["realised_verdict"] == "RANGE_OK"
    assert told["action_quality"]["followed"] is None


def test_a_proposed_grid_is_run_from_the_close_against_cash(tmp_path):
    """What nobody set up is worth what it would have earned; without the market's rules that is not known."""
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25)
    told = outcome(tmp_path)
    assert set(told["values"]) == {"grid", "cash"}
    quality = told["recommendation_quality"]
    assert quality["quote_impact"] < 0  # a day without a cycle, the entry paid
    assert quality["correct"] is False
    assert told["action_quality"]["followed"] is False
    assert told["action_quality"]["quote_impact"] == -quality["quote_impact"]
    lay_hours(tmp_path, HOUR, 1, rules=None)
    assert outcome(tmp_path)["values"] == {}
    (tmp_path / "snapshots/ETH-USDT/2026/02/02/14.json").unlink()
    assert outcome(tmp_path)["values"] == {}


def test_a_proposal_that_makes_no_grid_has_no_worth(tmp_path):
    """Refused for that very reason, it cannot have earned anything."""
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25)
    reworked(tmp_path, f"decisions/{ID}.yaml", lambda file: file["proposed"].update(amount_per_grid=0.001))
    assert outcome(tmp_path)["values"] == {}


def accepted(root: Path, at_min: int = 20, **really: Any) -> None:
    """Accept the recommendation so many minutes after the close."""
    recorded = read_advice(root, ID)
    at = CLOSE + timedelta(minutes=at_min)
    grid = GridShelf(root).records().get(recorded.file.grid_id)
    deed = Deed(Answer.ACCEPT, at, "operator", set_=Set(**really))
    lay(root, deed_change_set(recorded, deed, grid, at).files)


def test_an_accepted_setup_is_measured_as_it_was_really_set_up(tmp_path):
    """At the price of that minute: the later, dearer start costs its operator more than the advice did."""
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25, lambda minute: Decimal(2000 if minute < 75 else 2010))
    before = outcome(tmp_path)
    accepted(tmp_path)
    told = outcome(tmp_path)
    assert told["recommendation_quality"] == before["recommendation_quality"]
    deed = told["action_quality"]
    assert (deed["followed"], deed["latency_s"]) == (True, 1200.0)
    assert deed["quote_impact"] not in (None, before["action_quality"]["quote_impact"])


def test_what_was_really_set_may_make_no_plan_and_the_advice_is_evaluated_all_the_same(tmp_path):
    """An amount too small for a cell: the operator's part is not known, the recommendation's is."""
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25)
    accepted(tmp_path, amount_per_grid=Decimal("0.001"))
    told = outcome(tmp_path)
    assert told["recommendation_quality"]["quote_impact"] is not None
    assert (told["action_quality"]["quote_impact"], told["action_quality"]["followed"]) == (None, True)


@pytest.mark.parametrize("what", ["at once", "no rules", "no grid", "another start", "stopped again"])
def test_what_was_set_up_is_not_guessed(tmp_path, what):
    """No price from before the deed, no rules, no grid file, or a grid that did not start then: not known."""
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25, rules=None if what == "no rules" else RULE_TEXTS)
    accepted(tmp_path, 0 if what == "at once" else 20)
    path = grid_path(GRID)
    if what == "no grid":
        (tmp_path / path).unlink()
    if what == "another start":
        reworked(
            tmp_path,
            path,
            lambda file: (
                file["versions"][0].update({"from": "2026-02-02T15:00:00Z"}),
                file["history"][0].update(at="2026-02-02T15:10:00Z"),
            ),
        )
    if what == "stopped again":
        reworked(
            tmp_path,
            path,
            lambda file: file["history"].append({**file["history"][0], "event": "disabled"}),
        )
    assert outcome(tmp_path)["action_quality"]["quote_impact"] is None


def test_a_declined_setup_earns_what_the_grid_would_have_lost(tmp_path):
    """Nothing was set up, whatever a grid's file says."""
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25)
    recorded = read_advice(tmp_path, ID)
    at = CLOSE + timedelta(minutes=5)
    lay(tmp_path, deed_change_set(recorded, Deed(Answer.DECLINE, at, "operator"), None, at).files)
    told = outcome(tmp_path)
    assert told["action_quality"]["quote_impact"] == -told["recommendation_quality"]["quote_impact"]
    assert told["action_quality"]["followed"] is False


@pytest.mark.parametrize("what", ["no grid", "not followed"])
def test_a_running_grid_that_nobody_can_tell_of_has_no_worth(tmp_path, what):
    """Its file is gone, or the hour did not follow it."""
    lay_advice(tmp_path, HOLD, None if what == "no grid" else RUNS)
    lay_hours(tmp_path, HOUR, 25)
    if what == "not followed":
        reworked(tmp_path, metrics_path(KEY, HOUR), lambda file: file["exit_evaluation"].clear())
    assert outcome(tmp_path)["values"] == {}


def test_a_stop_is_judged_at_each_horizon_from_the_same_records(tmp_path):
    """The price falls on the third day: the same advice is worth more at 72 h than at 24 h, and so at 7 d."""
    lay_advice(tmp_path, STOP, RUNS)
    lay_hours(tmp_path, HOUR.plus(1), 168, lambda minute: Decimal(2400 if minute < 48 * 60 else 1950))
    found = {horizon: outcome(tmp_path, horizon) for horizon in Horizon}
    impacts = [found[horizon]["recommendation_quality"]["quote_impact"] for horizon in Horizon]
    assert impacts[0] < impacts[1] == impacts[2]
    assert [each["price_end"] for each in found.values()] == [2400.0, 1950.0, 1950.0]


@pytest.mark.parametrize(
    ("path", "change", "words"),
    [
        (f"decisions/{ID}.yaml", lambda file: file.update(schema_version=7), "schema_version"),
        (metrics_path(KEY, HOUR), lambda file: file.update(schema_version=7), "schema_version"),
        (metrics_path(KEY, HOUR), lambda file: file["exit_evaluation"][GRID].update(grid_version=2), "fewer"),
        (
            metrics_path(KEY, HOUR),
            lambda file: file["exit_evaluation"][GRID]["position"]["terms"].pop("base_scale"),
            "base_scale",
        ),
        (grid_path(GRID), lambda file: file["versions"][0].update(levels=1), "levels"),
        (f"decisions/{ID}.yaml", lambda file: file.update(config_hash="sha256:" + "0" * 64), "configs/"),
    ],
)
def test_a_damaged_record_is_named_and_nothing_is_written_from_it(tmp_path, path, change, words):
    """A recommendation, its hour, grid or configuration: evaluated once, so never from what is broken."""
    lay_advice(tmp_path, HOLD, RUNS)
    lay_hours(tmp_path, HOUR, 25)
    reworked(tmp_path, path, change)
    found = looked(tmp_path)
    assert (found.file, found.is_damaged) == (None, True)
    assert words in found.reason


def test_a_record_that_is_gone_is_damage(tmp_path):
    """The hour's judgement names what the advice was made from."""
    lay_advice(tmp_path, HOLD, RUNS)
    (tmp_path / metrics_path(KEY, HOUR)).unlink()
    found = looked(tmp_path)
    assert (found.file, found.is_damaged) == (None, True)
    assert found.reason == f"hour {HOUR} has no record"
    assert read_record(tmp_path, KEY, HOUR) is None


def names(root: Path, newest: Hour, look_back_h: int = 240, at_most: int = 99) -> list[tuple[str, Horizon]]:
    return due_evaluations(root, KEY, newest, look_back_h, at_most)


def test_a_horizon_is_due_when_its_last_hour_is_judged_and_not_before(tmp_path):
    """At 24, 72 and 168 hours after the close, each once, and none whose evaluation is there."""
    lay_advice(tmp_path, HOLD)
    for horizon in Horizon:
        due = names(tmp_path, HOUR.plus(horizon.hours))
        assert due[-1] == (ID, horizon)
        assert (ID, horizon) not in names(tmp_path, HOUR.plus(horizon.hours - 1))
    lay(tmp_path, {evaluation_path(ID, "24h"): b"x: 1\n"})
    assert names(tmp_path, HOUR.plus(168)) == [(ID, Horizon.THREE_DAYS), (ID, Horizon.WEEK)]


def test_due_evaluations_are_bounded_and_of_one_market(tmp_path):
    """At most so many, no further back than asked, and none of a market whose key begins the same."""
    for back in range(4):
        lay_advice(tmp_path, evaluate(inputs(HOUR.plus(back)), policy()))
    lay(tmp_path, {f"decisions/{ID[:10]}/dec-ETH-USDT-B-150000.yaml": b"x: 1\n"})
    lay(tmp_path, {f"decisions/{ID[:10]}/dec-ETH-USDT-150000.action-1.yaml": b"x: 1\n"})
    newest = HOUR.plus(27)
    assert [name[-6:] for name, _ in names(tmp_path, newest)] == ["150000", "160000", "170000", "180000"]
    assert len(names(tmp_path, newest, at_most=2)) == 2
    assert [name[-6:] for name, _ in names(tmp_path, newest, look_back_h=1)] == ["170000", "180000"]


def test_open_horizons_say_until_when_they_wait(tmp_path):
    """All three of each recommendation, from a day on, without those that are evaluated."""
    lay_advice(tmp_path, HOLD)
    later = HOUR.plus(48)
    lay_advice(tmp_path, evaluate(inputs(later), policy()))
    lay(tmp_path, {evaluation_path(ID, "72h"): b"x: 1\n"})
    found = list(open_horizons(tmp_path, KEY))
    assert [(each.decision_id, each.horizon.value) for each in found] == [
        (ID, "24h"),
        (ID, "7d"),
        ("2026-02-04/dec-ETH-USDT-150000", "24h"),
        ("2026-02-04/dec-ETH-USDT-150000", "72h"),
        ("2026-02-04/dec-ETH-USDT-150000", "7d"),
    ]
    assert [found[0].ends_at, found[1].ends_at] == [CLOSE + timedelta(days=1), CLOSE + timedelta(days=7)]
    assert len(list(open_horizons(tmp_path, KEY, "2026-02-03"))) == 3
    lay(tmp_path, {"decisions/2026-02-04/dec-ETH-USDT-B-150000.yaml": b"x: 1\n"})
    assert len(list(open_horizons(tmp_path, KEY))) == 5


@pytest.mark.parametrize(
    ("name", "key", "found"),
    [
        (ID, KEY, CLOSE),
        (f"{ID}-eth-usdt-2", KEY, CLOSE),
        (ID, "ETH", None),
        (ID, "BTC-USDT", None),
        ("2026-02-02/dec-ETH-USDT-990000", KEY, None),
        ("2026-02-30/dec-ETH-USDT-150000", KEY, None),
    ],
)
def test_a_name_tells_the_close_of_its_hour(name, key, found):
    """With or without a grid's id; of another market, or of no hour at all, it tells nothing."""
    assert close_named(name, key) == found


def test_the_costs_are_those_of_the_rules_that_the_advice_was_made_by(tmp_path):
    """Advice by other rules finds them in `configs/`; by the rules in force they are at hand."""
    own = policy(costs={KEY: replace(CHEAP[KEY], fees=replace_fees(50.0))})
    lay_advice(tmp_path, CREATE)
    lay_hours(tmp_path, HOUR, 25)
    dear, cheap = looked(tmp_path, rules=own), looked(tmp_path, rules=policy(costs=CHEAP))
    assert dear.file is not None
    assert cheap.file is not None
    impacts = [each.outcome["recommendation_quality"]["quote_impact"] for each in (dear.file, cheap.file)]
    assert impacts[0] is None or impacts[0] < impacts[1]


def replace_fees(bps: float) -> Any:
    return CHEAP[KEY].fees.model_copy(update={"maker_bps": bps, "taker_bps": bps})


def test_the_confidence_of_the_hour_is_scored_by_what_came(tmp_path):
    """Brier's score of what was stated about a day that held."""
    lay_advice(tmp_path, HOLD, RUNS)
    lay_hours(tmp_path, HOUR, 25)
    stated = advice_of(HOLD).confidence.value
    assert stated is not None
    assert outcome(tmp_path)["brier"] == pytest.approx((1 - stated) ** 2, abs=1e-6)
