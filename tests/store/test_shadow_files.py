"""The shadow's files: exact bytes, their place, and what the next hour starts from."""

from __future__ import annotations

from pathlib import Path

import pytest

from market.errors import DataInvalid
from market.hours import Hour
from store.change_set import ChangeSet, check_content
from store.paths import OWNED, Kind, classify, parse_shadow, shadow_path
from store.shadow_files import (
    LOOK_BACK,
    ShadowFile,
    ShadowShelf,
    decode_shadow,
    encode_shadow,
    failed_shadow,
    shadow_file,
)
from tests.store.samples import FIRST, KEY, HandClock, judged, opened, run_hour

ONE, OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


@pytest.fixture
async def inputs(tmp_path):
    """The inputs of one stored hour."""
    clock = HandClock()
    store = await opened(tmp_path / "house", clock)
    evaluation = await run_hour(store, clock, FIRST)
    await store.aclose()
    return evaluation.inputs


def record(inputs, hour: Hour, config_hash: str = ONE, reason: str | None = None) -> ShadowFile:
    """Return a record of an hour: judged, or failed for a reason."""
    file = failed_shadow(inputs, config_hash, reason) if reason else shadow_file(judged(inputs))
    return file.model_copy(update={"hour": hour.iso(), "config_hash": config_hash})


def put(root: Path, file: ShadowFile) -> Path:
    path = root / shadow_path(file.key, Hour.parse(file.hour))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_shadow(file))
    return path


async def test_a_record_reads_back_as_it_was_written(inputs):
    """Judged or failed, the same value and the same bytes; what ruins a text does not ruin a record."""
    for reason in (None, "Oops: \x00 \ud800 a: [b]\n\tand more " + "x" * 400):
        file = record(inputs, FIRST, reason=reason)
        data = encode_shadow(file)
        assert decode_shadow(data, "f", (KEY, FIRST)) == file
    assert len(file.reason) == 300


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("schema_version: 1", "schema_version: 2", "schema_version"),
        ("outcome: analysed", "outcome: guessed", "outcome"),
        ("outcome: analysed", "outcome: failed", "folds"),
        ("hour: '2026-02-02T00:00:00Z'", "hour: '2026-02-02T05:00:00Z'", "key, hour"),
        ("hour: '2026-02-02T00:00:00Z'", "hour: '2026-02-02T00:30:00Z'", "hour"),
        ("advice:", "advise:", "advice"),
        ("verdict: ", "verdict:  ", "not the bytes"),
    ],
)
async def test_a_broken_record_is_refused_by_field(inputs, old, new, named):
    """As a file and in a change-set, whoever brings it."""
    text = encode_shadow(record(inputs, FIRST)).decode()
    assert old in text
    path, broken = shadow_path(KEY, FIRST), text.replace(old, new, 1).encode()
    with pytest.raises(DataInvalid) as caught:
        decode_shadow(broken, path, (KEY, FIRST))
    assert path in str(caught.value)
    assert named in str(caught.value)
    with pytest.raises(DataInvalid):
        check_content(ChangeSet({path: broken}, "m"))


def test_its_place_is_the_daemons_and_written_once():
    """Nothing else may lie in that folder."""
    path = shadow_path(KEY, FIRST)
    assert parse_shadow(path) == (KEY, FIRST)
    assert "shadow" in OWNED
    assert classify(path) is Kind.WRITE_ONCE
    for wrong in ("shadow/x.yaml", path + "~", path.replace("/00.", "/24."), path.replace("yaml", "json")):
        assert parse_shadow(wrong) is None
        assert classify(wrong) is Kind.MISPLACED


async def test_an_hour_starts_from_the_nearest_judged_record_of_the_same_shadow(inputs, tmp_path):
    """Failed hours hold nothing and are passed over; later hours and other shadows do not count."""
    shelf = ShadowShelf(tmp_path)
    assert shelf.before(KEY, FIRST, ONE) is None
    put(tmp_path, record(inputs, FIRST))
    put(tmp_path, record(inputs, FIRST.plus(1), reason="it raised"))
    put(tmp_path, record(inputs, FIRST.plus(30)))
    assert shelf.before(KEY, FIRST.plus(2), ONE).hour == FIRST
    assert shelf.before(KEY, FIRST.plus(40), ONE).hour == FIRST.plus(30)
    assert shelf.before(KEY, FIRST.plus(2), OTHER) is None
    put(tmp_path, record(inputs, FIRST.plus(31), OTHER))
    assert shelf.before(KEY, FIRST.plus(40), ONE) is None
    assert shelf.before("BTC-USDT", FIRST.plus(40), ONE) is None


async def test_a_shadow_that_failed_for_longer_than_a_week_starts_afresh(inputs, tmp_path):
    """The search is bounded, so that a broken shadow costs no hour more and more."""
    put(tmp_path, record(inputs, FIRST))
    for place in range(1, LOOK_BACK + 1):
        put(tmp_path, record(inputs, FIRST.plus(place), reason="it raised"))
    shelf = ShadowShelf(tmp_path)
    assert shelf.before(KEY, FIRST.plus(LOOK_BACK), ONE).hour == FIRST
    assert shelf.before(KEY, FIRST.plus(LOOK_BACK + 1), ONE) is None


async def test_what_was_recorded_is_not_read_again(inputs, tmp_path):
    """Memory spares the reading, and a file that is gone is gone."""
    shelf, file = ShadowShelf(tmp_path), record(inputs, FIRST)
    path = put(tmp_path, file)
    shelf.remember(file)
    path.write_bytes(b"never read")
    assert shelf.before(KEY, FIRST.plus(1), ONE).hour == FIRST
    path.unlink()
    assert shelf.before(KEY, FIRST.plus(1), ONE) is None


async def test_a_corrupt_record_on_the_way_is_named(inputs, tmp_path):
    """The store restores it from the history, or moves it away."""
    path = put(tmp_path, record(inputs, FIRST))
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataInvalid, match=r"shadow/ETH-USDT/2026-02-02/00\.yaml"):
        ShadowShelf(tmp_path).before(KEY, FIRST.plus(1), ONE)
