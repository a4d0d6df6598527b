"""The trade log's lines: written one way, read back exactly, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market.errors import DataInvalid
from market.orders import OrderSide
from tests.trading.accounts import HOUR, TERMS, fill, plan, request, usdt
from trading.ledger import Ledger
from trading.reasons import Reason
from trading.trades import TradeRecord


def record(**others: Any) -> TradeRecord:
    """Return a trade that bought a coin at 2,000 and sold it at 2,100."""
    trade = plan(**others)
    ledger = Ledger.of(usdt(10_000), "USDT").opened(trade)
    for side, price in ((OrderSide.BUY, 200_000), (OrderSide.SELL, 210_000)):
        asked = request(side, price, 10_000, side.value)
        ledger = ledger.applied(trade.id, asked, fill(side, price, 10_000, fee=usdt("2.001")), TERMS)
    return ledger.closed(trade.id, Reason.TARGET, HOUR.close_ts + 3600, usdt(10_096))[1]


RECORD = record()
LINE = RECORD.as_line()


def line_with(**changes: Any) -> bytes:
    content = {**json.loads(LINE), **changes}
    return (json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n").encode()


def test_a_line_is_one_line_of_sorted_names():
    """So that two runs of the same trades write the same bytes."""
    assert LINE.startswith(b'{"base_after":"0","base_before":"0","bought":"1","cents":{"edge":"100.00",')
    assert LINE.endswith(b"}\n")
    assert LINE.count(b"\n") == 1
    assert line_with() == LINE


@given(
    reason=st.text(max_size=40),
    signal=st.sampled_from(["momentum", "grid", "é\n\u2028"]),
    conviction=st.floats(0, 1),
    verdict=st.none() | st.text(max_size=9),
    nav_before=st.integers(0, 10**20),
)
def test_what_is_written_is_read_back(reason, signal, conviction, verdict, nav_before):
    """Any text and any amount, and again the same bytes."""
    written = record(
        reason=reason, signal=signal, conviction=conviction, verdict=verdict, nav_before=nav_before
    )
    line = written.as_line()
    assert line.count(b"\n") == 1
    assert TradeRecord.of_line(line, "log") == written


@pytest.mark.parametrize("field", sorted(json.loads(LINE)))
def test_a_field_that_is_missing_or_of_another_kind_is_named(field):
    """Each of them; nothing has a default."""
    content = json.loads(LINE)
    for changed in ({**content, field: [[]]}, {name: content[name] for name in content if name != field}):
        with pytest.raises(DataInvalid) as refused:
            TradeRecord.of_line(json.dumps(changed).encode(), "log/7")
        assert (refused.value.where, refused.value.field.partition(".")[0]) == ("log/7", field)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"net": 1}, f"log: net: found 1, expected {RECORD.net} by the other fields"),
        ({"edge": 1}, f"log: net: found {RECORD.net}, expected "),
        ({"net_exact": "95.9"}, "log: net_exact: found 95.9, expected 95.998 by the other fields"),
        ({"r": 2.0}, "log: r: found 2.0, expected 1.91996 by the other fields"),
        ({"r": None}, "log: r: found None, expected 1.91996"),
        (
            {"cents": {"edge": "100.00", "slippage": "0.00", "fees": "4.01", "net": "95.99"}},
            "log: cents: found",
        ),
        ({"cents": {"edge": "100.00", "slippage": "0.00", "fees": "4.00"}}, "log: cents.net: "),
        ({"exit_reason": "tired"}, "log: exit_reason: "),
        ({"kind": "swung"}, "log: kind: "),
        ({"order_count": -1}, "log: order_count: "),
        ({"risk_at_entry": 0}, "log: risk_at_entry: "),
        ({"held_hours": float("nan")}, "log: held_hours: "),
        ({"more": 1}, "log: more: "),
    ],
)
def test_a_line_at_odds_with_itself_is_refused_by_the_name_of_the_field(changes, words):
    """A log that was edited by hand is found out."""
    with pytest.raises(DataInvalid) as refused:
        TradeRecord.of_line(line_with(**changes), "log")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "log: not JSON: "),
        (LINE[:-20], "log: not JSON: "),
        (b"\xff" + LINE, "log: not JSON: "),
        (b"[]\n", "log: expected a mapping, got list"),
        (LINE[:-1], "log: not as it is written: sorted names, no spaces, a newline"),
        (LINE.replace(b'":', b'": '), "log: not as it is written"),
        (LINE.replace(b"{", b'{"base_after":"1",', 1), "log: not as it is written"),
    ],
)
def test_a_line_of_another_form_is_refused(line, words):
    """Cut off, no object, written by another hand, or with a name twice."""
    with pytest.raises(DataInvalid) as refused:
        TradeRecord.of_line(line, "log")
    assert str(refused.value).startswith(words)
