"""Paths, YAML, snapshots, candle files and records: what is written is read back, the rest is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decisions.evaluate import Evaluation
from decisions.inputs import HourInputs
from grid.capital import Funds
from market.candles import Candle
from market.errors import DataInvalid, ValueOutOfRange
from market.hours import Hour, Timeframe
from market.snapshot import Account, Ticker, build_snapshot
from market.window import MarketWindow, WindowQuality
from store import yaml_text
from store.candle_files import candle_files, decode_candles, encode_candles, month_start_ts
from store.columns import columns_of, decode_columns, decode_hours
from store.paths import (
    Kind,
    SnapshotName,
    checked_path,
    classify,
    config_path,
    metrics_path,
    parse_candles,
    parse_metrics,
    parse_snapshot,
)
from store.records import analysis_of, decode_metrics, encode_metrics, metrics_file
from store.seal import sealed
from store.snapshots import decode_snapshot, encode_snapshot
from tests.store.samples import (
    FIRST,
    KEY,
    NOON,
    analysis,
    coarse_of,
    hour_snapshot,
    minutes_of,
)

HOUR = FIRST.plus(14)
NAME = SnapshotName(KEY, HOUR, None)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("snapshots/ETH-USDT/2026/02/02/14.json", Kind.WRITE_ONCE),
        ("snapshots/ETH-USDT/2026/02/02/14.partial-2.json", Kind.WRITE_ONCE),
        ("snapshots/ETH-USDT/2026/02/30/14.json", Kind.MISPLACED),
        ("snapshots/ETH-USDT/2026/02/02/24.json", Kind.MISPLACED),
        ("snapshots/../x/2026/02/02/14.json", Kind.MISPLACED),
        ("candles/ETH-USDT/1h/2026-01.json", Kind.WRITE_ONCE),
        ("candles/ETH-USDT/1h/2026-02.to-02T15.json", Kind.WRITE_ONCE),
        ("candles/ETH-USDT/1m/2026-01.json", Kind.MISPLACED),
        ("candles/ETH-USDT/1h/2026-13.json", Kind.MISPLACED),
        ("metrics/ETH-USDT/2026-02-02-14.yaml", Kind.WRITE_ONCE),
        ("metrics/ETH-USDT/2026-02-31-14.yaml", Kind.MISPLACED),
        ("decisions/2026-02-02/dec-ETH-USDT-150000.action-1.yaml", Kind.WRITE_ONCE),
        ("calibration/ETH-USDT/2026-02.yaml", Kind.WRITE_ONCE),
        ("configs/" + "ab" * 32 + ".yaml", Kind.WRITE_ONCE),
        ("kpis/2026-02-02.yaml", Kind.WRITE_ONCE),
        ("exit_states/ETH-USDT/2026-02-02.yaml", Kind.APPEND_ONLY),
        ("trades/2026-02.jsonl", Kind.APPEND_ONLY),
        ("grids/eth-1.yaml", Kind.VERSIONED),
        ("quarantine/snapshots/ETH-USDT/2026/02/02/14.json.1", Kind.QUARANTINE),
        ("snapshots", Kind.MISPLACED),
        ("README.md", Kind.FOREIGN),
        ("notes/idea.txt", Kind.FOREIGN),
    ],
)
def test_each_path_has_one_class(path, kind):
    """What may happen to a file follows from where it lies."""
    assert classify(path) is kind


def test_paths_are_read_back_as_they_were_made():
    """A path and what it names are two forms of one thing."""
    assert parse_snapshot(NAME.path) == NAME
    assert parse_metrics(metrics_path(KEY, HOUR)) == (KEY, HOUR)
    assert parse_snapshot("metrics/x") is None
    assert parse_metrics("snapshots/x") is None
    assert parse_candles("README.md") is None
    assert config_path("sha256:" + "0f" * 32) == "configs/" + "0f" * 32 + ".yaml"
    with pytest.raises(ValueError, match="not a configuration hash"):
        config_path("../../x")


@pytest.mark.parametrize("path", ["/etc/x", "a/../b", "a//b", ".git/hooks/x", "a/.GIT/x", "a\nb", "a\\b", ""])
def test_no_path_leaves_the_repository(path):
    """A path from outside stays inside the repository and out of Git's own folder."""
    with pytest.raises(DataInvalid):
        checked_path(path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\na: 2\n", "stands twice"),
        ("a: &x [1]\nb: *x\n", "aliases"),
        ("a: !!python/object:os.system x\n", "not the YAML"),
        ("1: x\n", "not a string"),
        ("a: [\n", "not the YAML"),
        ("a: 1\n---\nb: 2\n", "2 YAML documents"),
        ("[" * 5000, "YAML"),
        ("[" * 100_000, "nested deeper"),  # these three ended the process: a stack of C calls
        ("- " * 100_000, "nested deeper"),
        ('{"a":' * 100_000, "nested deeper"),
    ],
)
def test_yaml_refuses_what_is_not_plain(text, problem):
    """A record has each key once and nothing clever in it."""
    with pytest.raises(DataInvalid, match=problem):
        yaml_text.load(text.encode(), "x.yaml")
    with pytest.raises(DataInvalid, match="not UTF-8"):
        yaml_text.load(b"\xff", "x.yaml")
    with pytest.raises(DataInvalid, match="at most"):
        yaml_text.load(b" " * (yaml_text.MAX_BYTES + 1), "x.yaml")


