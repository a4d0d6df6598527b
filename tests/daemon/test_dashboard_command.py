"""`regimed dashboard`: the records as files that open offline."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import anyio
import pytest

from market.hours import Hour
from tests.backtest.samples import sample_result
from tests.backtest.test_comparison import desk_of, expected
from tests.cycle.house import START, house
from tests.cycle.test_decisions import LOOSE, run_grid
from tests.daemon.calls import called

HOURS = 26


@pytest.fixture(scope="session")
def records(tmp_path_factory) -> Path:
    """Two markets over two days, made by the daemon."""
    folder = tmp_path_factory.mktemp("records")

    async def make() -> None:
        async with house(folder, markets=2, start=START, **LOOSE) as there:
            await run_grid(there, 2000, 2200, START)
            await there.hours(START, HOURS)

    anyio.run(make)
    return folder / "data"


class Links(HTMLParser):
    """What a page links to, and what it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        if tag == "a" and told.get("href"):
            self.links.append(str(told["href"]))
        elif tag != "a":
            self.loads += [str(told[name]) for name in ("src", "href", "action", "srcset") if told.get(name)]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_day_of_every_market_and_twice_the_same_bytes(records, tmp_path):
    """An overview, a page a day and market; nothing else is left; a second run changes nothing."""
    out = tmp_path / "pages"
    done = called("dashboard", "--out", str(out), "--repo", str(records))
    assert (done.code, done.err) == (0, "")
    assert done.out == f"written: {out / 'index.html'} and 4 pages of BTC-USDT, ETH-USDT\n"
    first = files_in(out)
    days = [f"{key}/2026-01-0{day}.html" for key in ("BTC-USDT", "ETH-USDT") for day in (5, 6)]
    assert sorted(first) == [*days, "index.html"]
    assert all(len(page) < 2_000_000 for page in first.values())
    assert called("dashboard", "--out", str(out), "--repo", str(records)).code == 0
    assert files_in(out) == first


def test_pages_load_nothing_and_link_to_pages_that_are_there(records, tmp_path):
    """No address but those of other files of the same folder; no form; no clock of the day it was made."""
    out = tmp_path / "pages"
    assert called("dashboard", "--out", str(out), "--repo", str(records)).code == 0
    linked = 0
    for name, page in files_in(out).items():
        found = Links(page.decode())
        assert [each for each in found.loads if each != "data:,"] == [], name  # an empty icon asks for none
        assert b"<form" not in page
        for link in found.links:
            target, _, place = link.partition("#")
            if target:
                linked += 1
                assert (out / name).parent.joinpath(unquote(target)).resolve().is_file(), (name, link)
            elif place:
                assert f'id="{place}"'.encode() in page, (name, link)
    assert linked >= 4 + 4 + 4  # overview to markets, back, and from day to day


def test_a_span_is_a_page_of_its_own(records, tmp_path):
    """--from --to are half-open; days outside of them are left out; an hour may be named."""
    asked = ("dashboard", "--out", str(tmp_path), "--repo", str(records), "--key", "ETH-USDT")
    done = called(*asked, "--from", "2026-01-05T20", "--to", "2026-01-06", "--format", "json")
    assert done.code == 0, done.err
    assert json.loads(done.out) == {
        "index": str(tmp_path / "index.html"),
        "pages": [
            str(tmp_path / "ETH-USDT" / "2026-01-05.html"),
            str(tmp_path / "ETH-USDT" / "2026-01-05T20_2026-01-06.html"),
        ],
        "left_out": {},
    }
    assert "BTC-USDT" not in (tmp_path / "index.html").read_text()
    done = called(*asked, "--from", "2026-01-06")
    assert done.code == 0, done.err
    assert (tmp_path / "ETH-USDT" / "2026-01-06_2026-01-06T02.html").is_file()


def test_a_damaged_day_is_left_out_by_name_and_all_others_are_written(records, tmp_path):
    """Exit code 1 and the file at fault; the index is there, and no page links to the one that is not."""
    damaged, out = tmp_path / "data", tmp_path / "pages"
    shutil.copytree(records, damaged)
    for file in (damaged / "metrics/BTC-USDT").glob("2026-01-06-*.yaml"):
        file.write_text("x: [\n")
    asked = ("dashboard", "--out", str(out), "--repo", str(damaged))
    done = called(*asked)
    assert done.code == 1
    assert done.err.startswith("regimed: pages left out: 1; `regimed verify` says what to do: ")
    assert (
        "BTC-USDT/2026-01-06.html: none of its records can be read: metrics/BTC-USDT/2026-01-06-0" in done.err
    )
    assert done.out == f"written: {out / 'index.html'} and 3 pages of BTC-USDT, ETH-USDT\n"
    days = ["BTC-USDT/2026-01-05.html", *(f"ETH-USDT/2026-01-0{day}.html" for day in (5, 6)), "index.html"]
    assert sorted(files_in(out)) == days
    for name, page in files_in(out).items():
        for link in Links(page.decode()).links:
            assert not link.endswith("BTC-USDT/2026-01-06.html"), name
            assert name != "BTC-USDT/2026-01-05.html" or "2026-01-06" not in link
    done = called(*asked, "--from", "2026-01-06", "--format", "json")
    assert done.code == 1
    told = json.loads(done.out)
    assert list(told["left_out"]) == [
        "BTC-USDT/2026-01-06.html",
        "BTC-USDT/2026-01-06_2026-01-06T02.html",
    ]
    assert told["pages"] == [
        str(out / "ETH-USDT" / name) for name in ("2026-01-06.html", "2026-01-06_2026-01-06T02.html")
    ]


