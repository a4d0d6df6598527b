"""The tool that asks whether the tests notice: on a small tree, and on lines read by hand."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import mutants
from tests.mutants import Mutant, changes, report

LIMITS = "def within(value: int, limit: int) -> bool:\n    return value <= limit\n"
TESTS = """from limits import within


def test_within():
    assert within(1, 2)
    assert not within(3, 2)
"""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("0 <= a < b", ["0 < a < b", "0 > a < b", "0 <= a <= b", "0 <= a >= b"]),
        ("a and b", ["a or b"]),
        ("not a", ["not not a"]),
        ("a * b", ["a / b"]),
        ("-a", ["+a"]),
        ("7", ["8", "6"]),
        ("2.0", ["3.0", "2.02"]),
        ("True", ["False"]),
        ("a if b else c", ["a if not b else c"]),
        ("max(a, b)", ["min(a, b)"]),
        ("np.maximum(a, b)", ["np.minimum(a, b)"]),
        ("AT_LEAST", ["ABOVE", "AT_MOST"]),
        ("below", ["at_most", "at_least"]),
        ("len(a)", []),
        ("'text'", []),
    ],
)
def test_a_line_is_changed_in_every_small_way(line: str, expected: list[str]):
    """Boundaries, connectives, arithmetic, constants, conditions, extremes, comparisons by name."""
    found = []
    for at, _ in enumerate(list(changes(ast.parse(line, mode="eval").body))):
        node = ast.parse(line, mode="eval").body
        name, new = list(changes(node))[at]
        setattr(node, name, new)
        found.append(ast.unparse(node))
    assert found == expected


def test_a_survivor_is_told_and_judged_anew_when_the_tests_change(tmp_path: Path):
    """A boundary without a test survives; with one it is killed, and what was killed before is remembered."""
    tree = tmp_path / "tree"
    (tree / "tests").mkdir(parents=True)
    shutil.copy(mutants.__file__, tree / "tests")
    (tree / "tests" / "__init__.py").touch()
    (tree / "limits.py").write_text(LIMITS)
    test_file = tree / "tests" / "test_limits.py"

    def run() -> str:
        command = [sys.executable, "-m", "tests.mutants", "limits.py", "--tests", "tests/test_limits.py"]
        return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=True).stdout

    test_file.write_text(TESTS)
    assert "| limits.py | 2 | 1 | 1 |" in (told := run())
    assert "- limits.py:2 `value <= limit → value < limit` in `return value <= limit`" in told
    test_file.write_text(TESTS + "    assert within(2, 2)\n")
    assert "| limits.py | 2 | 2 | 0 |" in run()
    state = (tree / "mutants" / "judged.jsonl").read_text().splitlines()
    assert [json.loads(line)["killed"] for line in state] == [False, True, True]
    assert (tree / "limits.py").read_text() == LIMITS


def test_a_comparison_by_name_is_brought_in_or_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A mutant that only lacks its import would be killed by any test; one without a function cannot be."""
    monkeypatch.setattr(mutants, "ROOT", tmp_path)
    (tmp_path / "kinds.py").write_text("def at_least(a, b): ...\n\n\ndef at_most(a, b): ...\n")
    (tmp_path / "asks.py").write_text("from kinds import at_least\n\nheld = at_least(1 < 2, None)\n")
    texts = [each.text for each in mutants.mutants("asks.py") if each.change.startswith("at_least →")]
    assert texts == ["from kinds import at_least, at_most\nheld = at_most(1 < 2, None)"]


def test_the_report_counts_by_file():
    """Every mutant once, survivors with their line."""
    made = [Mutant(file, 3, "1 → 2", "return 1", "") for file in ("a.py", "a.py", "b.py")]
    lines = report(list(zip(made, (True, False, True), strict=True))).splitlines()
    assert lines[2:] == [
        "| a.py | 2 | 1 | 1 |",
        "| b.py | 1 | 1 | 0 |",
        "",
        "- a.py:3 `1 → 2` in `return 1`",
    ]
