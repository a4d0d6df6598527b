import errno

import pytest

from daemon.failures import arm_failpoints
from market import failpoints
from market.errors import ConfigInvalid


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


def test_a_plan_acts_from_the_nth_time_on():
    """A campaign says which place, what and when."""
    assert arm_failpoints("writer.before_write=enospc@2;push.before=hang") == [
        "writer.before_write",
        "push.before",
    ]
    failpoints.reach("writer.before_write")
    with pytest.raises(OSError, match="No space") as caught:
        failpoints.reach("writer.before_write")
    assert caught.value.errno == errno.ENOSPC
    assert arm_failpoints("") == []


def test_a_plan_may_last_as_long_as_a_file(tmp_path):
    """A drill begins and ends its trouble from outside the process."""
    there = tmp_path / "full"
    arm_failpoints(f"writer.before_write=enospc?{there}")
    failpoints.reach("writer.before_write")
    there.touch()
    with pytest.raises(OSError, match="No space"):
        failpoints.reach("writer.before_write")
    there.unlink()
    failpoints.reach("writer.before_write")


@pytest.mark.parametrize("plan", ["nowhere=kill", "push.before=explode", "push.before=kill@x", "push.before"])
def test_a_plan_that_would_test_nothing_is_refused(plan):
    """A misspelt failpoint is an error, not a campaign without failures."""
    with pytest.raises(ConfigInvalid, match="expected PLACE=ACTION"):
        arm_failpoints(plan)
