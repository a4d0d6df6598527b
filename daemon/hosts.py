"""Under which names this program is asked: a page elsewhere must not read ours by a name that it moved to us.

By DNS rebinding a stranger's name leads to our address, so that a browser takes our answers for the
stranger's own. The name still stands in `Host`. An address, or a name of this machine, nobody can move to us.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from aiohttp import web
from aiohttp.hdrs import ACCEPT, HOST
from aiohttp.typedefs import Handler, Middleware

from daemon.api.problems import Problem, shown
from daemon.dashboard import wrong_page

# probes and scrapers ask by many names; what these say is no secret: figures, no advice and no account's key
ANY_NAME = frozenset({"/health/live", "/health/ready", "/metrics"})


def named_host(text: str) -> str:
    """Return the name in a `Host`, without port, in lower case."""
    name, bracket, _ = text.partition("]")
    name = name.removeprefix("[") if bracket else text.partition(":")[0]
    return name.lower().removesuffix(".")


def only_by_name(hosts: Iterable[str]) -> Middleware:
    """Return what refuses requests under names other than these, this machine's own and addresses.

    Who sends no Host is no browser. Stands within what tells a Problem.
    """
    known = frozenset(map(named_host, hosts))

    @web.middleware
    async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in ANY_NAME:
            for host in request.headers.getall(HOST, ()):
                name = named_host(host)
                if name not in known and not _is_our_own(name):
                    why = f"this program is not {shown(name)}; http.hosts names what else it is reached by"
                    if "text/html" in request.headers.get(ACCEPT, "").lower():
                        return wrong_page(421, why)
                    raise Problem(421, why)
        return await handler(request)

    return checked


def _is_our_own(name: str) -> bool:
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
