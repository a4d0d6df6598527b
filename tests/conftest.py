"""Fixtures that every floor's tests may use."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import structlog
from coverage import Coverage

from tests.logs import kept_logs

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
_MEASURED_CHILDREN = "COVERAGE_PROCESS"  # by these variables coverage tells started processes to measure


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


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Measure coverage by the tests of `make test` alone.

    Those of the check tier are drills over what the others cover: neither they nor the processes that they
    start are slowed by the tracer.
    """
    if item.get_closest_marker("check") is None:
        return (yield)
    stopped = []  # of a worker several: as a process that was started, and by pytest-cov
    while (measured := Coverage.current()) is not None:
        measured.stop()
        stopped.append(measured)
    told = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith(_MEASURED_CHILDREN)}
    try:
        return (yield)
    finally:
        os.environ.update(told)
        for measured in reversed(stopped):
            measured.start()


@pytest.fixture(autouse=True)
def _logs_are_given_back() -> Iterator[None]:
    """Undo what a test did to the logs: the next one must not write to a stream that is closed."""
    with kept_logs():
        yield
