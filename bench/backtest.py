"""Backtesting one grid over the same minutes: ns of processor time a minute, memory; each alone in a process.

The grid: twenty resting buys over 20 %, each answered by a sale a level higher, 10 bps a fill; the market is
seeded. Programs take turns, each anew in a process of its own; medians of processor time count. Compilation
and making the candles are not in it.

Order by order is the simulated exchange of backtests and paper, driven over its port: integer account with
holds, identities, queue, volume and time to live, two ways through each minute; it looks only at minutes in
which an order can change. It is held against engines that keep orders too: backtesting.py (an order with a
target a cell; it has no queue, volume or second way) and backtrader (a limit order a cell, the same).
nautilus_trader is not here: 1.221 asks for pandas below 3, so it cannot stand beside the others.

The kernel keeps the ladder as one number: no queue, no volume; both ways through a minute, to the last unit
what the ledger in plain Python does and, where a minute is one price, what order by order does
(`tests/backtest/test_kernel_and_orders.py`). vectorbt is told each fill and its price, a fill a minute at
most, and does the account alone: finding the fills is not in its figure. A sweep runs many sets on the same
minutes: 100 of ours, 10 of vectorbt's; writing the ladders down and telling their outcomes is in it.

The whole desk is `regimed backtest policy` over a simulated market's hours: verdict, gates, signals, rules,
risk, orders, fills, account, baselines and the digest of all data; its limit is the verdicts alone. No peer
has verdicts, so it is held against none.

That ours and vectorbt earn the same to a cent is asserted, and of the two others, which also fill at a mere
touch, that they do within 5 %. Memory is the largest resident size of the process: Python, numpy and every
import in it.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.backtest_peers import ABSENT, PROGRAMS
from bench.figures import Against, Figure, Goal, times_better

PENNY, TOUCHES = 0.01, 0.05
NS_A_MS = 1_000_000
AT_A_TOUCH = ("backtesting.py", "backtrader")  # they fill at a touch; we need a tick more
# ours, the peer, what is asked of the ratio
PAIRS: tuple[tuple[str, str, float | None], ...] = (
    ("orders", "backtesting.py", 5),
    ("orders", "backtrader", None),
    ("orders", "ledger", None),
    ("kernel", "ledger", None),
    ("kernel", "vectorbt", 30),
    ("kernel sweep", "vectorbt sweep", 100),
    ("kernel sweep", "kernel", None),
)
NAMES = {
    "orders": "order by order",
    "kernel": "kernel, one set",
    "kernel sweep": "kernel, each set of a sweep",
    "ledger": "the ledger in plain Python",
}
DESK, VERDICTS = "desk", "verdicts"  # hours, not minutes


@dataclass(frozen=True, slots=True)
class Sizes:
    bars: int
    runs: int


FULL = Sizes(bars=50_000, runs=3)
QUICK = Sizes(bars=2_000, runs=1)


@dataclass(frozen=True, slots=True)
class Measured:
    """Medians of one program: processor time a minute (and set), memory; what the grid earned."""

    ns: float
    memory_mb: float
    profit: float


def run(*, quick: bool) -> list[Figure]:
    """Return the figures; a peer that is not installed is left out, and it is said."""
    sizes = QUICK if quick else FULL
    taken: dict[str, list[Measured]] = {name: [] for name in PROGRAMS}
    for _ in range(sizes.runs):
        for name in list(taken):
            measured = _measured(name, sizes.bars)
            if measured is None:
                del taken[name]
            else:
                taken[name].append(measured)
    found = {name: _median(each) for name, each in taken.items()}
    desk, verdicts = found.pop(DESK), found.pop(VERDICTS)
    assert desk.profit, "the desk did not trade, so it is quick for the wrong reason"
    for name, each in found.items():
        exact, allowed = found["ledger"].profit, TOUCHES if name in AT_A_TOUCH else 0.0
        apart = abs(each.profit - exact)
        assert apart < PENNY + allowed * abs(exact), f"{name} does other work: {each.profit}, not {exact}"
    figures = []
    for ours, peer, factor in PAIRS:
        if peer not in found:
            continue
        against = Against(NAMES.get(peer, peer), found[peer].ns)
        goals: tuple[Goal, ...] = ()
        if factor is not None:
            goals = (times_better(factor, found[ours].ns, against),)
        figures.append(Figure(NAMES[ours], found[ours].ns, "ns/minute", against, goals))
        if factor is not None or peer == "backtrader":
            memory = Against(NAMES.get(peer, peer), found[peer].memory_mb)
            figures.append(Figure(f"{NAMES[ours]}, memory", found[ours].memory_mb, "MB", memory))
    return [*figures, _desk(desk, verdicts)]


def _desk(desk: Measured, verdicts: Measured) -> Figure:
    an_hour, limit = desk.ns / NS_A_MS, Against("its verdicts alone", verdicts.ns / NS_A_MS, is_limit=True)
    return Figure(
        f"the whole desk, one market ({1000 / an_hour:.0f} hours a second)", an_hour, "ms/hour", limit
    )


def _measured(name: str, bars: int) -> Measured | None:
    command = [sys.executable, "-m", "bench.backtest_peers", name, str(bars)]
    done = subprocess.run(command, capture_output=True, cwd=Path(__file__).resolve().parent.parent)
    if done.returncode == ABSENT:
        words = done.stderr.decode().strip().splitlines()[-1]
        print(f"{name} is left out: {words}; `make peers` installs it")
        return None
    if done.returncode:
        raise RuntimeError(f"{name}: {done.stderr.decode()}")
    return Measured(**orjson.loads(done.stdout))


def _median(runs: Sequence[Measured]) -> Measured:
    return Measured(
        statistics.median(each.ns for each in runs),
        statistics.median(each.memory_mb for each in runs),
        runs[0].profit,
    )
