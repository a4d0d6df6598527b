"""Fixtures that every floor's tests may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tests.logs import kept_logs

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """Return the folder of recorded candles; skips where it is absent (it never enters the repository)."""
    folder = Path(os.environ.get("REGIMED_DATA", _BESIDE))
    if not (folder / "MANIFEST.json").is_file():
        pytest.skip(f"recorded candles are absent ({folder}); set REGIMED_DATA to their folder")
    return folder


def pytest_configure() -> None:
    """Show tracebacks plainly where nothing configured the logs: in colour they outlast the tests."""
    *others, _ = structlog.get_config()["processors"]
    plainly = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*others, plainly])


@pytest.fixture(autouse=True)
def _logs_are_given_back() -> Iterator[None]:
    """Undo what a test did to the logs: the next one must not write to a stream that is closed."""
    with kept_logs():
        yield
