"""The daemon as a process: it stops in order, refuses a second one, and says what is wrong."""

import json
import signal
import urllib.request

import pytest
import yaml

from exchanges.sandbox.keys import WITHDRAWING_KEY
from tests.cycle.house import START, assert_sound, git, house, with_key, write_config
from tests.cycle.processes import clock_from, hours_of, regimed, started


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """A sandbox process over the simulated market, an hour a second."""
    clock = clock_from(START, 3600)
    with started("sandbox", "--port", "0", "--clock", clock) as process:
        url = process.line(r"(http://127\.0\.0\.1:\d+)")[1]
        yield url, clock


def page(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.status, json.loads(answer.read())


def test_sigterm_in_the_middle_of_the_work_ends_in_order(tmp_path, sandbox):
    """Exit 0 in time; the hour under way is recorded or cleanly owed; everything is pushed."""
    url, clock = sandbox
    config = str(write_config(tmp_path, url, ["ETH-USDT", "BTC-USDT"]))
    with started("run", "--config", config, "--clock", clock) as daemon:
        port = daemon.line(r"http://127\.0\.0\.1:(\d+)/health")[1]
        daemon.line("hour judged")
        status, live = page(f"http://127.0.0.1:{port}/health/live")
        assert (status, live["status"]) == (200, "pass")
        assert daemon.end(signal.SIGTERM) == 0
        assert not any("Traceback" in line for line in daemon.lines)
    assert len(hours_of(tmp_path, "ETH-USDT")) >= 1
    assert_sound(tmp_path)
    assert git(tmp_path / "data", "status", "--porcelain") == ""
    assert git(tmp_path / "data", "rev-parse", "main") == git(tmp_path / "remote.git", "rev-parse", "main")


def test_a_second_daemon_on_one_repository_is_refused_by_name(tmp_path, sandbox):
    """Exit 2, one line that names the process; commands hand their work to the running one instead."""
    url, clock = sandbox
    config = str(write_config(tmp_path, url, ["ETH-USDT"]))
    with started("run", "--config", config, "--clock", clock) as daemon:
        daemon.line("hour judged")
        second = regimed("run", "--config", config, "--clock", clock)
        assert second.returncode == 2
        assert f"process {daemon.process.pid} already writes this repository" in second.stderr
        assert "Traceback" not in second.stderr
        asked = regimed("cycle", "--config", config, "--clock", clock)
        assert asked.returncode == 0, asked.stderr
        assert f"process {daemon.process.pid}" in asked.stdout
        first, last = START.plus(-48), START.plus(-40)
        filled = regimed(
            "backfill",
            "ETH-USDT",
            "--from",
            str(first),
            "--to",
            str(last),
            "--config",
            config,
            "--clock",
            clock,
        )
        assert filled.returncode == 0, filled.stderr
        assert "8 fetched" in filled.stdout
        again = regimed(
            "backfill",
            "ETH-USDT",
            "--from",
            str(first),
            "--to",
            str(last),
            "--config",
            config,
            "--clock",
            clock,
        )
        assert "8 hours were there, 0 fetched" in again.stdout
        assert daemon.end() == 0
    assert_sound(tmp_path)


def test_one_cycle_and_then_exit(tmp_path, sandbox):
    """`regimed cycle` runs what is due; analyze finds the same bytes; verify is content."""
    url, clock = sandbox
    config = str(write_config(tmp_path, url, ["ETH-USDT"]))
    done = regimed("cycle", "ETH-USDT", "--config", config, "--clock", clock)
    assert done.returncode == 0, done.stderr
    assert "hours judged" in done.stdout
    assert len(hours_of(tmp_path, "ETH-USDT")) >= 1
    found = regimed("analyze", "ETH-USDT", "--repo", str(tmp_path / "data"), "--format", "json")
    assert found.returncode == 0, found.stderr
    rows = json.loads(found.stdout)
    assert {row["compared"] for row in rows} == {"identical"}
    assert rows[0]["record"]["regime_analysis"]["T"] is not None
    table = regimed("analyze", "ETH-USDT", "--repo", str(tmp_path / "data"))
    assert "identical" in table.stdout
    verified = regimed("verify", "--repo", str(tmp_path / "data"), "--format", "json")
    assert verified.returncode == 0, verified.stdout
    assert json.loads(verified.stdout)["ok"] is True
    nobody = regimed("status", "--url", "http://127.0.0.1:9")
    assert nobody.returncode == 3
    assert "is the daemon running?" in nobody.stderr


def test_a_changed_byte_is_found_by_verify_and_named(tmp_path, sandbox):
    """Exit code 1, the path and what is wrong with it."""
    url, clock = sandbox
    config = str(write_config(tmp_path, url, ["ETH-USDT"]))
    assert regimed("cycle", "--config", config, "--clock", clock).returncode == 0
    (record,) = sorted((tmp_path / "data" / "metrics" / "ETH-USDT").glob("*.yaml"))[:1]
    record.write_text(record.read_text().replace("verdict: ", "verdict:  ", 1))
    found = regimed("verify", "--repo", str(tmp_path / "data"))
    assert found.returncode == 1
    assert f"metrics/ETH-USDT/{record.name}" in found.stdout


async def test_status_tells_what_health_tells(tmp_path):
    """Exit code 0 for pass, 1 for warn or fail; JSON alone on stdout."""
    import anyio.to_thread

    from daemon.http import serving

    async with house(tmp_path) as there:
        await there.hours(START, 1)
        async with serving(there.app, "127.0.0.1", 0) as port:

            def ask(*options):
                return regimed("status", "--url", f"http://127.0.0.1:{port}", *options)

            good = await anyio.to_thread.run_sync(ask)
            assert good.returncode == 0, good.stdout
            assert "market:ETH-USDT" in good.stdout
            there.app.board.push_trouble = "the remote is dead"
            bad = await anyio.to_thread.run_sync(lambda: ask("--format", "json"))
            assert bad.returncode == 1
            assert json.loads(bad.stdout)["status"] == "warn"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["run", "--config", "nowhere.yaml"], 2, "there is no such file"),
        (["status", "--url", "ftp://x"], 2, "not an http address"),
        (["analyze", "../etc", "--hour", "2026-01-01T00"], 2, "not a market key"),
        (["analyze", "ETH-USDT", "--hour", "yesterday"], 2, "--hour: 'yesterday' is not an hour"),
        (["analyze", "ETH-USDT", "--repo", "nowhere"], 2, "no such folder"),
        (["verify", "--repo", "nowhere"], 2, "not a data repository"),
        (["demo", "--markets", "9", "--once"], 2, "--markets"),
        (["demo", "--data", "nowhere", "--once"], 2, "is not a folder"),
        (["demo", "--window", "2024AUG"], 2, "needs --data"),
        (["run", "--clock", "tomorrow"], 2, "--clock"),
        (["--log-level", "LOUD", "run"], 2, "LOUD"),
        (["nonsense"], 2, "nonsense"),
    ],
)
def test_bad_usage_ends_with_one_clear_line(arguments, code, words, tmp_path):
    """What was found, what was expected, never a traceback."""
    if "--clock" in arguments:
        arguments = [*arguments, "--config", str(write_config(tmp_path, "http://127.0.0.1:1", ["ETH-USDT"]))]
    done = regimed(*arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_demo_on_paper_shows_a_desk_beside_the_advice(tmp_path):
    """One flag more, and the same hours are traded on paper: an account, its hours, and the way to why."""
    where = str(tmp_path / "demo")
    done = regimed(
        "demo", "--once", "--hours", "4", "--markets", "1", "--paper", "--port", "0", "--dir", where
    )
    assert done.returncode == 0, done.stderr
    assert "Paper: 0 trades closed" in done.stdout and "account 10000" in done.stdout
    checked = regimed("verify", "--repo", f"{where}/data")
    assert checked.returncode == 0 and "desk hour" in checked.stdout
    asked = regimed("why", "--repo", f"{where}/data")
    assert asked.returncode == 0 and "no closed trade yet" in asked.stdout


def test_a_key_that_can_withdraw_ends_the_program(tmp_path):
    """Exit code 2 before anything else is signed, and the key's own words stay out of what is said."""
    clock = clock_from(START, 1)
    with started("sandbox", "--port", "0", "--clock", clock) as process:
        url = process.line(r"(http://127\.0\.0\.1:\d+)")[1]
        config = str(write_config(tmp_path, url, ["ETH-USDT"], exchange=with_key(tmp_path, WITHDRAWING_KEY)))
        done = regimed("run", "--config", config, "--clock", clock)
    assert done.returncode == 2, done.stderr
    assert "Transfer" in done.stderr
    assert "Traceback" not in done.stderr
    assert WITHDRAWING_KEY.credentials.secret.get_secret_value() not in done.stderr + done.stdout


def test_a_folder_that_is_not_a_repository_is_refused(tmp_path):
    """Somebody else's files are not made into a data repository."""
    config = write_config(tmp_path, "http://127.0.0.1:1", ["ETH-USDT"])
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "thesis.txt").write_text("x")
    done = regimed("run", "--config", str(config))
    assert done.returncode == 2
    assert "thesis.txt" in done.stderr or "not a" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["thesis.txt"]


