"""Whatever comes in: a problem that names what was wrong, and nothing of the program's insides."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from tests.daemon.api.serving import SERIES, told_problem

ROWS = f"{SERIES}/1h"
STRANGE = [
    ("' OR 1=1 --", "%27%20OR%201=1%20--"),
    ("'; DROP TABLE series; --", "%27;%20DROP%20TABLE%20series;%20--"),
    ("../../../etc/passwd", "..%2f..%2f..%2fetc%2fpasswd"),
    ("ETH-USDT\\x00", "ETH-USDT%00"),
    ("a\\x0d\\x0aX-Injected: 1", "a%0d%0aX-Injected:%201"),
    ("<script>alert(1)</script>", "%3Cscript%3Ealert(1)%3C%2Fscript%3E"),
    ("ETH..USDT", "ETH..USDT"),
    ("١٢", "%D9%A1%D9%A2"),
]


@pytest.mark.parametrize(("shown", "sent"), STRANGE)
@pytest.mark.parametrize("name", ["start", "end", "limit", "cursor", "simplified", "verdict"])
async def test_injections_in_a_query_are_values_that_are_not_of_the_form(api, name, shown, sent):
    """SQL, paths, headers, scripts, other alphabets: 400 with the parameter, what it was, what it may be."""
    answer = await api.get(f"{ROWS}?{name}={sent}")
    told = told_problem(answer, 400)
    assert told["parameter"]["name"] == name
    assert told["parameter"]["found"] == shown
    assert told["parameter"]["expected"]
    assert told["instance"] == ROWS
    assert "x-injected" not in answer.headers


@pytest.mark.parametrize(("shown", "sent"), STRANGE)
async def test_injections_in_a_path_open_nothing(api, shown, sent):
    """A symbol, a timeframe, a date or a name of another form is named; no file is looked for."""
    for path, name in (
        (f"/api/data/regime/{sent}/1h", "symbol"),
        (f"/api/data/regime/ETH-USDT/{sent}/stats", "timeframe"),
        (f"/api/snapshots/{sent}/2024-06-10T00", "key"),
        (f"/api/snapshots/ETH-USDT/{sent}", "hour"),
        (f"/api/decisions/{sent}/dec-a", "date"),
        (f"/api/decisions/2024-06-10/{sent}", "name"),
        (f"/api/kpis/{sent}", "date"),
    ):
        told = told_problem(await api.get(path), 400)
        assert (told["parameter"]["name"], told["parameter"]["found"]) == (name, shown)


@pytest.mark.parametrize(
    ("query", "name", "words"),
    [
        ("limit=1000000000", "limit", "a whole number, 1 to 10000"),
        ("limit=0", "limit", "a whole number, 1 to 10000"),
        ("limit=-1", "limit", "a whole number"),
        ("limit=1.5", "limit", "a whole number"),
        ("limit=%20%205", "limit", "a whole number"),
        ("limit=", "limit", "a whole number"),
        ("limit=5&limit=5", "limit", "to stand once"),
        ("limits=5", "limits", "no other parameters than: start, end, limit"),
        ("=5", "", "no other parameters"),
        ("&", "", "no other parameters"),
        ("start=2024-05-02&end=2024-05-01", "end", "a time not before the start"),
        ("start=2024-02-30", "start", "a UTC time"),
        ("start=2023-02-29", "start", "a UTC time"),
        ("start=1717200000", "start", "a UTC time"),
        ("start=2024-05-01T25", "start", "a UTC time"),
        ("start=2024-05-01T00:00:00%2b02:00", "start", "a UTC time"),
        ("simplified=trend_up", "simplified", "one of NEUTRAL, TREND_UP"),
        ("min_confidence=1.1", "min_confidence", "a number, 0 to 1"),
        ("min_confidence=nan", "min_confidence", "a number, 0 to 1"),
        ("min_confidence=1e999999999", "min_confidence", "a number, 0 to 1"),
        ("candles=yes", "candles", "true or false"),
        ("cursor=AAAAAAAAAAAAAAAA", "cursor", "`next` of the page before"),
        ("start=%zz", "start", "UTF-8, percent-encoded"),
        ("start=%ff%fe", "start", "UTF-8, percent-encoded"),
        ("start=%", "start", "UTF-8, percent-encoded"),
    ],
)
async def test_a_wrong_parameter_is_named_with_what_it_may_be(api, query, name, words):
    """Numbers out of bounds, empty, repeated and unknown parameters, inverted spans, no such dates."""
    told = told_problem(await api.get(f"{ROWS}?{query}"), 400)
    assert told["parameter"]["name"] == name
    assert words in told["parameter"]["expected"]
    assert words in told["detail"]


async def test_what_was_found_is_told_short(api):
    """A long value is cut; it is a hint, not an echo."""
    told = await api.problem(ROWS, 400, start="x" * 5000)
    assert len(told["parameter"]["found"]) == 81
    assert len(json.dumps(told)) < 800


async def test_the_instance_is_a_reference_wherever_it_is_cut(api):
    """A long path ends with a whole escape; a percent sign alone is escaped itself."""
    for lead in range(3):
        told = await api.problem(f"/api/snapshots/{'a' * lead}{'%C3%BC' * 60}/2024-06-10T00", 400)
        assert re.fullmatch(r"(?:[A-Za-z0-9/._~-]|%[0-9A-Fa-f]{2})+", told["instance"])
        assert len(told["instance"]) < 210


async def test_an_unknown_market_is_404_and_names_what_is_known(any_api):
    """The parameter is `symbol`, for each of the four routes and every timeframe."""
    for route in ("", "/stats", "/transitions", "/periods"):
        told = await any_api.problem(f"/api/data/regime/NOT-THERE/4h{route}", 404)
        assert told["parameter"]["name"] == "symbol"
        assert told["parameter"]["expected"] == "a recorded market: ETH-USDT"


async def test_routes_without_parameters_take_none(api):
    """Also /openapi.json and the lists."""
    for path in ("/openapi.json", "/api/markets", "/api/grids"):
        assert (await api.problem(path, 400, x="1"))["parameter"]["name"] == "x"
        assert (await api.get(path)).status_code == 200


async def test_other_methods_are_405_and_say_which_there_are(api):
    """With Allow; HEAD is GET without the body."""
    for path in (ROWS, "/api/markets", "/openapi.json"):
        for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = await api.client.request(method, path)
            told_problem(answer, 405)
            assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD"}
        head, get = await api.client.head(path), await api.get(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["etag"] == get.headers["etag"]
        assert head.headers["content-length"] == get.headers["content-length"]


async def test_an_address_that_is_none_is_404(api):
    for path in ("/api", "/api/", "/api/nonsense", "/nonsense", "/api/data/regime/ETH-USDT", f"{ROWS}/"):
        told_problem(await api.get(path), 404)


async def raw(port: int, request: bytes) -> tuple[int, bytes, bytes]:
    """Send bytes as they are; return status, head and body of what comes back before the line closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        got = await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    head, _, body = got.partition(b"\r\n\r\n")
    return int(head.split(b" ", 2)[1]), head, body


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET %s?start=%s HTTP/1.1\r\nHost: a\r\n\r\n" % (ROWS.encode(), b"x" * 20_000),
        b"GET %s HTTP/1.1\r\nHost: a\r\nX-Long: %s\r\n\r\n" % (ROWS.encode(), b"x" * 20_000),
        b"GET %s HTTP/1.1\r\nHost: a\r\nBad Header: 1\r\n\r\n" % ROWS.encode(),
        b"GET %s?start=\x00 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % ROWS.encode(),
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET %s HTTP/9.9\r\nHost: a\r\n\r\n" % ROWS.encode(),
        b"GET %s?start=\xff\xfe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % ROWS.encode(),
    ],
)
async def test_what_is_not_http_is_a_problem_too(api, request_bytes):
    """Lines and headers too long, broken headers, NUL, TLS, other versions: 400, and the line closes."""
    status, head, body = await raw(api.port, request_bytes)
    told = json.loads(body)
    assert (status, told["status"]) == (400, 400)
    assert b"application/problem+json" in head
    assert b"aiohttp" not in body
    assert (await api.get(ROWS)).status_code == 200


