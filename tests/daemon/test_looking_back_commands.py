"""Commands that look back and that write grids, called as a person calls them, with good and bad input."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.commands import evaluating
from daemon.evaluating import Looked
from daemon.kpis import record_kpis
from decisions.actions import Answer
from decisions.outcomes import Horizon
from market.errors import HistoryRefused
from market.hours import instant_iso
from store import yaml_text
from store.advice import decision_ids, read_advice
from store.decision_files import decision_path, evaluation_path
from store.grids import encode_grid, grid_path
from store.outcomes import EvaluationFile
from store.paths import metrics_path
from store.verify import verify
from tests.cycle.house import START, git, house, write_config
from tests.cycle.test_decisions import GRID, LOOSE, run_grid
from tests.daemon.calls import Called, called
from tests.store.test_outcomes import CREATE, HOLD, ID, NOTHING_PROPOSED, RUNS, lay, lay_advice

HOURS = 26
FIRST = "2026-01-05/dec-ETH-USDT-010000"


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Path:
    """A folder in which one market with a running grid was judged for 26 hours; nothing is evaluated."""
    folder = tmp_path_factory.mktemp("kept")

    async def fill() -> None:
        async with house(folder, **LOOSE) as there:
            await run_grid(there, 2000, 2200, START)
            await there.hours(START, HOURS)
            assert await record_kpis(there.app) == 1

    asyncio.run(fill())
    return folder


@pytest.fixture
def folder(kept, tmp_path, monkeypatch) -> Path:
    """A copy of it, so that each test changes its own."""
    shutil.copytree(kept / "data", tmp_path / "data")
    shutil.copy(kept / "config.yaml", tmp_path / "config.yaml")
    monkeypatch.setenv("MARKET_MAKER_DATA_REPOSITORY_BASE_PATH", str(tmp_path / "data"))
    return tmp_path


def call(folder: Path, *arguments: str) -> Called:
    return called(*arguments, "--config", str(folder / "config.yaml"))


def read(folder: Path, *arguments: str) -> Any:
    done = call(folder, *arguments, "--format", "json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_evaluate_writes_what_is_due_once_and_says_what_waits(folder):
    """Two hours are a day old: evaluated in one commit; all else waits, with its instant; then nothing."""
    first = read(folder, "evaluate")
    assert [(each["decision"], each["horizon"]) for each in first["evaluated"]] == [
        (FIRST, "24h"),
        ("2026-01-05/dec-ETH-USDT-020000", "24h"),
    ]
    assert set(first["evaluated"][0]["values"]) == {"hold", "stop"}
    assert first["commits"] == [git(folder / "data", "rev-parse", "HEAD")]
    assert len(first["waiting"]) == 3 * HOURS - 2
    week = {"decision": FIRST, "horizon": "7d", "until": "2026-01-12T01:00:00Z"}
    assert week in first["waiting"]
    assert first["not_evaluated"] == []
    second = read(folder, "evaluate")
    assert (second["evaluated"], second["commits"]) == ([], [])
    assert second["waiting"] == first["waiting"]
    report = verify(folder / "data")
    assert report.ok, report.findings


def test_evaluate_tells_worth_and_waiting_in_words(folder):
    """A line a recommendation, a line a horizon; from a day on only its recommendations."""
    done = call(folder, "evaluate")
    assert done.code == 0, done.err
    assert f"{FIRST}" in done.out
    assert " USDT " in done.out
    assert "2 evaluated, commit " in done.out
    assert (
        "24 wait for 24h: the next until 2026-01-06 03:00, the last until 2026-01-07 02:00"
        in done.out.replace("\n", " ")
    )
    later = call(folder, "evaluate", "--since", "2026-01-06")
    assert "0 evaluated" in later.out
    assert "3 wait for 7d" in later.out


def test_evaluate_names_what_is_damaged_and_evaluates_the_rest(folder):
    """Exit code 1; a market that is not configured is said, and is no finding."""
    path = folder / "data" / metrics_path("ETH-USDT", START)
    path.write_bytes(path.read_bytes().replace(b"schema_version: 1", b"schema_version: 7", 1))
    other = (folder / "data" / decision_path(FIRST)).read_bytes().replace(b"ETH-USDT", b"XRP-USDT")
    lay(folder / "data", {decision_path("2026-01-05/dec-XRP-USDT-010000"): other})
    lay(folder / "data", {evaluation_path("2026-01-05/dec-XRP-USDT-010000", "24h"): b"x: 1\n"})
    done = call(folder, "evaluate")
    assert done.code == 1
    assert "1 evaluated" in done.out
    assert f"cannot be evaluated: {FIRST} 24h: {metrics_path('ETH-USDT', START)}" in done.out
    assert "XRP-USDT-010000 72h and 1 more: its market is not configured" in done.out
    told = json.loads(call(folder, "evaluate", "--format", "json").out)["not_evaluated"]
    assert [each["damaged"] for each in told] == [True, False, False]


def test_many_reasons_are_cut_short(folder, monkeypatch):
    """The table names the most frequent ones and where the rest stands."""
    monkeypatch.setattr(evaluating, "_LISTED", 1)
    for offset in range(2):
        path = folder / "data" / metrics_path("ETH-USDT", START.plus(offset))
        path.write_bytes(path.read_bytes().replace(b"schema_version: 1", b"schema_version: 7", 1))
    assert "and 1 more reasons; see --format json" in call(folder, "evaluate").out


def test_evaluations_are_committed_in_batches(folder, monkeypatch):
    """A year of them is no single change-set."""
    monkeypatch.setattr(evaluating, "BATCH", 1)
    assert len(read(folder, "evaluate")["commits"]) == 2


async def test_what_the_daemon_wrote_meanwhile_stays_as_it_is(tmp_path):
    """A refusal leaves out what is there now; one for another reason is the operator's to see."""
    look_back = Looked(ID, Horizon.DAY, _evaluation("24h"))
    mine = Looked(ID, Horizon.WEEK, _evaluation("7d"))
    handed: list[list[str]] = []

    async def write(change_set: Any) -> str:
        handed.append(list(change_set.files))
        if len(handed) == 1:
            lay(tmp_path, {look_back.path: b"theirs"})
            raise HistoryRefused(look_back.path, "write-once: it already has other content")
        return "c0ffee"

    found = evaluating._Found()
    await evaluating._recorded(tmp_path, "ETH-USDT", [look_back, mine], found, write)
    assert handed == [[look_back.path, mine.path], [mine.path]]
    assert (found.evaluated, found.commits) == ([mine], ["c0ffee"])

    async def refuse(_change_set: Any) -> str:
        raise HistoryRefused(mine.path, "no")

    with pytest.raises(HistoryRefused):
        await evaluating._recorded(tmp_path, "ETH-USDT", [mine], found, refuse)
    assert found.evaluated == [mine]


