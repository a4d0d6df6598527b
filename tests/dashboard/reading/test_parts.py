"""The parts of a page from records laid by hand: advice as it stands, gates, figures, desk, long spans."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from dashboard.pages import Advice, Live, MarketPage, Tone
from dashboard.reading import PageReader, candles, quality
from dashboard.reading import reader as reading
from decisions.actions import Answer
from decisions.evaluate import Evaluation, evaluate
from grid.geometry import Spacing
from grid.parameters import GridKind
from grid.record import EventKind, new_record, with_event
from store import yaml_text
from store.advice import Deed, deed_change_set, read_advice
from store.calibration_files import encode_calibration
from store.decision_files import evaluation_path
from store.grids import GridShelf, encode_grid, grid_path
from store.kpi_files import encode_kpis
from store.kpi_files import kpis_path as path_of_day
from store.outcomes import EvaluationFile, encode_evaluation
from store.paths import SnapshotName
from store.snapshots import encode_snapshot
from tests.backtest.samples import sample_result
from tests.backtest.test_comparison import desk_of, expected
from tests.dashboard.grown import FIRST, grown
from tests.decisions.builders import (
    CHEAP,
    HOUR,
    KEY,
    analysis,
    inputs,
    parameters,
    passed_gates,
    policy,
    running,
    stopped,
    unjudged,
)
from tests.decisions.builders import (
    reading as metric_reading,
)
from tests.store.samples import CONFIG, hour_snapshot
from tests.store.test_calibration_files import BAND
from tests.store.test_calibration_files import made as calibration_made
from tests.store.test_desk_files import hour_of_desk, put
from tests.store.test_kpi_files import made as kpi_record
from tests.store.test_outcomes import HOLD, ID, RUNS, STOP, lay, lay_advice, lay_hours, reworked

CREATE = evaluate(inputs(), policy(costs=CHEAP, config_hash=CONFIG))
CLOSE = HOUR.closes_at
DAY = HOUR.opens_at.date()
MINUTE = timedelta(minutes=1)


def live(at: datetime) -> Live:
    return Live(at, "pass", (), (), {}, may_answer=True)


def page_of(root: Path, at: datetime | None = None) -> MarketPage:
    return PageReader(root, ()).day(KEY, DAY, None if at is None else live(at))


def current(root: Path, at: datetime | None = None) -> Advice:
    found = page_of(root, at).current
    assert found is not None
    return found


def laid(root: Path, *evaluations: Evaluation) -> Path:
    for evaluation in evaluations:
        lay_advice(root, evaluation)
    return root


def next_hour(grids: tuple = (), **others) -> Evaluation:
    return evaluate(inputs(HOUR.plus(1), grids=grids), policy(config_hash=CONFIG, **others))


def answer(root: Path, kind: Answer, at: datetime, note: str | None = None) -> None:
    recorded = read_advice(root, ID)
    grid = GridShelf(root).records().get(recorded.file.grid_id)
    lay(root, deed_change_set(recorded, Deed(kind, at, "me", note=note), grid, at).files)


def test_a_setup_waits_until_it_expires_is_answered_or_is_overtaken(tmp_path):
    """Open within its hour only; a note keeps it open, a decline ends it, and the next hour replaces it."""
    laid(tmp_path, CREATE)
    found = current(tmp_path, CLOSE + MINUTE)
    assert found.action == "CREATE_GRID" and found.is_open and found.tone is Tone.WATCH
    assert [fact.name for fact in found.proposed][:4] == [
        "Lowest price",
        "Highest price",
        "Number of grids",
        "Investment",
    ]
    assert found.expires_at == CLOSE + 60 * MINUTE and found.lapsed == ""
    late = current(tmp_path, CLOSE + 60 * MINUTE)
    assert not late.is_open and late.lapsed == "expired"
    answer(tmp_path, Answer.NOTE, CLOSE + MINUTE, "<script>alert(1)</script>")
    noted = current(tmp_path, CLOSE + 2 * MINUTE)
    assert noted.is_open and noted.answers[0].note == "<script>alert(1)</script>"
    laid(tmp_path, next_hour())
    page = page_of(tmp_path, CLOSE + 61 * MINUTE)
    assert [(each.is_open, each.lapsed) for each in page.advice if each.id == ID] == [(False, "expired")]
    sooner = page_of(tmp_path, CLOSE + 30 * MINUTE)
    assert [each.lapsed for each in sooner.advice if each.id == ID] == ["expired"]
    shutil.rmtree(tmp_path / "metrics")
    laid(tmp_path, CREATE)
    answer(tmp_path, Answer.DECLINE, CLOSE + 3 * MINUTE)
    declined = current(tmp_path, CLOSE + 4 * MINUTE)
    assert (
        declined.lapsed == ""
        and not declined.is_open
        and [each.action for each in declined.answers] == ["note", "decline"]
    )
    assert declined.paragraphs[-1].endswith("me: decline")


@pytest.mark.parametrize(("made", "stays"), [(CREATE, False), (STOP, True)])
def test_withheld_advice_asks_for_no_answer_but_a_stop_is_never_hidden(tmp_path, made, stays):
    """The market went stale: a setup is dropped, a stop stays, both as of their hour with why."""
    laid(tmp_path, made)
    if stays:
        lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(RUNS)})
    at = Live(CLOSE + MINUTE, "warn", (), (), {KEY: "newest candle is 30 h old"}, may_answer=True)
    reader = PageReader(tmp_path, ())
    found = reader.day(KEY, DAY, at).current
    assert found is not None and found.is_open is stays
    assert found.withheld == "newest candle is 30 h old" and found.lapsed == ("" if stays else "withheld")
    assert [each.withheld for each in reader.overview(at).open_advice] == ([found.withheld] if stays else [])


def test_what_else_was_considered_is_told_with_why_not(tmp_path):
    """As the decision's file has it."""
    laid(tmp_path, CREATE)
    recorded = read_advice(tmp_path, ID).file.alternatives
    told = [(fact.name, fact.value) for fact in current(tmp_path).alternatives]
    assert told and told == [(each.action.value, each.reason) for each in recorded]


