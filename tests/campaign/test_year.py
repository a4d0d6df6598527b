"""A death on a large repository; REGIMED_YEAR_H says how many hours it has, 8,760 in `make campaign`."""

from __future__ import annotations

import os

import pytest

from tests.campaign.year import killed_and_ready_again

HOURS = int(os.environ.get("REGIMED_YEAR_H", "480"))


@pytest.mark.check
@pytest.mark.timeout(900)
def test_a_daemon_killed_on_a_year_of_hours_is_ready_again_within_a_minute(tmp_path):
    """Kill -9 between two renames of an hour's files: the next start is ready in 60 s, no hour lost."""
    again = killed_and_ready_again(tmp_path, HOURS)
    assert again.found == []
    assert again.ready_s < 60
