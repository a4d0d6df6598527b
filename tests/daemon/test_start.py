"""What a command imports: a person waits for it, and every process of a daemon carries it."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numba", "sqlalchemy", "aiohttp", "git", "pydantic", "numpy", "pyarrow"} | {
    "daemon.settings",
    "daemon.app",
}
CALL = """
import sys
from daemon import cli
sys.argv = ["regimed", *{words!r}]
try:
    cli.main()
except SystemExit:
    pass
print(*sorted({heavy!r} & set(sys.modules)), file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "allowed"),
    [
        (["--help"], set()),
        (["--version"], set()),
        (["status", "--url", "http://127.0.0.1:9"], {"pydantic"}),  # typer looks for it
        (["status", "--config", "none.yaml"], {"pydantic", "numpy", "daemon.settings", "git"}),
        (["explain", "--help"], {"pydantic", "numpy", "daemon.settings", "git"}),
        (["run", "--help"], HEAVY - {"numba", "pyarrow"}),
    ],
    ids=["help", "version", "status of an address", "status", "explain", "run"],
)
def test_a_command_imports_no_more_than_it_needs(words, allowed):
    """All modules together take seconds; the daemon needs no compiler until it calibrates."""
    code = CALL.format(words=words, heavy=HEAVY)
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ended.stderr.splitlines()[-1].split()) - allowed == set()
