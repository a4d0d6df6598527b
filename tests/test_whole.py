"""The parts that are held at every line and branch: the list in the Makefile names files that are there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_every_name_on_the_list_is_a_part_of_the_program():
    """A file that was moved would be held at 100 % of nothing."""
    (names,) = re.findall(r"^WHOLE := (.+)$", (ROOT / "Makefile").read_text(), flags=re.MULTILINE)
    files = {name: list(ROOT.glob(name)) for name in names.split(",")}
    assert [name for name, found in files.items() if not found] == []
    kept = {path.relative_to(ROOT).as_posix() for found in files.values() for path in found}
    assert {"exits/fold.py", "market/costs.py", "trading/risk.py", "exchanges/simulated/matching.py"} <= kept
