"""Repositories that the tests of this folder read, each made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from tests.dashboard.repositories import (
    empty_repository,
    exit_in_progress,
    stale_data,
)


@pytest.fixture(scope="session")
def leaving_root(tmp_path_factory) -> Path:
    return anyio.run(exit_in_progress, tmp_path_factory.mktemp("exit"))


@pytest.fixture(scope="session")
def stale_root(tmp_path_factory) -> Path:
    return anyio.run(stale_data, tmp_path_factory.mktemp("stale"))


@pytest.fixture(scope="session")
def empty_root(tmp_path_factory) -> Path:
    return anyio.run(empty_repository, tmp_path_factory.mktemp("empty"))


@pytest.fixture
def copied(tmp_path) -> Callable[[Path], Path]:
    """Return what copies a repository, so that a test may spoil it."""

    def copy(root: Path) -> Path:
        target = tmp_path / "spoilt"
        shutil.copytree(root, target, ignore=shutil.ignore_patterns(".git"))
        return target

    return copy
