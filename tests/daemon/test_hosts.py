"""Under which names the daemon answers: a stranger's name that leads to it gets nothing."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import ValidationError

from daemon.hosts import named_host
from daemon.settings import HttpSettings
from tests.daemon.pages import TOKEN, shown

OWN = [
    "localhost",
    "LOCALHOST:8080",
    "localhost.",
    "x.localhost:1",
    "127.0.0.1",
    "127.0.0.1:8080",
    "10.1.2.3:8080",
    "[::1]:8080",
    "[fd00::1]",
    "regimed:8080",
    "regimed.lan",
    "told.example.org:8443",
]
FOREIGN = [
    "evil.example",
    "evil.example:8080",
    "127.0.0.1.evil.example",
    "evil.example.",
    "localhost.evil.example",
    "notlocalhost",
    "regimed.evil.example",
    "[evil.example]",
    "127.0.0.1@evil.example",
    "a b",
    "",
]
ASKED = ("/", "/markets/ETH-USDT", "/health", "/api/data/regime/ETH-USDT/1h", "/openapi.json", "/nothing")


async def test_only_names_that_nobody_can_lead_to_us_are_answered(tmp_path):
    """421 on every page and of the API, a page to browsers, a problem to programs; probes go by any name."""
    told = {"link": "https://told.example.org:8443"}
    names = {"hosts": ["regimed", "Regimed.lan"]}
    async with shown(tmp_path, hours=1, http=names, notifications=told) as there:
        for host in OWN:
            for path in ASKED:
                got = await there.client.get(path, headers={"Host": host})
                assert got.status_code != 421, (host, path)
        for host in FOREIGN:
            for path in ASKED:
                got = await there.client.get(path, headers={"Host": host})
                assert got.status_code == 421, (host, path)
                assert "http.hosts names what else" in got.text
                assert got.headers["content-type"] == "text/html; charset=utf-8"
            program = await there.client.get("/", headers={"Host": host, "Accept": "*/*"})
            assert program.status_code == 421
            assert program.headers["content-type"] == "application/problem+json"
            assert program.json()["type"] == "urn:regimed:problem:misdirected"
            for path in ("/health/live", "/health/ready", "/metrics"):
                assert (await there.client.get(path, headers={"Host": host})).status_code == 200


async def test_a_form_from_a_name_that_was_led_to_us_is_refused(tmp_path):
    """Same origin by the browser's own word, and the right token: nothing is recorded."""
    async with shown(tmp_path) as there:
        decision_id = there.open_decision()
        rebound = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
        refused = await there.answered(decision_id, TOKEN, rebound, answer="accept")
        assert refused.status_code == 421
        assert there.actions(decision_id) == []


async def test_of_two_names_both_have_to_be_ours_and_none_is_no_browser(tmp_path):
    """A second Host does not smuggle a name in; HTTP/1.0 without any is answered."""
    async with shown(tmp_path, hours=0) as there:
        for lines, status in (
            ("HTTP/1.1\r\nHost: localhost\r\nHost: evil.example", (400, 421)),
            ("HTTP/1.1\r\nHost: evil.example\r\nHost: localhost", (400, 421)),
            ("HTTP/1.0", (200,)),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(there.base.rpartition(":")[2]))
            writer.write(f"GET / {lines}\r\nConnection: close\r\n\r\n".encode())
            got = (await reader.read()).decode()
            writer.close()
            await writer.wait_closed()
            assert int(got.split()[1]) in status, lines


def test_a_host_in_the_settings_is_a_name_alone():
    """A scheme, a port or a wildcard is refused, so that nobody believes it in force."""
    assert HttpSettings(hosts=("regimed", "a.b-c.example")).hosts == ("regimed", "a.b-c.example")
    for wrong in ("http://a", "a:8080", "*.example", "", "a/b", "."):
        with pytest.raises(ValidationError):
            HttpSettings(hosts=(wrong,))
    assert named_host("[FD00::1]:80") == "fd00::1"
