"""The file of a waiting notice: one JSON object, which ends with the digest of all before it.

A flipped bit shows by that: one in a channel's name would else read as a channel that left the configuration,
and the notice would be dropped. An earlier version wrote no digest, and fewer fields; what it left is read by
its fields alone, and no name that is not one of them is taken for one.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from market.errors import DataInvalid
from market.hours import instant_iso, parse_instant
from notifications.notice import Kind, Level, Notice

_SEAL = re.compile(rb',"digest":"(sha256:[0-9a-f]{64})"\}')
_SEAL_BYTES = len(b',"digest":"sha256:"}') + 64


def _instant(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("expected the form 2026-02-02T15:00:05Z")  # noqa: TRY004 pydantic takes no other
    return parse_instant(value)


Instant = Annotated[datetime, BeforeValidator(_instant)]


class _File(BaseModel):
    """What the file says; an earlier version did not write what has a default."""

    model_config = ConfigDict(extra="forbid")

    dedupe: str
    market: str
    level: Level
    title: str
    body: str
    at: Instant
    left: Annotated[list[str], Field(min_length=1)]
    put_at: Instant | None = None
    kind: Kind = Kind.MARKET
    grid_id: str = ""
    exit_state: str | None = None
    decision: str = ""


@dataclass(frozen=True, slots=True)
class NoticeFile:
    """What a waiting notice's file holds.

    Attributes:
        put_at: When it was made durable.
        left: Channels that have not taken it; at least one.
        is_sealed: It has its digest; False for one that an earlier version wrote.
    """

    notice: Notice
    put_at: datetime
    left: tuple[str, ...]
    is_sealed: bool = True


def encode_notice(notice: Notice, put_at: datetime, left: list[str]) -> bytes:
    """Return the bytes of a file, sealed."""
    content = orjson.dumps(
        {
            **asdict(notice),
            "level": notice.level.value,
            "at": instant_iso(notice.at),
            "put_at": instant_iso(put_at),
            "left": left,
        }
    )
    body = content.removesuffix(b"}")
    return body + b',"digest":"' + _digest(body) + b'"}'


def decode_notice(data: bytes, where: str) -> NoticeFile:
    """Return what a file holds.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    seal = _SEAL.fullmatch(data, max(len(data) - _SEAL_BYTES, 0))
    if seal is not None:
        body = data[:-_SEAL_BYTES]
        if (found := _digest(body)) != seal[1]:
            problem = f"{seal[1].decode()}, the content gives {found.decode()}"
            raise DataInvalid(where, "digest", problem)
        data = body + b"}"
    try:
        told = _File.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        shown = f"{first['input']!r:.80}: " if field else ""
        problem = f"{shown}{first['msg']}; expected a notice as the outbox wrote it"
        raise DataInvalid(where, field, problem) from None
    notice = Notice(
        dedupe=told.dedupe,
        market=told.market,
        level=told.level,
        title=told.title,
        body=told.body,
        at=told.at,
        kind=told.kind,
        grid_id=told.grid_id,
        exit_state=told.exit_state,
        decision=told.decision,
    )
    return NoticeFile(notice, told.put_at or told.at, tuple(told.left), seal is not None)


def _digest(body: bytes) -> bytes:
    return b"sha256:" + hashlib.sha256(body).hexdigest().encode()
