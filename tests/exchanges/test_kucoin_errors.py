"""How long to wait, and what a page that is not KuCoin's means."""

from __future__ import annotations

import json
from datetime import timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exchanges.http import Answer
from exchanges.kucoin_errors import quota_reset_s, retry_after_s, unwrapped
from market.errors import (
    AnswerMalformed,
    ExchangeError,
    ExchangeRefused,
    ExchangeUnavailable,
    RateLimited,
    RequestRefused,
)
from tests.exchanges.conftest import NOW


def refused(status: int, body: bytes, **headers: str) -> Exception:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with pytest.raises(Exception) as raised:
        unwrapped("kucoin", "GET /x", Answer(status, named, body, NOW, 0.1))
    return raised.value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1489", 1.489),
        ("30000", 30.0),
        ("31", 0.031),
        ("30", 30.0),
        ("12", 12.0),
        ("0", 0.0),
        ("9e99", 3600.0),
    ],
)
def test_the_quota_reset_is_read_in_milliseconds_unless_it_can_only_be_seconds(text, seconds):
    """The documented 1489 means one and a half seconds; 12 is taken as seconds, the safer reading."""
    assert quota_reset_s(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", [None, "", "soon", "nan", "inf", "-5"])
def test_a_reset_that_makes_no_sense_is_no_reset(text):
    """A broken header never becomes an endless or negative wait."""
    assert quota_reset_s(text) is None


def test_retry_after_is_understood_as_number_and_as_date():
    """Both forms of RFC 9110; the past means now, nonsense means nothing."""
    assert retry_after_s({"retry-after": "7"}, NOW) == 7
    later = format_datetime(NOW + timedelta(seconds=90), usegmt=True)
    assert retry_after_s({"retry-after": later}, NOW) == 90
    before = format_datetime(NOW - timedelta(days=1), usegmt=True)
    assert retry_after_s({"retry-after": before}, NOW) == 0
    assert retry_after_s({"retry-after": "tomorrow"}, NOW) is None
    assert retry_after_s({}, NOW) is None


def test_own_quota_and_overload_are_told_apart_by_the_headers():
    """429000 with gw-ratelimit headers is our quota; without them the server is overloaded."""
    body = b'{"code":"429000","msg":"Too Many Requests"}'
    own = refused(429, body, gw_ratelimit_reset="2500", gw_ratelimit_remaining="0")
    assert isinstance(own, RateLimited)
    assert (own.own_quota, own.retry_after_s) == (True, 2.5)
    overload = refused(429, body)
    assert isinstance(overload, RateLimited)
    assert (overload.own_quota, overload.retry_after_s) == (False, 1.0)
    told = refused(429, body, retry_after="9")
    assert isinstance(told, RateLimited)
    assert told.retry_after_s == 9


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, b"<h1>Error 1015</h1>", RateLimited),
        (403, b"error code: 1015", RateLimited),
        (429, b"slow down", RateLimited),
        (503, b"<html>Maintenance</html>", ExchangeUnavailable),
        (403, b"<html>Just a moment...</html>", ExchangeUnavailable),
        (200, b'{"code":"2000', AnswerMalformed),
        (200, b"<html></html>", AnswerMalformed),
        (200, b"[]", AnswerMalformed),
        (200, b'{"code":200000,"data":[]}', AnswerMalformed),
        (200, b'{"code":"200000"}', AnswerMalformed),
        (502, b'{"error":"bad gateway"}', ExchangeUnavailable),
        (200, b'{"code":"500000","msg":"Internal"}', ExchangeUnavailable),
        (200, b'{"code":"230005","msg":"busy"}', ExchangeUnavailable),
        (500, b'{"code":"200000","data":[]}', ExchangeUnavailable),
        (200, b'{"code":"200002","msg":"too frequent: rate limit"}', RateLimited),
        (200, b'{"code":"900001","msg":"symbol not exists"}', RequestRefused),
        (404, b'{"code":"404000","msg":"Url Not Found"}', RequestRefused),
        (415, b'{"code":"415000","msg":"Unsupported"}', RequestRefused),
        (403, b'{"code":"400303","msg":"not available in your region"}', ExchangeRefused),
        (400, b'{"code":"400008","msg":"V1 & V2 keys no longer supported"}', ExchangeRefused),
        (401, b'{"code":"411100","msg":"user is frozen"}', ExchangeRefused),
    ],
)
def test_each_kind_of_trouble_has_its_own_error(status, body, kind):
    """Retry, wait, back off one market, or stop: the class of the error says which."""
    assert type(refused(status, body)) is kind


def test_a_malformed_answer_shows_how_it_began():
    """The first 200 characters, printable, are in the message for the log; not more."""
    error = refused(200, b"oops\x00" + b"x" * 5000)
    assert "oops x" in str(error)
    assert len(str(error)) < 300


NAMES = st.sampled_from(["code", "msg", "data"]) | st.text()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["code", "msg", "data"]) | st.text(), inner)
    ),
    max_leaves=8,
)
BODIES = st.binary() | JSON.map(lambda value: json.dumps(value).encode())
HEADERS = st.dictionaries(st.sampled_from(["gw-ratelimit-reset", "retry-after"]), st.text())


@given(status=st.integers(100, 599), body=BODIES, headers=HEADERS)
def test_whatever_comes_back_ends_in_the_error_tree(status, body, headers):
    """No status, header or body makes the client stumble over its own parsing."""
    try:
        unwrapped("kucoin", "GET /x", Answer(status, headers, body, NOW, 0.1))
    except ExchangeError as error:
        assert len(str(error)) < 400
        if isinstance(error, RateLimited):
            assert 0 <= error.retry_after_s <= 3600
