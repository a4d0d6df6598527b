"""/health tells the story, /health/live what a restart could cure, /metrics everything."""

import json
import socket
import subprocess
import threading
import urllib.error
import urllib.request

import anyio
import anyio.to_thread
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from daemon.http import serving
from daemon.progress import LoopWatchdog
from market import failpoints
from tests.cycle.house import START, house
from tests.servers import required


@pytest.fixture(autouse=True)
def _disarmed():
    yield
    failpoints.disarm()


async def get(port, path):
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{port}{path}", timeout=10)


async def test_health_says_per_market_what_is_known(tmp_path):
    """status, verdict, ages, owed hours, Git, breaker, next ring: the operator's page."""
    async with house(tmp_path, markets=2) as there, serving(there.app, "127.0.0.1", 0) as port:
        assert (await get(port, "/health/ready")).status_code == 503
        await there.hours(START, 2)
        answer = await get(port, "/health")
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("application/health+json")
        page = answer.json()
        assert page["status"] == "pass"
        assert page["notes"] == []
        market = page["checks"]["market:ETH-USDT"]
        assert market["newest_hour"] == str(START.plus(1))
        assert market["newest_hour_age_s"] == 5
        assert market["owed_hours"] == 0
        assert market["verdict"] in {"RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND"}
        assert page["config_hash"] == there.app.policy.config_hash
        assert (await get(port, "/health/ready")).status_code == 200
        assert (await get(port, "/health/live")).json()["status"] == "pass"


async def test_stale_data_warns_then_fails_and_leaves_readiness_alone(tmp_path):
    """pains 8: stale advice is withheld and says so; a dead exchange does not unset readiness."""
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 1)
        there.clock.set(START.plus(1).closes_at + (START.plus(1).closes_at - START.closes_at) / 2)
        warn = await get(port, "/health")
        assert (warn.status_code, warn.json()["status"]) == (200, "warn")
        there.clock.set(START.plus(5).closes_at)
        fail = await get(port, "/health")
        assert (fail.status_code, fail.json()["status"]) == (503, "fail")
        assert "advice is withheld" in fail.json()["notes"][0]
        assert (await get(port, "/health/ready")).status_code == 200
        assert (await get(port, "/health/live")).status_code == 200


async def test_a_hung_worker_turns_live_bad_while_http_answers(tmp_path):
    """pains 12: the process is alive, the loop turns, no work is done: a restart could cure that."""
    released = threading.Event()
    async with (
        house(tmp_path, health={"live_limit_s": 1}) as there,
        serving(there.app, "127.0.0.1", 0) as port,
    ):
        failpoints.arm("writer.before_commit", released.wait)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(there.hour, START)
                with anyio.fail_after(20):
                    while True:
                        there.app.progress.stamp("scheduler")
                        answer = await get(port, "/health/live")
                        if (
                            answer.status_code == 503
                            and "writer has not moved for" in answer.json()["output"]
                        ):
                            break  # on a busy machine the collector may be the slow one at first
                failpoints.disarm()
                released.set()
        finally:
            released.set()
        there.app.progress.stamp("scheduler")
        assert (await get(port, "/health/live")).status_code == 200


async def test_a_blocked_loop_turns_live_bad_and_is_said_by_the_watchdog(tmp_path, capfd):
    """A loop that does not turn answers no probe; the watchdog's thread prints every stack."""
    outcome = []

    def probe(port):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/live", timeout=0.3) as answer:
                outcome.append(answer.status)
        except OSError as error:
            outcome.append(type(error).__name__)

    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        app = there.app
        with (
            capture_logs() as logs,
            LoopWatchdog(app.progress, app.clock.monotonic, 0.2, lambda: None) as watchdog,
        ):
            app.progress.loop_moved_at = app.clock.monotonic()
            prober = threading.Thread(target=probe, args=(port,))
            prober.start()
            prober.join()  # the loop is blocked right here
            while watchdog.warnings == 0:
                threading.Event().wait(0.05)
        assert outcome == ["TimeoutError"]
        assert any(entry["event"] == "the event loop is blocked" for entry in logs)
    assert "most recent call first" in capfd.readouterr().err


async def test_metrics_are_valid_and_complete(tmp_path):
    """Base units, our prefix, one value for each market."""
    async with house(tmp_path, markets=2) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 2)
        text = (await get(port, "/metrics")).text
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert all(name.startswith("regimed_") for name in families)
        cycles = {
            s.labels["market"]: s.value
            for s in families["regimed_cycles"].samples
            if s.name.endswith("_total")
        }
        assert cycles == {"ETH-USDT": 2, "BTC-USDT": 2}
        regime = [s.value for s in families["regimed_regime"].samples if s.labels["market"] == "ETH-USDT"]
        assert sorted(regime) == [0, 0, 0, 1]
        for name in ("regimed_cycle_seconds", "regimed_git_unpushed_commits", "regimed_loop_lag_seconds"):
            assert families[name].samples
        assert families["regimed_store_cache_misses"].samples[0].value > 0


async def test_http_is_bounded_and_shows_no_insides(tmp_path):
    """Unknown paths, other methods and oversized requests get short answers; nothing hangs."""
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        assert (await get(port, "/nonsense")).status_code == 404
        async with httpx.AsyncClient() as client:
            assert (await client.post(f"http://127.0.0.1:{port}/health")).status_code == 405
            long = await client.get(f"http://127.0.0.1:{port}/health", headers={"X-Long": "x" * 100_000})
            assert long.status_code == 400
        assert (await get(port, "/health?x=%00")).status_code in {200, 503}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


@pytest.mark.servers
async def test_a_real_prometheus_scrapes_a_running_daemon(tmp_path):
    """The target is up and a query gives the value that the daemon has."""
    server = required("prometheus", "prometheus")
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 3)
        own = free_port()
        config = tmp_path / "prometheus.yml"
        target = {"job_name": "regimed", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": "1s"}, "scrape_configs": [target]}))
        process = subprocess.Popen(
            [
                server,
                f"--config.file={config}",
                f"--storage.tsdb.path={tmp_path / 'tsdb'}",
                f"--web.listen-address=127.0.0.1:{own}",
                "--log.level=error",
            ]
        )
        try:
            query = f"http://127.0.0.1:{own}/api/v1/query?query=regimed_cycles_total"
            with anyio.fail_after(60):
                result = []
                while not result:
                    result = await anyio.to_thread.run_sync(answered, query)
            assert result[0]["metric"]["market"] == "ETH-USDT"
            assert result[0]["value"][1] == "3"
        finally:
            process.terminate()
            process.wait(20)


def answered(query):
    """Return what Prometheus knows by now; nothing while it starts."""
    try:
        with urllib.request.urlopen(query, timeout=5) as answer:
            return json.loads(answer.read())["data"]["result"]
    except (urllib.error.URLError, ConnectionError):
        threading.Event().wait(0.2)
        return []
