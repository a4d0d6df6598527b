"""The index as commands read it: found when it turns up, never made, asked for again only after a while."""

from __future__ import annotations

import pytest

from daemon.histories import LOOK_AGAIN_S, OfferedIndex, open_history
from tests.daemon.histories import fill, index_file, two_markets
from tests.daemon.regimes import Standing


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return two_markets(tmp_path_factory.mktemp("offered"))


def test_an_index_that_the_daemon_makes_later_is_found(root):
    """None at first, with the reason; none is made; ten seconds later the daemon's is there."""
    fill(root, "absent")
    clock = Standing()
    offered = OfferedIndex(f"sqlite:///{index_file(root)}", clock)
    try:
        assert offered() is None and "regimed index rebuild" in str(offered.problem)
        assert not index_file(root).parent.exists()
        fill(root, "current")
        clock.seconds = LOOK_AGAIN_S / 2
        assert offered() is None
        clock.seconds = LOOK_AGAIN_S
        index = offered()
        assert index is not None and len(index.states()) == 6
        assert offered.problem is None and offered() is index
    finally:
        offered.close()


def test_without_a_repository_and_a_configuration_there_is_no_history():
    """Neither was named."""
    with pytest.raises(ValueError, match="neither a repository nor a configuration"):
        open_history(None, None)
