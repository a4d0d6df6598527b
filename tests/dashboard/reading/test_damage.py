"""A damaged file is told by name, with what to do, and the rest of the page is told all the same."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from dashboard.pages import Live, MarketPage, Tone
from dashboard.reading import PageReader
from dashboard.reading.telling import remedy_of
from market.errors import DataInvalid
from store import yaml_text
from store.decision_files import decision_path
from tests.cycle.house import START
from tests.dashboard.repositories import GRID, KEY
from tests.store.test_outcomes import reworked

DAY = date(2026, 1, 5)
NEWEST = f"metrics/{KEY}/2026-01-05-07.yaml"
OLDER = f"metrics/{KEY}/2026-01-05-03.yaml"
DECISION = decision_path("2026-01-05/dec-ETH-USDT-080000")


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


def page_of(root: Path) -> MarketPage:
    return PageReader(root, ()).day(KEY, DAY)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        (OLDER, "an hour"),
        (DECISION, "a recommendation"),
        (f"exit_states/{KEY}/2026-01-05.yaml", "what was told"),
        (f"calibration/{KEY}/2026-01.yaml", "the calibration"),
        (f"snapshots/{KEY}/2026/01/05/04.json", "the minutes"),
        (f"grids/{GRID}.yaml", "a grid"),
    ],
)
def test_a_damaged_file_is_named_and_the_rest_is_told(leaving_root, copied, path, what):
    """What is damaged, which file, what to do; verdicts, candles and advice of the other hours stay."""
    root = copied(leaving_root)
    cut(root / path)
    page = page_of(root)
    found = [each for each in page.troubles if path in each.why]
    assert any(each.what.startswith(what) for each in found), page.troubles
    assert found[0].tone is Tone.BAD
    assert f"git checkout -- {path}" in found[0].remedy
    assert len(page.hours_ts) == (7 if path == OLDER else 8)
    assert len(page.candles.closes) == 32 and len(page.quality) == 8 and page.every_hour
    assert any(hour.is_damaged for hour in page.quality) is path.startswith("snapshots/")
    assert len(page.advice) == (7 if path in (OLDER, DECISION) else 8)
    assert bool(page.grids) is (path != f"grids/{GRID}.yaml")


def test_the_newest_hour_damaged_is_told_in_the_overview_and_its_page_ends_an_hour_earlier(
    leaving_root, copied
):
    """The row says which record cannot be read; the page stands on the hour before."""
    root = copied(leaving_root)
    cut(root / NEWEST)
    reader = PageReader(root, ())
    overview = reader.overview()
    row = next(each for each in overview.markets if each.key == KEY)
    assert row.verdict is None and "the record of 2026-01-05T07 cannot be read" in row.stale
    assert row.hour_closes_at == START.plus(7).closes_at and row.grids == 1 and row.tone is Tone.BAD
    assert any(NEWEST in each.why for each in overview.troubles)
    page = reader.day(KEY, DAY)
    assert page.now.hour_closes_at == START.plus(6).closes_at and page.now.verdict is not None

    stale = reader.day(
        KEY, DAY, Live(START.plus(9).opens_at, "warn", (), (), {KEY: "no candle"}, may_answer=True)
    )
    assert stale.now.stale == "no candle" and not stale.is_newest
    assert "2026-01-05T07 cannot be read" in page.now.stale


def test_a_running_grid_that_the_newest_record_does_not_tell_is_counted(leaving_root, copied):
    """Its state is not known: the row says so and does not look good."""
    root = copied(leaving_root)
    reworked(root, NEWEST, lambda file: file.update(exit_evaluation={}))
    reader = PageReader(root, ())
    row = next(each for each in reader.overview().markets if each.key == KEY)
    page = reader.day(KEY, DAY)
    assert (row.grids, row.exit_state, row.unwatched) == (1, None, 1) and row.tone is not Tone.GOOD
    assert (page.now.unwatched, page.grids[0].is_running, page.grids[0].exit_state) == (1, True, None)


def test_a_damaged_grid_of_any_name_is_told_on_its_markets_page(leaving_root, copied):
    """An id is free text: only a file that names another market is left out."""
    root = copied(leaving_root)
    good = (root / f"grids/{GRID}.yaml").read_text()
    bad = good.replace(f"grid_id: {GRID}", "grid_id: mine").replace("levels: 6", "levels: nonsense")
    assert bad != good
    (root / "grids/mine.yaml").write_text(bad)
    (root / "grids/theirs.yaml").write_text(bad.replace(f"market: {KEY}", "market: BTC-USDT"))
    (root / "grids/cut.yaml").write_bytes(b"x: [")
    told = " ".join(each.why for each in page_of(root).troubles)
    assert "grids/mine.yaml" in told and "grids/cut.yaml" in told and "grids/theirs.yaml" not in told


def test_without_one_readable_record_there_is_no_page(leaving_root, copied):
    """The first fault is named; many are counted, not listed."""
    root = copied(leaving_root)
    for path in (root / "metrics" / KEY).iterdir():
        cut(path)
    with pytest.raises(DataInvalid, match="none of its records can be read: metrics/ETH-USDT"):
        page_of(root)


def test_many_faults_are_counted(leaving_root, copied):
    """A page lists twenty and says how many more there are."""
    root = copied(leaving_root)
    for number in range(30):
        (root / f"grids/eth-usdt-{number + 9}.yaml").write_bytes(b"x: 1\n")
    troubles = page_of(root).troubles
    assert len(troubles) == 21 and troubles[-1].why == "10 more files could not be read"


@pytest.mark.parametrize(
    ("path", "change", "field"),
    [
        (DECISION, lambda file: file.update(proposed={"form": 3}), "proposed"),
        (NEWEST, lambda file: file["exit_evaluation"][GRID].pop("since"), "exit_evaluation"),
        (NEWEST, lambda file: file["exit_evaluation"].update({GRID: "nonsense"}), f"exit_evaluation.{GRID}"),
        (NEWEST, lambda file: file["exit_evaluation"][GRID].update(reasons=None), f"{GRID}.reasons"),
        (NEWEST, lambda file: file["exit_evaluation"][GRID].update(state=5), f"{GRID}.state"),
        (NEWEST, lambda file: file["confidence"].update(value=7.5), "confidence.value"),
        (NEWEST, lambda file: file.update(gate_evaluation={"a": {}}), "gate_evaluation"),
        (f"calibration/{KEY}/2026-01.yaml", lambda file: file["report"].pop("hours"), "report"),
    ],
)
def test_a_record_that_is_not_as_written_inside_is_named_with_its_field(
    leaving_root, copied, path: str, change: Callable, field: str
):
    """Its own form holds, but a part that is free in it does not."""
    root = copied(leaving_root)
    reworked(root, path, change)
    page = page_of(root)
    assert any(path in each.why and field in each.why for each in page.troubles)
    assert any(f"checkout -- {path}" in each.remedy for each in page.troubles)
    PageReader(root, ()).overview()


def test_no_remedy_is_a_whole_folder():
    """`git checkout -- metrics` would throw away an operator's other changes."""
    assert "checkout" not in remedy_of("metrics") and "regimed verify" in remedy_of("metrics")
    assert "checkout -- metrics/A/2026-01-05-07.yaml" in remedy_of("metrics/A/2026-01-05-07.yaml")


