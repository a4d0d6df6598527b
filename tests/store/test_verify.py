"""`verify` as the model check: a whole history passes, each broken promise is found and named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from market.errors import RepositoryUnusable
from store.kpi_files import encode_kpis
from store.paths import metrics_path
from store.seal import digest_of_bytes
from store.verify import verify
from tests.store.samples import FIRST, KEY, HandClock, git, grid_file, opened, run_hour
from tests.store.test_kpi_files import made

SNAPSHOT = "snapshots/ETH-USDT/2026/02/02/01.json"
STATES = "exit_states/ETH-USDT/2026-02-02.yaml"
GRID = "grids/eth-1.yaml"
KPIS = "kpis/2026-02-02.yaml"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A sound repository with four hours, a grid and exit states."""
    import asyncio

    place = tmp_path_factory.mktemp("sound")

    async def fill():
        from store.change_set import ChangeSet

        clock = HandClock()
        store = await opened(place, clock)
        for offset in range(4):
            await run_hour(store, clock, FIRST.plus(offset), missing=(3,) if offset == 2 else ())
        await store.write(ChangeSet({STATES: b"a: 1\n", GRID: grid_file()}, "m"))
        await store.write(ChangeSet({STATES: b"a: 1\n---\nb: 1\n", GRID: grid_file(lower=(1800, 1850))}, "m"))
        await store.aclose()

    asyncio.run(fill())
    return place / "data"


@pytest.fixture
def data(sound, tmp_path):
    shutil.copytree(sound, tmp_path / "data")
    return tmp_path / "data"


def commit_all(data: Path, message: str = "operator") -> None:
    git(data, "add", "-A")
    git(data, "commit", "-q", "-m", message)


def problems(data: Path) -> str:
    report = verify(data)
    assert not report.ok
    return "\n".join(
        f"{'ERROR' if finding.is_error else 'note'}: {finding.path}: {finding.problem}"
        for finding in report.findings
    )


def test_a_sound_history_passes(sound):
    """Nothing is found in a history that kept every promise, and the counts say what was looked at."""
    stages = []
    report = verify(sound, progress=lambda stage, *_: stages.append(stage))
    assert report.ok, report.findings
    assert report.findings == []
    assert (report.counts["snapshots"], report.counts["metrics"], report.counts["commits"]) == (4, 4, 7)
    assert set(stages) == {"history", "files", "agreement", "fsck"}


def _rewrite_snapshot(data: Path) -> None:
    (data / SNAPSHOT).write_text("{}")
    commit_all(data)


def _remove_record(data: Path) -> None:
    (data / metrics_path(KEY, FIRST.plus(1))).unlink()
    commit_all(data)


def _remove_and_return(data: Path) -> None:
    kept = (data / SNAPSHOT).read_bytes()
    (data / SNAPSHOT).unlink()
    commit_all(data)
    (data / SNAPSHOT).write_bytes(kept)
    commit_all(data)


def _rewrite_states(data: Path) -> None:
    (data / STATES).write_text("a: 2\n")
    commit_all(data)


def _rewrite_grid(data: Path) -> None:
    (data / GRID).write_bytes(grid_file())
    commit_all(data)


def _break_grid(data: Path) -> None:
    (data / "grids/other.yaml").write_text("a: [\n")
    commit_all(data)


def _misplace(data: Path) -> None:
    (data / "snapshots/notes.txt").write_text("x")
    commit_all(data)


def _merge_snapshot(data: Path) -> None:
    git(data, "checkout", "-q", "-b", "side", "HEAD~1")
    (data / "snapshots/ETH-USDT/2026/02/02/09.json").write_text("{}")
    commit_all(data)
    git(data, "checkout", "-q", "main")
    git(data, "merge", "-q", "--no-ff", "-m", "merge", "side")


def _damage_work_tree(data: Path) -> None:
    (data / SNAPSHOT).write_text("{}")


def _lose_from_work_tree(data: Path) -> None:
    (data / SNAPSHOT).unlink()


def _wrong_input(data: Path) -> None:
    path = data / metrics_path(KEY, FIRST.plus(3))
    text = path.read_text()
    place = text.index("sha256:", text.index("snapshots/"))
    path.write_text(text[:place] + "sha256:" + "0" * 64 + text[place + 71 :])
    git(data, "add", "-A")
    git(data, "commit", "-q", "--amend", "-m", "x")


def _lay_kpis(data: Path, **others) -> None:
    (data / "kpis").mkdir(exist_ok=True)
    held = {GRID: digest_of_bytes((data / GRID).read_bytes())}
    (data / KPIS).write_bytes(encode_kpis(made(**{"grids": held, **others})))
    commit_all(data)


def _rewrite_kpis(data: Path) -> None:
    _lay_kpis(data)
    _lay_kpis(data, engine_version=2)


def _break_kpis(data: Path) -> None:
    _lay_kpis(data, date="2026-02-03")


def _kpis_of_another_grid(data: Path) -> None:
    _lay_kpis(data, grids={GRID: "sha256:" + "0" * 64})


def _damage_object(data: Path) -> None:
    blob = git(data, "rev-parse", f"HEAD:{GRID}")
    target = data / ".git" / "objects" / blob[:2] / blob[2:]
    target.chmod(0o644)
    target.write_bytes(b"damaged")


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (_rewrite_snapshot, f"{SNAPSHOT}: write-once, but its content changed"),
        (_rewrite_snapshot, "schema_version: None, expected 1"),
        (_remove_record, "removed, and not to quarantine"),
        (_remove_record, "1 hours before it were never judged"),
        (_remove_and_return, "came back after it was removed"),
        (_rewrite_states, f"{STATES}: append-only"),
        (_rewrite_grid, f"{GRID}: versions"),
        (_break_grid, "grids/other.yaml: "),
        (_misplace, "snapshots/notes.txt: in a folder of the data repository"),
        (_merge_snapshot, "changed by a merge"),
        (_damage_work_tree, f"{SNAPSHOT}: the work tree differs from the history"),
        (_lose_from_work_tree, f"{SNAPSHOT}: in the history, but not in the work tree"),
        (_wrong_input, "is nowhere under sha256:000"),
        (_rewrite_kpis, f"{KPIS}: write-once, but its content changed"),
        (_break_kpis, f"{KPIS}: date: 2026-02-03, but the path names another day"),
        (_kpis_of_another_grid, f"{KPIS}: its input {GRID} is nowhere under sha256:000"),
        (_damage_object, "fsck"),
    ],
)
def test_each_broken_promise_is_found(data, damage, problem):
    """Whoever broke it and however: verify names the path and says what was promised."""
    damage(data)
    try:
        assert problem in problems(data)
    except RepositoryUnusable as error:
        assert problem == "fsck"  # Git cannot even read it: said as well
        assert "Git cannot read it" in str(error)


def test_a_kpi_record_names_the_grids_that_it_was_made_from(data):
    """By the digest that their files had then; they may have grown since."""
    _lay_kpis(data)
    (data / GRID).write_bytes(grid_file(lower=(1800, 1850, 1900)))
    commit_all(data)
    assert verify(data).ok


def test_what_is_not_committed_yet_is_a_note(data):
    """A file between hand-over and commit is no error."""
    (data / "snapshots/ETH-USDT/2026/02/02/09.json").write_text("{}")
    report = verify(data)
    assert report.ok
    assert report.findings[0].problem == "not committed (yet)"
