"""One repository and its index for all tests that only read."""

from __future__ import annotations

import pytest

from market.hours import Hour
from tests.daemon.api.serving import filled, lay_markets, served

HALF = Hour.parse("2024-05-20T00")


@pytest.fixture(scope="session")
def repo(tmp_path_factory):
    return lay_markets(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="session")
def whole_index(repo, tmp_path_factory):
    index = filled(repo, tmp_path_factory.mktemp("whole"))
    yield index
    index.close()


@pytest.fixture(scope="session")
def half_index(repo, tmp_path_factory):
    index = filled(repo, tmp_path_factory.mktemp("half"), HALF)
    yield index
    index.close()


@pytest.fixture
async def api(repo, whole_index):
    async with served(repo, whole_index) as there:
        yield there


@pytest.fixture(params=["whole", "half", "none"])
async def any_api(request, repo, whole_index, half_index):
    """The API with its index filled, half filled, and without one."""
    index = {"whole": whole_index, "half": half_index, "none": None}[request.param]
    async with served(repo, index) as there:
        yield there
