"""What the demo and the sandbox tell somebody who has never seen them."""

from __future__ import annotations

import re
import sys
from datetime import timedelta

import orjson

from daemon.clock import ScaledClock, WallClock
from daemon.demo import called as called_here
from tests.cycle.processes import started
from tests.daemon.calls import called


def test_the_program_is_named_as_it_can_be_typed(tmp_path, monkeypatch):
    """On the path it is `regimed`; from `make demo` it is the file in `.venv`, as seen from here."""
    program = tmp_path / ".venv" / "bin" / "regimed"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(program), "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    assert called_here() == ".venv/bin/regimed"
    monkeypatch.setenv("PATH", str(program.parent))
    assert called_here() == "regimed"
    monkeypatch.setattr(sys, "argv", ["/usr/lib/daemon/cli.py", "demo"])
    assert called_here() == "regimed"


def test_a_sandbox_has_the_time_of_day_and_says_how_to_use_it():
    """`regimed run` with the wall clock can be pointed at it: exchange and daemon agree on the time."""
    with started("sandbox", "--port", "0") as sandbox:
        told = sandbox.line(r"sandbox: (\S+) over SIMULATED .*; its time is (.*)", 120)
        entry = sandbox.line(r"In config.yaml: exchanges: \{kucoin: \{kind: kucoin, base_url: '(.*)'\}\}", 20)
        assert entry[1] == told[1]
        assert sandbox.line(r"Symbols: (.*)", 20)[1] == "ETH-USDT, BTC-USDT, SOL-USDT"
    near = {f"{WallClock().now() - timedelta(minutes=ago):%Y-%m-%d %H:%M}" for ago in range(3)}
    assert told[2] in near


def test_a_recorded_sandbox_says_the_clock_for_others(recorded_data):
    """Its time is the recording's; the `--clock` that it prints gives a daemon the same."""
    with started("sandbox", "--port", "0", "--markets", "1", "--data", str(recorded_data)) as sandbox:
        told = sandbox.line(r"its time is (.*)", 120)[1]
        clock = ScaledClock.parse(sandbox.line(r"for others: regimed run --clock (\S+)", 20)[1])
    assert re.sub(r":\d\d$", "", told) in f"{clock.now():%Y-%m-%d %H:%M}"


def test_a_command_beside_a_demo_has_its_time(tmp_path):
    """A grid started by hand while a demo runs is started in the demo's January, not today."""
    told = ("--hours", "1", "--markets", "1", "--rate", "1", "--port", "0", "--dir", str(tmp_path))
    config = ("--config", str(tmp_path / "config.yaml"))
    with started("demo", *told) as demo:
        demo.line(r"live at 1 times real time", 120)
        bounds = ("--lower", "2700", "--upper", "3000", "--levels", "6", "--amount", "50")
        made = called("grids", "new", "mine", "--market", "ETH-USDT", *bounds, *config)
        assert made.code == 0, made.err
        assert called("grids", "enable", "mine", *config).code == 0
        listed = orjson.loads(called("grids", "list", *config, "--format", "json").out)
        since = {each["grid_id"]: each["since"] for each in listed["grids"]}
    assert since["mine"].startswith("2026-01-05T01:")
