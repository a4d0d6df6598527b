"""The folder of a sweep: resumed wherever it was killed, never mixed, the same bytes whoever ran it."""

from __future__ import annotations

import fcntl
import itertools
import os
import signal
import subprocess
import sys

import numpy as np
import orjson
import pyarrow.parquet as pq
import pytest

from backtest.executors import LocalExecutor
from backtest.sweep import run_part, tasks_of
from backtest.sweep_files import SweepFolder, manifest_of, opened
from backtest.sweep_summary import summary_of
from market.errors import ConfigInvalid, DataInvalid
from tests.backtest.sweeps import SETS, contents, minutes, plan_over

DAYS, SETS_A_PART = 6, 5
PLAN = plan_over(minutes(DAYS), DAYS)
TASKS = list(tasks_of(SETS, SETS_A_PART))
MANIFEST = manifest_of(PLAN, SETS, SETS_A_PART)


def swept(root, order=TASKS, plan=PLAN):
    """Run what is left, in the order given, and write the whole."""
    with opened(root, plan, SETS, SETS_A_PART) as folder:
        done = folder.done(TASKS)
        for task in order:
            if task.number not in done:
                folder.write(task, run_part(plan, task))
        whole = folder.whole(TASKS)
        folder.write_whole(whole, summary_of(plan, SETS, whole, MANIFEST, 2))
    return contents(root)


def test_neither_order_nor_interruption_nor_repetition_changes_a_byte(tmp_path):
    """Backwards, resumed after each number of parts, and run again when all is there."""
    expected = swept(tmp_path / "plain")
    assert swept(tmp_path / "plain") == expected
    assert swept(tmp_path / "back", TASKS[::-1]) == expected
    for count in range(len(TASKS)):
        with opened(tmp_path / str(count), PLAN, SETS, SETS_A_PART) as folder:
            for task in TASKS[1 : count + 1]:
                folder.write(task, run_part(PLAN, task))
        assert swept(tmp_path / str(count)) == expected


KILLED = """
import os, signal, sys
from pathlib import Path
from backtest import sweep_files
from tests.backtest import test_sweep_files as sweep
left = int(sys.argv[2])
write = sweep_files.write_table
def counted(path, columns, batches):
    global left
    left -= 1
    if left < 0:
        path.with_name(f".{path.name}.part").write_bytes(b"PAR1 begun")
        os.kill(os.getpid(), signal.SIGKILL)
    write(path, columns, batches)
sweep_files.write_table = counted
sweep.swept(Path(sys.argv[1]))
"""


@pytest.mark.parametrize("writes", [1, 4])
def test_a_kill_between_any_two_writes_loses_one_part_at_most(tmp_path, writes):
    """SIGKILL with a part begun, with days and no sets, with some parts: the same bytes in the end."""
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out"), str(writes)], timeout=120)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "out" / "summary.json").exists()
    with opened(tmp_path / "out", PLAN, SETS, SETS_A_PART) as folder:
        assert len(folder.done(TASKS)) == writes // 2
    assert swept(tmp_path / "out") == swept(tmp_path / "plain")
    assert not list((tmp_path / "out" / "parts").glob(".*"))


def test_processes_make_the_same_bytes_as_one(tmp_path):
    """Two spawned workers, parts in whatever order they end."""
    parts = list(LocalExecutor(2).run(PLAN, TASKS))
    assert {part.number for part in parts} == {task.number for task in TASKS}
    with opened(tmp_path / "two", PLAN, SETS, SETS_A_PART) as folder:
        for part in parts:
            folder.write(TASKS[part.number], part)
    assert swept(tmp_path / "two") == swept(tmp_path / "one")


def test_a_worker_that_is_killed_is_told_and_what_is_done_stays(tmp_path, monkeypatch):
    """A broken pool is an error with a way on, not a traceback of multiprocessing."""
    monkeypatch.setattr("backtest.executors._run_shared", die_at_the_last)
    with opened(tmp_path, PLAN, SETS, SETS_A_PART) as folder:
        with pytest.raises(DataInvalid, match="run it again"):
            for part in LocalExecutor(2).run(PLAN, TASKS):
                folder.write(TASKS[part.number], part)
        assert TASKS[-1].number not in folder.done(TASKS)
    monkeypatch.undo()
    assert swept(tmp_path) == swept(tmp_path.with_name("plain"))


def die_at_the_last(task):
    """Die with the last part; by then every worker is there, so that none is started while another dies."""
    if task.number == TASKS[-1].number:
        os.kill(os.getpid(), signal.SIGKILL)
    return run_part(PLAN, task)


