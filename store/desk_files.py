"""The paper desk's hours: `desk/{YYYY-MM-DD}/{HH}.json`, written once, each the mark that its hour is done.

A file says what the desk knew, found and did in the hour, and how desk and simulated exchange stood at its
end: the next hour starts from there. So a desk that is started anew goes on as if it had never stopped, and
an hour that died before its commit is run again and gives the same bytes. What stands in report, state and
venue is for those who wrote it; here it is plain JSON that reads back as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel

from market.errors import DataInvalid
from market.hours import Hour, parse_instant
from market.keys import checked_key
from market.snapshot import digest_of
from store import disk
from store.paths import desk_path, parse_desk
from store.records import Read
from store.seal import validated

SCHEMA_VERSION = 1
_FORM = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE


class DeskMarketJson(BaseModel):
    """By what the desk knew a market in the hour: as its record names it."""

    model_config = Read

    known_at: str
    window_digest: str
    outcome: Literal["analysed", "insufficient", "no_data"]


class DeskFile(BaseModel):
    """What `desk/{YYYY-MM-DD}/{HH}.json` holds.

    Attributes:
        after: The hour of the desk that it goes on from; None for the first.
        markets: The markets that took part, by key.
        absent: Those that did not, by key, and why.
        hour_report: What was found and done.
        state: The desk at the end of the hour.
        venue: The simulated exchange at the end of the hour.
        digest: Over all the rest.
    """

    model_config = Read

    schema_version: Literal[1]
    hour: str
    config_hash: str
    after: str | None
    markets: dict[str, DeskMarketJson]
    absent: dict[str, str]
    hour_report: dict[str, Any]
    state: dict[str, Any]
    venue: dict[str, Any]
    digest: str

    @property
    def of_hour(self) -> Hour:
        return Hour.parse(self.hour)


@dataclass(frozen=True, slots=True)
class DeskRecord:
    """An hour's file with its bytes, so that nothing is left to go wrong when it is committed."""

    file: DeskFile
    data: bytes

    @property
    def path(self) -> str:
        return desk_path(self.file.of_hour)


def desk_record(
    hour: Hour,
    config_hash: str,
    after: Hour | None,
    markets: Mapping[str, DeskMarketJson],
    absent: Mapping[str, str],
    hour_report: Mapping[str, Any],
    state: Mapping[str, Any],
    venue: Mapping[str, Any],
) -> DeskRecord:
    """Return the record of an hour, as it will be read back.

    Raises:
        DataInvalid: Something in it is not plain JSON, or would read back as something else.
    """
    content = {
        "schema_version": SCHEMA_VERSION,
        "hour": hour.iso(),
        "config_hash": config_hash,
        "after": None if after is None else after.iso(),
        "markets": {key: market.model_dump() for key, market in markets.items()},
        "absent": dict(absent),
        "hour_report": dict(hour_report),
        "state": dict(state),
        "venue": dict(venue),
    }
    where = desk_path(hour)
    try:
        value = {**content, "digest": digest_of(content)}
        data = orjson.dumps(value, option=_FORM)
    except TypeError as error:  # another kind of value, or an integer beyond 64 bits
        raise DataInvalid(where, "", f"{error}; expected plain JSON") from None
    file = decode_desk(data, where, hour)
    if (file.hour_report, file.state, file.venue) != tuple(
        content[name] for name in ("hour_report", "state", "venue")
    ):
        raise DataInvalid(where, "hour_report, state, venue", "would read back as something else")
    return DeskRecord(file, data)


def decode_desk(data: bytes, where: str, hour: Hour | None = None) -> DeskFile:
    """Return the record in `data`, exactly as it was written and agreeing with its path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DataInvalid(where, "", f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DataInvalid(where, "", f"{type(value).__name__}, expected a JSON object")
    if value.get("schema_version") != SCHEMA_VERSION:
        told = value.get("schema_version")
        raise DataInvalid(where, "schema_version", f"{told!r}, expected 1; written by a newer program?")
    file = validated(DeskFile, value, where)
    if hour is not None and _hour(file.hour, where, "hour") != hour:
        raise DataInvalid(where, "hour", f"{file.hour}, but the path names {hour.iso()}")
    own = _hour(file.hour, where, "hour")
    if file.after is not None and _hour(file.after, where, "after") >= own:
        raise DataInvalid(where, "after", f"{file.after}, expected an hour before {file.hour}")
    _check_markets(file, where)
    found = digest_of({name: part for name, part in value.items() if name != "digest"})
    if found != file.digest:
        raise DataInvalid(where, "digest", f"{file.digest}, the content gives {found}")
    if orjson.dumps(value, option=_FORM) != data:
        raise DataInvalid(where, "", "not the bytes that this record is written with")
    return file


def _hour(text: str, where: str, field: str) -> Hour:
    try:
        hour = Hour.parse(text)
    except ValueError as error:
        raise DataInvalid(where, field, str(error)) from None
    if hour.iso() != text:
        raise DataInvalid(where, field, f"{text!r}, expected the form {hour.iso()}")
    return hour


def _check_markets(file: DeskFile, where: str) -> None:
    if twice := sorted(set(file.markets) & set(file.absent)):
        raise DataInvalid(where, f"absent.{twice[0]}", "it took part, too")
    if not file.markets and not file.absent:
        raise DataInvalid(where, "markets, absent", "no market at all")
    for field, keys in (("markets", file.markets), ("absent", file.absent)):
        for key in keys:
            try:
                checked_key(key)
            except ValueError as error:
                raise DataInvalid(where, field, str(error)) from None
    for key, market in file.markets.items():
        try:
            parse_instant(market.known_at)
        except ValueError as error:
            raise DataInvalid(where, f"markets.{key}.known_at", str(error)) from None


def read_desk(root: Path, hour: Hour) -> DeskFile | None:
    """Return the desk's record of an hour, None where there is none; errors as `decode_desk`."""
    path = desk_path(hour)
    data = disk.read(root / path)
    return None if data is None else decode_desk(data, path, hour)


def desk_hours(root: Path) -> Iterator[Hour]:
    """Yield the hours that the desk has done, newest first, by the names of the files alone."""
    for day in reversed(disk.names_in(root / "desk")):
        for name in reversed(disk.names_in(root / "desk" / day)):
            if hour := parse_desk(f"desk/{day}/{name}"):
                yield hour


def newest_desk(root: Path) -> DeskFile | None:
    """Return the desk's newest record, None where there is none; errors as `decode_desk`."""
    newest = next(desk_hours(root), None)
    return None if newest is None else read_desk(root, newest)
