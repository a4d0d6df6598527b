"""The commands around advice, each as a person calls it, on a repository that a demo left behind."""

from __future__ import annotations

import json
import subprocess
import sys

import anyio
import pytest

from daemon.demo import DemoPlan, run_demo
from regime.analysis import ENGINE_VERSION
from store.advice import decision_ids, read_advice
from store.decision_files import decision_path


def regimed(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", *arguments], capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A folder in which two markets were run for seven hours, a grid among them."""
    folder = tmp_path_factory.mktemp("demo")
    plan = DemoPlan(folder=folder, hours=7, once=True, markets=2, data=None, window=None, port=0, rate=60)
    anyio.run(run_demo, plan)
    return folder


def newest(folder, action: str | None = None) -> str:
    """Return the name of the newest recommendation, of one action where asked for."""
    root = folder / "data"
    found = [
        each for each in decision_ids(root) if action in (None, read_advice(root, each).file.action.value)
    ]
    return found[-1]


def test_decisions_are_listed_and_told_in_words(demo):
    """One line a recommendation; `explain` says what, why, how sure and what would change it."""
    repo = ["--repo", str(demo / "data")]
    listed = json.loads(regimed("decisions", *repo, "--format", "json").stdout)
    assert len(listed) == 14
    assert {each["market"] for each in listed} == {"ETH-USDT", "BTC-USDT"}
    words = regimed("explain", newest(demo, "NO_SETUP"), *repo).stdout
    assert "NO_SETUP" in words
    assert "Set nothing up." in words
    assert "would have to change" in words
    assert regimed("decisions", *repo).returncode == 0


def test_every_recommendation_replays_to_the_byte_and_a_changed_input_is_named(demo, tmp_path):
    """From the inputs that it names, also on a fresh clone; a flipped byte is found."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(demo / "remote.git"), str(clone)], check=True)
    for decision_id in list(decision_ids(clone))[::5]:
        done = regimed("replay", decision_id, "--repo", str(clone))
        assert (done.returncode, "identical, byte for byte" in done.stdout) == (0, True), done.stdout
    every = regimed("replay", "--all", "--repo", str(clone))
    count = len(list(decision_ids(clone)))
    assert every.stdout == f"{count} recommendations replayed: {count} identical, byte for byte\n"
    decision_id = newest(demo)
    named = read_advice(clone, decision_id).file.inputs.files
    path = clone / next(name for name in named if name.startswith("metrics/"))
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    done = regimed("replay", decision_id, "--repo", str(clone))
    assert done.returncode == 1
    assert str(path.relative_to(clone)) in done.stdout
    assert regimed("replay", decision_id, "--repo", str(clone), "--digests-only").returncode == 1
    every = regimed("replay", "--all", "--repo", str(clone))
    assert every.returncode == 1
    assert f"{decision_id}: {path.relative_to(clone)}: sha256:" in every.stdout
    assert f"cannot be recomputed: {path.relative_to(clone)}" in every.stdout
    assert f"{count - 2} identical" in every.stdout


def test_a_replay_of_all_says_what_it_cannot_read_and_goes_on(demo, tmp_path):
    """One unreadable recommendation is named, the others are compared; a folder without any is no success."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(demo / "remote.git"), str(clone)], check=True)
    count = len(list(decision_ids(clone)))
    broken = newest(demo)
    (clone / decision_path(broken)).write_text("schema_version: 1\n")
    every = regimed("replay", "--all", "--repo", str(clone))
    assert every.returncode == 1
    assert f"{broken}: cannot be recomputed: " in every.stdout
    assert f"{count} recommendations replayed: " in every.stdout
    assert "Traceback" not in every.stderr
    nothing = regimed("replay", "--all", "--repo", str(tmp_path / "nowhere"))
    assert (nothing.returncode, "no recommendation is on record" in nothing.stderr) == (1, True)


def test_a_record_of_another_engine_is_shown_field_by_field(demo, tmp_path):
    """Both versions are named, and each field that differs with both values."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(demo / "remote.git"), str(clone)], check=True)
    decision_id = newest(demo)
    path = clone / decision_path(decision_id)
    text = path.read_text()
    assert f"engine_version: {ENGINE_VERSION}\n" in text
    path.write_text(text.replace(f"engine_version: {ENGINE_VERSION}\n", "engine_version: 99\n"))
    done = regimed("replay", decision_id, "--repo", str(clone))
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"recorded by engine 99, this is engine {ENGINE_VERSION}",
        f"engine_version: recorded 99, recomputed {ENGINE_VERSION}",
    ]


@pytest.mark.parametrize("arguments", [("replay",), ("replay", "2026-01-05/dec-ETH-USDT-010000", "--all")])
def test_a_replay_is_of_one_or_of_all(arguments, demo):
    """Neither and both are a usage error."""
    done = regimed(*arguments, "--repo", str(demo / "data"))
    assert (done.returncode, "name one recommendation, or --all" in done.stderr) == (2, True)


@pytest.mark.parametrize("option", [("--window", "2024AUG"), ("--symbol", "ETH-USDT"), ("--venue", "KUCOIN")])
def test_what_chooses_recorded_candles_needs_them(option):
    """A window, a market or a venue without --data is a usage error."""
    done = regimed("demo", "--once", *option)
    assert (done.returncode, f"{option[0]} names recorded candles and needs --data" in done.stderr) == (
        2,
        True,
    )


def test_grids_are_written_started_and_stopped_by_hand(demo):
    """new, enable, show, disable: each a commit; what makes no grid is refused by field."""
    config = ["--config", str(demo / "config.yaml")]
    at = "2026-01-05T07:30:00Z"
    made = regimed(
        "grids", "new", "btc-hand", "--market", "BTC-USDT", "--lower", "58000", "--upper", "64000",
        "--levels", "8", "--amount", "50", "--stop-loss", "56000", "--at", at, *config,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("recorded in commit ")
    assert regimed("grids", "enable", "btc-hand", "--at", at, *config).returncode == 0
    shown = regimed("grids", "show", "btc-hand", *config).stdout
    assert "58000 to 64000, 8 geometric levels of 50" in shown
    listed = json.loads(regimed("grids", "list", *config, "--format", "json").stdout)
    assert next((g["grid_id"], g["running"]) for g in listed["grids"]) == ("btc-hand", True)
    twice = regimed("grids", "enable", "btc-hand", "--at", "2026-01-05T08:00:00Z", *config)
    assert twice.returncode == 1
    assert "enabled after enabled" in twice.stderr
    stop = ("grids", "disable", "btc-hand", "--at", "2026-01-05T08:00:00Z", "--reason", "enough", *config)
    assert regimed(*stop).returncode == 0
    wrong = regimed(
        "grids", "new", "btc-hand", "--market", "BTC-USDT", "--lower", "64000", "--upper", "58000",
        "--levels", "8", "--amount", "50", "--at", "2026-01-05T08:30:00Z", *config,
    )  # fmt: skip
    assert wrong.returncode == 1
    assert "upper" in wrong.stderr
    unknown = regimed("grids", "enable", "nobody", *config)
    assert (unknown.returncode, "no such grid" in unknown.stderr) == (2, True)


def test_an_answer_is_recorded_and_a_wrong_one_refused(demo):
    """A note always; an accept only of what asks for something, once, and in time."""
    config = ["--config", str(demo / "config.yaml")]
    decision_id = newest(demo, "NO_SETUP")
    noted = regimed("decide", decision_id, "note", "--note", "seen", "--at", "2026-01-05T07:40:00Z", *config)
    assert noted.returncode == 0, noted.stderr
    refused = regimed("decide", decision_id, "accept", "--at", "2026-01-05T07:40:00Z", *config)
    assert refused.returncode == 1
    assert "asks for nothing" in refused.stderr
    assert regimed("decide", decision_id, "perhaps", *config).returncode == 2
    assert regimed("decide", "2026-01-05/dec-NOBODY-010000", "note", *config).returncode == 1
    assert "seen" in regimed("explain", decision_id, "--repo", str(demo / "data")).stdout
    assert regimed("verify", "--repo", str(demo / "data")).returncode == 0


def test_kpis_say_what_is_insufficient_and_never_zero_for_want_of_cases(demo):
    """A week with a run or two: every figure with its count, no target called met; a wrong day is refused."""
    repo = ["--repo", str(demo / "data")]
    done = regimed("kpis", *repo, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["kpis"]
    assert {"SLAR", "PRR", "TTDR", "FER", "FER_random", "ERT_p90", "EAW_p10", "MEC"} <= set(found)
    assert all(kpi["meets"] is None for kpi in found.values())
    assert all(kpi["value"] is None for name, kpi in found.items() if kpi["n"] == 0 and "week" not in name)
    assert "insufficient" in regimed("kpis", *repo).stdout
    assert regimed("kpis", *repo, "--from", "tomorrow").returncode == 2


@pytest.mark.check
@pytest.mark.timeout(300)
def test_a_repository_is_calibrated_on_all_that_it_knows(demo):
    """The history that it began with counts, without a folder of recordings."""
    done = regimed("calibrate", "ETH-USDT", "--repo", str(demo / "data"), "--format", "json")
    found = json.loads(done.stdout)
    assert (found["key"], found["venue"]) == ("ETH-USDT", "the repository")
    assert found["hours_all"] > 5000
    assert set(found) >= {"models", "exits", "gates", "vetoes"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("XRP-USDT", "--repo", "HERE"), 1, "no judged hour of XRP-USDT"),
        (("ETH-USDT", "--repo", "HERE", "--data", "HERE"), 2, "name one of them"),
        (("ETH-USDT", "--repo", "HERE", "--venue", "KUCOIN"), 2, "needs --data"),
        (("../x", "--repo", "HERE"), 2, "../x"),
        (("ETH-USDT", "--repo", "HERE/nowhere"), 2, "no such folder"),
    ],
)
def test_what_cannot_be_calibrated_is_said(arguments, code, words, demo):
    """A market that was never judged, two sources at once, a name that is none."""
    here = [each.replace("HERE", str(demo / "data")) for each in arguments]
    done = regimed("calibrate", *here)
    assert done.returncode == code
    assert words in done.stderr