def test_tables_say_what_the_parts_say(tmp_path):
    """Days add up to the profit, units to money; the summary's best is the table's largest."""
    swept(tmp_path)
    sets = pq.read_table(tmp_path / "sets.parquet").to_pylist()
    days = pq.read_table(tmp_path / "days.parquet").to_pandas()
    assert [row["name"] for row in sets] == [each.name for each in SETS]
    totals = days.groupby("set").change_units.sum()
    for row in sets:
        assert row["refused"] is None and row["net_units"] == totals[row["set"]]
        assert row["net"] == row["net_units"] / 10**6
        assert row["return_pct"] == pytest.approx(row["net"] / 100)
    assert len(days) == len(SETS) * DAYS
    summary = orjson.loads((tmp_path / "summary.json").read_bytes())
    best = max(sets, key=lambda row: (row["net_units"], -row["set"]))
    assert summary["best"][0]["name"] == best["name"]
    assert float(summary["best"][0]["net"]) == best["net"]
    assert summary["manifest"] == orjson.loads((tmp_path / "manifest.json").read_bytes())
    returns = days.pivot(index="set", columns="day", values="change_units").to_numpy() / PLAN.capital
    chosen = returns[best["set"]]
    assert summary["deflated_sharpe"]["sharpe_a_day"] == pytest.approx(chosen.mean() / chosen.std(ddof=1))
    assert 0 <= summary["deflated_sharpe"]["probability"] <= 1
    # two periods are chosen on, each later period is judged: the best of the first two, by hand
    by_period = returns.reshape(len(SETS), 3, 2).sum(axis=2)
    picked = int(np.argmax(by_period[:, 0]))
    step = summary["walk_forward"]["steps"][0]
    assert step["chosen"] == SETS[picked].name
    assert step["tested_pct"] == pytest.approx(by_period[picked, 1] * 100)


def test_another_sweep_in_the_folder_is_an_error_that_names_the_difference(tmp_path):
    """Other candles, other parameters, other files: nothing is mixed, nothing is overwritten."""
    before = swept(tmp_path)
    for plan, sets, named in (
        (plan_over(minutes(DAYS, seed=2), DAYS), SETS, "data_digest"),
        (PLAN, SETS[1:], "parameters_digest"),
        (plan_over(minutes(DAYS), DAYS, every_days=3), SETS, "every_days"),
    ):
        with pytest.raises(ConfigInvalid, match=f"another sweep: {named}"), opened(tmp_path, plan, sets, 5):
            pass
    assert contents(tmp_path) == before
    (tmp_path / "strange").mkdir()
    (tmp_path / "strange" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigInvalid, match=r"holds notes\.txt"), opened(tmp_path / "strange", PLAN, SETS):
        pass
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(ConfigInvalid, match="not JSON"), opened(tmp_path, PLAN, SETS, SETS_A_PART):
        pass


def spoil_sweep(root, other):
    for kind in ("sets", "days"):
        (other / f"parts/{kind}-00001.parquet").replace(root / f"parts/{kind}-00001.parquet")


def spoil_place(root, other):
    (root / "parts/sets-00001.parquet").replace(root / "parts/sets-00002.parquet")


def spoil_bytes(root, other):
    (root / "parts/days-00001.parquet").write_bytes(b"PAR1 nothing")


def spoil_number(root, other):
    (root / "parts/sets-00001.parquet").replace(root / "parts/sets-00099.parquet")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_sweep, "sets-00001.parquet: sweep: .*another sweep's part"),
        (spoil_place, "sets-00002.parquet: set: 5 rows of other sets"),
        (spoil_bytes, "days-00001.parquet: not a readable parquet file"),
        (spoil_number, "sets-00099.parquet: not one of the 5 parts"),
    ],
)
def test_a_part_that_does_not_belong_is_named_and_never_used(tmp_path, spoil, said):
    """A part of another sweep, of other sets, damaged, or beyond the last: an error with its name."""
    swept(tmp_path / "one")
    swept(tmp_path / "other", plan=plan_over(minutes(DAYS, seed=2), DAYS))
    spoil(tmp_path / "one", tmp_path / "other")
    with pytest.raises(DataInvalid, match=said):
        swept(tmp_path / "one")


def test_a_part_whose_days_do_not_add_up_is_named(tmp_path, monkeypatch):
    """Tables that contradict each other are not told."""
    part = run_part(PLAN, TASKS[0])
    part.net[3] += 1
    with opened(tmp_path, PLAN, SETS, SETS_A_PART) as folder:
        folder.write(TASKS[0], part)
    with pytest.raises(DataInvalid, match="set 3: its days do not add up"):
        swept(tmp_path)


def test_two_sweeps_do_not_write_the_same_folder(tmp_path):
    """The second is refused while the first runs."""
    handle = os.open(tmp_path / ".lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(handle, fcntl.LOCK_EX)
    with pytest.raises(ConfigInvalid, match="another sweep is writing"), opened(tmp_path, PLAN, SETS):
        pass
    os.close(handle)
    assert swept(tmp_path)


def test_every_condition_is_in_the_name(tmp_path):
    """Whatever changes a result changes the sweep's digest."""
    plans = [
        PLAN,
        plan_over(minutes(DAYS, missing=3), DAYS),
        plan_over(minutes(DAYS), DAYS, every_days=3),
        plan_over(minutes(DAYS), DAYS, pessimistic=False),
    ]
    names = [manifest_of(plan, SETS, SETS_A_PART)["sweep"] for plan in plans]
    names += [manifest_of(PLAN, SETS[::-1], SETS_A_PART)["sweep"], manifest_of(PLAN, SETS, 6)["sweep"]]
    assert all(one != other for one, other in itertools.combinations(names, 2))
    assert SweepFolder(tmp_path, PLAN, SETS, names[0]).done(TASKS) == set()