def test_yaml_does_not_guess():
    """What looks like a date, an octal or a yes is a string."""
    text = b"a: yes\nb: 012\nc: 1:30\nd: 2026-02-02T14:00:00Z\ne: 12\nf: 1.5\ng: true\nh: null\ni: 1e5\nj:\n"
    assert yaml_text.load(text, "x") == {
        "a": "yes", "b": "012", "c": "1:30", "d": "2026-02-02T14:00:00Z", "e": 12, "f": 1.5,
        "g": True, "h": None, "i": "1e5", "j": None,
    }  # fmt: skip


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)


@given(PLAIN)
def test_yaml_gives_back_what_it_was_given(value):
    """Every plain value survives a round trip, and equal values give equal bytes."""
    data = yaml_text.dump({"v": value})
    assert yaml_text.load(data, "x") == {"v": value}
    assert yaml_text.dump(yaml_text.load(data, "x")) == data


def full_snapshot():
    snapshot = build_snapshot(
        key=KEY,
        exchange="sandbox",
        symbol=KEY,
        hour=HOUR,
        collected_at=HOUR.closes_at + timedelta(seconds=5, microseconds=17),
        source="live",
        candles=[c for c in minutes_of(HOUR) if c.ts != HOUR.open_ts + 600],
        ticker=Ticker(Decimal("2000.11"), Decimal("2000.12"), Decimal("2000.1"), HOUR.closes_at),
        grid_config=({"grid_id": "eth-1", "running": True},),
        account=Account(({"currency": "USDT", "balance": "12.5", "available": "10", "holds": "2.5"},), ()),
    )
    assert snapshot.no_trade == (10,)
    return snapshot


@pytest.mark.parametrize(
    "snapshot",
    [full_snapshot(), hour_snapshot(HOUR, missing=(3, 4)), hour_snapshot(HOUR, missing=tuple(range(60)))],
)
def test_a_snapshot_is_read_back_as_it_was(snapshot):
    """Nothing is lost between an hour and its file."""
    data = encode_snapshot(snapshot)
    assert decode_snapshot(data, "x") == snapshot
    assert encode_snapshot(decode_snapshot(data, "x")) == data


def test_the_quick_way_sees_the_same_hour():
    """Columns decoded for the cache are those of the snapshot."""
    for snapshot in (hour_snapshot(HOUR), hour_snapshot(HOUR, no_trade=(7, 8)), full_snapshot()):
        quick = decode_columns(encode_snapshot(snapshot), NAME.path, NAME)
        slow = columns_of(snapshot, NAME)
        assert quick.minutes.tolist() == slow.minutes.tolist()
        assert replace(quick, minutes=slow.minutes) == slow