def _evaluation(horizon: str) -> Any:
    return EvaluationFile(
        schema_version=1, decision=ID, market="ETH-USDT", evaluated_at="x", outcome={"horizon": horizon}
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("evaluate", "--since", "tomorrow"), "--since: 'tomorrow' is not a day"),
        (("evaluate", "--format", "xml"), "--format"),
        (("kpis", "--day", "2026-13-01"), "--day: '2026-13-01' is not a day"),
        (("kpis", "--day", "2026-01-05", "--from", "2026-01-01"), "leave --from and --to out"),
    ],
)
def test_bad_input_of_looking_back_ends_with_code_2(folder, arguments, words):
    """Before anything is opened, and in a line that says what was expected."""
    done = call(folder, *arguments)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def test_evaluate_makes_no_repository(folder, monkeypatch):
    """A folder that is none is named; it stays as it was."""
    monkeypatch.setenv("MARKET_MAKER_DATA_REPOSITORY_BASE_PATH", str(folder / "nothing"))
    done = call(folder, "evaluate")
    assert (done.code, "not a data repository" in done.err) == (2, True)
    assert not (folder / "nothing").exists()


def test_a_day_of_kpis_is_shown_as_it_was_recorded(folder):
    """Both periods, the alert budget, what is still open; a day without a record says which is the newest."""
    shown = call(folder, "kpis", "--day", "2026-01-05")
    assert shown.code == 0, shown.err
    assert "2026-01-05T00:00:00Z to 2026-01-06T00:00:00Z, as known on 2026-01-06T02:00:05Z" in shown.out
    assert "alerts_per_week" in shown.out
    assert "still open: 1 runs" in shown.out
    held = yaml_text.load((folder / "data/kpis/2026-01-05.yaml").read_bytes(), "kpis")
    assert read(folder, "kpis", "--day", "2026-01-05") == held
    by_repo = called("kpis", "--day", "2026-01-05", "--repo", str(folder / "data"))
    assert by_repo.out == shown.out
    absent = call(folder, "kpis", "--day", "2026-01-06")
    assert (absent.code, "the newest is of 2026-01-05" in absent.err) == (1, True)
    shutil.rmtree(folder / "data/kpis")
    assert "none is written yet" in call(folder, "kpis", "--day", "2026-01-05").err


