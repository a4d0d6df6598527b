"""A shadow configuration beside the whole application: recorded, compared, and never in the way."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

import daemon.shadow
from daemon.configuration import load_settings
from daemon.health import health
from decisions.evaluate import evaluate
from market import failpoints
from market.hours import Hour
from store.change_set import ChangeSet
from store.inputs import ReadOnlyStore
from store.paths import shadow_path
from store.shadow_files import ShadowShelf, decode_shadow, encode_shadow, failed_shadow, shadow_file
from store.verify import verify
from tests.cycle.forks import forked
from tests.cycle.house import START, assert_sound, git, house
from tests.cycle.test_decisions import GRID, LOOSE, run_grid
from tests.cycle.test_trouble import full
from tests.daemon.calls import called

KEY = "ETH-USDT"
CLASSIC = {"regime": {"score_model": "classic"}, "exits": {"preset": "classic"}}


def written(folder: Path, rules: dict | None = None) -> str:
    """Write a shadow file and return how the configuration names it."""
    (folder / "shadow.yaml").write_text(yaml.safe_dump(rules or CLASSIC))
    return "shadow.yaml"


def files(folder: Path, *, of_shadow: bool) -> dict[str, bytes]:
    """Return the data repository's files by path, the shadow's or all the others; configurations left out."""
    data = folder / "data"
    found = {
        path.relative_to(data).as_posix(): path.read_bytes() for path in data.rglob("*") if path.is_file()
    }
    return {
        path: text
        for path, text in sorted(found.items())
        if not path.startswith((".git/", "configs/")) and path.startswith("shadow/") is of_shadow
    }


def notices(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted((folder / "data.state" / "outbox").glob("*.json"))]


def shadow(folder: Path, hour: Hour, key: str = KEY):
    path = shadow_path(key, hour)
    return decode_shadow((folder / "data" / path).read_bytes(), path, (key, hour))


def recomputed_shadow(folder: Path, spans, hours: int) -> list[bytes]:
    """Return the shadow's bytes of the first hours, made from the files alone."""
    policy = load_settings(folder / "config.yaml", {}).in_shadow.policy()
    store = ReadOnlyStore(folder / "data", max_missing_minutes=policy.max_missing_minutes, timeframes=spans)
    shelf = ShadowShelf(folder / "data")
    return [
        encode_shadow(
            shadow_file(
                evaluate(replace(inputs, before=shelf.before(KEY, inputs.hour, policy.config_hash)), policy)
            )
        )
        for inputs in store.read_inputs(KEY, [START.plus(i) for i in range(hours)])
    ]


def place(folder: Path) -> Path:
    folder.mkdir()
    return folder


async def three_hours(folder: Path, **changes) -> None:
    """Run a grid that breaks at once for three hours."""
    async with house(folder, **LOOSE, **changes) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 3)
        await there.app.store.flush()


async def test_what_is_in_force_is_the_same_bytes_with_and_without_a_shadow(tmp_path):
    """Metrics, decisions, exit states and the configuration's hash know nothing of a shadow."""
    alone, beside = place(tmp_path / "alone"), place(tmp_path / "beside")
    await three_hours(alone)
    await three_hours(beside, shadow=written(beside))
    assert files(alone, of_shadow=False) == files(beside, of_shadow=False)
    assert files(alone, of_shadow=True) == {}
    assert sorted(files(beside, of_shadow=True)) == [shadow_path(KEY, START.plus(i)) for i in range(3)]
    assert len(list((beside / "data" / "configs").iterdir())) == 2
    assert notices(alone) == notices(beside) != []
    assert_sound(beside)


