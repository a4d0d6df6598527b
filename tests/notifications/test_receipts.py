"""Open emergencies on the disk: nothing is forgotten by a death, and nothing damaged is fatal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from market import failpoints
from notifications.receipts import OpenEmergency, Receipts

NOW = datetime(2026, 3, 10, 12, 0, 3, tzinfo=UTC)
ONE = OpenEmergency("r1", "eth-1", "d", "ETH-USDT", NOW, NOW + timedelta(hours=3))
TWO = OpenEmergency("r2", "", "", "", NOW, NOW + timedelta(hours=3))


async def test_everything_is_there_again_after_a_restart(tmp_path):
    """Open, acknowledged, doubtful and closed until: a new process knows all of it."""
    receipts = Receipts(tmp_path / "state")
    assert (receipts.open, receipts.doubtful, receipts.closed_until) == ((), frozenset(), None)
    await receipts.keep(ONE)
    await receipts.keep(TWO)
    await receipts.acknowledge("r2", NOW, "pushover:phone")
    await receipts.doubt("eth-1")
    await receipts.close_until(NOW)
    again = Receipts(tmp_path / "state")
    assert (again.open, again.doubtful, again.closed_until) == (
        receipts.open,
        receipts.doubtful,
        receipts.closed_until,
    )
    assert (again.open[0], again.open[1].acknowledged_at) == (ONE, NOW)
    await again.drop("r1")
    await again.trust("eth-1")
    await again.close_until(None)
    last = Receipts(tmp_path / "state")
    assert [one.receipt for one in last.open] == ["r2"]
    assert (last.doubtful, last.closed_until) == (frozenset(), None)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"open": [{"receipt": "../../1/messages"}]}',
        b'{"open": [], "unknown": 1}',
        b'{"closed_until": "2026-03-10T12:00:00"}',
    ],
)
async def test_a_damaged_file_is_set_aside_with_a_warning(tmp_path, content):
    """Half a file after a power cut must not keep the daemon from starting."""
    path = tmp_path / "receipts.json"
    path.write_bytes(content)
    with capture_logs() as logs:
        receipts = Receipts(tmp_path)
    assert [log["event"] for log in logs] == ["receipts are damaged and were set aside"]
    assert path.with_suffix(".damaged").read_bytes() == content
    await receipts.keep(ONE)
    assert Receipts(tmp_path).open == (ONE,)


def test_a_file_that_cannot_be_read_is_set_aside_too(tmp_path):
    """Something else under the name is as damaged as a damaged file."""
    (tmp_path / "receipts.json").mkdir()
    with capture_logs() as logs:
        assert Receipts(tmp_path).open == ()
    assert logs[0]["error"] == "Is a directory"


async def test_a_full_disk_is_said_and_costs_nothing_else(tmp_path):
    """An emergency that is out stays known to this process when the disk takes nothing."""
    receipts = Receipts(tmp_path)
    (tmp_path / "receipts.json.tmp").mkdir()
    with capture_logs() as logs:
        await receipts.keep(ONE)
    assert receipts.open == (ONE,)
    assert [log["event"] for log in logs] == ["receipts could not be written"]
    (tmp_path / "receipts.json.tmp").rmdir()
    await receipts.keep(TWO)
    assert Receipts(tmp_path).open == (ONE, TWO)


async def test_what_is_known_already_is_not_written_again(tmp_path):
    """A repeated doubt, trust or closing costs no write."""
    receipts = Receipts(tmp_path)
    await receipts.trust("eth-1")
    await receipts.close_until(None)
    assert not (tmp_path / "receipts.json").exists()
    await receipts.doubt("eth-1")
    (tmp_path / "receipts.json").unlink()
    await receipts.doubt("eth-1")
    assert not (tmp_path / "receipts.json").exists()


async def test_a_death_in_the_middle_of_a_write_leaves_the_former_file(tmp_path):
    """The file is whole or as it was."""

    class Death(BaseException):
        pass

    def die():
        raise Death

    receipts = Receipts(tmp_path)
    await receipts.keep(ONE)
    failpoints.arm("notify.before_rename", die)
    try:
        with pytest.raises(Death):
            await receipts.keep(TWO)
    finally:
        failpoints.disarm()
    assert Receipts(tmp_path).open == (ONE,)
