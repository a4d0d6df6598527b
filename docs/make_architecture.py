"""Write docs/architecture.md, the way of the data and the floors, from the code: `make architecture`."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median

import grimp
from tables import table

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(__file__).with_name("architecture.md")
PACKAGES = (
    "market", "regime", "grid", "exits", "decisions", "trading", "exchanges", "store", "notifications",
    "backtest", "dashboard", "daemon",
)  # fmt: skip
KNOWS = {
    "market": "what a market is: hours, exact prices, candles, snapshots, costs, the ports, the error tree",
    "regime": "what an hour is: six metrics, verdict, hold probability, and the restart gates; pure",
    "grid": "what a grid is: versions and history, economics, capital, the simulator in integers; pure",
    "exits": "when a grid has to end: four states and every trigger; pure",
    "decisions": "what to do, how sure and why: `evaluate()`, timers, outcomes, KPIs, calibration; pure",
    "dashboard": "the market, the judgement and the record at a glance: page models, templates, rendering",
    "backtest": "would it have made money: recorded hours through the desk, sweeps, reports",
    "trading": "from a judgement to sized orders: universe, signals, rules, risk, pacing, execution; pure",
    "exchanges": "KuCoin, and a sandbox that speaks like it",
    "store": "the data repository: files, Git, snapshots in, records out",
    "notifications": "what the operator is told: words, outbox, channels",
    "daemon": "the roof: clock, workers, cycle, commands, health; the only place that introduces parts",
}
PUT = {
    "another exchange": "a client in `exchanges/` that keeps `market/ports.py`; its kind in"
    " `exchanges/settings.py` and `exchanges/opening.py`, its fees in `market/costs.py`",
    "a seventh metric": "`regime/metrics/`, its weight, anchors and length in `regime/config.py`, its"
    " column in `regime/folds.py`, its single reading in `regime/readings.py`; `*kernels.py` for speed",
    "the words of an exit notice": "`notifications/advice.py`; the reason inside it comes from the trigger"
    " that fired, in `exits/`",
    "another exit trigger": "one function in `exits/mandatory.py`, `latest_acceptable.py` or `warning.py`,"
    " its threshold and the presets it acts under in `exits/config.py`",
    "another signal": "a file in `trading/signals/`, its name in `trading/signals/registry.py`, who may trade"
    " by it in the policy's rows (`trading/rules.py`)",
    "another reason not to trade": "`trading/reasons.py` with its meaning, where it is given, `make reasons`",
    "another check before a setup": "one function in `decisions/stopped.py`, in its place in the order",
    "another kind of record": "its form in `store/`, its path in `store/paths.py`, its check in"
    " `store/change_set.py` and `store/verify.py`",
    "another question to the history": "`daemon/regimes.py`, its form in `daemon/regime_forms.py`; a route in"
    " `daemon/api/routes.py`, an agent's tool in `daemon/agent_tools.py`",
    "another command": "a file in `daemon/commands/`, its name in `daemon/cli.py`",
}
TOOLS = ("market.failpoints", "market.hours")  # called everywhere, on nobody's way
NOT_THERE = (
    ("a database", "files in Git are the record; an index is derived from them and may be thrown away"),
    ("an order to an exchange", "a human executes; the client has no call that trades"),
    (
        "a base class of metrics, gates or triggers",
        "a function and a value are enough, and can be read alone",
    ),
    ("an event bus", "an hour goes one way through one function; who is told is called by name"),
    (
        "caches that outlive a process",
        "everything but the outbox and the intents follows from the repository",
    ),
    ("a clock below the roof", "time is an argument, so that a replay is the same code"),
    (
        "retries in the middle",
        "`exchanges/resilience.py` repeats requests, the ledger repeats hours; no one else",
    ),
)


@dataclass(frozen=True, slots=True)
class Step:
    """One call on the way of an hour: what is called, and the file that it lives in."""

    name: str
    home: str


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse((ROOT / (module.replace(".", "/") + ".py")).read_text())


def imported(module: str) -> dict[str, str]:
    """Return where each name that a module imports from the house comes from."""
    found = {}
    for node in tree_of(module).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            found |= {alias.asname or alias.name: node.module for alias in node.names}
    return found


def function_of(module: str, name: str) -> ast.FunctionDef | ast.AsyncFunctionDef:
    """Return a function of a module; the picture is wrong where it is gone, and so this fails then."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return next(node for node in tree_of(module).body if isinstance(node, kinds) and node.name == name)


def steps(module: str, name: str, homes: dict[str, str]) -> Iterator[Step]:
    """Yield the calls of a function to other files of the house, in the order of its lines, each once.

    Args:
        module, name: The function.
        homes: What attributes like `app.store` are, by the text before the call.
    """
    names, seen = imported(module), set()
    own = {
        node.name for node in tree_of(module).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    calls = [node for node in ast.walk(function_of(module, name)) if isinstance(node, ast.Call)]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset)):
        # a function handed to another thread is called there
        for told in (call.func, *call.args):
            text = ast.unparse(told)
            owner, _, last = text.rpartition(".")
            home = names.get(text) or homes.get(owner)
            if text in own and text not in seen:
                seen.add(text)
                yield from steps(module, text, homes)
            elif home is not None and home not in TOOLS and last[:1].islower() and text not in seen:
                seen.add(text)
                yield Step(last, home)


