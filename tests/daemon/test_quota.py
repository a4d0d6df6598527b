"""The month's messages run out where an operator sees it coming: on the page and in the metrics."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import generate_latest

from daemon.health import health
from notifications.pushover import Quota
from tests.cycle.house import house

RESET = datetime(2026, 4, 1, 5, tzinfo=UTC)


def pushover(folder):
    (folder / "key").write_text("k" * 30)
    return {"pushover": {"token_file": str(folder / "key"), "user_file": str(folder / "key")}}


def scraped(app):
    lines = generate_latest(app.metrics.registry).decode().splitlines()
    return dict(line.rsplit(" ", 1) for line in lines if line.startswith("regimed_pushover_"))


async def test_what_is_left_is_scraped_once_it_is_known(tmp_path):
    """Nothing is shown before the service has told it; then what it told last."""
    async with house(tmp_path, notifications=pushover(tmp_path)) as there:
        assert scraped(there.app) == {}
        assert health(there.app)["checks"]["channels"]["quotas"] == {}
        there.app.emergencies[0].quota = Quota(10_000, 1234, RESET)
        shown = {name: float(value) for name, value in scraped(there.app).items()}
        assert shown == {
            'regimed_pushover_messages_remaining{channel="pushover"}': 1234,
            'regimed_pushover_messages_limit{channel="pushover"}': 10_000,
            'regimed_pushover_reset_timestamp_seconds{channel="pushover"}': RESET.timestamp(),
        }


@pytest.mark.parametrize(
    ("limit", "remaining", "status"),
    [
        (10_000, 500, "pass"),
        (10_000, 499, "warn"),
        (1_000, 100, "pass"),
        (1_000, 99, "warn"),
        (10_000, 0, "warn"),
    ],
)
async def test_few_messages_left_are_a_warning(tmp_path, limit, remaining, status):
    """Less than 5 % or fewer than 100: there is time to buy more."""
    async with house(tmp_path, notifications=pushover(tmp_path)) as there:
        there.app.emergencies[0].quota = Quota(limit, remaining, RESET)
        shown = health(there.app)["checks"]["channels"]
        assert shown["status"] == status
        said = f"channel pushover: {remaining} of {limit} messages left until 2026-04-01T05:00:00Z"
        assert shown["output"] == (said if status == "warn" else "")
        assert shown["quotas"]["pushover"]["remaining"] == remaining
