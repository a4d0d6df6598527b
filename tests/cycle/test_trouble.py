"""Full disks, corrupt files, dangerous keys: a clear word, and nothing lost."""

import pytest

from daemon.health import health
from daemon.workers import verify_keys
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.keys import OPEN_KEY, TRADING_KEY, UNKNOWN_WORD_KEY, WITHDRAWING_KEY
from market import failpoints
from market.errors import ExchangeRefused
from tests.cycle.house import START, assert_sound, house, with_key


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


def full():
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize(
    "place",
    [
        "writer.before_intent",
        "writer.after_intent",
        "writer.before_write",
        "writer.before_fsync",
        "writer.before_rename",
        "writer.between_renames",
        "writer.after_rename",
        "writer.before_commit",
    ],
)
async def test_a_full_disk_costs_a_delay_and_nothing_else(tmp_path, place):
    """ENOSPC at any write: the hour is judged when there is room again, and told all the while."""
    async with house(tmp_path) as there:
        await there.hours(START, 2)
        failpoints.arm(place, full)
        await there.hour(START.plus(2))
        failpoints.disarm()
        await there.hour(START.plus(3))
        await there.app.store.flush()
        assert len(there.judged()) == 4
        assert there.state().trouble is None
    assert_sound(tmp_path)


async def test_a_failing_commit_tells_the_operator_anyway(tmp_path):
    """Record, then tell; if recording fails, tell anyway, marked unrecorded, and health fails."""
    async with house(tmp_path) as there:
        await there.hour(START)
        there.state().told = None  # so that the next hour has something to say
        failpoints.arm("writer.before_commit", full)
        await there.hour(START.plus(1))
        told = [path.read_text() for path in (tmp_path / "data.state" / "outbox").glob("0*.json")]
        assert any("NOT RECORDED" in text for text in told)
        page = health(there.app)
        assert page["status"] == "fail"
        assert "commits fail" in page["checks"]["git"]["output"]
        failpoints.disarm()
        await there.hour(START.plus(2))
        assert health(there.app)["checks"]["git"]["status"] == "pass"
    assert_sound(tmp_path)


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-40], lambda data: data.replace(b'"close":[', b'"close":[1,', 1)]
)
async def test_a_corrupt_snapshot_is_quarantined_fetched_anew_and_stops_nobody(tmp_path, damage):
    """Truncated or altered on disk: named on /health, kept with the reason, other markets go on."""
    async with house(tmp_path, markets=2) as there:
        await there.hours(START, 3)
    victim = tmp_path / "data" / "snapshots" / "ETH-USDT" / f"{START.plus(1).opens_at:%Y/%m/%d/%H}.json"
    victim.write_bytes(damage(victim.read_bytes()))
    async with house(tmp_path, markets=2, start=START.plus(3)) as there:
        await there.attend()
        assert there.state("BTC-USDT").newest == START.plus(3)
        assert there.state("ETH-USDT").newest == START.plus(3)
        shown = health(there.app)["checks"]["git"]
        assert victim.name in shown["output"]
        assert "quarantine" in shown["output"]
        assert list((tmp_path / "data" / "quarantine").rglob("*"))
        await there.app.store.flush()


@pytest.mark.parametrize(
    ("key", "words"),
    [(WITHDRAWING_KEY, "Transfer"), (OPEN_KEY, "whitelist"), (UNKNOWN_WORD_KEY, "Teleport")],
)
async def test_a_dangerous_key_stops_the_program(tmp_path, key, words):
    """A key that can withdraw, has no whitelist or an unknown right is refused before any other call."""
    with pytest.raises(ExchangeRefused, match=words):
        async with house(tmp_path, exchange=with_key(tmp_path, key)) as there:
            await verify_keys(there.app)


async def test_a_trading_key_brings_the_account_into_the_snapshot(tmp_path):
    """Balances and open orders, only with keys, only when fresh."""
    async with house(tmp_path, exchange=with_key(tmp_path, TRADING_KEY)) as there:
        await verify_keys(there.app)
        assert there.app.board.exchanges["sandbox"].keys == "verified"
        await there.hour(START)
        snapshot = await there.app.store.load_snapshot("ETH-USDT", START)
        assert {balance["currency"] for balance in snapshot.account.balances} >= {"USDT"}


async def test_an_unreachable_exchange_means_market_data_only(tmp_path):
    """The key cannot be checked: signed calls stay off, health warns."""
    async with house(tmp_path, exchange=with_key(tmp_path, TRADING_KEY)) as there:
        there.sandbox.script.add(Fault(kind="disconnect", endpoint="/api/v1/user/api-key"))
        await verify_keys(there.app)
        assert there.app.board.exchanges["sandbox"].keys == "unverified"
        assert health(there.app)["checks"]["exchange:sandbox"]["status"] == "warn"


async def test_a_clock_that_is_off_turns_signed_calls_off_and_does_not_end_the_program(tmp_path):
    """Above five seconds nothing is signed; market data goes on, health says why."""
    async with house(
        tmp_path, exchange=with_key(tmp_path, TRADING_KEY), faults=[Fault(kind="clock_skew", seconds=8)]
    ) as there:
        await verify_keys(there.app)
        assert there.app.board.exchanges["sandbox"].keys == "unverified"
        await there.hour(START)
        assert there.state().newest == START


async def test_the_clock_being_off_is_said(tmp_path):
    """pains 9: above one second health warns."""
    async with house(tmp_path, faults=[Fault(kind="clock_skew", seconds=-3)]) as there:
        await there.hour(START)
        check = health(there.app)["checks"]["exchange:sandbox"]
        assert check["status"] == "warn"
        assert "check NTP" in check["output"]


async def test_a_corrupt_judgement_is_owed_again(tmp_path):
    """A record that went to quarantine leaves a hole; the ledger owes it, and the chain closes over it."""
    async with house(tmp_path) as there:
        await there.hours(START, 3)
    victim = tmp_path / "data" / "metrics" / "ETH-USDT" / f"{START.plus(2).opens_at:%Y-%m-%d-%H}.yaml"
    victim.write_bytes(victim.read_bytes()[:200])
    async with house(tmp_path, start=START.plus(3)) as there:
        await there.attend()
        await there.attend()
        assert len(there.judged()) == 4
        assert there.state().owed == 0
        assert there.state().newest == START.plus(3)