def test_outcomes_and_answers_that_are_damaged_are_named(leaving_root, copied):
    """The recommendation is told without them."""
    root = copied(leaving_root)
    stem = DECISION.removesuffix(".yaml")
    (root / f"{stem}.eval-24h.yaml").write_bytes(b"x: 1\n")
    value = {"schema_version": 1, "decision": DECISION[10:-5], "market": KEY, "evaluated_at": ""}
    value["outcome"] = {"horizon": "72h"}
    (root / f"{stem}.eval-72h.yaml").write_bytes(yaml_text.dump(value))
    value["outcome"] = {"horizon": "24h"}
    (root / f"{stem}.eval-7d.yaml").write_bytes(yaml_text.dump(value))
    (root / f"{stem}.action-1.yaml").write_bytes(b"x: 1\n")
    page = page_of(root)
    assert page.current is not None
    assert [each.value for each in page.current.outcomes] == [None, "it cannot be read", None]
    assert page.current.outcomes[1].tone is Tone.UNKNOWN and page.current.answers == ()
    named = " ".join(each.why for each in page.troubles)
    for part in ("eval-24h", "eval-72h", "eval-7d", "action-1", "the path names another"):
        assert part in named


def test_a_configuration_that_says_no_number_is_named(leaving_root, copied):
    """How long a gate must hold is then told by the default."""
    root = copied(leaving_root)
    (config,) = (root / "configs").iterdir()
    config.write_bytes(b"gates: {}\n")
    reworked(root, NEWEST, lambda file: file.update(gate_evaluation={"a": {}}))
    assert any("bars_to_pass" in each.why for each in page_of(root).troubles)
    config.unlink()
    assert not any("bars_to_pass" in each.why for each in page_of(root).troubles)
    reworked(root, NEWEST, lambda file: file.update(config_hash="../../etc/passwd"))
    assert any("not a configuration hash" in each.why for each in page_of(root).troubles)


def test_an_id_that_is_none_never_becomes_a_path(leaving_root, copied):
    """A record that names something else as its recommendation is told, and nothing outside is read."""
    root = copied(leaving_root)
    reworked(root, NEWEST, lambda file: file.update(decisions=["../../secret"]))
    page = page_of(root)
    assert any("not a decision's id" in each.why for each in page.troubles)
    assert page.current is None and page.now.decision_id is None