def test_what_an_earlier_answer_has_settled_does_not_wait(tmp_path):
    """A stop of a grid that was stopped meanwhile, a setup of one that runs."""
    laid(tmp_path, STOP)
    lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(RUNS)})
    assert current(tmp_path, CLOSE + MINUTE).is_open
    assert current(tmp_path, CLOSE + MINUTE).tone is Tone.URGENT
    over = with_event(RUNS, EventKind.DISABLED, CLOSE + MINUTE, 1, "by hand")
    lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(over)})
    page = page_of(tmp_path, CLOSE + 2 * MINUTE)
    assert page.current is not None and page.current.lapsed == "settled"
    (grid,) = page.grids
    assert not grid.is_running and grid.exit_state is None and page.now.exit_state is None
    assert ("Stopped", "by hand") in [(fact.name, fact.value) for fact in grid.facts]
    laid(tmp_path, CREATE)
    lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(RUNS)})
    assert not current(tmp_path, CLOSE + MINUTE).is_open


def outcome(horizon: str, correct: bool | None, impact: float | None, **others) -> dict[str, bytes]:
    told = {
        "horizon": horizon,
        "realised_verdict": "RANGE_OK",
        "grid_exit": None,
        "missing_minutes": 0,
        "recommendation_quality": {"quote_impact": impact, "quote": "USDT", "correct": correct},
        **others,
    }
    file = EvaluationFile(schema_version=1, decision=ID, market=KEY, evaluated_at="", outcome=told)
    return {evaluation_path(ID, horizon): encode_evaluation(file)}


def test_outcomes_say_right_wrong_or_why_not(tmp_path):
    """Each horizon in words, an open one with the instant at which it is due."""
    laid(tmp_path, HOLD)
    lay(tmp_path, outcome("24h", True, 12.5, missing_minutes=3))
    lay(tmp_path, outcome("72h", False, -3.25, grid_exit="stop_loss", realised_verdict=None))
    day, three, week = current(tmp_path).outcomes
    assert (day.value, day.tone) == (
        "right, +12.5 USDT; the market was RANGE_OK; 3 minutes not known",
        Tone.GOOD,
    )
    assert (three.value, three.tone) == ("wrong, -3.25 USDT; the grid ended by its stop_loss", Tone.BAD)
    assert (week.value, week.due_at, week.tone) == (None, CLOSE + timedelta(days=7), None)
    lay(tmp_path, outcome("24h", None, 0.0))
    lay(tmp_path, outcome("72h", None, None))
    assert [each.value for each in current(tmp_path).outcomes][:2] == [
        "no difference, +0 USDT; the market was RANGE_OK",
        "not comparable; the market was RANGE_OK",
    ]