def test_the_configuration_commands_say_what_is_in_force(tmp_path):
    """check, show and schema: what an operator asks before a rollout."""
    config = str(write_config(tmp_path, "http://127.0.0.1:1", ["ETH-USDT"]))
    good = regimed("config", "check", "--config", config)
    assert good.returncode == 0
    assert "1 markets, hash sha256:" in good.stdout
    shown = yaml.safe_load(regimed("config", "show", "--config", config).stdout)
    assert shown["collection"]["max_missing_minutes"] == 3
    schema = json.loads(regimed("config", "schema").stdout)
    assert schema["x-environment"]["MARKET_MAKER_HTTP_PORT"] == "http.port"
    bad = regimed(
        "config", "check", "--config", config, MARKET_MAKER_HTTP_PROT="1", MARKET_MAKER_HTTP_HOTS="1"
    )
    assert bad.returncode == 2
    assert len(bad.stderr.splitlines()) == 2
    assert "did you mean MARKET_MAKER_HTTP_PORT?" in bad.stderr


def test_recorded_candles_come_in_and_are_analysed(tmp_path, recorded_data):
    """import is repeatable; analyze reads files and folders; coarse-only hours are marked."""
    config = str(write_config(tmp_path, "http://127.0.0.1:1", ["ETH-USDT"]))
    for name in ("KUCOIN_ETH-USDT_1h.parquet", "KUCOIN_ETH-USDT_4h.parquet"):
        done = regimed("import", str(recorded_data / name), "--key", "ETH-USDT", "--config", config)
        assert done.returncode == 0, done.stderr
    again = regimed("import", str(recorded_data / name), "--key", "ETH-USDT", "--config", config)
    assert "0 months of 4h bars imported" in again.stdout
    assert_sound(tmp_path)
    hour = ["--from", "2025-06-01T00", "--to", "2025-06-01T06"]
    files = regimed("analyze", "ETH-USDT", *hour, "--data", str(recorded_data), "--format", "json")
    assert files.returncode == 0, files.stderr
    rows = json.loads(files.stdout)
    assert len(rows) == 6
    assert all(row["verdict"] for row in rows)
    older = regimed("analyze", "ETH-USDT", "--hour", "2024-06-01T00", "--data", str(recorded_data))
    assert "bars_only" in older.stdout
    wrong = regimed("analyze", "BTC-USDT", "--hour", "2024-06-01T00", "--data", str(recorded_data / name))
    assert wrong.returncode == 2
    assert "holds ETH-USDT, not BTC-USDT" in wrong.stderr
    (tmp_path / "X_ETH-USDT_1m.parquet").write_bytes(b"PAR1 no PAR1")
    broken = regimed(
        "import", str(tmp_path / "X_ETH-USDT_1m.parquet"), "--key", "ETH-USDT", "--config", config
    )
    assert broken.returncode == 1
    assert "not a readable parquet file" in broken.stderr
