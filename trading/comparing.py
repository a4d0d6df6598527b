"""Whether what was traded is what the backtest said: the tolerances of chapter 7, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from regime.precision import significant

MOST_OFF_SHARE = 0.25
MOST_STANDARD_ERRORS = 2.0
MOST_WIN_RATE_POINTS = 10.0
FEWEST_FOR_WIN_RATE = 30
WITHIN = (
    "daily net off by at most 25 % of what was expected or 2 standard errors, the larger of the two;"
    " a win rate at most 10 points lower over 30 trades or more"
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Traded beside expected.

    Attributes:
        daily_net, expected_daily_net: Quote.
        standard_error: Of the traded daily net, quote.
        win_rate, expected_win_rate: In [0, 1]; None without trades.
        trades: How many the win rate is of.
    """

    daily_net: float
    expected_daily_net: float
    standard_error: float
    win_rate: float | None
    expected_win_rate: float | None
    trades: int

    @property
    def allowed(self) -> float:
        """How far the daily net may be off, quote."""
        share = MOST_OFF_SHARE * abs(self.expected_daily_net)
        return max(share, MOST_STANDARD_ERRORS * self.standard_error)

    @property
    def net_holds(self) -> bool:
        """More than expected is trouble too: then the backtest does not describe what is traded."""
        return abs(self.expected_daily_net - self.daily_net) <= self.allowed

    @property
    def win_rate_holds(self) -> bool:
        """True too while there are too few trades to tell."""
        if self.win_rate is None or self.expected_win_rate is None or self.trades < FEWEST_FOR_WIN_RATE:
            return True
        return significant(100 * (self.expected_win_rate - self.win_rate)) <= MOST_WIN_RATE_POINTS

    @property
    def holds(self) -> bool:
        return self.net_holds and self.win_rate_holds

    def __str__(self) -> str:
        rates = ""
        if self.win_rate is not None and self.expected_win_rate is not None:
            rates = f"; {self.win_rate:.0%} won, {self.expected_win_rate:.0%} expected, {self.trades} trades"
        return (
            f"{self.daily_net:.2f} a day, {self.expected_daily_net:.2f} expected"
            f" (may be off by {self.allowed:.2f}){rates}"
        )
