"""Scripted misbehaviour: what goes wrong, where, when and how often.

The same script gives the same trouble.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

FaultKind = Literal[
    "own_quota",  # 429000 with gw-ratelimit headers: the caller's quota is used up
    "overload",  # 429000 without them: the server is overloaded
    "cloudflare",  # HTML page with error 1015
    "server_error",  # HTTP `status` with code 500000
    "refused",  # HTTP `status` with envelope `code`
    "html",  # a page instead of JSON, HTTP `status`
    "hang",  # no answer for `seconds`
    "disconnect",  # the connection is cut instead of an answer
    "partial_json",  # the answer breaks off in the middle
    "oversized",  # `size` bytes of blanks in front of the answer
    "empty",  # candles: no rows at all
    "wrong_order",  # candles: oldest first
    "duplicates",  # candles: each row twice
    "conflicting_rows",  # candles: the newest row twice, with another volume
    "row_outside",  # candles: one row from before the asked window
    "malformed_row",  # candles: the row in [rows_from, rows_to) has no numbers
    "gap",  # candles: rows in [rows_from, rows_to) are withheld although there was trade
    "no_trade",  # the market: nothing trades in [rows_from, rows_to)
    "revision",  # the market: candles in [rows_from, rows_to) change `after_s` after their open
    "clock_skew",  # the server's clock is `seconds` ahead
]


class Fault(BaseModel):
    """One kind of trouble with its scope; what is left out does not narrow it.

    A fault with a `count` is used up by the requests that it hits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: FaultKind
    endpoint: str | None = Field(None, description="Start of the path, for example /api/v1/market/candles.")
    symbol: str | None = Field(None, description="Only requests about this symbol.")
    from_ts: int | None = Field(None, description="Only from this epoch second of the sandbox's clock on.")
    to_ts: int | None = Field(None, description="Only before this epoch second of the sandbox's clock.")
    after: int = Field(0, ge=0, description="Matching requests that pass unharmed first.")
    count: int | None = Field(None, ge=1, description="How many requests it hits; all when left out.")
    rows_from: int | None = Field(None, description="First candle open concerned, epoch seconds.")
    rows_to: int | None = Field(None, description="End of the candle opens concerned, exclusive.")
    status: int = Field(503, ge=100, le=599)
    code: str = Field("400100", max_length=20)
    seconds: float = Field(3600.0, description="Length of a hang; how far a skewed clock is ahead.")
    reset_ms: int = Field(1000, ge=0, description="What gw-ratelimit-reset tells.")
    size: int = Field(8_000_000, ge=0, le=100_000_000)
    after_s: int = Field(3600, ge=0, description="Age at which a candle is revised.")
    volume_factor: float = Field(1.1, gt=0)

    def concerns_rows(self) -> tuple[int, int]:
        """Return the half-open span of candle opens concerned."""
        return (
            0 if self.rows_from is None else self.rows_from,
            2**62 if self.rows_to is None else self.rows_to,
        )


class Script:
    """The faults in force; counts down those that last for a number of requests."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._entries: list[_Entry] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        self._entries.append(_Entry(fault))

    def clear(self) -> None:
        self._entries.clear()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """Return what can still strike."""
        return tuple(entry.fault for entry in self._entries if not entry.is_used_up)

    def striking(self, endpoint: str, symbol: str | None, now_ts: float) -> list[Fault]:
        """Return the faults that hit this request, in the order they were added, and count it."""
        return [entry.fault for entry in self._entries if entry.strikes(endpoint, symbol, now_ts)]


class _Entry:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self._matched = 0

    @property
    def is_used_up(self) -> bool:
        count = self.fault.count
        return count is not None and self._matched >= self.fault.after + count

    def strikes(self, endpoint: str, symbol: str | None, now_ts: float) -> bool:
        fault = self.fault
        matches = (
            (fault.endpoint is None or endpoint.startswith(fault.endpoint))
            and (fault.symbol is None or fault.symbol == symbol)
            and (fault.from_ts is None or now_ts >= fault.from_ts)
            and (fault.to_ts is None or now_ts < fault.to_ts)
        )
        if not matches or self.is_used_up:
            return False
        self._matched += 1
        return self._matched > fault.after
