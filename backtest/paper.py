"""What the paper desk of a data repository did, as one side of a comparison."""

from __future__ import annotations

from pathlib import Path

from backtest.comparison import Traded
from store.desk_files import desk_hours, read_desk
from store.trade_files import trades_of


def paper_of(root: Path) -> Traded:
    """Return what the paper desk of a repository did; errors as of its files."""
    files = (read_desk(root, hour) for hour in desk_hours(root))
    nav = {file.of_hour: int(file.hour_report["account"]["nav"]) for file in files if file is not None}
    return Traded(nav, list(trades_of(root)))