def test_files_side_by_side_are_each_judged_alone():
    """A broken file among whole ones is told, and takes nobody with it; partials go the long way."""
    snapshots = [hour_snapshot(HOUR.plus(n), no_trade=(7, 8) if n % 2 else ()) for n in range(4)]
    snapshots += [hour_snapshot(HOUR.plus(4), missing=(3,)), hour_snapshot(HOUR.plus(5))]
    names = [SnapshotName(NAME.key, each.hour, 1 if each.missing else None) for each in snapshots]
    files = [(encode_snapshot(each), name.path, name) for each, name in zip(snapshots, names, strict=True)]
    broken = (b"{}", names[-1].path, names[-1])
    untrue = (resealed(lambda c: c["market_summary"].__setitem__("volume", 1)), NAME.path, NAME)
    found = decode_hours([broken, *files, untrue])
    assert [str(each) for each in (found[0], found[-1])] == [
        f"{names[-1].path}: schema_version: None, expected 1; written by a newer program?",
        str(decode_error(untrue)),
    ]
    for each, snapshot, name in zip(found[1:-1], snapshots, names, strict=True):
        slow = columns_of(snapshot, name)
        assert each.minutes.tolist() == slow.minutes.tolist()
        assert replace(each, minutes=slow.minutes) == slow


def decode_error(file):
    with pytest.raises(DataInvalid) as caught:
        decode_snapshot(*file)
    return caught.value


@pytest.mark.parametrize(
    ("field", "value"),
    [("volume", 2**63 - 1), ("volume", 2**62), ("open", 2**63), ("open", -(2**63))],
)
def test_figures_at_the_edge_of_64_bits_are_summed_exactly(field, value):
    """Both ways agree on a volume that overflows when it is summed, and on what no integer column holds."""
    data = resealed(lambda c: c["minutes"][field].__setitem__(5, value))
    said = []
    for decode in (decode_snapshot, decode_columns):
        with pytest.raises(DataInvalid) as caught:
            decode(data, NAME.path, NAME)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_a_sum_that_wraps_round_to_the_summary_is_refused():
    """Volumes too large by 2**64 in all: 64 bits alone would not see it."""

    def wrap(content):
        volume = content["minutes"]["volume"]
        volume[7] += volume[5] + volume[6] + 2
        volume[5] = volume[6] = 2**63 - 1

    for decode in (decode_snapshot, decode_columns):
        with pytest.raises(DataInvalid, match="volume"):
            decode(resealed(wrap), NAME.path, NAME)


@pytest.mark.parametrize("no_trade", [[1.0], [True], ["a"], "ab", [3, 3], [60], [-1], [None]])
def test_minutes_without_trade_are_numbers_of_minutes(no_trade):
    """Whatever else stands there is refused, as the long way refuses it."""
    data = resealed(lambda c: c.__setitem__("no_trade", no_trade))
    for decode in (decode_snapshot, decode_columns):
        with pytest.raises(DataInvalid, match="no_trade"):
            decode(data, NAME.path, NAME)


def test_the_funds_of_an_hour_are_its_quote_coin():
    """Both ways of reading; an account that tells nothing of the coin has none of it."""
    found = decode_columns(encode_snapshot(full_snapshot()), NAME.path, NAME).funds
    assert found == Funds(Decimal("12.5"), Decimal("2.5"))
    assert columns_of(full_snapshot(), NAME).funds == found
    other = replace(
        full_snapshot(),
        account=Account(({"currency": "ETH", "balance": "1", "available": "1", "holds": "0"},), ()),
    )
    assert decode_columns(encode_snapshot(other), NAME.path, NAME).funds == Funds(Decimal(0), Decimal(0))
    assert columns_of(hour_snapshot(HOUR), NAME).funds is None


