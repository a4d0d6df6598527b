"""The commands around advice, each as a person calls it, on a repository that a demo left behind."""

from __future__ import annotations

import json
import subprocess

import anyio
import pytest

from daemon.demo import DemoPlan, run_demo
from regime.analysis import ENGINE_VERSION
from store.advice import decision_ids, read_advice
from store.decision_files import decision_path
from tests.daemon.calls import called


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
    listed = json.loads(called("decisions", *repo, "--format", "json").out)
    assert len(listed) == 14
    assert {each["market"] for each in listed} == {"ETH-USDT", "BTC-USDT"}
    words = called("explain", newest(demo, "NO_SETUP"), *repo).out
    assert "NO_SETUP" in words
    assert "Set nothing up." in words
    assert "would have to change" in words
    last = max(each["id"] for each in listed if each["market"] == "BTC-USDT")
    assert called("explain", "BTC-USDT", *repo).out == called("explain", last, *repo).out
    nobody = called("explain", "SOL-USDT", *repo)
    assert nobody.code == 1 and "no decision of a market SOL-USDT" in nobody.err
    assert called("decisions", *repo).code == 0


def test_every_recommendation_replays_to_the_byte_and_a_changed_input_is_named(demo, tmp_path):
    """From the inputs that it names, also on a fresh clone; a flipped byte is found."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(demo / "remote.git"), str(clone)], check=True)
    for decision_id in list(decision_ids(clone))[::5]:
        done = called("replay", decision_id, "--repo", str(clone))
        assert (done.code, "identical, byte for byte" in done.out) == (0, True), done.out
    every = called("replay", "--all", "--repo", str(clone))
    count = len(list(decision_ids(clone)))
    assert every.out == f"{count} recommendations replayed: {count} identical, byte for byte\n"
    decision_id = newest(demo)
    named = read_advice(clone, decision_id).file.inputs.files
    path = clone / next(name for name in named if name.startswith("metrics/"))
    path.write_bytes(path.read_bytes().replace(b"1", b"2", 1))
    done = called("replay", decision_id, "--repo", str(clone))
    assert done.code == 1
    assert str(path.relative_to(clone)) in done.out
    assert called("replay", decision_id, "--repo", str(clone), "--digests-only").code == 1
    every = called("replay", "--all", "--repo", str(clone))
    assert every.code == 1
    assert f"{decision_id}: {path.relative_to(clone)}: sha256:" in every.out
    assert f"cannot be recomputed: {path.relative_to(clone)}" in every.out
    assert f"{count - 2} identical" in every.out


def test_a_replay_of_all_says_what_it_cannot_read_and_goes_on(demo, tmp_path):
    """One unreadable recommendation is named, the others are compared; a folder without any is no success."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(demo / "remote.git"), str(clone)], check=True)
    count = len(list(decision_ids(clone)))
    broken = newest(demo)
    (clone / decision_path(broken)).write_text("schema_version: 1\n")
    every = called("replay", "--all", "--repo", str(clone))
    assert every.code == 1
    assert f"{broken}: cannot be recomputed: " in every.out
    assert f"{count} recommendations replayed: " in every.out
    assert "Traceback" not in every.err
    nothing = called("replay", "--all", "--repo", str(tmp_path / "nowhere"))
    assert (nothing.code, "no recommendation is on record" in nothing.err) == (1, True)


