"""The paper desk as of its newest record, and beside a backtest of the same hours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Lock

from backtest.comparison import Comparison, Traded, compare, of_result
from backtest.paper import paper_of
from backtest.result import read_result
from dashboard.pages import Fact, Tone, VersusBacktest
from dashboard.reading.files import Sign, sign_of
from dashboard.reading.telling import number
from market.errors import DataInvalid
from market.orders import CASH_SCALE
from store.desk_files import DeskFile, desk_hours, newest_desk
from store.paths import desk_path
from trading.comparing import WITHIN


def desk_facts(root: Path) -> tuple[Fact, ...]:
    """Return how the desk stands, nothing where there is none; DataInvalid where its record is damaged."""
    file = newest_desk(root)
    if file is None:
        return ()
    try:
        return tuple(_facts(file))
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise DataInvalid(desk_path(file.of_hour), "hour_report", f"not as written: {error!r}") from None


def _facts(file: DeskFile) -> Iterator[Fact]:
    report, quote = file.hour_report, file.state["ledger"]["quote"]
    account = report["account"]
    nav, peak = account["nav"] / CASH_SCALE, account["peak_nav"] / CASH_SCALE
    yield Fact("Newest hour", "", at=file.of_hour.closes_at)
    yield Fact("Worth", f"{nav:.2f} {quote}")
    yield Fact(
        "Below its peak", f"{100 * (peak - nav) / peak if peak else 0.0:.2f} %", note=f"{peak:.2f} {quote}"
    )
    yield Fact("Free to use", f"{account['available'] / CASH_SCALE:.2f} {quote}")
    yield Fact("Open trades", str(len(report["open_trades"])), note=", ".join(report["open_trades"]))
    yield Fact("Signals in the hour", str(len(report["triggers"])))
    for breaker in report["stopped_by"]:
        yield Fact("No new trade", str(breaker), Tone.BAD)
    for key, why in file.absent.items():
        yield Fact(f"{key} took no part", why, Tone.WATCH)


class BacktestBeside:
    """Compares the desk with the result of a backtest; made anew only when one of them changed.

    Args:
        root: The data repository.
        result: `result.json` of `regimed backtest --out`, or its folder; None compares nothing.
    """

    def __init__(self, root: Path, result: Path | None) -> None:
        self._root, self._named = root, result
        self._held: tuple[object, VersusBacktest] | None = None
        self._lock = Lock()

    def compared(self) -> VersusBacktest | None:
        """Return both sides; None without a backtest or without a desk.

        Raises:
            DataInvalid: A record or the result is damaged, or too few hours are in both.
        """
        newest, result = next(desk_hours(self._root), None), self._result()
        if result is None or newest is None:
            return None
        sign: tuple[object, Sign | None] = newest, sign_of(str(result))
        with self._lock:
            if self._held is not None and self._held[0] == sign:
                return self._held[1]
            try:
                data = result.read_bytes()
            except OSError as error:
                raise DataInvalid(result.name, "", f"cannot be read: {error.strerror}") from None
            found = _told(compare(_backtested(data, result.name), paper_of(self._root)))
            self._held = sign, found
            return found

    def sign(self) -> Sign | None:
        """Return what changes with the backtest's file; None where there is none."""
        result = self._result()
        return None if result is None else sign_of(str(result))

    def _result(self) -> Path | None:
        """Return the file; a folder may have come since it was named."""
        named = self._named
        return None if named is None else named / "result.json" if named.is_dir() else named


def _backtested(data: bytes, where: str) -> Traded:
    try:
        return of_result(read_result(data, where), where)
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        raise DataInvalid(where, "hours, nav, trades", f"not as written: {error!r:.200}") from None


def _told(found: Comparison) -> VersusBacktest:
    rows = (
        ("Net a day", "daily_net"),
        ("Trades", "trades"),
        ("Win rate", "win_rate"),
        ("Edge, bps", "edge_bps"),
        ("Slippage, bps", "slippage_bps"),
        ("Fees, bps", "fee_bps"),
    )
    facts = [
        Fact(
            title,
            " beside ".join(number(getattr(side, field), 4) for side in (found.paper, found.backtest)),
            note="paper beside backtest",
        )
        for title, field in rows
    ]
    tone = Tone.GOOD if found.holds else Tone.BAD
    span = f"from the close of {found.start} to that of {found.end}"
    facts.insert(0, Fact("Within tolerance", "yes" if found.holds else "no", tone, f"{span}; {WITHIN}"))
    return VersusBacktest(tuple(facts), found.alerts)