@pytest.mark.parametrize("amount", ["-1", "1e3", "", "NaN", "1.", "x"])
def test_a_balance_that_is_no_decimal_is_refused(amount):
    """The file is corrupt, and the field is named."""
    bad = ({"currency": "USDT", "balance": amount, "available": "10", "holds": "2.5"},)
    data = encode_snapshot(replace(full_snapshot(), account=Account(bad, ())))
    for decode in (decode_snapshot, lambda data, where: decode_columns(data, where, NAME)):
        with pytest.raises(DataInvalid, match="balance"):
            decode(data, NAME.path)


def test_every_flipped_byte_and_every_cut_is_refused():
    """A damaged snapshot is never half-read; only another valid `collected_at` would not show."""
    data = encode_snapshot(hour_snapshot(HOUR))
    start = data.index(b'"collected_at":"')
    free = range(start, start + len(b'"collected_at":"2026-02-02T15:00:05Z"'))
    for place in range(len(data)):
        if place in free:
            continue
        broken = bytearray(data)
        broken[place] ^= 1 << (place % 8)
        for decode in (decode_snapshot, decode_columns):
            with pytest.raises(DataInvalid):
                decode(bytes(broken), NAME.path, NAME)
    for length in range(len(data)):
        with pytest.raises(DataInvalid):
            decode_columns(data[:length], NAME.path, NAME)


def resealed(change):
    content = orjson.loads(encode_snapshot(hour_snapshot(HOUR)))
    del content["collected_at"], content["digest"]
    change(content)
    return sealed(content, HOUR.closes_at)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda c: c["minutes"]["open"].pop(), "minutes.open"),
        (lambda c: c["minutes"]["open"].append(1), "minutes.open"),
        (lambda c: c["minutes"]["close"].__setitem__(5, 2**63 + 1), "minutes.close"),
        (lambda c: c["minutes"]["low"].__setitem__(5, 0), "minute 5"),
        (lambda c: c["market_summary"].__setitem__("high", 1), "market_summary.high"),
        (lambda c: c.__setitem__("price_scale", 30), "price_scale"),
        (lambda c: c.__setitem__("schema_version", 2), "schema_version"),
        (lambda c: c.__setitem__("schema_version", True), "schema_version"),
        (lambda c: c.__setitem__("hour", "2026-02-02"), "hour"),
        (lambda c: c.__setitem__("hour", "2026-02-02T14"), "not the form written"),
        (lambda c: c.__setitem__("hour", "2026-02-02T13:00:00Z"), "key, hour"),
        (lambda c: c.__setitem__("extra", 1), "extra"),
        (lambda c: c.__setitem__("no_trade", [70]), "no_trade"),
        (lambda c: c.__setitem__("no_trade", [7]), "minute 7"),
        (lambda c: c.__setitem__("missing", [7]), "missing"),
        (lambda c: c["market_summary"].__setitem__("ticker_at", "soon"), "market_summary.ticker_at"),
        (lambda c: c.__setitem__("market_summary", None), "market_summary"),
    ],
)
def test_a_wrong_snapshot_is_refused_by_field(change, field):
    """Each error names the file, the field, what was found and what was expected, sealed or not."""
    for decode in (decode_snapshot, decode_columns):
        with pytest.raises(DataInvalid) as caught:
            decode(resealed(change), NAME.path, NAME)
        assert NAME.path in str(caught.value)
        assert field in str(caught.value)


@pytest.mark.parametrize("data", [b"[]", b"{}", b"", b"\xff", b'{"schema_version":1}'])
def test_what_is_no_snapshot_is_refused(data):
    """Other JSON, and what is none, is refused with the file's name."""
    with pytest.raises(DataInvalid, match=r"14\.json"):
        decode_snapshot(data, NAME.path)