def test_a_span_without_a_judged_hour_is_no_page(records, tmp_path):
    """A day has judged hours, the span within it none: that is said, not ended in the midst."""
    out = tmp_path / "pages"
    asked = ("dashboard", "--out", str(out), "--repo", str(records), "--from", "2026-01-06T05")
    done = called(*asked)
    assert (done.code, "no market has a judged hour there" in done.err) == (2, True)
    done = called(*asked, "--key", "ETH-USDT")
    assert done.code == 2
    assert "ETH-USDT: no judged hour there; judged are 2026-01-05T00 to 2026-01-06T01" in done.err
    assert not out.exists()


def test_a_backtest_stands_beside_the_desk(records, tmp_path):
    """--backtest: its result or its folder; one that is not there is said before anything is written."""
    data, out, results = tmp_path / "data", tmp_path / "pages", tmp_path / "results"
    shutil.copytree(records, data)
    desk_of(data, expected())
    asked = ("dashboard", "--out", str(out), "--repo", str(data), "--key", "ETH-USDT", "--backtest")
    done = called(*asked, str(results))
    assert (done.code, "--backtest: " in done.err, out.exists()) == (2, True, False)
    results.mkdir()
    (results / "result.json").write_bytes(sample_result().as_bytes())
    for path in (results, results / "result.json"):
        assert called(*asked, str(path)).code == 0
        assert "Live and backtest" in (out / "ETH-USDT/2026-01-06.html").read_text()


def test_other_files_in_the_folder_stay(records, tmp_path):
    """Only pages are replaced, and at once: no half-written file is left."""
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "index.html").write_text("old")
    assert called("dashboard", "--out", str(tmp_path), "--repo", str(records), "--key", "BTC-USDT").code == 0
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert (tmp_path / "index.html").read_text() != "old"
    assert not [name for name in files_in(tmp_path) if ".part" in name]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--key", "XRP-USDT"), 2, "--key: XRP-USDT is not recorded in .*; recorded: .*BTC-USDT"),
        (("--key", "../x"), 2, "'../x' is not a market key"),
        (("--from", "yesterday"), 2, "--from: .*yesterday"),
        (("--from", "2026-01-07", "--to", "2026-01-06"), 2, "the first hour must lie before the last"),
        (("--from", "2027-01-01"), 2, "no market has a judged hour there"),
        (("--key", "ETH-USDT", "--to", "2025-01-01"), 2, "judged are 2026-01-05T00 to 2026-01-06T01"),
        (("--from", "2020-01-01"), 2, "400 days at most"),
        (("--format", "xml"), 2, "neither table nor json"),
    ],
)
def test_what_cannot_be_asked_is_said_by_name(records, tmp_path, arguments, code, words):
    """One line on stderr with what there is; nothing is written."""
    done = called("dashboard", "--out", str(tmp_path / "pages"), "--repo", str(records), *arguments)
    assert done.code == code
    assert re.search(words, done.err), done.err
    assert done.err.count("\n") == 1
    assert done.out == ""
    assert not (tmp_path / "pages").exists()


def test_a_folder_that_cannot_serve_is_said(records, tmp_path):
    """A file, a place within the records, a folder without rights, a repository that is none."""
    file = tmp_path / "file"
    file.write_text("")
    for out, words in (
        (file, "is a file; expected a folder"),
        (file / "below", "Not a directory"),
        (records, "lies in the data repository"),
        (records / "pages", "lies in the data repository"),
    ):
        done = called("dashboard", "--out", str(out), "--repo", str(records))
        assert done.code in (2, 3)
        assert words in done.err
    assert not (records / "pages").exists()
    done = called("dashboard", "--out", str(tmp_path / "pages"), "--repo", str(tmp_path / "nothing"))
    assert (done.code, "no such folder; expected a data repository" in done.err) == (2, True)


def test_an_empty_repository_is_said(tmp_path):
    """Nothing recorded, nothing judged: what to do stands there."""

    async def make() -> None:
        async with house(tmp_path):
            pass

    anyio.run(make)
    done = called("dashboard", "--out", str(tmp_path / "pages"), "--repo", str(tmp_path / "data"))
    assert done.code == 2
    assert "no market" in done.err
    assert Hour.parse("2026-01-05T00") == START
