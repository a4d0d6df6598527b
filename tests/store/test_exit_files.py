"""What was told of exit states, in the record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from exits.states import ExitState
from store.exit_files import ToldNotice, notices_growth, told_notices

KEY = "ETH-USDT"
AT = datetime(2026, 1, 5, 23, 59, tzinfo=UTC)
TOLD = ToldNotice("g", AT, ExitState.MANDATORY_EXIT, "2026-01-05T22:00:00Z", "emergency", "g/x/0", None)


def test_the_same_notice_is_recorded_once_whenever_it_comes_again(tmp_path):
    """A death behind the record makes it come again, over midnight too; another telling is another fact."""

    def record(told: ToldNotice) -> None:
        for path, data in notices_growth(KEY, [told], tmp_path).items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(data)

    again = replace(TOLD, at=AT + timedelta(minutes=2))
    for told in (TOLD, TOLD, again, replace(again, key="g/x/1"), replace(again, folded=True)):
        record(told)
    assert [(each.key, each.folded) for each in told_notices(tmp_path, KEY)] == [
        ("g/x/0", False),
        ("g/x/1", False),
        ("g/x/0", True),
    ]
