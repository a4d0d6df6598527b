"""The trade log: `trades/{YYYY-MM}.jsonl`, one line for each closed trade, in the month of its exit.

A line is never changed and never taken back; new ones are put at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from market.errors import DataInvalid
from market.hours import parse_instant
from store import disk
from store.paths import parse_trades, trades_path
from trading.trades import TradeRecord


def path_of(trade: TradeRecord) -> str:
    """Return where a closed trade is told; raises ValueError where its end is no instant."""
    return trades_path(parse_instant(trade.exit_at))


def trades_growth(root: Path, closed: Iterable[TradeRecord]) -> dict[str, bytes]:
    """Return the grown files of the months in which trades ended; nothing where none did.

    Raises:
        DataInvalid: What is there is damaged, or holds one of the trades already.
    """
    grown: dict[str, bytes] = {}
    for trade in sorted(closed, key=lambda each: (parse_instant(each.exit_at), each.id)):
        path = path_of(trade)
        held = grown[path] if path in grown else disk.read(root / path) or b""
        grown[path] = held + trade.as_line()
    for path, data in grown.items():
        decode_trades(data, path)
    return grown


def decode_trades(data: bytes, path: str) -> tuple[TradeRecord, ...]:
    """Return the trades of a month, each line exactly as it was written and in its place.

    Raises:
        DataInvalid: Names file, line, what was found and what was expected.
    """
    if data and not data.endswith(b"\n"):
        number = len(data.splitlines())
        raise DataInvalid(path, f"line {number}", "cut short; expected a line break at its end")
    found: list[TradeRecord] = []
    seen: set[str] = set()
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        where = f"line {number}"
        try:
            trade = TradeRecord.of_line(line, path)
            own = path_of(trade)
        except DataInvalid as error:
            raise DataInvalid(path, f"{where} {error.field}".rstrip(), error.problem) from None
        except ValueError as error:
            raise DataInvalid(path, f"{where} exit_at", str(error)) from None
        if own != path:
            raise DataInvalid(path, where, f"{trade.id} ended in another month")
        if trade.id in seen:
            raise DataInvalid(path, where, f"{trade.id} stands in an earlier line too")
        seen.add(trade.id)
        found.append(trade)
    return tuple(found)


def trade_months(root: Path) -> Iterator[str]:
    """Yield the paths of the trade log, newest month first."""
    for name in reversed(disk.names_in(root / "trades")):
        if parse_trades(f"trades/{name}"):
            yield f"trades/{name}"


def trades_of(root: Path) -> Iterator[TradeRecord]:
    """Yield the closed trades of a repository, newest first; errors as `decode_trades`."""
    for path in trade_months(root):
        yield from reversed(decode_trades((root / path).read_bytes(), path))
