"""Sending an answer that has a name: 304 to who has it already, gzip to who takes it."""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web
from aiohttp.hdrs import ACCEPT_ENCODING, IF_NONE_MATCH

from daemon.api.answers import WORTH_BYTES, Answer, AnswerCache
from daemon.api.negotiation import GZIP_MARK, takes_gzip, unchanged
from daemon.api.threads import Workshop


async def sent(
    request: web.Request,
    answer: Answer,
    headers: Mapping[str, str],
    workshop: Workshop,
    cache: AnswerCache,
) -> web.Response:
    """Return the response; it is compressed in the workshop, once for all who take it so."""
    if unchanged(request.headers.get(IF_NONE_MATCH), answer.etag):
        return not_modified(request, answer.etag, headers["Cache-Control"])
    body, mark, coding = answer.body, "", {}
    if len(body) >= WORTH_BYTES and takes_gzip(request.headers.get(ACCEPT_ENCODING, "")):
        if answer.zipped is None:
            await workshop.run(answer.zip)
            cache.keep(answer)
        body, mark, coding = answer.zip(), GZIP_MARK, {"Content-Encoding": "gzip"}
    tag = {} if answer.etag is None else {"ETag": f'"{answer.etag}{mark}"'}
    return web.Response(body=body, headers={"Vary": "Accept-Encoding", **headers, **coding, **tag})


def not_modified(request: web.Request, etag: str | None, caching: str = "no-cache") -> web.Response:
    """Return 304 under the tag that the client named."""
    zipped = f'{etag}{GZIP_MARK}"' in request.headers[IF_NONE_MATCH]
    tag = f'"{etag}{GZIP_MARK if zipped else ""}"'
    headers = {"ETag": tag, "Cache-Control": caching, "Vary": "Accept-Encoding"}
    return web.Response(status=304, headers=headers)