def way(found: list[Step], start: str) -> Iterator[str]:
    """Yield a Mermaid picture of steps, one after the other, a box a file."""
    yield "```mermaid"
    yield "flowchart TD"
    yield f'    n0(["{start}"])'
    for place, step in enumerate(found, 1):
        yield f'    n{place}["{step.home.replace(".", "/")}.py<br/><b>{step.name}</b>"]'
        yield f"    n{place - 1} --> n{place}"
    yield "```"


def floors(graph: grimp.ImportGraph) -> Iterator[str]:
    """Yield a Mermaid picture of the packages and the number of imports between them."""
    yield "```mermaid"
    yield "flowchart TD"
    for importer in reversed(PACKAGES):
        for target in PACKAGES:
            count = len(between(graph, importer, target))
            if importer != target and count:
                yield f"    {importer} -->|{count}| {target}"
    yield "```"


def between(graph: grimp.ImportGraph, importer: str, target: str) -> set[tuple[str, str]]:
    """Return the imports of one package from another, file by file."""
    return {
        (module, other)
        for module in graph.modules
        if module.split(".")[0] == importer
        for other in graph.find_modules_directly_imported_by(module)
        if other.split(".")[0] == target
    }


def mutual(graph: grimp.ImportGraph) -> tuple[int, int]:
    """Return how many pairs of packages and of files import each other, type hints included."""
    packages = sum(
        bool(between(graph, one, other) and between(graph, other, one))
        for place, one in enumerate(PACKAGES)
        for other in PACKAGES[place + 1 :]
    )
    files = sum(
        module in graph.find_modules_directly_imported_by(other)
        for module in graph.modules
        for other in graph.find_modules_directly_imported_by(module)
    )
    return packages, files // 2


def lines_of(package: str) -> list[int]:
    return [len(path.read_text().splitlines()) for path in sorted((ROOT / package).rglob("*.py"))]


def functions() -> Iterator[tuple[int, str]]:
    """Yield each function's lines and name; kernels are left out, as they may be hard to read."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if path.name.endswith("kernels.py"):
                continue
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    lines = (node.end_lineno or node.lineno) - node.lineno + 1
                    yield lines, f"{path.relative_to(ROOT)}: {node.name}"


def tests() -> tuple[int, int]:
    """Return how many test functions there are, and how many replacements of a part (patches, mocks)."""
    text = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    count = len(re.findall(r"^\s*(?:async )?def test_", text, re.MULTILINE))
    return count, len(re.findall(r"\.setattr\(|\bMock\(|MagicMock\(|\bpatch\(", text))


def measures(graph: grimp.ImportGraph) -> list[list[str]]:
    """Return the figures of the house."""
    packages, files = mutual(graph)
    sizes = [(lines, str(path.relative_to(ROOT))) for package in PACKAGES
             for path in sorted((ROOT / package).rglob("*.py"))
             if (lines := len(path.read_text().splitlines())) > 1]  # fmt: skip
    plain = [each for each in sizes if not each[1].endswith("kernels.py")]
    longest, function = max(plain), max(functions())
    count, replaced = tests()
    return [
        ["pairs of packages that import each other", str(packages)],
        ["pairs of files that import each other", str(files)],
        ["files, lines", f"{len(sizes)}, {sum(lines for lines, _ in sizes)}"],
        ["longest file beside kernels", f"{longest[1]}, {longest[0]} lines"],
        ["median file", f"{median(lines for lines, _ in sizes):.0f} lines"],
        ["longest function beside kernels", f"{function[1]}, {function[0]} lines"],
        ["median function", f"{median(lines for lines, _ in functions()):.0f} lines"],
        ["tests, replaced parts a test", f"{count}, {replaced / count:.3f}"],
    ]


def page() -> Iterator[str]:
    """Yield the lines of docs/architecture.md."""
    graph = grimp.build_graph(*PACKAGES, include_external_packages=False, cache_dir=None)
    homes = {"app.store": "store.store", "app.outbox": "notifications.outbox", "app.told": "daemon.told"}
    yield from (
        "# The house",
        "",
        "Made by `make architecture` from the code: the pictures follow the calls of the functions named,",
        "the floors the imports, the figures the files.",
        "",
        "## The way of an hour",
        "",
        "A closed hour comes in at `daemon/cycle.py: run_cycle`, is judged by `decisions/evaluate.py:",
        "evaluate` from what was read back from the repository, and goes out as one commit and the notices",
        "that it is worth.",
        "",
    )
    yield from way(list(steps("daemon.cycle", "run_cycle", homes)), "an hour closed")
    yield from ("", "What `evaluate` does, in its order; a replay and a backtest call it too:", "")
    yield from way(
        list(steps("decisions.evaluate", "evaluate", {"policy.engine": "regime.engine"})), "HourInputs"
    )
    yield from (
        "",
        "A timeout, an expiry or a stop that nobody answers goes through `daemon/operator.py:",
        "settle_timers`; what the operator did through `answer`, in the same file; both end in the one",
        "writer of `store/store.py`.",
        "",
        "## The floors",
        "",
        "Imports go down only (`make contracts`); the number on an arrow counts them, file by file.",
        "",
    )
    yield from floors(graph)
    yield ""
    yield from table(
        "package | knows | files | lines",
        [
            [name, KNOWS[name], str(len(lines_of(name))), str(sum(lines_of(name)))]
            for name in reversed(PACKAGES)
        ],
    )
    yield from ("## Where to put what", "")
    yield from table("to add or change | touch", [list(each) for each in PUT.items()])
    yield from ("## What is deliberately not there", "")
    yield from table("not there | because", [list(each) for each in NOT_THERE])
    yield from ("## In figures", "")
    yield from table("what | now", measures(graph))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    TARGET.write_text("\n".join(page()))
