"""Damaged files of every kind: refused by name or taken whole, mended where the history has better."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from daemon.configuration import load_settings
from daemon.desk import run_desk_hours
from daemon.told import ToldMemory
from market.errors import ConfigInvalid, DataInvalid
from market.hours import Hour
from notifications.notice import Level, Notice
from notifications.notice_file import encode_notice
from notifications.outbox import Outbox
from notifications.receipts import OpenEmergency, Receipts
from store.change_set import ChangeSet, check_content
from store.fsck import fsck
from store.git import blob_id
from store.intents import IntendedFile, Intent, Intents
from store.recorded import series
from store.verify import verify
from tests.corpus.counting import counted
from tests.corpus.damage import broken
from tests.corpus.kinds import kinds
from tests.cycle.deaths import RULES
from tests.cycle.house import START, git, house
from tests.cycle.test_decisions import run_grid
from tests.cycle.test_desk import PAPER
from tests.daemon.calls import called
from tests.fakes import FakeClock
from tests.store.samples import NOON

SEED = int(os.environ.get("REGIMED_SEED", "1"))
KINDS = ("snapshots", "candles", "metrics", "decisions", "configs", "exit_states", "grids", "desk")


@pytest.fixture(scope="module")
def lived(tmp_path_factory) -> Path:
    """A house that has a file of each kind."""
    folder = tmp_path_factory.mktemp("corpus")

    async def live() -> None:
        async with house(folder, **{**RULES, **PAPER}) as there:
            await run_grid(there, 2000, 2200, START)
            for hour in (START, START.plus(1)):
                await there.hour(hour)
                assert there.app.paper is not None
                assert await run_desk_hours(there.app, there.app.paper)
            await there.app.store.push()
            await there.app.store.flush()

    asyncio.run(live())
    return folder


@pytest.fixture
def copy(lived, tmp_path) -> Path:
    shutil.copytree(lived, tmp_path / "house")
    return tmp_path / "house"


def one_of_each(folder: Path) -> dict[str, Path]:
    """Return the last file of each kind in the repository."""
    found = {}
    for kind in KINDS:
        files = sorted(path for path in (folder / "data" / kind).rglob("*") if path.is_file())
        assert files, f"the house has no file of the kind {kind}"
        found[kind] = files[-1]
    return found


def taken(path: str, data: bytes) -> bool:
    """Return whether the daemon takes these bytes; a refusal must name file, and what was found."""
    try:
        check_content(ChangeSet({path: data}, "[corpus] x"))
    except DataInvalid as error:
        words = str(error)
        assert words.startswith(path), words
        assert len(words) > len(path) + 10, words
        return False
    return True


@pytest.mark.parametrize("kind", KINDS)
def test_no_damaged_file_is_half_read(lived, kind):
    """What is sealed is refused at any damage; what is not, when cut; nothing breaks the reader."""
    path = one_of_each(lived)[kind]
    name, data = path.relative_to(lived / "data").as_posix(), path.read_bytes()
    assert taken(name, data)
    sealed = kind in ("snapshots", "candles")
    for what, damaged in broken(data, seed=SEED):
        if damaged == data or (damaged.rstrip() == data.rstrip()):
            continue
        if taken(name, damaged):
            assert not sealed or _collected_alone(data, damaged), f"{kind}: {what} is taken"
            # a stream of documents may end after a whole one; the history knows that it was longer
            whole_lines = data.startswith(damaged) and kind in (
                "exit_states",
                "configs",
                "grids",
                "decisions",
            )
            assert not what.startswith("cut") or whole_lines, f"{kind}: {what} is taken"


def _collected_alone(data: bytes, damaged: bytes) -> bool:
    """Say whether only the time of collection differs, which the digest leaves out by design."""
    one, other = orjson.loads(data), orjson.loads(damaged)
    return {**one, "collected_at": ""} == {**other, "collected_at": ""}


def test_every_kind_of_file_is_refused_in_words_or_read_whole(tmp_path):
    """Of every kind that the program reads: no damaged one is half-read, ends in a traceback, or is refused
    without file, place and what to do; what is left valid but another has who finds it."""
    with kinds(tmp_path) as found:
        tallies = [counted(kind, 6, SEED) for kind in found]
    assert len(tallies) > 30
    assert [words for each in tallies for words in (*each.half, *each.broke, *each.mute)] == []
    assert [each.kind.name for each in tallies if not each.refused] == []
    sealed = {each.kind.name for each in tallies if not each.kind.found_by}
    assert sealed >= {"snapshots", "snapshots, incomplete", "candles", "desk", "outbox"}


def test_fsck_names_every_damaged_file_and_gives_back_the_history_s_bytes(copy):
    """All kinds at once: each is named with what was found and what is done; dry at first, then mended."""
    files = one_of_each(copy)
    before = {kind: path.read_bytes() for kind, path in files.items()}
    for place, path in enumerate(files.values()):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2] if place % 2 else data[:-9] + b"#" + data[-8:])
    (copy / "data" / "grids" / "torn.yaml").write_bytes(b"schema_version: 1\ngrid_id: to")
    (copy / "data" / ".git" / "index").write_bytes(b"DIRC")
    found = fsck(copy / "data", copy / "data.state")
    lines = {each.path: str(each) for each in found.findings}
    assert not found.ok
    for path in files.values():
        name = path.relative_to(copy / "data").as_posix()
        assert "--repair: the history's bytes are given back" in lines[name], lines
    assert "moved aside" in lines["grids/torn.yaml"]
    assert "made anew" in lines[".git/index"]
    assert {kind: path.read_bytes() for kind, path in files.items()} != before  # dry
    mended = called("fsck", "--repo", str(copy / "data"), "--repair")
    assert mended.code == 0, mended.out + mended.err
    assert "mended: the history's bytes are given back" in mended.out
    assert {kind: path.read_bytes() for kind, path in files.items()} == before
    aside = copy / "data" / ".git" / "regimed.aside"
    assert (aside / "grids" / "torn.yaml").exists()
    assert all(
        (aside / path.relative_to(copy / "data")).exists() for path in files.values()
    )  # no byte is lost
    assert verify(copy / "data").ok
    assert git(copy / "data", "status", "--porcelain") == ""
    again = called("fsck", "--repo", str(copy / "data"), "--format", "json")
    assert again.code == 0
    assert orjson.loads(again.out) == {"ok": True, "findings": []}


def test_fsck_names_damaged_files_of_the_state_and_sets_them_aside(copy):
    """A notice of which one bit flipped, an intent of which a field is gone: file, field, what is done."""
    state = copy / "data.state"
    whole = encode_notice(Notice("d", "", Level.HIGH, "t", "b", NOON), NOON, ["phone"])
    (state / "outbox").mkdir(exist_ok=True)
    for number, data in enumerate((whole, whole.replace(b"phone", b"phonf"))):
        (state / "outbox" / f"9000000{number}-x.json").write_bytes(data)
    (state / "intents" / "7.json").write_bytes(b'{"number": 7}')
    found = called("fsck", "--repo", str(copy / "data"))
    lines = found.out.splitlines()
    assert found.code == 1
    assert [line.partition(": ")[0] for line in lines[:-1]] == ["outbox/90000001-x.json", "intents/7.json"]
    assert ": digest: sha256:" in lines[0] and "the content gives sha256:" in lines[0]
    assert ": at: " in lines[1] and "Field required" in lines[1]
    assert all(line.endswith("; --repair: set aside as .damaged") for line in lines[:-1])
    assert called("fsck", "--repo", str(copy / "data"), "--repair").code == 0
    assert called("fsck", "--repo", str(copy / "data")).code == 0
    assert (state / "outbox" / "90000001-x.json.damaged").exists()
    assert (state / "outbox" / "90000000-x.json").read_bytes() == whole


def test_fsck_writes_a_damaged_object_anew_from_its_file(copy):
    """A Git object that rotted is made again where the work tree has its bytes; else the remote is named."""
    record = one_of_each(copy)["metrics"]
    held = blob_id(record.read_bytes())
    git(copy / "data", "-c", "gc.auto=0", "repack", "-adq")
    (pack,) = (copy / "data" / ".git" / "objects" / "pack").glob("*.pack")
    packed = copy / "x.pack"
    shutil.move(pack, packed)
    for other in pack.parent.glob(f"{pack.stem}.*"):
        other.unlink()
    with packed.open("rb") as stream:
        import subprocess

        subprocess.run(["git", "-C", str(copy / "data"), "unpack-objects", "-q"], stdin=stream, check=True)
    loose = copy / "data" / ".git" / "objects" / held[:2] / held[2:]
    loose.chmod(0o644)
    loose.write_bytes(loose.read_bytes()[:10])
    found = fsck(copy / "data")
    assert any("written anew from metrics/" in str(each) for each in found.findings), found.findings
    fsck(copy / "data", repair=True)
    assert verify(copy / "data").ok
    loose.unlink()
    record.unlink()
    found = fsck(copy / "data")
    assert any("fetch the remote's copy" in str(each) for each in found.findings), found.findings


def test_fsck_says_what_it_cannot_do(copy, tmp_path):
    """No repository, a branch that cannot be read: one line, exit code 2, nothing touched."""
    absent = called("fsck", "--repo", str(tmp_path / "nowhere"), "--repair")
    assert absent.code == 2
    assert "not a data repository" in absent.err
    (copy / "data" / ".git" / "refs" / "heads" / "main").write_bytes(b"0" * 40 + b"\n")
    unreadable = called("fsck", "--repo", str(copy / "data"))
    assert unreadable.code == 2
    assert "fetch the remote's copy" in unreadable.err


async def test_fsck_does_not_repair_under_a_running_daemon(copy):
    """The one writer is the daemon; a repair waits until it is stopped."""
    async with house(copy, start=START.plus(1), **{**RULES, **PAPER}):
        refused = called("fsck", "--repo", str(copy / "data"), "--repair")
    assert refused.code == 2
    assert "stop it, then repair" in refused.err


async def test_maintain_packs_what_nobody_writes(copy):
    """Loose objects become a pack, nothing is lost; under a running daemon it says who packs instead."""
    repo = str(copy / "data")
    before = verify(copy / "data")
    packed = orjson.loads(called("maintain", "--repo", repo, "--format", "json").out)
    assert packed["before"]["loose_objects"] > packed["after"]["loose_objects"] == 0
    assert packed["after"]["packs"] == 1
    assert verify(copy / "data") == before
    assert " in 0 loose objects and 1 pack now" in called("maintain", "--repo", repo).out
    async with house(copy, start=START.plus(1), **{**RULES, **PAPER}):
        refused = called("maintain", "--repo", repo)
    assert refused.code == 2
    assert "packs by itself once a day" in refused.err
    nowhere = called("maintain", "--repo", str(copy / "nowhere"))
    assert (nowhere.code, "not a data repository" in nowhere.err) == (2, True)
    (copy / "data" / ".git" / "config").write_text("[core\n")
    damaged = called("maintain", "--repo", repo)
    assert (damaged.code, "regimed fsck" in damaged.err) == (2, True)


async def test_a_damaged_state_file_ends_no_start(tmp_path, capsys):
    """Outbox, what was told, receipts, intents: a start goes on and throws nothing away."""
    clock = FakeClock(NOON)
    notice = Notice("x@1", "ETH-USDT", Level.HIGH, "title", "body", NOON)

    class Never:
        name = "never"

        async def send(self, notice: Notice) -> None:
            raise AssertionError

        async def aclose(self) -> None:
            pass

    Outbox(tmp_path / "outbox", [Never()], clock).enqueue(notice)
    (waiting,) = (tmp_path / "outbox").glob("0*.json")
    for what, damaged in broken(waiting.read_bytes()):
        folder = tmp_path / "outboxes" / what.replace(" ", "-")
        folder.mkdir(parents=True)
        (folder / waiting.name).write_bytes(damaged)
        outbox = Outbox(folder, [Never()], clock)
        is_whole = damaged == waiting.read_bytes()
        assert (outbox.waiting, len(outbox.damaged)) == ((1, 0) if is_whole else (0, 1)), what
        assert len(list(folder.glob("0*"))) == 1, what  # set aside, never removed
    receipts = Receipts(tmp_path / "receipts")
    await receipts.keep(OpenEmergency("abc", "g", "d", "ETH-USDT", NOON, NOON + timedelta(hours=1)))
    for what, damaged in broken((tmp_path / "receipts" / "receipts.json").read_bytes()):
        folder = tmp_path / "receipt-boxes" / what.replace(" ", "-")
        folder.mkdir(parents=True)
        (folder / "receipts.json").write_bytes(damaged)
        assert len(Receipts(folder).open) in (0, 1), what
        assert len(list(folder.iterdir())) == 1, what
    intents = Intents(tmp_path / "intents", tmp_path / "incoming")
    intents.prepare()
    files = (IntendedFile(path="grids/a.yaml", digest="sha256:" + "0" * 64, old=None),)
    intents.write(Intent(number=1, at=NOON, message="[grid] x", files=files))
    for what, damaged in broken((tmp_path / "intents" / "1.json").read_bytes()):
        (tmp_path / "intents" / "1.json").write_bytes(damaged)
        found, unreadable = intents.all()
        assert len(found) + len(unreadable) == 1, what
    told = ToldMemory(tmp_path / "told")
    for _, damaged in broken(b'{"key":"ETH-USDT","hour":"2026-01-05T00","advice":[],"verdict":null}'):
        (tmp_path / "told" / "ETH-USDT.json").write_bytes(damaged)
        told.recall("ETH-USDT")
    assert "Traceback" not in capsys.readouterr().err


def test_a_damaged_configuration_is_refused_with_its_path(lived, tmp_path):
    """Cut or altered, config.yaml is taken whole or refused with the field and what was expected."""
    data = (lived / "config.yaml").read_bytes()
    path = tmp_path / "config.yaml"
    for what, damaged in broken(data, 40, SEED):
        path.write_bytes(damaged)
        try:
            load_settings(path, {})
        except ConfigInvalid as error:
            assert str(error), what


def test_damaged_recordings_are_refused_by_name(tmp_path):
    """Parquet and CSV, cut and flipped anywhere: `DataInvalid` with the file, or its rows."""
    first = Hour.parse("2025-06-01T00").open_ts
    columns = {
        "ts": [first + 3600 * n for n in range(48)],
        **{name: [100.0 + n for n in range(48)] for name in ("open", "high", "low", "close", "volume")},
    }
    pq.write_table(pa.table(columns), tmp_path / "KUCOIN_ETH-USDT_1h.parquet")
    text = (
        ",".join(columns)
        + "\n"
        + "\n".join(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))
    )
    (tmp_path / "KUCOIN_ETH-USDT_1h.csv").write_text(text + "\n")
    for name in ("KUCOIN_ETH-USDT_1h.parquet", "KUCOIN_ETH-USDT_1h.csv"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / "damaged").mkdir(exist_ok=True)
        path = tmp_path / "damaged" / name
        for what, damaged in broken(whole, 60):
            path.write_bytes(damaged)
            try:
                series(path)
            except DataInvalid as error:
                assert name in str(error), f"{what}: {error}"
