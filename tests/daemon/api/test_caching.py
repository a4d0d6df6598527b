"""ETags, 304, gzip: an answer has one name for as long as it is the same, and needs no thread to be told."""

from __future__ import annotations

import gzip

import pytest

from daemon.api.answers import Answer, AnswerCache
from daemon.api.negotiation import tags_of, takes_gzip
from market.hours import Hour
from store.index.regime_index import RegimeIndex
from tests.daemon.api.serving import SERIES, filled, lay_markets, served
from tests.daemon.regimes import commit, keeper
from tests.store.markets import COARSE_END, hour_file, hour_files

ROWS = f"{SERIES}/1h"
ROUTES = (ROWS, f"{ROWS}/stats", f"{ROWS}/periods", f"{ROWS}/transitions", "/api/markets", "/openapi.json")


async def test_an_unchanged_answer_is_304(api):
    """Lists, weak marks and * too; never for another tag; 304 has no body and the same headers."""
    for path in ROUTES:
        answer = await api.get(path)
        etag = answer.headers["etag"]
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        for held in (etag, f'"x", {etag}', f"W/{etag}", "*", f'"a,b" ,{etag}, "c"'):
            again = await api.get(path, headers={"If-None-Match": held})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["cache-control"] == "no-cache"
            assert again.headers["vary"] == "Accept-Encoding"
        assert (await api.get(path, headers={"If-None-Match": etag})).headers["etag"] == etag
        for other in ('"x"', "x", '"', f"{etag}x", ""):
            assert (await api.get(path, headers={"If-None-Match": other})).status_code == 200


async def test_one_question_has_one_tag_however_it_is_written(api):
    """Times in each form, bounds outside of the record, parameters in any order."""
    same = [
        "?start=2024-01-01&limit=1000",
        "?limit=1000&start=2024-01-01T00",
        "?start=1990-01-01T00:00:00Z",
        "?candles=false",
        "?end=2199-12-31",
        "",
    ]
    tags = {(await api.get(f"{ROWS}{query}")).headers["etag"] for query in same}
    assert len(tags) == 1
    others = ["?limit=999", "?start=2024-05-01", "?verdict=TREND", "?candles=true", "/stats"]
    tags |= {(await api.get(f"{ROWS}{query}")).headers["etag"] for query in others}
    assert len(tags) == 1 + len(others)