def test_an_hour_that_was_not_judged_says_why_and_withholds(tmp_path):
    """No verdict, its reason in the row and as a trouble, gaps in the lines; with a grid it is bad news."""
    laid(tmp_path, evaluate(unjudged(grids=(running(),)), policy()))
    lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(RUNS)})
    page = page_of(tmp_path)
    assert page.now.verdict is None and "30 of 60 minutes are missing" in page.now.stale
    assert page.now.tone is Tone.BAD and page.verdicts == [] and page.components == ()
    assert np.isnan(page.metrics[0].values).all() and len(page.hours_ts) == 1
    assert page.current is not None and page.current.action == "WITHHELD"
    assert any("insufficient: 30 of 60" in each.why for each in page.troubles)
    (fact,) = (fact for fact in page.grids[0].facts if fact.name == "State since")
    assert fact.at is not None and not any("Distance to lower" in each.name for each in page.grids[0].facts)


def test_gates_are_told_with_their_streak_and_what_began_them_anew(tmp_path):
    """A gate that waits for its hours, one that does not hold, and the reset that closed all of them."""
    grid = stopped()
    lay(tmp_path, {f"configs/{CONFIG[7:]}.yaml": yaml_text.dump({"gates": {"bars_to_pass": 5}})})
    first = evaluate(inputs(grids=(grid,), before=passed_gates(grid, hours=4)), policy(config_hash=CONFIG))
    laid(tmp_path, first)
    one, two, three = page_of(tmp_path).gates
    assert (one.number, one.title, one.status, one.needed) == (1, "Directional Energy Decay", "PASSED", 5)
    assert one.checks and all(check.passed for check in one.checks)
    assert (two.status, two.streak, three.status) == ("FAILED", 1, "NOT_EVALUATED")
    trend = replace(analysis(), verdict=analysis().verdict.TREND)
    after = passed_gates(grid, hours=2)
    laid(tmp_path, evaluate(inputs(grids=(grid,), before=after), policy(trend, config_hash=CONFIG)))
    gates = page_of(tmp_path).gates
    assert {gate.status for gate in gates} == {"NOT_EVALUATED"}
    assert [check.name for check in gates[0].checks] == ["trend"]
    blind = replace(analysis(), metrics={**analysis().metrics, "adx": metric_reading(None, "too short")})
    laid(tmp_path, evaluate(inputs(grids=(grid,), before=after), policy(blind, config_hash=CONFIG)))
    assert "not enough data" in {check.reason for check in page_of(tmp_path).gates[0].checks}


def test_kpis_are_those_known_at_the_pages_instant(tmp_path):
    """The newest page has the newest record; the page of an earlier day has none from after it."""
    laid(tmp_path, HOLD, next_hour())
    midnight = datetime(2026, 2, 2, tzinfo=UTC)
    for days in (-2, 0):
        day = midnight + timedelta(days=days)
        lay(tmp_path, {path_of_day(day): encode_kpis(kpi_record(day))})
    lay(tmp_path, {"kpis/2026-02-30.yaml": b"x", "kpis/notes.txt": b"x", "kpis/9999-12-31.yaml": b"x"})
    newest = page_of(tmp_path).kpis
    assert newest is not None and newest.day == "2026-02-02"
    assert newest.kpis[0].title == "Stop-losses avoided (share)" and newest.kpis[0].value is None
    reader = PageReader(tmp_path, ())
    earlier = reader.market(KEY, HOUR.opens_at, HOUR.closes_at).kpis
    assert earlier is not None and earlier.day == "2026-01-31"
    (tmp_path / "kpis/2026-02-02.yaml").write_bytes(b"x: 1\n")
    page = page_of(tmp_path)
    assert page.kpis is not None and page.kpis.day == "2026-01-31"
    assert any("kpis/2026-02-02.yaml" in each.why for each in page.troubles)


