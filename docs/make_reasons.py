"""Write the table of reasons in docs/trading.md from the code: `make reasons`.

What a reason means and in which part it stands is told by `trading/reasons.py`, who gives it by where it is
named in `trading/`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tables import table

from trading.reasons import MEANINGS, Reason

TARGET = Path(__file__).with_name("trading.md")
TRADING = TARGET.parent.parent / "trading"
HEADING = "## Reasons"
HEAD = """\
Made by `make reasons` from `trading/reasons.py` and from where each reason is named in `trading/`. Universe,
rules, risk and pacing give one reason, the first in this order that holds, with what was found and the limit;
it stands with the market or the trigger in the hour's record. A reason of execution stands in the text of the
order's note, why a trade ended in its line of the trade log (there also `order_refused`, where the exchange
refused to protect what was bought). `tests/trading/test_reasons.py` has the pipeline give every one of them.
"""


def parts(source: str) -> dict[str, list[Reason]]:
    """Return the reasons by the comment that they stand under in the enumeration."""
    found: dict[str, list[Reason]] = {}
    part = ""
    for line in source.splitlines():
        if comment := re.fullmatch(r"    # (.+)", line):
            part = comment[1]
        elif member := re.fullmatch(r"    ([A-Z_]+) = \"[a-z_]+\"", line):
            found.setdefault(part, []).append(Reason[member[1]])
    return found


def givers() -> dict[Reason, list[str]]:
    """Return the files that name each reason, in order."""
    found: dict[Reason, list[str]] = {reason: [] for reason in Reason}
    for path in sorted(TRADING.rglob("*.py")):
        if path.name != "reasons.py":
            for reason in named_in(path.read_text()):
                found[reason].append(path.relative_to(TRADING.parent).as_posix())
    return found


def named_in(source: str) -> set[Reason]:
    """Return the reasons that a file names as `Reason.NAME`."""
    return {
        Reason[node.attr]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }


def section() -> Iterator[str]:
    """Yield the lines of the section, its heading first."""
    yield from (HEADING, "", *HEAD.splitlines(), "")
    by = givers()
    for part, reasons in parts((TRADING / "reasons.py").read_text()).items():
        yield from (f"### {part[:1].upper()}{part[1:]}", "")
        yield from table(
            "reason | meaning | given by",
            [
                [f"`{reason}`", MEANINGS[reason], ", ".join(f"`{name}`" for name in by[reason])]
                for reason in reasons
            ],
        )


def page(before: str) -> str:
    """Return the document with today's section in the old one's place, at its end where there is none."""
    made = "\n".join(section())
    pattern = rf"^{re.escape(HEADING)}\n.*?(?=^## |\Z)"
    if re.search(pattern, before, flags=re.DOTALL | re.MULTILINE):
        return (
            re.sub(pattern, lambda _: f"{made}\n", before, flags=re.DOTALL | re.MULTILINE).rstrip("\n") + "\n"
        )
    return f"{before.rstrip()}\n\n{made}".rstrip("\n") + "\n"


if __name__ == "__main__":
    TARGET.write_text(page(TARGET.read_text()))