def test_a_record_of_another_engine_is_shown_field_by_field(demo, tmp_path):
    """Both versions are named, and each field that differs with both values."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", str(demo / "remote.git"), str(clone)], check=True)
    decision_id = newest(demo)
    path = clone / decision_path(decision_id)
    text = path.read_text()
    assert f"engine_version: {ENGINE_VERSION}\n" in text
    path.write_text(text.replace(f"engine_version: {ENGINE_VERSION}\n", "engine_version: 99\n"))
    done = called("replay", decision_id, "--repo", str(clone))
    assert done.code == 1
    assert done.out.splitlines() == [
        f"recorded by engine 99, this is engine {ENGINE_VERSION}",
        f"engine_version: recorded 99, recomputed {ENGINE_VERSION}",
    ]


@pytest.mark.parametrize("arguments", [("replay",), ("replay", "2026-01-05/dec-ETH-USDT-010000", "--all")])
def test_a_replay_is_of_one_or_of_all(arguments, demo):
    """Neither and both are a usage error."""
    done = called(*arguments, "--repo", str(demo / "data"))
    assert (done.code, "name one recommendation, or --all" in done.err) == (2, True)


@pytest.mark.parametrize("option", [("--window", "2024AUG"), ("--symbol", "ETH-USDT"), ("--venue", "KUCOIN")])
def test_what_chooses_recorded_candles_needs_them(option):
    """A window, a market or a venue without --data is a usage error."""
    done = called("demo", "--once", *option)
    assert (done.code, f"{option[0]} names recorded candles and needs --data" in done.err) == (
        2,
        True,
    )


def test_grids_are_written_started_and_stopped_by_hand(demo):
    """new, enable, show, disable: each a commit; what makes no grid is refused by field."""
    config = ["--config", str(demo / "config.yaml")]
    at = "2026-01-05T07:30:00Z"
    made = called(
        "grids", "new", "btc-hand", "--market", "BTC-USDT", "--lower", "58000", "--upper", "64000",
        "--levels", "8", "--amount", "50", "--stop-loss", "56000", "--at", at, *config,
    )  # fmt: skip
    assert made.code == 0, made.err
    assert made.out.startswith("recorded in commit ")
    assert called("grids", "enable", "btc-hand", "--at", at, *config).code == 0
    shown = called("grids", "show", "btc-hand", *config).out
    assert "58000 to 64000, 8 geometric levels of 50" in shown
    listed = json.loads(called("grids", "list", *config, "--format", "json").out)
    assert next((g["grid_id"], g["running"]) for g in listed["grids"]) == ("btc-hand", True)
    twice = called("grids", "enable", "btc-hand", "--at", "2026-01-05T08:00:00Z", *config)
    assert twice.code == 1
    assert "enabled after enabled" in twice.err
    stop = ("grids", "disable", "btc-hand", "--at", "2026-01-05T08:00:00Z", "--reason", "enough", *config)
    assert called(*stop).code == 0
    wrong = called(
        "grids", "new", "btc-hand", "--market", "BTC-USDT", "--lower", "64000", "--upper", "58000",
        "--levels", "8", "--amount", "50", "--at", "2026-01-05T08:30:00Z", *config,
    )  # fmt: skip
    assert wrong.code == 1
    assert "upper" in wrong.err
    unknown = called("grids", "enable", "nobody", *config)
    assert (unknown.code, "no such grid" in unknown.err) == (2, True)


def test_an_answer_is_recorded_and_a_wrong_one_refused(demo):
    """A note always; an accept only of what asks for something, once, and in time."""
    config = ["--config", str(demo / "config.yaml")]
    decision_id = newest(demo, "NO_SETUP")
    noted = called("decide", decision_id, "note", "--note", "seen", "--at", "2026-01-05T07:40:00Z", *config)
    assert noted.code == 0, noted.err
    refused = called("decide", decision_id, "accept", "--at", "2026-01-05T07:40:00Z", *config)
    assert refused.code == 1
    assert "asks for nothing" in refused.err
    assert called("decide", decision_id, "perhaps", *config).code == 2
    assert called("decide", "2026-01-05/dec-NOBODY-010000", "note", *config).code == 1
    assert "seen" in called("explain", decision_id, "--repo", str(demo / "data")).out
    assert called("verify", "--repo", str(demo / "data")).code == 0


def test_kpis_say_what_is_insufficient_and_never_zero_for_want_of_cases(demo):
    """A week with a run or two: every figure with its count, no target called met; a wrong day is refused."""
    repo = ["--repo", str(demo / "data")]
    done = called("kpis", *repo, "--format", "json")
    assert done.code == 0, done.err
    found = json.loads(done.out)["kpis"]
    assert {"SLAR", "PRR", "TTDR", "FER", "FER_random", "ERT_p90", "EAW_p10", "MEC"} <= set(found)
    assert all(kpi["meets"] is None for kpi in found.values())
    assert all(kpi["value"] is None for name, kpi in found.items() if kpi["n"] == 0 and "week" not in name)
    assert "insufficient" in called("kpis", *repo).out
    assert called("kpis", *repo, "--from", "tomorrow").code == 2


@pytest.mark.check
@pytest.mark.timeout(300)
def test_a_repository_is_calibrated_on_all_that_it_knows(demo):
    """The history that it began with counts, without a folder of recordings."""
    done = called("calibrate", "ETH-USDT", "--repo", str(demo / "data"), "--format", "json")
    found = json.loads(done.out)
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
    done = called("calibrate", *here)
    assert done.code == code
    assert words in done.err