def test_the_desk_is_told_and_set_beside_a_backtest(tmp_path):
    """Facts from its newest hour; with a result both sides, made anew only when one of them changed."""
    account = {"nav": 99 * 10**8, "peak_nav": 100 * 10**8, "available": 10**9, "exposure": {}}
    report = {"account": account, "triggers": [], "stopped_by": ["drawdown"], "open_trades": ["t-1"]}
    state = {"ledger": {"quote": "USDT"}}
    put(tmp_path, hour_of_desk(hour_report=report, state=state))
    facts = {fact.name: fact for fact in PageReader(tmp_path, ()).overview().desk}
    assert (facts["Worth"].value, facts["Below its peak"].value) == ("99.00 USDT", "1.00 %")
    assert facts["No new trade"].tone is Tone.BAD and "BTC-USDT took no part" in facts
    put(tmp_path, hour_of_desk())
    overview = PageReader(tmp_path, ()).overview()
    assert overview.desk == () and "hour_report" in overview.troubles[0].why
    root = laid(tmp_path / "both", HOLD)
    assert PageReader(root, (), tmp_path).day(KEY, DAY).versus is None
    desk_of(root, expected())
    result = tmp_path / "result.json"
    reader = PageReader(root, (), tmp_path)
    assert "cannot be read" in reader.day(KEY, DAY).troubles[-1].why
    result.write_bytes(sample_result().as_bytes())
    reader = PageReader(root, (), tmp_path)
    versus = reader.day(KEY, DAY).versus
    assert versus is not None and versus.divergences == () and versus.facts[0].value == "yes"
    assert reader.day(KEY, DAY).versus is versus
    assert PageReader(root, ()).day(KEY, DAY).versus is None


def test_the_stamp_changes_with_whatever_a_page_shows(tmp_path):
    """A judged hour, an answer, a grid, an outcome; and not with nothing."""
    laid(tmp_path, CREATE)
    reader = PageReader(tmp_path, ())
    seen = [reader.stamp()]
    assert reader.stamp() == seen[0]
    steps = (
        lambda: laid(tmp_path, next_hour()),
        lambda: answer(tmp_path, Answer.ACCEPT, CLOSE + MINUTE),
        lambda: lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(RUNS) + b"\n"}),
        lambda: lay(tmp_path, outcome("24h", True, 1.0)),
        lambda: put(tmp_path, hour_of_desk()),
    )
    for step in steps:
        step()
        seen.append(reader.stamp())
    assert len(set(seen)) == len(seen)