async def test_ten_megabytes_of_query_are_refused_early(api):
    """Without holding them: the answer comes, or the line closes; the next request is served."""
    request = b"GET %s?start=%s HTTP/1.1\r\nHost: a\r\n\r\n" % (ROWS.encode(), b"x" * 10_000_000)
    try:
        status, _, body = await raw(api.port, request)
        assert (status, json.loads(body)["status"]) == (400, 400)
    except (ConnectionError, IndexError):
        pass  # it closed while we still sent
    assert (await api.get(ROWS)).status_code == 200


async def test_an_expectation_that_nobody_knows_is_417(api):
    status, head, body = await raw(
        api.port, b"GET %s HTTP/1.1\r\nHost: a\r\nExpect: x\r\nConnection: close\r\n\r\n" % ROWS.encode()
    )
    assert (status, json.loads(body)["status"]) == (417, 417)
    assert b"application/problem+json" in head


async def test_a_failure_inside_is_a_500_that_shows_nothing(api, monkeypatch):
    """What it was is in the log."""

    def fails(*_):
        raise RuntimeError("secret insides of /etc/regimed")

    monkeypatch.setattr(api.history, "counts", fails)
    answer = await api.get(f"{ROWS}/stats")
    told_problem(answer, 500)
    assert "secret" not in answer.text