def test_a_snapshot_from_before_its_close_is_refused():
    """Only closed hours are stored, and a name agrees with what is in the file."""
    with pytest.raises(DataInvalid, match="after the hour's close"):
        encode_snapshot(hour_snapshot(HOUR, late=timedelta(seconds=-1)))
    with pytest.raises(DataInvalid, match="the path says otherwise"):
        decode_snapshot(encode_snapshot(hour_snapshot(HOUR, missing=(1,))), NAME.path, NAME)


def hourly(first: Hour, hours: int) -> list[Candle]:
    return coarse_of(first, hours, Timeframe.H1)


def files_of(candles, start, end, **more):
    return candle_files(
        key=KEY,
        exchange="sandbox",
        symbol=KEY,
        timeframe=Timeframe.H1,
        candles=candles,
        start_ts=start,
        end_ts=end,
        collected_at=NOON + timedelta(days=30),
        **more,
    )


def test_candle_files_split_by_month():
    """A whole month has its final file, the month that the span cuts an open one."""
    first = Hour.parse("2026-01-31T20")
    files = files_of(hourly(first, 30), month_start_ts(first.open_ts), first.plus(30).open_ts)
    assert list(files) == ["candles/ETH-USDT/1h/2026-01.json", "candles/ETH-USDT/1h/2026-02.to-02T02.json"]
    for path, data in files.items():
        part = decode_candles(data, path, parse_candles(path))
        assert encode_candles(part) == data
        for length in range(0, len(data), 7):
            with pytest.raises(DataInvalid):
                decode_candles(data[:length], path, parse_candles(path))
        broken = bytearray(data)
        broken[-20] ^= 4
        with pytest.raises(DataInvalid):
            decode_candles(bytes(broken), path)
    with pytest.raises(DataInvalid, match="the path of"):
        decode_candles(data, path, replace(parse_candles(path), to=None))


def test_candle_files_refuse_nonsense():
    """A span off the month, bars off the grid and impossible figures never reach a file."""
    first = Hour.parse("2026-02-01T00")
    with pytest.raises(ValueError, match="a month's start"):
        files_of(hourly(first, 3), first.plus(1).open_ts, first.plus(3).open_ts)
    good = hourly(first, 3)
    for bad in (replace(good[1], low=Decimal(0)), replace(good[1], ts=good[1].ts + 60), good[0]):
        with pytest.raises(DataInvalid):
            files_of([good[0], bad, good[2]], first.open_ts, first.plus(3).open_ts)
    with pytest.raises(DataInvalid, match="before the end of the span"):
        candle_files(
            key=KEY, exchange="x", symbol=KEY, timeframe=Timeframe.H1, candles=good, start_ts=first.open_ts,
            end_ts=first.plus(3).open_ts, collected_at=first.opens_at,
        )  # fmt: skip
    with pytest.raises(ValueOutOfRange):
        files_of([replace(good[0], volume=Decimal(10) ** 30)], first.open_ts, first.plus(3).open_ts)


@pytest.mark.parametrize(
    "change",
    [
        lambda c: c["bars"]["ts"].__setitem__(0, c["bars"]["ts"][1]),
        lambda c: c["bars"]["ts"].pop(),
        lambda c: [column.clear() for column in c["bars"].values()],
        lambda c: c["bars"]["low"].__setitem__(0, 0),
        lambda c: c.__setitem__("from", "2026-02-01T01:00:00Z"),
        lambda c: c.__setitem__("to", "2026-04-01T00:00:00Z"),
        lambda c: c.__setitem__("to", "2026-02-01T01:00:00Z"),
        lambda c: c.__setitem__("from", "never"),
        lambda c: c.__setitem__("volume_scale", 7),
    ],
)
def test_a_wrong_candle_file_is_refused(change):
    """A sealed file with wrong bars is refused by field."""
    first = Hour.parse("2026-02-01T00")
    (path, data), *_ = files_of(hourly(first, 3), first.open_ts, first.plus(3).open_ts).items()
    content = orjson.loads(data)
    del content["collected_at"], content["digest"]
    change(content)
    with pytest.raises(DataInvalid, match=r"02\.to-01T03"):
        decode_candles(sealed(content, NOON + timedelta(days=90)), path, parse_candles(path))


