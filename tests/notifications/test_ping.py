"""The dead-man ping, and the wire below every channel."""

from __future__ import annotations

import httpx
import pytest
from aiohttp import web
from pydantic import SecretStr

from market.errors import NotifyFailed
from notifications.http import Unanswered, is_private_address
from notifications.ping import Ping
from notifications.settings import PingSettings
from tests.notifications.receivers import Receiver


class Switch(Receiver):
    """Counts pings."""

    status = 200

    def routes(self):
        return [web.get("/ping/{id}", self._ping)]

    async def _ping(self, request):
        fault = self.next_fault()
        answer = web.Response(status=self.status, headers={"Location": "/ping/elsewhere"})
        return await self.faulted(request, fault, lambda: answer, lambda: web.Response(status=429))


@pytest.fixture
async def switch():
    async with Switch() as running:
        yield running


def ping(url, deadline_s=5.0, transport=None):
    return Ping(SecretStr(url), PingSettings(url_file="u", deadline_s=deadline_s), transport)


async def test_a_ping_arrives(switch):
    """The switch outside hears us."""
    opened = ping(f"{switch.url}/ping/1")
    await opened.send()
    await opened.send()
    await opened.aclose()
    assert switch.requests == 2


@pytest.mark.parametrize("status", [302, 404, 503])
async def test_any_other_answer_is_a_failure(switch, status):
    """A wrong address must not look like a living switch."""
    switch.status = status
    opened = ping(f"{switch.url}/ping/1")
    with pytest.raises(NotifyFailed, match=rf"^ping: HTTP {status}$"):
        await opened.send()
    await opened.aclose()
    assert switch.requests == 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("slow", r"^ping: no whole answer within 0\.2 s$"),
        ("lost", "^ping: (ReadError|RemoteProtocolError)$"),
    ],
)
async def test_no_answer_is_a_failure(switch, fault, said):
    """It ends within its deadline and names nothing but itself."""
    switch.faults.append(fault)
    opened = ping(f"{switch.url}/ping/1", deadline_s=0.2 if fault == "slow" else 5.0)
    with pytest.raises(Unanswered, match=said):
        await opened.send()
    await opened.aclose()


async def test_nobody_listens(switch):
    """A closed port is the plainest failure."""
    await switch.down()
    opened = ping(f"{switch.url}/ping/1")
    with pytest.raises(NotifyFailed, match=r"^ping: no connection \(ConnectError\)$"):
        await opened.send()
    await opened.aclose()


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectTimeout("secret"), NotifyFailed),
        (httpx.PoolTimeout("secret"), NotifyFailed),
        (httpx.ReadTimeout("secret"), Unanswered),
        (httpx.WriteError("secret"), Unanswered),
        (httpx.DecodingError("secret"), Unanswered),
        (httpx.StreamClosed(), Unanswered),
    ],
)
async def test_errors_of_the_library_stay_inside(error, kind):
    """What leaves says whether a request may have been taken, and neither quotes nor chains the cause."""

    def fail(request):
        raise error

    opened = ping("https://there/ping/secret", transport=httpx.MockTransport(fail))
    with pytest.raises(NotifyFailed) as raised:
        await opened.send()
    assert type(raised.value) is kind
    assert raised.value.__suppress_context__
    assert "secret" not in str(raised.value)
    await opened.aclose()


async def test_an_address_that_is_none_is_a_failure():
    """A mistyped address is a failure of the channel, never of the daemon."""
    opened = ping("https://there:secret/")
    with pytest.raises(NotifyFailed, match=r"^ping: its address cannot be used$"):
        await opened.send()
    await opened.aclose()


@pytest.mark.parametrize(
    ("address", "private"),
    [
        ("https://hc.example/1", True),
        ("http://127.0.0.1:8000/1", True),
        ("http://[::1]:8000/1", True),
        ("http://localhost/1", True),
        ("http://hc.example/1", False),
        ("http://10.0.0.1/1", False),
        ("ftp://127.0.0.1/1", False),
        ("https://", False),
        ("there", False),
        ("https://there:1x/", False),
    ],
)
def test_which_addresses_nobody_on_the_way_can_read(address, private):
    """https, or http to this machine."""
    assert is_private_address(address) is private
