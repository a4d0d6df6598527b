"""The paper desk's hours and the trade log: exact bytes, their places, one commit, what `verify` finds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from market.errors import DataInvalid, HistoryRefused
from market.hours import Hour
from market.snapshot import digest_of
from store.change_set import ChangeSet, check_content, in_order
from store.desk_files import (
    DeskMarketJson,
    DeskRecord,
    decode_desk,
    desk_hours,
    desk_record,
    newest_desk,
    read_desk,
)
from store.paths import OWNED, Kind, classify, desk_path, metrics_path, parse_desk, parse_trades
from store.trade_files import decode_trades, trades_growth, trades_of
from store.verify import verify
from tests.store.samples import CONFIG, FIRST, KEY, HandClock, git, opened, run_hour
from tests.trading.trades import closed_trade

SEEN = DeskMarketJson(known_at="2026-02-02T01:00:06Z", window_digest="sha256:" + "1" * 64, outcome="analysed")


def hour_of_desk(
    hour: Hour = FIRST, after: Hour | None = None, config_hash: str = CONFIG, **changes
) -> DeskRecord:
    """Return a record of an hour with something in each field."""
    told = {
        "markets": {KEY: SEEN},
        "absent": {"BTC-USDT": "no record after 2400 s"},
        "hour_report": {"orders": [{"id": "a", "price": 199_950, "share": 0.25}], "refused": {}},
        "state": {"cash": 10**12, "open": [], "best": None},
        "venue": {"balances": {"USDT": {"total": 10**12, "held": 0}}},
    }
    return desk_record(hour, config_hash, after, **(told | changes))


def put(root: Path, record: DeskRecord) -> Path:
    path = root / record.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(record.data)
    return path


def sealed(value: dict) -> bytes:
    """Return a changed record under the right digest, as somebody would who means it."""
    content = {name: part for name, part in value.items() if name != "digest"}
    options = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps({**content, "digest": digest_of(content)}, option=options)


def test_a_record_reads_back_as_it_was_written(tmp_path):
    """The same value and the same bytes, and the newest hour is found by the names alone."""
    first, second = hour_of_desk(), hour_of_desk(FIRST.plus(25), FIRST)
    assert decode_desk(first.data, first.path, FIRST) == first.file
    assert (first.file.after, second.file.after) == (None, FIRST.iso())
    assert newest_desk(tmp_path) is None
    put(tmp_path, second)
    put(tmp_path, first)
    (tmp_path / "desk" / "notes").mkdir()
    assert list(desk_hours(tmp_path)) == [FIRST.plus(25), FIRST]
    assert newest_desk(tmp_path) == second.file
    assert read_desk(tmp_path, FIRST) == first.file
    assert read_desk(tmp_path, FIRST.plus(1)) is None


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"state": {"cash": 2**70}}, "64-bit"),
        ({"state": {"cash": float("nan")}}, "read back as something else"),
        ({"state": {"pair": (1, 2)}}, "read back as something else"),
        ({"venue": {"of": {1: 2}}}, "key must be str"),
        ({"hour_report": {"of": {1, 2}}}, "not JSON serializable"),
        ({"absent": {KEY: "late"}}, "it took part, too"),
        ({"markets": {}, "absent": {}}, "no market at all"),
        ({"absent": {"../x": "late"}}, "not a market key"),
        ({"markets": {KEY: SEEN.model_copy(update={"known_at": "now"})}}, "known_at"),
    ],
)
def test_what_would_not_read_back_is_not_recorded(changed, problem):
    """A desk that goes on from its file must go on from what it was."""
    with pytest.raises(DataInvalid, match=problem):
        hour_of_desk(**changed)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"hour": "2026-02-02T05:00:00Z"}, "hour"),
        ({"hour": "2026-02-02T00"}, "hour"),
        ({"hour": "soon"}, "hour"),
        ({"after": "2026-02-02T00:00:00Z"}, "after"),
        ({"markets": {KEY: {**SEEN.model_dump(), "outcome": "guessed"}}}, "outcome"),
        ({"states": {}}, "states"),
        ({"state": None}, "state"),
    ],
)
def test_a_broken_record_is_refused_by_field(change, named):
    """As a file and in a change-set, whoever brings it, also under a digest of its own."""
    record = hour_of_desk()
    broken = sealed({**orjson.loads(record.data), **change})
    with pytest.raises(DataInvalid) as caught:
        decode_desk(broken, record.path, FIRST)
    assert record.path in str(caught.value)
    assert named in str(caught.value)
    with pytest.raises(DataInvalid):
        check_content(ChangeSet({record.path: broken}, "m"))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"199950", b"199951", "the content gives"),
        (b'"cash": 10', b'"cash":  10', "not the bytes"),
        (b"{", b"[", "not JSON"),
    ],
)
def test_a_flipped_byte_shows(old, new, problem):
    """The digest covers all that was said, and there is one form to say it."""
    record = hour_of_desk()
    with pytest.raises(DataInvalid, match=problem):
        decode_desk(record.data.replace(old, new, 1), record.path, FIRST)
    with pytest.raises(DataInvalid, match="expected a JSON object"):
        decode_desk(b"[]", record.path, FIRST)


def test_their_places_are_the_daemons():
    """An hour is written once and is the last to be renamed; a month of trades only grows."""
    path = desk_path(FIRST)
    assert path == "desk/2026-02-02/00.json"
    assert parse_desk(path) == FIRST
    assert "desk" in OWNED
    assert classify(path) is Kind.WRITE_ONCE
    assert classify("trades/2026-02.jsonl") is Kind.APPEND_ONLY
    for wrong in ("desk/x.json", path + "~", path.replace("/00.", "/24."), path.replace("json", "yaml")):
        assert parse_desk(wrong) is None
        assert classify(wrong) is Kind.MISPLACED
    assert parse_trades("trades/2026-13.jsonl") is None
    assert classify("trades/2026-13.jsonl") is Kind.MISPLACED
    files = {path: b"", "trades/2026-02.jsonl": b"", metrics_path(KEY, FIRST): b""}
    assert in_order(files)[0] == "trades/2026-02.jsonl"


def test_trades_are_told_in_the_month_of_their_exit_and_only_at_the_end(tmp_path):
    """Two that end in one hour stand in the order of their ends, whatever order they are given in."""
    january, february = closed_trade("t-1", Hour.parse("2026-01-31T23")), closed_trade("t-2", FIRST)
    grown = trades_growth(tmp_path, [february, january])
    assert grown == {"trades/2026-01.jsonl": january.as_line(), "trades/2026-02.jsonl": february.as_line()}
    assert trades_growth(tmp_path, []) == {}
    for path, data in grown.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(data)
    later = [
        replace(closed_trade(name, FIRST.plus(1)), exit_at=f"2026-02-02T01:0{minute}:00Z")
        for name, minute in (("t-4", 2), ("t-3", 1))
    ]
    data = trades_growth(tmp_path, later)["trades/2026-02.jsonl"]
    assert [trade.id for trade in decode_trades(data, "trades/2026-02.jsonl")] == ["t-2", "t-3", "t-4"]
    assert data.startswith(grown["trades/2026-02.jsonl"])
    assert [trade.id for trade in trades_of(tmp_path)] == ["t-2", "t-1"]
    with pytest.raises(DataInvalid, match="t-2 stands in an earlier line too"):
        trades_growth(tmp_path, [february])


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"{}", "cut short"),
        (b"[]\n", "line 1"),
        (b"{}\n", "line 1"),
        (b"not json\n", "line 1"),
        (closed_trade("t-1", Hour.parse("2026-01-31T23")).as_line(), "ended in another month"),
        (closed_trade("t-1", FIRST).as_line() * 2, "line 2: t-1 stands in an earlier line too"),
        (closed_trade("t-1", FIRST).as_line().replace(b",", b", ", 1), "not as it is written"),
        (replace(closed_trade("t-1", FIRST), exit_at="soon").as_line(), "exit_at: 'soon' is not an instant"),
    ],
)
def test_a_broken_trade_log_is_refused_by_line(data, problem):
    """As a file and in a change-set, whoever brings it."""
    with pytest.raises(DataInvalid, match=problem):
        decode_trades(data, "trades/2026-02.jsonl")
    with pytest.raises(DataInvalid):
        check_content(ChangeSet({"trades/2026-02.jsonl": data}, "m"))


async def desk_repository(base: Path, hours: int = 2) -> Path:
    """Make a repository with some hours of a desk, each of which ended a trade; returns its root."""
    clock = HandClock()
    store = await opened(base, clock)
    await store.write_config(CONFIG, b"schema_version: 1\n")
    for place in range(hours):
        hour = FIRST.plus(place)
        found = await run_hour(store, clock, hour)
        seen = SEEN.model_copy(update={"window_digest": found.inputs.window.digest()})
        record = hour_of_desk(hour, None if not place else hour.plus(-1), markets={KEY: seen}, absent={})
        await store.commit_desk(record, [closed_trade(f"t-{place}", hour)], "1 order, 1 trade")
    await store.aclose()
    return base / "data"


async def test_an_hour_and_its_trades_enter_one_commit(tmp_path):
    """Said again it is the same, said otherwise it is refused, and the repository stays sound."""
    root = await desk_repository(tmp_path)
    changed = git(root, "show", "--name-only", "--format=%s%n%b", "HEAD").splitlines()
    assert changed[0] == "[desk] 2026-02-02T01: 1 order, 1 trade"
    assert f"Config-Hash: {CONFIG}" in changed
    assert {"desk/2026-02-02/01.json", "trades/2026-02.jsonl"} <= set(changed)
    report = verify(root)
    assert report.ok, report.findings
    assert report.findings == []
    assert (report.counts["desk hours"], report.counts["trades"]) == (2, 2)

    store = await opened(tmp_path, HandClock(FIRST.plus(2).closes_at))
    newest = await store.newest_desk()
    assert newest is not None
    again = DeskRecord(newest, (root / desk_path(FIRST.plus(1))).read_bytes())
    await store.commit_desk(again, [], "nothing")
    assert git(root, "log", "-1", "--format=%s") == "[desk] 2026-02-02T01: 1 order, 1 trade"
    with pytest.raises(HistoryRefused):
        await store.commit_desk(hour_of_desk(FIRST.plus(1), FIRST, state={}), [], "nothing")
    await store.aclose()
    assert verify(root).ok


async def test_damage_is_mended_from_the_history(tmp_path):
    """A desk goes on from what it recorded, and a trade is appended to what was said."""
    root = await desk_repository(tmp_path)
    hour, trades = root / desk_path(FIRST.plus(1)), root / "trades/2026-02.jsonl"
    before, log = hour.read_bytes(), trades.read_bytes()
    store = await opened(tmp_path, HandClock(FIRST.plus(2).closes_at))
    hour.write_bytes(before[:-9])
    found = await store.newest_desk()
    assert found is not None
    assert (found.of_hour, hour.read_bytes()) == (FIRST.plus(1), before)
    trades.write_bytes(log[:-9])
    record = hour_of_desk(FIRST.plus(2), FIRST.plus(1), markets={KEY: SEEN}, absent={})
    trade = closed_trade("t-9", FIRST.plus(2))
    await store.commit_desk(record, [trade], "1 trade")
    assert trades.read_bytes() == log + trade.as_line()
    with pytest.raises(DataInvalid, match="t-9 stands in an earlier line too"):
        await store.commit_desk(hour_of_desk(FIRST.plus(3), FIRST.plus(2)), [trade], "1 trade")
    await store.aclose()
    assert verify(root).ok


async def test_an_hour_that_was_never_committed_and_is_damaged_makes_room(tmp_path):
    """It goes to quarantine, and the desk runs that hour again."""
    root = await desk_repository(tmp_path, 1)
    store = await opened(tmp_path, HandClock(FIRST.plus(2).closes_at))
    put(root, hour_of_desk(FIRST.plus(1), FIRST)).write_bytes(b"{")
    found = await store.newest_desk()
    assert found is not None
    assert found.of_hour == FIRST
    assert (root / "quarantine/desk/2026-02-02/01.json.1").read_bytes() == b"{"
    await store.aclose()


@pytest.mark.parametrize(
    ("changes", "path", "problem"),
    [
        ({desk_path(FIRST.plus(1)): None}, "trades/2026-02.jsonl", "t-1 ended in 2026-02-02T01"),
        ({desk_path(FIRST): None}, desk_path(FIRST.plus(1)), "goes on from 2026-02-02T00"),
        ({f"configs/{CONFIG[7:]}.yaml": None}, desk_path(FIRST), "is not in configs/"),
        ({desk_path(FIRST): b"{}"}, desk_path(FIRST), "schema_version"),
        ({desk_path(FIRST): hour_of_desk().data}, desk_path(FIRST), "write-once"),
        ({"trades/2026-02.jsonl": b""}, "trades/2026-02.jsonl", "append-only"),
        (
            {"trades/2026-01.jsonl": closed_trade("t-1", Hour.parse("2026-01-31T23")).as_line()},
            "trades/2026-02.jsonl",
            "t-1 stands in trades/2026-01.jsonl too",
        ),
    ],
)
async def test_verify_names_what_somebody_broke(tmp_path, changes, path, problem):
    """Hours follow one another, what they name is there, and nobody took a trade back."""
    root = await desk_repository(tmp_path)
    for name, data in changes.items():
        if data is None:
            (root / name).unlink()
        else:
            (root / name).write_bytes(data)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "by hand")
    found = [each.problem for each in verify(root).findings if each.path == path]
    assert any(problem in each for each in found), found


async def test_verify_finds_odd_what_the_desk_saw_otherwise(tmp_path):
    """Another window, or a judgement that is gone: worth a look, and no broken promise of the desk's."""
    clock = HandClock()
    store = await opened(tmp_path, clock)
    await store.write_config(CONFIG, b"schema_version: 1\n")
    await run_hour(store, clock, FIRST)
    await store.commit_desk(hour_of_desk(markets={KEY: SEEN, "BTC-USDT": SEEN}, absent={}), [], "nothing")
    await store.aclose()
    put(tmp_path / "data", hour_of_desk(FIRST.plus(1), FIRST))
    report = verify(tmp_path / "data")
    assert report.ok, report.findings
    told = {(found.path, found.problem) for found in report.findings}
    assert told == {
        (desk_path(FIRST), f"{KEY}: another window than the judgement's of its hour"),
        (desk_path(FIRST), f"no judgement in {metrics_path('BTC-USDT', FIRST)}"),
        (desk_path(FIRST.plus(1)), "not committed (yet)"),
    }