def evaluation_of(found=None, summary=None) -> Evaluation:
    window = MarketWindow(KEY, HOUR, NOON, 100, 10**4, {}, {}, WindowQuality(1, 2, 3, 4, bars_only=False))
    inputs = HourInputs(KEY, HOUR, NOON, window, {"b": "2", "a": "1"}, summary, True, ("2026-02-02T01",))
    if found is None:
        return Evaluation(inputs, "ab" * 32, 1, "no_data", "nothing: at all", None)
    return Evaluation(inputs, "ab" * 32, 1, "analysed", None, found)


@pytest.mark.parametrize(
    "evaluation",
    [evaluation_of(), evaluation_of(analysis(), full_snapshot().summary)],
    ids=["no_data", "analysed"],
)
def test_a_record_is_read_back_as_it_was(evaluation):
    """Equal judgements give equal bytes, and the analysis comes back number for number."""
    data = encode_metrics(metrics_file(evaluation))
    file = decode_metrics(data, "m.yaml", (KEY, HOUR))
    assert encode_metrics(file) == data
    assert analysis_of(file) == evaluation.analysis
    assert (file.verdict is None) == (evaluation.analysis is None)
    assert list(file.inputs.files) == ["a", "b"]


FIELDS = (
    "schema_version", "key", "hour", "engine_version", "config_hash", "inputs", "outcome", "reason",
    "market_summary", "regime_analysis", "confidence", "detailed_analysis", "gate_evaluation",
    "exit_evaluation", "decisions", "data_quality",
)  # fmt: skip


@given(
    found=st.sampled_from([None, analysis()]),
    summary=st.sampled_from([None, full_snapshot().summary]),
    name=st.sampled_from(FIELDS),
)
def test_property_48_a_metrics_file_has_every_required_field(found, summary, name):
    """Also one of an hour that could not be judged; without any one of them it is refused by its name."""
    data = encode_metrics(metrics_file(evaluation_of(found, summary)))
    value = yaml_text.load(data, "m.yaml")
    assert set(FIELDS) <= set(value)
    del value[name]
    with pytest.raises(DataInvalid, match=name):
        decode_metrics(yaml_text.dump(value), "m.yaml")


def test_a_damaged_record_is_refused_or_is_another_record():
    """No cut record is read; a flipped byte is refused unless it makes another well-formed record."""
    data = encode_metrics(metrics_file(evaluation_of(analysis(), full_snapshot().summary)))
    for length in range(0, len(data), 3):
        with pytest.raises(DataInvalid):
            decode_metrics(data[:length], "m.yaml")
    for place in range(0, len(data), 5):
        broken = bytearray(data)
        broken[place] ^= 1 << (place % 7)
        try:
            file = decode_metrics(bytes(broken), "m.yaml")
        except DataInvalid:
            continue
        assert encode_metrics(file) == bytes(broken)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (b"schema_version: 1", b"schema_version: 9", "schema_version"),
        (b"outcome: analysed", b"outcome: guessed", "outcome"),
        (b"2026-02-02T14:00:00Z", b"2026-02-02T14:00:01Z", "hour"),
        (b"2026-02-02T14:00:00Z", b"2026-02-02T15:00:00Z", "path names another"),
        (b"key: ETH-USDT\n", b"key: ETH-USDT \n", "not the bytes"),
        (b"value: 17.5", b"value: .nan", "regime_analysis"),
    ],
)
def test_a_wrong_record_is_refused_by_field(old, new, field):
    """Unknown versions, words and times are refused with the file's name."""
    data = encode_metrics(metrics_file(evaluation_of(analysis())))
    assert old in data
    with pytest.raises(DataInvalid, match=field):
        decode_metrics(data.replace(old, new, 1), "m.yaml", (KEY, HOUR))
    with pytest.raises(DataInvalid, match="expected a mapping"):
        decode_metrics(b"- 1\n", "m.yaml")