def test_the_kpis_of_a_period_are_counted_now(folder, tmp_path):
    """Over the whole record, or between days; backwards or without a grid there is nothing to count."""
    assert read(folder, "kpis")["from"] == instant_iso(START.opens_at)
    assert "alerts_per_week" in call(folder, "kpis", "--from", "2026-01-05", "--to", "2026-01-06").out
    backwards = call(folder, "kpis", "--from", "2026-01-06", "--to", "2026-01-05")
    assert (backwards.code, "must lie before" in backwards.err) == (2, True)
    lay(tmp_path / "young", {grid_path(GRID): encode_grid(RUNS)})
    nothing = called("kpis", "--repo", str(tmp_path / "young"))
    assert (nothing.code, "no grid ever ran" in nothing.err) == (1, True)


def test_advice_is_listed_from_a_day_on_and_what_waits_alone(folder):
    """The last week of records unless a day is named; an empty repository lists nothing."""
    assert len(read(folder, "decisions")) == HOURS
    assert len(read(folder, "decisions", "--since", "2026-01-06")) == 3
    waits = read(folder, "decisions", "--open")
    assert waits
    assert all(each["action"] in ("STOP_GRID", "ADJUST") for each in waits)
    assert "STOP_GRID" in call(folder, "decisions").out
    (folder / "empty").mkdir()
    assert called("decisions", "--repo", str(folder / "empty"), "--format", "json").out.strip() == "[]"


def stop_of(folder: Path) -> str:
    """Return the newest recommendation to stop."""
    root = folder / "data"
    return [each for each in decision_ids(root) if read_advice(root, each).file.action.value == "STOP_GRID"][
        -1
    ]


def test_a_stop_is_accepted_at_its_time_and_price(folder):
    """The grid's file gets its end; the price, the words and the delay stand in the action's."""
    decision_id = stop_of(folder)
    at = read_advice(folder / "data", decision_id).file.closes_at + timedelta(minutes=5)
    done = call(
        folder,
        "decide",
        decision_id,
        "accept",
        "--at",
        instant_iso(at),
        "--price",
        "2800.5",
        "--note",
        "sold",
    )
    assert done.code == 0, done.err
    (action,) = read_advice(folder / "data", decision_id).actions
    assert (action.action, action.price, action.latency_s) == (Answer.ACCEPT, 2800.5, 300.0)
    (grid,) = read(folder, "grids", "list")["grids"]
    assert (grid["running"], grid["since"]) == (False, instant_iso(at))
    assert "sold" in call(folder, "explain", decision_id).out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("perhaps",), "expected accept, decline, acknowledge or note"),
        (("accept", "--at", "noon"), "--at: "),
        (("accept", "--price", "much"), "--price: 'much' is not a number"),
        (("accept", "--price", "-5"), "--price: -5, expected more than 0"),
        (("accept", "--amount", "0"), "--amount: 0, expected more than 0"),
        (("accept", "--lower", "Infinity"), "--lower: Infinity, expected more than 0"),
    ],
)
def test_an_answer_that_cannot_be_meant_is_refused(folder, options, words):
    """Code 2, the option named, nothing recorded."""
    done = call(folder, "decide", FIRST, *options)
    assert (done.code, words in done.err) == (2, True), done.err
    assert read_advice(folder / "data", FIRST).actions == ()


def test_a_recommendation_that_would_be_made_otherwise_now_is_shown_field_by_field(folder):
    """Its own bytes changed, or an engine that says something else: each field, and code 1."""
    assert "identical, byte for byte" in call(folder, "replay", FIRST).out
    path = folder / "data" / decision_path(FIRST)
    file = yaml_text.load(path.read_bytes(), "decision")
    file["checks"][0]["reason"] = "edited by hand"
    file["engine_version"] = 99
    path.write_bytes(yaml_text.dump({**file, "reason": "edited too", "alternatives": []}))
    done = call(folder, "replay", FIRST)
    assert done.code == 1
    assert "recorded by engine 99, this is engine" in done.out
    assert "reason: recorded 'edited too', recomputed" in done.out
    assert "checks.0.reason: recorded 'edited by hand'" in done.out
    only = call(folder, "replay", FIRST, "--digests-only")
    assert (only.code, "0 not what they were" in only.out) == (0, True)
    moved = yaml_text.load(path.read_bytes(), "decision") | {"grid_id": "x", "id": f"{FIRST}-x"}
    lay(folder / "data", {decision_path(f"{FIRST}-x"): yaml_text.dump(moved)})
    gone = call(folder, "replay", f"{FIRST}-x")
    assert (gone.code, "recomputed None" in gone.out) == (1, True)


@pytest.fixture
def young(tmp_path) -> Path:
    """A configuration of one market whose repository is not made yet."""
    write_config(tmp_path, "http://127.0.0.1:9", ["ETH-USDT"])
    return tmp_path


NEW = ("grids", "new", "eth-1", "--market", "ETH-USDT", "--lower", "1900", "--upper", "2100", "--levels", "8")
AT = ("--at", "2026-02-02T15:20:00Z")