def test_an_hour_that_comes_within_the_same_tick_is_seen(tmp_path):
    """A folder's clock may stand still between two files."""
    laid(tmp_path, HOLD)
    reader, folder = PageReader(tmp_path, ()), tmp_path / "metrics" / KEY
    before = folder.stat()
    assert reader.days(KEY) == [DAY] and reader.overview().markets[0].hour_closes_at == CLOSE
    laid(tmp_path, next_hour())
    os.utime(folder, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert reader.overview().markets[0].hour_closes_at == CLOSE + 60 * MINUTE


def test_foreign_names_are_nobodys_records(tmp_path):
    """A folder that is no market, a name that is no hour."""
    laid(tmp_path, HOLD)
    lay(tmp_path, {"metrics/not a key/a.yaml": b"", f"metrics/{KEY}/2026-13-40-99.yaml": b"", "grids/x": b""})
    reader = PageReader(tmp_path, ())
    assert reader.markets() == (KEY,) and reader.days(KEY) == [DAY]


def test_a_long_span_is_told_from_the_records_and_its_gaps_from_other_files(tmp_path, monkeypatch):
    """Hourly bars by the hours' own summaries; an hour without a record by its snapshot."""
    grown(tmp_path, (KEY,), FIRST, 24 * 33)
    gone = FIRST.plus(100)
    (tmp_path / f"metrics/{KEY}/{gone.opens_at:%Y-%m-%d-%H}.yaml").unlink()
    (tmp_path / f"metrics/{KEY}/{FIRST.plus(300).opens_at:%Y-%m-%d-%H}.yaml").unlink()
    lay_hours(tmp_path, gone, 1)
    start, end = FIRST.opens_at, FIRST.plus(24 * 33).opens_at
    page = PageReader(tmp_path, ()).market(KEY, start, end)
    assert (page.candles.step_s, len(page.candles.closes), len(page.hours_ts)) == (3600, 792, 790)
    assert page.candles.closes[100] == 2000.0 and np.isnan(page.candles.closes[300])
    assert np.isfinite(page.candles.closes).sum() == 791
    assert [hour.hour_opens_at for hour in page.quality] == [gone.opens_at, FIRST.plus(300).opens_at]
    assert page.quality[0].minutes == "." * 60 and page.quality[1].minutes == "" and not page.every_hour
    assert [each.action for each in page.advice] == ["NO_SETUP"]  # of the newest hour; nobody answered any
    assert page.grids == [] and page.before is None and page.after is None
    monkeypatch.setattr(candles, "_MOST_GAPS", 1)
    monkeypatch.setattr(quality, "MOST_HOURS", 1)
    page = PageReader(tmp_path, ()).market(KEY, start, end)
    assert np.isnan(page.candles.closes[100]) and "2 gaps" in page.troubles[-1].why
    assert len(page.quality) == 1


def test_of_many_recommendations_the_newest_are_listed(tmp_path, monkeypatch):
    """And how many there are is said."""
    every = [evaluate(inputs(HOUR.plus(place)), policy(costs=CHEAP)) for place in range(8)]
    laid(tmp_path, *every)
    monkeypatch.setattr(reading, "MOST_ADVICE", 3)
    page = PageReader(tmp_path, ()).market(KEY, HOUR.plus(-90).opens_at, HOUR.plus(10).opens_at)
    assert [each.hour_closes_at for each in page.advice] == [HOUR.plus(i).closes_at for i in (7, 6, 5)]
    assert any("8 recommendations" in each.why for each in page.troubles)


def test_neighbouring_days_are_those_with_a_judged_hour(tmp_path):
    """Days without any are passed over."""
    grown(tmp_path, (KEY,), FIRST, 2)
    grown(tmp_path, (KEY,), FIRST.plus(24 * 5), 2)
    grown(tmp_path, (KEY,), FIRST.plus(24 * 9), 2)
    reader = PageReader(tmp_path, ())
    assert reader.days(KEY) == [date(2025, 1, 1), date(2025, 1, 6), date(2025, 1, 10)]
    page = reader.day(KEY, date(2025, 1, 6))
    assert (page.before, page.after) == ("2025-01-01", "2025-01-10")
    assert reader.newest_day(KEY) == date(2025, 1, 10)


def test_a_thousand_markets_cost_no_file_that_was_read_before(tmp_path, monkeypatch):
    """The second overview decodes nothing: that is what keeps it quick."""
    keys = [f"C{number:03d}-USDT" for number in range(40)]
    grown(tmp_path, keys, FIRST, 3)
    reader = PageReader(tmp_path, ())
    first = reader.overview()
    assert len(first.markets) == 40 and not first.troubles
    monkeypatch.setattr("dashboard.reading.files.open", None, raising=False)
    again = reader.overview()
    assert [row.key for row in again.markets] == [row.key for row in first.markets]


@pytest.mark.parametrize("kind", list(GridKind))
def test_a_grid_that_never_ran_is_no_panel(tmp_path, kind):
    """Only grids that run, ran in the span or were stopped last are told."""
    laid(tmp_path, HOLD)
    waiting = new_record("eth-usdt-9", KEY, kind, parameters(), HOUR.plus(-5).opens_at)
    later = new_record("eth-usdt-8", KEY, kind, parameters(), HOUR.plus(50).opens_at)
    lay(tmp_path, {grid_path(each.grid_id): encode_grid(each) for each in (waiting, later, RUNS)})
    assert [grid.grid_id for grid in page_of(tmp_path).grids] == ["eth-usdt-1"]


def test_the_minutes_of_an_hour_are_marked_one_by_one(tmp_path):
    """Traded, left out by the exchange, missing; an incomplete hour counts, one without a file is empty."""
    laid(tmp_path, HOLD, next_hour())
    snapshot = hour_snapshot(HOUR, missing=(7, 8), no_trade=(3,), late=timedelta(minutes=40))
    lay(tmp_path, {SnapshotName(KEY, HOUR, 1).path: encode_snapshot(snapshot)})
    page = page_of(tmp_path)
    told = {hour.hour_opens_at: hour for hour in page.quality}
    own = told[HOUR.opens_at]
    assert own.minutes == "...o...xx" + "." * 51 and (own.missing, own.no_trade) == (2, 1)
    assert told[HOUR.plus(1).opens_at].minutes == "" and len(page.quality) == 16
    assert told[HOUR.plus(-1).opens_at].missing == 60
    quarter = HOUR.opens_at.hour * 4
    assert np.isfinite(page.candles.closes[quarter : quarter + 4]).all()  # of the minutes that are known


def test_a_grid_too_narrow_for_its_levels_shows_its_bounds(tmp_path):
    """Two prices would round to the same: the ladder is left out, the panel stays."""
    laid(tmp_path, HOLD)
    narrow = parameters(lower=Decimal("1999.99"), upper=Decimal("2000.01"), levels=40, stop_loss=None)
    made = new_record("eth-usdt-1", KEY, GridKind.NORMAL, narrow, HOUR.plus(-5).opens_at)
    flat = replace(narrow, version=1, spacing=Spacing.ARITHMETIC)
    even = new_record("eth-usdt-2", KEY, GridKind.NORMAL, flat, HOUR.plus(-5).opens_at)
    for record in (made, even):
        lay(
            tmp_path,
            {
                grid_path(record.grid_id): encode_grid(
                    with_event(record, EventKind.ENABLED, HOUR.opens_at, 1, "x" * 900)
                )
            },
        )
    one, two = page_of(tmp_path).grids
    assert one.levels == two.levels == (1999.99, 2000.01)
    assert len(one.events[0][1]) < 300


def test_what_a_running_grid_lacks_is_left_out_of_its_figures(tmp_path):
    """No risk, no position, no probability: only what is known is told, and why it is not simulated."""
    laid(tmp_path, HOLD)
    lay(tmp_path, {grid_path("eth-usdt-1"): encode_grid(RUNS)})
    gone = {"risk": None, "position": None, "hold": None, "trouble": "no increments"}
    path = f"metrics/{KEY}/{HOUR.opens_at:%Y-%m-%d-%H}.yaml"
    reworked(tmp_path, path, lambda file: file["exit_evaluation"]["eth-usdt-1"].update(gone))
    facts = {fact.name: fact.value for fact in page_of(tmp_path).grids[0].facts}
    assert facts["Not simulated"] == "no increments" and "Net profit" not in facts
    assert "Distance to stop-loss" not in facts and "Its bounds hold 24 h" not in facts


def test_a_calibration_counts_from_when_it_was_known(tmp_path):
    """An earlier page has the month before; what was not measured is left out."""
    laid(tmp_path, HOLD, next_hour())
    figure = {"value": 0.25, "low": 0.2, "high": 0.3, "n": 400}
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    evidence = {
        "brier": figure,
        "brier_skill": {**figure, "low": 0.01},
        "auc_hold24": nothing,
        "bins": [{"stated": 0.87, "observed": 0.9, "n": 40, "low": 0.8, "high": 1.0}],
        "edge_by_band": [BAND, {**BAND, "net_bps_24h": None}],
    }
    report = {"models": {"evidence": evidence}, "hours": 9, "hours_all": 12, "base_rate": nothing}
    for at in (HOUR.plus(-900).closes_at, HOUR.plus(1).opens_at + MINUTE):
        path, file = calibration_made(at, report=report)
        lay(tmp_path, {path: encode_calibration(file)})
    lay(tmp_path, {f"calibration/{KEY}/notes.yaml": b"x"})
    reader = PageReader(tmp_path, ())
    newest = reader.day(KEY, DAY).calibration
    assert newest is not None and newest.known_at == HOUR.plus(1).opens_at + MINUTE
    (only,) = newest.bins
    assert (only.low, only.high, only.said, only.came, only.n) == (0.8, 0.9, 0.87, 0.9, 40)
    assert [fact.name for fact in newest.facts] == [
        "Hours scored",
        "evidence: Brier",
        "evidence: skill",
        "Edge at p 0.75 to 0.85",
    ]
    assert newest.facts[2].tone is Tone.GOOD
    earlier = reader.market(KEY, HOUR.opens_at, HOUR.closes_at).calibration
    assert earlier is not None and earlier.known_at == HOUR.plus(-900).closes_at


def test_only_so_many_markets_are_kept_in_memory(tmp_path, monkeypatch):
    """Beyond that the one used longest ago is listed again; the rows stay the same."""
    monkeypatch.setattr("dashboard.reading.records._MARKETS_KEPT", 2)
    monkeypatch.setattr("dashboard.reading.markets._TAILS_KEPT", 2)
    grown(tmp_path, [f"C{number}-USDT" for number in range(4)], FIRST, 2)
    reader = PageReader(tmp_path, ())
    for _ in range(2):
        assert [row.key for row in reader.overview().markets] == [f"C{number}-USDT" for number in range(4)]
    assert len(reader._shelf._judged) == len(reader._rows._tails) == 2
