from datetime import timedelta

import pytest

from daemon.anomalies import watch_anomalies
from exchanges.sandbox.faults import Fault
from market.hours import instant_iso
from tests.cycle.house import START, assert_sound, git, house, recomputed

CANDLES = "/api/v1/market/candles"


async def test_an_hour_comes_in_is_judged_recorded_in_one_commit_and_told(tmp_path):
    """The way of the data: exchange to Git to operator."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        hour = START.plus(1)
        record = there.metrics(hour)
        assert record["outcome"] == "analysed"
        assert record["regime_analysis"]["verdict"] in {"RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND"}
        assert record["config_hash"] == there.app.policy.config_hash
        await there.app.store.flush()
        message = git(tmp_path / "data", "log", "-1", "--format=%B")
        assert message.startswith(f"[hour] ETH-USDT {hour}: {record['regime_analysis']['verdict']}")
        assert f"Config-Hash: {record['config_hash']}" in message
        changed = git(tmp_path / "data", "show", "--name-only", "--format=", "HEAD").split()
        assert changed == [
            f"decisions/{hour.closes_at:%Y-%m-%d}/dec-ETH-USDT-{hour.closes_at:%H%M%S}.yaml",
            f"metrics/ETH-USDT/{hour.opens_at:%Y-%m-%d-%H}.yaml",
            f"snapshots/ETH-USDT/{hour.opens_at:%Y/%m/%d/%H}.json",
        ]
        await there.app.store.push(30)
        assert git(tmp_path / "remote.git", "rev-parse", "main") == git(
            tmp_path / "data", "rev-parse", "HEAD"
        )
        await there.app.outbox.deliver()
        assert there.app.outbox.outcomes[("log", "sent")] >= 1
        await there.app.store.refresh_index()
        assert git(tmp_path / "data", "status", "--porcelain") == ""
    assert_sound(tmp_path)


async def test_a_cycle_that_is_repeated_changes_nothing(tmp_path):
    """Every cycle is safe to repeat; its name is `{key}/{hour}`."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        await there.app.store.flush()
        before = git(tmp_path / "data", "rev-parse", "HEAD")
        await there.attend()
        await there.app.store.flush()
        assert git(tmp_path / "data", "rev-parse", "HEAD") == before


async def test_property_77_replaying_stored_hours_gives_the_live_records_to_the_byte(tmp_path):
    """77: live analysis = snapshot analysis, incomplete and refetched hours included."""
    gap = Fault(
        kind="gap", endpoint=CANDLES, rows_from=START.plus(3).open_ts, rows_to=START.plus(3).open_ts + 300
    )
    async with house(tmp_path, markets=2, faults=[gap]) as there:
        await there.hours(START, 12)
        hours = [START.plus(i) for i in range(12)]
        for key in ("ETH-USDT", "BTC-USDT"):
            live = [
                (tmp_path / "data" / "metrics" / key / f"{hour.opens_at:%Y-%m-%d-%H}.yaml").read_bytes()
                for hour in hours
            ]
            assert recomputed(tmp_path, there.app, key, hours) == live


async def test_a_second_run_of_everything_gives_the_same_tree(tmp_path):
    """Nothing in a record depends on the machine, the folder or the moment."""
    trees = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        async with house(tmp_path / name, markets=2) as there:
            await there.hours(START, 6)
            await there.app.store.flush()
            trees.append(git(tmp_path / name / "data", "rev-parse", "HEAD^{tree}"))
    assert trees[0] == trees[1]


