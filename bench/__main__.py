"""`python -m bench [NAME ...] [--quick] [--save --date DATE]`: run benches and print their figures."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

from bench import analysis, backtest, commits, cycles, kernels, loading, regimes
from bench.report import Told, facts_of, page, table

BENCHES: dict[str, ModuleType] = {
    "cycles": cycles,
    "commits": commits,
    "loading": loading,
    "analysis": analysis,
    "kernels": kernels,
    "regimes": regimes,
    "backtest": backtest,
}
EVIDENCE = Path(__file__).resolve().parent.parent / "docs" / "evidence"


def main(arguments: Sequence[str]) -> int:
    options = _options(arguments)
    command = shlex.join(["python", "-m", "bench", *arguments])
    facts = facts_of(options.date or "not told", command)
    print("\n".join(f"{name}: {value}" for name, value in facts.items()))
    told = []
    for name in options.names or BENCHES:
        bench = BENCHES[name]
        print(f"\n{name}: {(bench.__doc__ or '').splitlines()[0]}", flush=True)
        figures = bench.run(quick=options.quick)
        if options.quick:  # goals are set for the whole sizes
            figures = [replace(figure, goals=()) for figure in figures]
        told.append(Told(name, bench.__doc__ or "", figures))
        print(table(told[-1].figures), flush=True)
    if options.save:
        path = EVIDENCE / f"{'-'.join(('bench', *options.names))}.md"
        EVIDENCE.mkdir(parents=True, exist_ok=True)
        path.write_text(page(told, facts))
        print(f"\nsaved: {path}")
    return 0


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHES)}; all if none")
    parser.add_argument("--quick", action="store_true", help="small sizes: does it run, not how fast")
    parser.add_argument("--save", action="store_true", help="keep it in docs/evidence; needs --date")
    parser.add_argument("--date", help="the day, as it stands in the evidence: 2026-01-31")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in BENCHES]:
        parser.error(f"no bench {unknown[0]!r}; there are {', '.join(BENCHES)}")
    if options.save and not options.date:
        parser.error("--save needs --date: nothing here reads the calendar")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
