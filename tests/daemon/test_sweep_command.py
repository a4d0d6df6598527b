"""`regimed sweep` from the command line: the same result whoever runs it and however it was interrupted."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest

from daemon import cli
from tests.backtest.sweeps import MARKET, SLICE, WHOLE, contents
from tests.cycle.processes import REGIMED, ROOT, regimed

TINY = (
    *MARKET,
    "--from",
    "2025-06-02T00",
    "--to",
    "2025-06-09T00",
    "--grid",
    "levels=5/10,width=4/8,stop=none/1",
)


def command(data: Path, out: Path, *arguments: str) -> list[str]:
    return ["sweep", "--data", str(data), "--out", str(out), *arguments]


@dataclass(frozen=True)
class Cluster:
    """A Dask scheduler and its workers, each a process of its own."""

    address: str
    scheduler: subprocess.Popen[str]
    workers: tuple[subprocess.Popen[str], ...]


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start a Dask scheduler with two worker processes, all on loopback, no dashboard."""
    dask = (sys.executable, "-m", "dask")
    with ExitStack() as stack:
        scheduler = spoken(stack, *dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        address = awaited(scheduler, r"Scheduler at: +(tcp://127\.0\.0\.1:\d+)")
        one = ("--nthreads", "1", "--nworkers", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        workers = [spoken(stack, *dask, "worker", address, *one) for _ in range(2)]
        for worker in workers:
            awaited(worker, r"Registered to: +(tcp\S+)")
        yield Cluster(address, scheduler, tuple(workers))


def spoken(stack: ExitStack, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that is ended with the stack, its words on one pipe."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, bufsize=1, cwd=ROOT
    )
    stack.callback(process.communicate)
    stack.callback(process.kill)
    return process


def awaited(process: subprocess.Popen[str], pattern: str) -> str:
    """Return what a line says; the process goes on."""
    said = []
    assert process.stderr is not None
    for line in process.stderr:
        said.append(line)
        if found := re.search(pattern, line):
            return found[1]
    raise AssertionError("".join(said))


def killed_in_the_middle(data: Path, out: Path, arguments: tuple[str, ...], parts: int) -> None:
    """Start a sweep on two processes and SIGKILL it when some parts are there; its workers end with it."""
    process = subprocess.Popen(
        [*REGIMED, *command(data, out, *arguments), "--workers", "2"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while len(list((out / "parts").glob("sets-*"))) < parts:
            try:
                process.wait(0.01)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError("the sweep ended before it could be killed")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        watched = [os.pidfd_open(int(child)) for child in children]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for child in watched:
        assert select.select([child], [], [], 30)[0], "a worker outlives the sweep"
        os.close(child)
    assert not (out / "summary.json").exists()


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        pytest.param(SLICE, 3016, id="a fortnight, 3,016 sets"),
        pytest.param(WHOLE, 10_000, id="68 days, 10,000 sets", marks=pytest.mark.check),
    ],
)
def test_local_dask_and_resumed_are_one_result(recorded_data, tmp_path, arguments, count):
    """Two processes, two Dask workers over TCP, and killed half way and resumed: the same bytes."""
    parts = -(-count // 200)
    local = regimed(*command(recorded_data, tmp_path / "local", *arguments), "--workers", "2")
    assert local.returncode == 0, local.stderr
    expected = contents(tmp_path / "local")
    assert orjson.loads(expected["manifest.json"])["sets"] == count

    killed_in_the_middle(recorded_data, tmp_path / "killed", arguments, parts // 3)
    done = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "killed/parts").glob("sets-*")}
    assert parts // 3 <= len(done) < parts
    resumed = regimed(*command(recorded_data, tmp_path / "killed", *arguments), "--workers", "1")
    assert resumed.returncode == 0, resumed.stderr
    assert contents(tmp_path / "killed") == expected
    for name, written in done.items():
        assert (tmp_path / "killed/parts" / name).stat().st_mtime_ns == written  # not run again

    with cluster() as dask:
        far = regimed(
            *command(recorded_data, tmp_path / "dask", *arguments),
            *("--engine", "dask", "--address", dask.address),
        )
    assert far.returncode == 0, far.stderr
    assert contents(tmp_path / "dask") == expected
    assert local.stdout == resumed.stdout == far.stdout


def begun_on(dask: Cluster, data: Path, out: Path, parts: int) -> subprocess.Popen[str]:
    """Start a sweep on a cluster and return it when some parts are there."""
    process = subprocess.Popen(
        [*REGIMED, *command(data, out, *SLICE), "--engine", "dask", "--address", dask.address],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while len(list((out / "parts").glob("sets-*"))) < parts:
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError(f"the sweep ended before it was to: {process.communicate()}")
    return process


@pytest.mark.check
def test_a_cluster_that_dies_in_the_middle_is_told_and_the_sweep_goes_on_elsewhere(recorded_data, tmp_path):
    """Scheduler and workers killed: one line that says run it again; what is done stays; the same bytes."""
    local = regimed(*command(recorded_data, tmp_path / "local", *SLICE), "--workers", "1")
    assert local.returncode == 0, local.stderr
    out = tmp_path / "out"
    with cluster() as dask:
        process = begun_on(dask, recorded_data, out, 3)
        for each in (dask.scheduler, *dask.workers):
            each.send_signal(signal.SIGKILL)
        said, error = process.communicate(timeout=180)
    assert (process.returncode, said) == (1, ""), error
    assert error.startswith("regimed: sweep: dask: the cluster went away; run it again")
    assert error.count("\n") == 1, error
    done = {path.name: path.stat().st_mtime_ns for path in (out / "parts").glob("sets-*")}
    assert 3 <= len(done) < 16 and not (out / "summary.json").exists()
    resumed = regimed(*command(recorded_data, out, *SLICE), "--workers", "1")
    assert resumed.returncode == 0, resumed.stderr
    assert contents(out) == contents(tmp_path / "local") and resumed.stdout == local.stdout
    for name, written in done.items():
        assert (out / "parts" / name).stat().st_mtime_ns == written  # not run again


@pytest.mark.check
def test_a_worker_that_dies_loses_its_part_alone(recorded_data, tmp_path):
    """The other worker runs what it had begun; nobody has to do anything."""
    with cluster() as dask:
        process = begun_on(dask, recorded_data, tmp_path / "out", 3)
        dask.workers[0].send_signal(signal.SIGKILL)
        _, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    local = regimed(*command(recorded_data, tmp_path / "local", *SLICE), "--workers", "1")
    assert local.returncode == 0 and contents(tmp_path / "out") == contents(tmp_path / "local")


def said(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process; return exit code, stdout, stderr."""
    monkeypatch.setattr(sys, "argv", ["regimed", *arguments])
    try:
        cli.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    told = capsys.readouterr()
    return code, told.out, told.err


def test_the_table_and_json_tell_the_same(recorded_data, tmp_path, monkeypatch, capsys):
    """The best sets with fees and drawdown, the baselines, and what speaks against believing in them."""
    arguments = command(
        recorded_data, tmp_path / "out", *TINY, "--workers", "1", "--every", "1", "--train", "3"
    )
    code, table, _ = said(monkeypatch, capsys, *arguments)
    assert code == 0
    assert "8 sets run, 0 refused; holding earned" in table
    for words in (
        "deflated Sharpe ratio of the best",
        "walk forward: the best of 3 periods",
        "too few to tell",
    ):
        assert words in table
    code, text, _ = said(monkeypatch, capsys, *arguments, "--format", "json")
    summary = orjson.loads(text)
    assert code == 0 and summary["best"][0]["name"] in table and summary["best"][0]["net"] in table
    assert summary == orjson.loads((tmp_path / "out/summary.json").read_bytes())
    assert summary["walk_forward"]["n"] == 4


def test_what_has_too_little_for_a_judgement_says_so(recorded_data, tmp_path, monkeypatch, capsys):
    """One day, one set: no deflated ratio, no odds, no walk; sets that are all refused leave no table."""
    day = ("--from", "2025-06-02T00", "--to", "2025-06-03T00", "--workers", "1", "--every", "0")
    one = command(recorded_data, tmp_path / "one", *MARKET, *day, "--grid", "levels=5,width=4")
    code, table, _ = said(monkeypatch, capsys, *one)
    assert code == 0
    for words in ("best: none, needs three returns", "odds of overfitting: none", "walk forward: none"):
        assert words in table
    none = command(recorded_data, tmp_path / "none", *MARKET, *day, "--grid", "levels=200,width=1")
    code, table, _ = said(monkeypatch, capsys, *none)
    assert code == 0 and "refused: 1 x a cycle costs more than it earns" in table
    small = ("--capital", "100", "--min-size", "0.01", "--min-funds", "11")
    few = command(recorded_data, tmp_path / "few", *MARKET, *day, "--grid", "levels=2/5,width=4", *small)
    code, table, _ = said(monkeypatch, capsys, *few)
    assert code == 0 and "orders of 0.01 coin and 11 quote or more" in table
    assert "1 sets run, 1 refused" in table
    assert "refused: 1 x an order is smaller than the exchange's least size" in table


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--grid", "levels=1,width=4"), 2, "levels: 1, expected 2 to 200"),
        (("--engine", "dask"), 2, "needs --address"),
        (("--engine", "ray"), 2, "neither local nor dask"),
        (("--address", "tcp://127.0.0.1:1"), 2, "needs --engine dask"),
        (("--engine", "dask", "--address", "tcp://127.0.0.1:1", "--workers", "2"), 2, "--workers counts"),
        (("--from", "2025-06-09T00"), 2, "must lie before the last"),
        (("--from", "2020-06-09T00"), 1, "minutes begin at 2025-05-20T00"),
        (("--to", "2030-06-09T00"), 1, "minutes end at"),
        (("--base-increment", "0.005"), 2, "--base-increment: 0.005, expected 1 or a power of ten below it"),
        (("--min-size", "none"), 2, "--min-size: 'none', expected a number"),
        (("--min-funds", "0"), 2, "--min-funds: 0, expected more than 0"),
        (("--capital", "-5"), 2, "--capital: -5, expected more than 0"),
        (("--capital", "ten"), 2, "--capital: 'ten', expected a number"),
        (("--capital", "0.00000001"), 2, "no whole number of units"),
        (("--capital", "999999999999"), 2, "leave 64 bits"),
        (("--taker-bps", "900"), 2, "taker_bps"),
        (("--venue", "KRAKEN"), 1, "no minutes of ETH-USDT"),
        (("--data", "nowhere"), 2, "nowhere: no such file or folder"),
    ],
)
def test_what_cannot_be_swept_is_said_before_anything_is_written(
    recorded_data, tmp_path, monkeypatch, capsys, arguments, code, words
):
    """One line that names the option, what was found and what was expected."""
    given = command(recorded_data, tmp_path / "out", *TINY, *arguments)
    found, _, error = said(monkeypatch, capsys, *given)
    assert found == code
    assert words in error
    assert not (tmp_path / "out").exists()


def test_increments_and_another_window_are_taken(recorded_data, tmp_path, monkeypatch, capsys):
    """A price increment of 0.1, coin in hundredths, one file instead of a folder, another recorded window."""
    one = recorded_data / "BINANCE_ETH-USDT_1m_2025MAR.parquet"
    given = [
        *command(one, tmp_path / "out", "--key", "ETH-USDT", "--grid", "levels=5,width=4", "--workers", "1")
    ]
    given += ["--price-increment", "0.1", "--base-increment", "0.01", "--optimistic", "--every", "0"]
    code, table, _ = said(monkeypatch, capsys, *given)
    assert code == 0 and "price increment 0.1, base increment 0.01" in table
    manifest = orjson.loads((tmp_path / "out/manifest.json").read_bytes())
    assert (manifest["increment"], manifest["base_scale"], manifest["pessimistic"]) == (10, 100, False)
    code, _, error = said(
        monkeypatch,
        capsys,
        *command(one, tmp_path / "btc", "--key", "BTC-USDT", "--grid", "levels=5,width=4"),
    )
    assert code == 1 and "expected minutes of BTC-USDT" in error