async def test_a_dead_exchange_costs_a_delay_and_is_told_once(tmp_path):
    """Hours stay owed during an outage, oldest first afterwards; the operator hears of it once."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        await there.app.outbox.deliver()
        there.sandbox.script.add(Fault(kind="disconnect"))
        for i in range(2, 7):
            await there.hour(START.plus(i))
            await watch_anomalies(there.app)
        state = there.state()
        assert state.owed == 5
        assert state.newest == START.plus(1)
        assert state.trouble
        told = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert len([text for text in told if "no fresh hour" in text]) == 1
        there.sandbox.script.clear()
        there.app.board.exchanges["sandbox"].clock_measured_at = None
        there.clock.set(START.plus(7).closes_at)
        await _until_recovered(there)
        assert there.judged() == [f"{START.plus(i).opens_at:%Y-%m-%d-%H}" for i in range(8)]
        assert there.state().trouble is None
    assert_sound(tmp_path)


async def _until_recovered(there):
    """Ask until the breaker lets the probe through; bounded, each try costs a real moment at most."""
    for _ in range(200):
        await there.attend()
        if there.state().trouble is None:
            return


async def test_off_for_72_hours_is_caught_up_oldest_first(tmp_path):
    """A daemon that was off for three days leaves no hole, and tells only the newest state."""
    async with house(tmp_path) as there:
        await there.hours(START, 1)
    async with house(tmp_path, start=START.plus(72)) as there:
        await there.attend()
        assert len(there.judged()) == 73
        assert there.state().owed == 0
        await there.app.store.flush()
        order = git(tmp_path / "data", "log", "--reverse", "--format=%s", "--grep=hour. ETH").splitlines()
        assert [line.split()[2].rstrip(":") for line in order] == [str(START.plus(i)) for i in range(73)]
        waiting = list((tmp_path / "data.state" / "outbox").glob("0*.json"))
        assert len(waiting) <= 2
    assert_sound(tmp_path)


async def test_an_incomplete_hour_is_completed_by_the_fetch_at_five_minutes(tmp_path):
    """Judged as soon as a re-fetch completes it; both files are kept."""
    hour = START.plus(1)
    async with house(tmp_path) as there:
        await there.hour(START)
        there.sandbox.script.add(
            Fault(kind="gap", endpoint=CANDLES, rows_from=hour.close_ts - 300, rows_to=hour.close_ts + 600)
        )
        await there.hour(hour)
        assert there.state().newest == START
        assert instant_iso(there.state().retry_at) == instant_iso(hour.closes_at + timedelta(minutes=5))
        there.sandbox.script.clear()
        await there.hour(hour, at=timedelta(minutes=5, seconds=5))
        assert there.state().newest == hour
        assert there.metrics(hour)["outcome"] == "analysed"
        assert there.metrics(hour)["data_quality"]["missing"] == 0
        folder = tmp_path / "data" / "snapshots" / "ETH-USDT" / f"{hour.opens_at:%Y/%m/%d}"
        assert {path.name for path in folder.glob("01*")} == {"01.json", "01.partial-1.json"}
        changed = git(tmp_path / "data", "show", "--name-only", "--format=", "HEAD").split()
        assert len(changed) == 4  # both files, the judgement and its advice, one commit
    assert_sound(tmp_path)


@pytest.mark.parametrize(("missing", "outcome"), [(3, "analysed"), (4, "insufficient"), (60, "no_data")])
async def test_an_hour_that_stays_incomplete_is_judged_after_thirty_minutes(tmp_path, missing, outcome):
    """At most 3 missing minutes as it is, with more insufficient, with none no_data; never filled."""
    hour = START.plus(1)
    async with house(tmp_path) as there:
        await there.hour(START)
        last = hour.close_ts + 600
        there.sandbox.script.add(
            Fault(kind="gap", endpoint=CANDLES, rows_from=hour.close_ts - 60 * missing, rows_to=last + 3600)
        )
        await there.hour(hour)
        await there.hour(hour, at=timedelta(minutes=5, seconds=5))
        assert there.state().newest == START
        await there.hour(hour, at=timedelta(minutes=30, seconds=5))
        record = there.metrics(hour)
        assert record["outcome"] == outcome
        assert record["data_quality"]["missing"] == missing
        if outcome != "analysed":
            assert record["reason"]
            assert record["regime_analysis"]["verdict"] is None
    assert_sound(tmp_path)


async def test_a_late_revision_is_recorded_and_never_written_over(tmp_path):
    """The snapshot stays; the hour that noticed it says so."""
    hour = START.plus(1)
    async with house(tmp_path) as there:
        revision = Fault(
            kind="revision",
            rows_from=hour.open_ts,
            rows_to=hour.open_ts + 60,
            after_s=3700,
            volume_factor=1.5,
        )
        there.sandbox.script.add(revision)
        await there.hours(START, 4)
        assert there.metrics(hour.plus(1))["data_quality"]["revised"] == [str(hour)]
        assert there.metrics(hour.plus(2))["data_quality"]["revised"] == []
    assert_sound(tmp_path)


async def test_one_market_in_trouble_does_not_hold_up_the_others(tmp_path):
    """Each market has its own bell, back-off and trouble."""
    bad = Fault(kind="refused", symbol="ETH-USDT", status=400, code="900001")
    async with house(tmp_path, markets=2, faults=[bad]) as there:
        await there.hours(START, 2)
        assert there.judged("ETH-USDT") == []
        assert len(there.judged("BTC-USDT")) == 2
        assert "900001" in there.state("ETH-USDT").trouble
        assert there.state("BTC-USDT").trouble is None


async def test_after_a_restart_the_newest_hour_is_known_and_not_told_again(tmp_path):
    """State is rebuilt from the files; the outbox knows what was told."""
    async with house(tmp_path) as there:
        await there.hours(START, 3)
        await there.app.outbox.deliver()
        told = (tmp_path / "data.state" / "outbox" / "told.jsonl").read_text()
    async with house(tmp_path, start=START.plus(2)) as there:
        assert there.state().newest == START.plus(2)
        assert there.state().facts.verdict == there.metrics(START.plus(2))["regime_analysis"]["verdict"]
        await there.app.outbox.deliver()
        assert (tmp_path / "data.state" / "outbox" / "told.jsonl").read_text() == told


async def test_hours_are_owed_however_long_we_were_away(tmp_path):
    """No bound on catching up: what the exchange still serves is fetched, nothing is skipped."""
    async with house(tmp_path) as there:
        await there.hours(START, 1)
        there.clock.set(START.plus(3000).closes_at)
        there.sandbox.script.add(Fault(kind="disconnect", endpoint=CANDLES))
        await there.attend()
        assert there.state().owed == 3000


async def test_the_first_hour_is_not_forgotten_while_it_is_incomplete(tmp_path):
    """A market that was never judged begins with the hour it first saw, even over a restart."""
    gap = Fault(kind="gap", endpoint=CANDLES, rows_from=START.close_ts - 60, rows_to=START.close_ts + 60)
    async with house(tmp_path, faults=[gap]) as there:
        await there.hour(START)
        assert there.judged() == []
    async with house(tmp_path, start=START.plus(2)) as there:
        await there.attend()
        assert there.judged() == [f"{START.plus(i).opens_at:%Y-%m-%d-%H}" for i in range(3)]