def test_grids_are_listed_and_shown_as_tables(young):
    """Bounds, levels, amounts and since when; a second version follows the first, and the history both."""
    assert call(young, *NEW, "--amount", "50", "--take-profit", "2300", *AT).code == 0
    assert call(young, "grids", "enable", "eth-1", *AT, "--reason", "looks calm").code == 0
    listed = call(young, "grids", "list").out
    assert "1900 to 2100" in listed
    assert "2026-02-02T15:20:00Z" in listed
    later = ("--at", "2026-02-02T16:00:00Z")
    wider = (*NEW[:5], "--lower", "1800", "--upper", "2200", "--levels", "9", "--spacing", "arithmetic")
    assert call(young, *wider, "--amount", "60", "--stop-loss", "1700", *later).code == 0
    shown = call(young, "grids", "show", "eth-1").out
    assert "version 2 since 2026-02-02 16:00: 1800 to 2200, 9 arithmetic levels of 60" in shown
    assert "enabled version 1" in shown
    assert "looks calm" in shown
    told = read(young, "grids", "show", "eth-1")
    assert [version["take_profit"] for version in told["versions"]] == [2300, None]
    assert call(young, "grids", "disable", "eth-1", *later).code == 0
    assert read(young, "grids", "show", "eth-1")["history"][-1]["event"] == "disabled"
    now = call(young, "grids", "enable", "eth-1")
    assert now.code == 0, now.err
    assert read(young, "grids", "show", "eth-1")["history"][-1]["version"] == 2


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((*NEW, "--amount", "50", "--at", "yesterday"), 2, "--at: "),
        ((*NEW, "--amount", "some"), 2, "--amount: 'some' is not a number"),
        (
            (*NEW, "--amount", "50", "--spacing", "even"),
            2,
            "--spacing: 'even', expected geometric or arithmetic",
        ),
        ((*NEW[:4], "XRP-USDT", *NEW[5:], "--amount", "50"), 2, "--market: XRP-USDT is not configured"),
        ((*NEW, "--amount", "-50"), 1, "amount_per_grid"),
        ((*NEW, "--amount", "50", "--stop-loss", "2000"), 1, "stop_loss"),
        ((*NEW[:-1], "1", "--amount", "50"), 1, "levels"),
        (("grids", "show", "nobody"), 2, "nobody: no such grid; there are: none"),
        (("grids", "disable", "nobody"), 2, "nobody: no such grid; write it first"),
        (("grids", "propose", "ETH-USDT"), 2, "ETH-USDT: no decision is recorded"),
        (("grids", "list", "--format", "xml"), 2, "--format"),
    ],
)
def test_a_grid_that_cannot_be_is_refused_by_its_option_or_field(young, arguments, code, words):
    """Usage is code 2, a grid that makes no sense is a finding; nothing is written."""
    done = call(young, *arguments)
    assert (done.code, words in done.err) == (code, True), done.err
    assert not list((young / "data").glob("grids/*"))


def test_a_grid_file_that_is_not_valid_is_named_and_not_written_over(young):
    """Listed as not in force; show, enable and a new version refuse with the reason."""
    assert call(young, *NEW, "--amount", "50", *AT).code == 0
    path = young / "data" / grid_path("eth-1")
    path.write_bytes(path.read_bytes().replace(b"levels: 8", b"levels: 1"))
    listed = call(young, "grids", "list")
    assert (listed.code, "NOT IN FORCE grids/eth-1.yaml" in listed.out) == (0, True)
    assert "levels" in read(young, "grids", "list")["faults"]["grids/eth-1.yaml"]
    for arguments, code in ((("grids", "show", "eth-1"), 2), (("grids", "enable", "eth-1", *AT), 1)):
        done = call(young, *arguments)
        assert (done.code, "levels" in done.err) == (code, True), done.err


def test_the_newest_proposal_is_shown_as_the_exchange_asks_for_it(tmp_path):
    """Each field of the form; an hour that could propose nothing says so with its reason."""
    lay_advice(tmp_path, CREATE)
    done = called("grids", "propose", "ETH-USDT", "--repo", str(tmp_path))
    assert done.out.startswith(f"{ID}: CREATE_GRID: ")
    assert "lowest price" in done.out.lower().replace("_", " ")
    lay_advice(tmp_path, NOTHING_PROPOSED)
    none = called("grids", "propose", "ETH-USDT", "--repo", str(tmp_path))
    assert (none.code, "no grid could be proposed" in none.out) == (0, True)
    lay_advice(tmp_path, HOLD, RUNS)
    assert "CONTINUE" in called("grids", "propose", "ETH-USDT", "--repo", str(tmp_path)).out