async def test_the_shadow_is_judged_from_the_same_window_and_enters_the_same_commit(tmp_path):
    """Its record tells model, verdict, exit state and the action that it would have advised; no decision."""
    await three_hours(tmp_path, shadow=written(tmp_path))
    metrics = yaml.safe_load((tmp_path / "data/metrics/ETH-USDT/2026-01-05-02.yaml").read_text())
    file = shadow(tmp_path, START.plus(2))
    assert file.window_digest == metrics["inputs"]["window_digest"]
    assert file.config_hash != metrics["config_hash"]
    assert (tmp_path / "data/configs" / f"{file.config_hash.removeprefix('sha256:')}.yaml").exists()
    assert file.verdict == metrics["regime_analysis"]["classic_verdict"]
    (advised,) = file.advice
    assert (advised.grid_id, advised.action.value) == (GRID, "STOP_GRID")
    assert advised.exit_state == file.exit_evaluation[GRID]["state"]
    assert len(metrics["decisions"]) == 1
    changed = git(tmp_path / "data", "show", "--name-only", "--format=%s", "HEAD").splitlines()
    assert {"shadow/ETH-USDT/2026-01-05/02.yaml", "metrics/ETH-USDT/2026-01-05-02.yaml"} <= set(changed)


async def test_a_new_shadow_says_that_its_folds_are_fresh_and_goes_on_from_its_own_record(tmp_path):
    """The first hour opens gates and exits; each later one follows the shadow's own hour before."""
    async with house(tmp_path, **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 2)
    async with house(tmp_path, start=START.plus(2), shadow=written(tmp_path), **LOOSE) as there:
        await there.hours(START.plus(2), 2)
        first, second = shadow(tmp_path, START.plus(2)), shadow(tmp_path, START.plus(3))
        assert (first.folds.after, "opened fresh" in first.folds.reason) == (None, True)
        assert first.exit_evaluation[GRID]["fold"]["closes_outside"] == 1
        assert there.metrics(START.plus(2))["exit_evaluation"][GRID]["fold"]["closes_outside"] == 3
        assert (second.folds.after, second.folds.reason) == (START.plus(2).iso(), None)
        assert second.exit_evaluation[GRID]["fold"]["closes_outside"] == 2
    assert_sound(tmp_path)


async def test_a_restart_and_a_catch_up_change_no_byte_of_the_shadow(tmp_path):
    """The folds follow from the files: stopped in the middle and caught up, or run through, all the same."""
    through, broken = place(tmp_path / "through"), place(tmp_path / "broken")
    async with house(through, shadow=written(through), **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 6)
    async with house(broken, shadow=written(broken), **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 3)
    async with house(broken, start=START.plus(5), shadow="shadow.yaml", **LOOSE) as there:
        await there.hour(START.plus(5))
        assert shadow(broken, START.plus(5)).folds.after == START.plus(4).iso()
        assert len(there.judged()) == 6
        spans = there.app.spans
    assert recomputed_shadow(broken, spans, 6) == list(files(broken, of_shadow=True).values())
    assert [shadow(broken, START.plus(i)).exit_evaluation[GRID]["fold"] for i in range(6)] == [
        shadow(through, START.plus(i)).exit_evaluation[GRID]["fold"] for i in range(6)
    ]
    assert_sound(broken)