async def test_gzip_only_where_it_is_taken(api):
    """The same body; a tag of its own; q=0 is heeded; a short answer stays as it is."""
    plain = await api.get(ROWS, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for header in ("gzip", "br, gzip;q=0.1", "*", "GZIP"):
        zipped = await api.get(ROWS, headers={"Accept-Encoding": header})
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.content == plain.content
        assert int(zipped.headers["content-length"]) < len(plain.content) / 5
        assert zipped.headers["etag"] != plain.headers["etag"]
        again = await api.get(ROWS, headers={"If-None-Match": zipped.headers["etag"]})
        assert (again.status_code, again.headers["etag"]) == (304, zipped.headers["etag"])
    for header in ("gzip;q=0", "*;q=0", "gzip;q=0, *", "br", "gzip;q=x"):
        answer = await api.get(ROWS, headers={"Accept-Encoding": header})
        assert "content-encoding" not in answer.headers
    short = await api.get("/api/grids", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers


class Still:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


async def test_unchanged_and_kept_answers_need_neither_index_nor_thread(repo, whole_index, monkeypatch):
    """Once known, a question is answered on the loop alone; after a moment it is asked whether it changed."""
    clock = Still()
    async with served(repo, whole_index, monotonic=clock) as api:
        first = [await api.get(path) for path in ROUTES]

        def refuse(*_):
            raise AssertionError("asked again")

        monkeypatch.setattr("daemon.api.threads.Workshop.run", refuse)
        for path, before in zip(ROUTES, first, strict=True):
            assert (await api.get(path)).content == before.content
            held = {"If-None-Match": before.headers["etag"]}
            assert (await api.get(path, headers=held)).status_code == 304
        clock.seconds += 1.5
        assert (await api.get(ROWS)).status_code == 500


async def test_a_tag_changes_when_the_answer_may_and_only_then(tmp_path):
    """An appended hour leaves the past's tags alone; a changed past and new rows have new ones."""
    root = lay_markets(tmp_path, hours=3)
    index = filled(root, tmp_path)
    clock = Still()
    async with served(root, index, monotonic=clock) as api:
        past = f"{ROWS}?end=2024-06-01"

        async def tags():
            clock.seconds += 5
            return [(await api.get(path)).headers["etag"] for path in (past, ROWS, f"{ROWS}/stats")]

        def fill():
            keeper(root, index).catch_up()
            api.history.forget()

        before = await tags()
        assert await tags() == before
        commit(root, hour_file(COARSE_END.plus(3)))
        fill()
        appended = await tags()
        assert appended[0] == before[0]
        assert appended[1] != before[1] and appended[2] != before[2]
        assert (await api.json(ROWS, start=str(COARSE_END)))["source"] == "stored"
        commit(root, {"decisions/note.txt": b"no data of a market"})
        assert (await tags())[0] == before[0]
        held = {"If-None-Match": before[1]}
        assert (await api.get(ROWS, headers=held)).status_code == 200
    index.close()


async def test_what_a_fill_does_is_told_at_once(tmp_path):
    """The index's keeper says that it wrote: no moment passes before the new rows are told."""
    root = lay_markets(tmp_path, hours=3)
    index = RegimeIndex.open(f"sqlite:///{tmp_path / 'index.db'}")
    clock = Still()
    async with served(root, index, monotonic=clock) as api:
        assert (await api.json(ROWS))["source"] == "computed"
        keeper(root, index).catch_up()
        api.history.forget()
        assert (await api.json(ROWS))["source"] == "stored"
    index.close()


async def test_pages_hold_every_row_once_while_hours_are_added(tmp_path):
    """A walk that began before an hour came tells all rows in order, the new one at the end."""
    root = lay_markets(tmp_path, hours=2)
    index = filled(root, tmp_path)
    async with served(root, index) as api:
        found, cursor, added = [], None, 2
        while True:
            page = await api.json(ROWS, limit=1500, **({"cursor": cursor} if cursor else {}))
            found += [row["open_time"] for row in page["rows"]]
            if added < 5:
                commit(root, hour_files(1, first=COARSE_END.plus(added)))
                added += 1
                if added % 2:
                    keeper(root, index).catch_up()
                api.history.forget()
            elif page["next"] is None:
                break
            if (cursor := page["next"]) is None:
                break
        opens = [Hour.parse(each).index for each in found]
        assert opens == list(range(opens[0], opens[0] + len(opens)))
        assert opens[-1] >= COARSE_END.index + 2
    index.close()


@pytest.mark.parametrize(
    ("header", "taken"),
    [("", False), ("gzip", True), ("gzip;q=0.0", False), ("identity, *;q=0.3", True), (";;,", False)],
)
def test_accept_encoding(header, taken):
    assert takes_gzip(header) is taken


def test_tags_of_a_header_that_is_none():
    """A malformed list holds nothing, so the answer is sent."""
    assert tags_of('"a", "b-gz"') == {"a", "b"}
    assert tags_of(" * ") is None
    for wrong in ("a", '"a" "b"', '"a', '"a";"b"', "*, *"):
        assert tags_of(wrong) == frozenset()


def test_the_cache_holds_no_more_than_its_bytes():
    """The oldest go first; one too large is not kept; compressed bodies count; the unnamed is never kept."""
    cache = AnswerCache(1000)
    for name in "abcde":
        cache.keep(Answer(name, b"x" * 240))
    assert (cache.bytes, cache.get("a")) == (960, None)
    cache.get("b")
    cache.keep(Answer("f", b"x" * 100))
    assert cache.get("c") is None and cache.get("b") is not None
    cache.keep(Answer("g", b"x" * 251))
    cache.keep(Answer(None, b"x"))
    assert cache.get("g") is None and cache.get(None) is None
    answer = Answer("h", b"x" * 200)
    cache.keep(answer)
    before = cache.bytes
    assert gzip.decompress(answer.zip()) == answer.body
    cache.keep(answer)
    assert cache.bytes == before + len(answer.zip())
