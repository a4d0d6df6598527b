"""/health tells the story, /health/live what a restart could cure, /metrics everything."""

import asyncio
import json
import socket
import subprocess
import sys
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

from daemon.http import READERS, serving
from daemon.operator import answer
from daemon.progress import LoopWatchdog
from decisions.actions import Answer
from market import failpoints
from notifications.links import decision_link
from store.advice import Deed, decision_ids
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


async def test_a_messages_link_tells_the_recommendation_as_explain_does(tmp_path):
    """The same words as on the command line, as text that no browser runs; HEAD answers without a body."""
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 1)
        (decision_id,) = decision_ids(tmp_path / "data")
        deed = Deed(Answer.NOTE, there.clock.now(), "me", note="<script>alert(1)</script> ünsicher")
        await answer(there.app, decision_id, deed)
        page = await get(port, f"/decisions/{decision_id}")
        assert page.status_code == 200
        command = ["explain", decision_id, "--repo", str(tmp_path / "data")]
        told = await anyio.run_process([sys.executable, "-m", "daemon.cli", *command])
        assert page.content == told.stdout
        assert "<script>alert(1)</script> ünsicher" in page.text
        assert page.headers["content-type"] == "text/plain; charset=utf-8"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["content-security-policy"].startswith("default-src 'none'")
        assert page.headers["cache-control"] == "no-store"
        async with httpx.AsyncClient() as client:
            address = decision_link(f"http://127.0.0.1:{port}", decision_id)
            assert address == f"http://127.0.0.1:{port}/decisions/{decision_id}"
            assert (await client.get(address)).content == page.content
            head = await client.head(address)
            assert (head.status_code, head.content) == (200, b"")
            assert (await client.post(address)).status_code == 405


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("2026-01-05/dec-ETH-USDT-230000", 404, "there is no decision 2026-01-05/dec-ETH-USDT-230000"),
        ("2026-99-99/dec-ETH-USDT-230000", 404, "there is no decision 2026-99-99/"),
        ("2026-01-05/nonsense", 400, "not a decision's name; expected /decisions/2026-02-02/dec-"),
        ("2026-01-05/dec-ETH-USDT-010000.yaml", 400, "not a decision's name"),
        ("2026-01-05/dec-ETH-USDT-010000.action-1", 400, "not a decision's name"),
        ("2026-01-05/..%2f..%2f..%2fsecret", 400, "not a decision's name"),
        ("%2e%2e/secret", 400, "not a decision's name"),
        ("2026-01-05/dec-a%00b", 400, "not a decision's name"),
        ("2026-01-05%0A/dec-a", 400, "not a decision's name"),
        ("2026-01-05", 404, "404"),
        ("2026-01-05/dec-a/../../secret", 404, "404"),
    ],
)
async def test_a_link_that_names_no_decision_gets_a_clear_line_and_no_other_file(
    tmp_path, path, status, words
):
    """Unknown and malformed are told apart; nothing outside of decisions/ is ever opened."""
    (tmp_path / "data").mkdir()
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        for folder in (tmp_path, tmp_path / "data", tmp_path / "data" / "decisions"):
            folder.mkdir(exist_ok=True)
            (folder / "secret").write_text("not for you")
            (folder / "secret.yaml").write_text("not for you")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /decisions/{path} HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n".encode())
        got = (await reader.read()).decode()  # by hand: a client would tidy the path
        writer.close()
        await writer.wait_closed()
        assert got.startswith(f"HTTP/1.1 {status} ")
        assert words in got
        assert "not for you" not in got


async def test_a_damaged_decision_is_said_without_its_insides(tmp_path):
    """What is wrong with the file is for the log and `regimed verify`."""
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 1)
        (decision_id,) = decision_ids(tmp_path / "data")
        (tmp_path / "data" / "decisions" / f"{decision_id}.yaml").write_text("token: hunter2\n")
        with capture_logs() as logs:
            page = await get(port, f"/decisions/{decision_id}")
        assert page.status_code == 500
        assert page.text == f"the record of {decision_id} cannot be read; regimed verify says why\n"
        assert [line["event"] for line in logs] == ["a decision could not be read"]


async def test_a_disk_that_hangs_takes_no_page_with_it(tmp_path, monkeypatch):
    """Readers are few and bounded in time: the page says that it took too long, /health goes on."""
    released = threading.Event()

    def hangs(root, decision_id):
        released.wait(30)
        return []

    monkeypatch.setattr("daemon.http.explained", hangs)
    monkeypatch.setattr("daemon.http.REQUEST_LIMIT_S", 1.0)
    async with house(tmp_path) as there, serving(there.app, "127.0.0.1", 0) as port:
        await there.hours(START, 1)
        (decision_id,) = decision_ids(tmp_path / "data")
        try:
            pages = []

            async def ask():
                pages.append((await get(port, f"/decisions/{decision_id}")).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(READERS + 2):
                    group.start_soon(ask)
            assert pages == [503] * (READERS + 2)
            assert (await get(port, "/health")).status_code == 200
        finally:
            released.set()


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