async def test_a_shadow_that_raises_leaves_the_judgement_as_it_is_and_shows_itself(tmp_path, monkeypatch):
    """It is recorded as failed with its reason, counted and a warning; the hour after a good one goes on."""
    alone, beside = place(tmp_path / "alone"), place(tmp_path / "beside")
    await three_hours(alone)

    def raises(inputs, policy):
        raise ZeroDivisionError("the new engine\nhas a fault")

    async with house(beside, shadow=written(beside), **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hour(START)
        with monkeypatch.context() as patched:
            patched.setattr(daemon.shadow, "evaluate", raises)
            await there.hour(START.plus(1))
        file = shadow(beside, START.plus(1))
        assert (file.outcome, file.reason) == ("failed", "ZeroDivisionError: the new engine has a fault")
        page = health(there.app)
        assert page["checks"]["shadow"]["status"] == "warn"
        assert any("has a fault" in note and "untouched" in note for note in page["notes"])
        counted = there.app.metrics.registry.get_sample_value
        labels = {"market": KEY, "outcome": "failed"}
        assert counted("regimed_shadow_hours_total", labels) == 1
        await there.hour(START.plus(2))
        assert shadow(beside, START.plus(2)).folds.after == START.iso()
        page = health(there.app)
        assert page["checks"]["shadow"]["status"] == "pass"
        assert page["checks"]["shadow"]["markets"][KEY]["failed_hours"] == 1
        await there.app.store.flush()
    assert files(alone, of_shadow=False) == files(beside, of_shadow=False)
    assert_sound(beside)


async def test_a_shadow_that_hangs_costs_its_own_limit_and_no_judgement(tmp_path, monkeypatch):
    """After its limit the hour is recorded without it; while it still hangs, the next hour does not wait."""
    let_go, began = threading.Event(), []

    def hangs(inputs, policy):
        began.append(inputs.hour)
        let_go.wait(60)
        raise RuntimeError

    async with house(tmp_path, shadow=written(tmp_path)) as there:
        monkeypatch.setattr(daemon.shadow, "evaluate", hangs)
        there.app.shadow.limit_s = 0.05
        try:
            await there.hours(START, 2)
        finally:
            let_go.set()
        assert began == [START]
        assert shadow(tmp_path, START).reason == "took longer than 0.05 s"
        assert shadow(tmp_path, START.plus(1)).reason == "still busy with an earlier hour"
        assert [there.metrics(START.plus(i))["outcome"] for i in range(2)] == ["analysed"] * 2
    assert_sound(tmp_path)


def judge_an_hour_in_a_shadow_that_never_returns(folder: Path) -> None:
    def never_returns(inputs, policy) -> None:
        threading.Event().wait()

    async def one_hour() -> None:
        async with house(folder, shadow=written(folder)) as there:
            daemon.shadow.evaluate = never_returns
            there.app.shadow.limit_s = 0.05
            await there.hour(START)

    asyncio.run(one_hour())


def test_a_shadow_that_never_returns_does_not_keep_the_process(tmp_path):
    """The hour is recorded without it, and the process ends when it is told to."""
    with forked(judge_an_hour_in_a_shadow_that_never_returns, tmp_path) as process:
        assert process.process.wait(30) == 0
    assert shadow(tmp_path, START).reason == "took longer than 0.05 s"


@pytest.mark.parametrize("place", ["writer.between_renames", "writer.after_rename", "writer.before_commit"])
async def test_a_full_disk_breaks_no_chain_of_the_shadow(tmp_path, place):
    """Whether the hour's files were finished or undone, each record follows the one before it."""
    async with house(tmp_path, shadow=written(tmp_path)) as there:
        await there.hour(START)
        failpoints.arm(place, full)
        try:
            await there.hour(START.plus(1))
        finally:
            failpoints.disarm()
        await there.hours(START.plus(2), 2)
        await there.app.store.flush()
        assert [shadow(tmp_path, START.plus(i)).folds.after for i in range(4)] == [
            None,
            *(START.plus(i).iso() for i in range(3)),
        ]
    assert_sound(tmp_path)


async def test_another_shadow_starts_afresh(tmp_path):
    """One policy's history never becomes another's, not even where both are shadows."""
    async with house(tmp_path, shadow=written(tmp_path), **LOOSE) as there:
        await run_grid(there, 2000, 2200, START)
        await there.hours(START, 2)
    changed = written(tmp_path, {"exits": {"preset": "aggressive"}})
    async with house(tmp_path, start=START.plus(2), shadow=changed, **LOOSE) as there:
        await there.hour(START.plus(2))
        assert shadow(tmp_path, START.plus(2)).folds.after is None
    assert_sound(tmp_path)


@pytest.mark.parametrize("where", ["in the folder", "only in the history"])
async def test_a_record_that_is_there_already_stays_and_the_judgement_is_made(tmp_path, where):
    """A shadow's file is written once: what an hour finds in its place costs the shadow, not the hour."""
    async with house(tmp_path, shadow=written(tmp_path)) as there:
        await there.hour(START)
        inputs = await there.app.store.hour_inputs(KEY, START.plus(1), START.plus(1).closes_at)
        earlier = encode_shadow(failed_shadow(inputs, there.app.shadow.policy.config_hash, "an earlier run"))
        path = shadow_path(KEY, START.plus(1))
        await there.app.store.write(ChangeSet({path: earlier}, "[test] an earlier run"))
        if where == "only in the history":
            (tmp_path / "data" / path).unlink()
        await there.hours(START.plus(1), 2)
        assert there.state().trouble is None
        assert len(there.judged()) == 3
        assert (tmp_path / "data" / path).read_bytes() == earlier
        assert shadow(tmp_path, START.plus(2)).folds.after == START.iso()
    report = verify(tmp_path / "data")
    assert [(found.path, found.is_error) for found in report.findings] == [(path, False)]
    assert "another window" in report.findings[0].problem


async def test_a_damaged_record_of_the_shadow_gets_its_bytes_back(tmp_path):
    """What the history holds is what was said; the next hour goes on from it."""
    async with house(tmp_path, shadow=written(tmp_path)) as there:
        await there.hours(START, 2)
    path = tmp_path / "data" / shadow_path(KEY, START.plus(1))
    held = path.read_bytes()
    path.write_bytes(held[:-20])
    async with house(tmp_path, start=START.plus(2), shadow="shadow.yaml") as there:
        await there.hour(START.plus(2))
        assert path.read_bytes() == held
        assert shadow(tmp_path, START.plus(2)).folds.after == START.plus(1).iso()
    assert_sound(tmp_path)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A repository in which two markets ran for six hours beside a shadow, a grid in one of them."""
    import anyio

    folder = tmp_path_factory.mktemp("compared")

    async def run():
        async with house(folder, markets=2, **LOOSE) as there:
            await there.hour(START)
        rules = CLASSIC | {"exits": {"hold_unlikely": 0.98, "hold_doubtful": 0.99}}
        async with house(
            folder, markets=2, start=START.plus(1), shadow=written(folder, rules), **LOOSE
        ) as there:
            await run_grid(there, 2700, 3100, START.plus(1))
            await there.hours(START.plus(1), 5)

    anyio.run(run)
    return folder / "data"


def test_compare_tells_how_far_the_shadow_agrees(compared):
    """Shares with n, confusion, p, other actions with both reasons, exit states; a week is not over."""
    done = called("compare", "--shadow", "--repo", str(compared), "--format", "json")
    assert done.code == 0, done.err
    markets = {each["market"]: each for each in json.loads(done.out)}
    assert sorted(markets) == ["BTC-USDT", "ETH-USDT"]
    found = markets["ETH-USDT"]
    assert (found["from"], found["to"]) == (str(START.plus(1)), str(START.plus(6)))
    hours = found["hours"]
    assert (hours["judged"], hours["compared"], hours["to_a_week"], hours["week_complete"]) == (
        5,
        5,
        163,
        False,
    )
    assert hours["opened_fresh"] == [str(START.plus(1))]
    verdicts = found["verdicts"]
    assert sum(each["hours"] for each in verdicts["confusion"]) == verdicts["n"] == 5
    same = sum(each["hours"] for each in verdicts["confusion"] if each["in_force"] == each["shadow"])
    assert verdicts["share"] == same / 5
    assert found["hold_probability"]["n"] == 5
    assert found["advice"]["n"] == 5
    other = found["advice"]["differs"][0]
    assert (other["in_force"]["action"], other["shadow"]["action"]) == ("CONTINUE", "STOP_GRID")
    assert other["in_force"]["reason"] != other["shadow"]["reason"]
    state = found["exit_states"]["differs"][0]
    assert (state["grid_id"], state["in_force"], state["shadow"]) == (
        GRID,
        "NORMAL",
        "LATEST_ACCEPTABLE_EXIT",
    )

    table = called("compare", "--shadow", "--repo", str(compared), "--key", "ETH-USDT")
    assert table.code == 0
    assert "a week is not complete yet: 5 of 168 hours compared" in table.out
    assert "STOP_GRID" in table.out
    assert "LATEST_ACCEPTABLE_EXIT" in table.out


def test_compare_names_hours_without_a_shadow(compared):
    """A span that begins before the shadow counts the hours that have none."""
    done = called(
        "compare", "--shadow", "--repo", str(compared), "--key", KEY, "--from", str(START), "--format", "json"
    )
    (found,) = json.loads(done.out)
    assert found["hours"]["without_shadow"] == [str(START)]
    assert found["hours"]["judged"] == 6


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "--shadow"),
        (["--shadow", "--key", "../x"], 2, "not a market key"),
        (["--shadow", "--key", "SOL-USDT"], 1, "known: BTC-USDT, ETH-USDT"),
        (["--shadow", "--from", "2026-01-06T00", "--to", "2026-01-05T00"], 2, "must lie before"),
        (["--shadow", "--from", "yesterday"], 2, "--from"),
        (["--shadow", "--from", "2027-01-06T00"], 1, "no hour with a record of a shadow"),
        (["--shadow", "--format", "xml"], 2, "neither table nor json"),
    ],
)
def test_compare_refuses_what_it_cannot_answer(compared, arguments, code, words):
    """A clear line and the exit code of the kind of trouble."""
    done = called("compare", "--repo", str(compared), *arguments)
    assert (done.code, done.out) == (code, "")
    assert words in done.err
    assert "Traceback" not in done.err


def test_compare_finds_an_hour_that_the_shadow_failed_in(compared, tmp_path):
    """Its reason is told, it is no compared hour, and the exit code says that the shadow is not fit."""
    subprocess.run(["cp", "-r", str(compared), str(tmp_path / "data")], check=True)
    file = shadow(tmp_path, START.plus(2))
    nothing = dict.fromkeys(("verdict", "hold_probability", "confidence", "scores", "range", "folds"))
    empty = {"advice": [], "metric_scores": {}, "gate_evaluation": {}, "exit_evaluation": {}}
    told = {"outcome": "failed", "reason": "it raised"}
    failed = file.model_copy(update=nothing | empty | told)
    (tmp_path / "data" / shadow_path(KEY, START.plus(2))).write_bytes(encode_shadow(failed))
    done = called("compare", "--shadow", "--key", KEY, "--repo", str(tmp_path / "data"))
    assert done.code == 1
    assert f"failed: {START.plus(2)}: it raised" in done.out
    assert "5 hours judged, 4 compared, 0 without a shadow, 1 failed" in done.out


def test_compare_says_so_where_nothing_was_judged_in_shadow(tmp_path):
    """A repository without a shadow names the setting; a folder that is not there is a usage error."""
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "notes").write_text("not a market")
    done = called("compare", "--shadow", "--repo", str(tmp_path))
    assert (done.code, done.out) == (1, "")
    assert "name a file under `shadow`" in done.err
    assert called("compare", "--shadow", "--repo", str(tmp_path / "nowhere")).code == 2


def test_compare_finds_a_damaged_record(compared, tmp_path):
    """It is named, the other hours are compared, and the exit code is 1."""
    subprocess.run(["cp", "-r", str(compared), str(tmp_path / "data")], check=True)
    path = tmp_path / "data" / shadow_path(KEY, START.plus(2))
    path.write_text(path.read_text().replace("schema_version: 1", "schema_version: 2", 1))
    done = called("compare", "--shadow", "--key", KEY, "--repo", str(tmp_path / "data"))
    assert done.code == 1
    assert f"damaged: {START.plus(2)}: {shadow_path(KEY, START.plus(2))}" in done.out
    assert "4 compared" in done.out
    report = verify(tmp_path / "data")
    assert any(found.path == shadow_path(KEY, START.plus(2)) and found.is_error for found in report.findings)


def test_verify_misses_the_configuration_that_a_shadow_names(compared, tmp_path):
    """A shadow's rules are part of what it says: without them nobody can tell what was compared."""
    subprocess.run(["cp", "-r", str(compared), str(tmp_path / "data")], check=True)
    data = tmp_path / "data"
    name = shadow(tmp_path, START.plus(1)).config_hash.removeprefix("sha256:")
    git(data, "rm", "-q", f"configs/{name}.yaml")
    git(data, "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "-m", "gone")
    found = [each.problem for each in verify(data).findings if each.path == shadow_path(KEY, START.plus(1))]
    assert any("is not in configs/" in problem for problem in found)


async def test_a_shadow_is_started_only_from_a_sound_file(tmp_path):
    """`building` writes the shadow's rules under its own hash, before the first hour."""
    async with house(tmp_path, shadow=written(tmp_path)):
        pass
    settings = load_settings(tmp_path / "config.yaml", {})
    assert settings.in_shadow is not None
    assert settings.in_shadow.regime.score_model == "classic"
    names = {path.stem for path in (tmp_path / "data" / "configs").iterdir()}
    assert names == {each.config_hash().removeprefix("sha256:") for each in (settings, settings.in_shadow)}
