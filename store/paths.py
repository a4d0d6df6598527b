"""The layout of the data repository: every path, and what may happen to a file that lies there."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum

from market.errors import DataInvalid
from market.hours import Hour, Timeframe
from market.keys import KEY_FORM, checked_key


class Kind(Enum):
    """What the history of a path may look like."""

    WRITE_ONCE = "write-once"
    APPEND_ONLY = "append-only"
    VERSIONED = "versioned"
    QUARANTINE = "quarantine"
    FOREIGN = "foreign"  # not ours: the operator's notes, a README
    MISPLACED = "misplaced"  # in a folder of ours under a name that is not ours


_DATE = r"\d{4}-\d{2}-\d{2}"
_ID = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_SNAPSHOT = re.compile(
    rf"snapshots/(?P<key>{KEY_FORM})/(\d{{4}})/(\d{{2}})/(\d{{2}})/(\d{{2}})(?:\.partial-([1-9]\d{{0,5}}))?\.json"
)
_CANDLES = re.compile(
    rf"candles/(?P<key>{KEY_FORM})/(5m|15m|1h|4h)/(\d{{4}})-(\d{{2}})(?:\.to-(\d{{2}})T(\d{{2}}))?\.json"
)
_METRICS = re.compile(rf"metrics/(?P<key>{KEY_FORM})/({_DATE})-(\d{{2}})\.yaml")
_SHADOW = re.compile(rf"shadow/(?P<key>{KEY_FORM})/({_DATE})/(\d{{2}})\.yaml")
_DESK = re.compile(rf"desk/({_DATE})/(\d{{2}})\.json")
_TRADES = re.compile(r"trades/(\d{4})-(\d{2})\.jsonl")
_CONFIG = re.compile(r"configs/([0-9a-f]{8,64})\.yaml")
_GRID = re.compile(rf"grids/({_ID})\.yaml")
_WRITE_ONCE = re.compile(
    rf"configs/[0-9a-f]{{8,64}}\.yaml|decisions/{_DATE}/dec-{_ID}\.yaml|calibration/{KEY_FORM}/\d{{4}}-\d{{2}}\.yaml|kpis/{_DATE}\.yaml"
)
_APPEND_ONLY = re.compile(rf"exit_states/{KEY_FORM}/{_DATE}\.yaml")
OWNED = (
    "snapshots",
    "candles",
    "metrics",
    "shadow",
    "decisions",
    "calibration",
    "configs",
    "kpis",
    "exit_states",
    "desk",
    "trades",
    "grids",
    "quarantine",
)
_MONTH_LONGEST = timedelta(days=32)


@dataclass(frozen=True, slots=True)
class SnapshotName:
    """What a snapshot's path says; `partial` is None for the complete hour, else 1, 2, ..."""

    key: str
    hour: Hour
    partial: int | None

    @property
    def path(self) -> str:
        suffix = "" if self.partial is None else f".partial-{self.partial}"
        return f"{snapshot_folder(self.key, self.hour)}/{self.hour.index % 24:02}{suffix}.json"


@dataclass(frozen=True, slots=True)
class CandlesName:
    """What a candle file's path says; `to` (exclusive) is None for the month's final file."""

    key: str
    timeframe: Timeframe
    month: datetime
    to: datetime | None

    @property
    def path(self) -> str:
        suffix = "" if self.to is None else f".to-{self.to:%d}T{self.to:%H}"
        return f"candles/{checked_key(self.key)}/{self.timeframe.value}/{self.month:%Y-%m}{suffix}.json"


def snapshot_folder(key: str, hour: Hour) -> str:
    day = hour.opens_at
    return f"snapshots/{checked_key(key)}/{day.year:04}/{day.month:02}/{day.day:02}"


def metrics_path(key: str, hour: Hour) -> str:
    return f"metrics/{checked_key(key)}/{hour.opens_at:%Y-%m-%d-%H}.yaml"


def shadow_path(key: str, hour: Hour) -> str:
    """Return where the shadow configuration's judgement of an hour lies."""
    return f"shadow/{checked_key(key)}/{hour.opens_at:%Y-%m-%d/%H}.yaml"


def desk_path(hour: Hour) -> str:
    """Return where the paper desk's hour lies."""
    return f"desk/{hour.opens_at:%Y-%m-%d/%H}.json"


def trades_path(exit_at: datetime) -> str:
    """Return where a trade that ended at `exit_at` is told: in the month of its exit."""
    return f"trades/{exit_at:%Y-%m}.jsonl"


def config_path(config_hash: str) -> str:
    """Return where the configuration of this hash lies; `sha256:` in front is left out.

    Raises:
        ValueError: Not a hexadecimal hash.
    """
    path = f"configs/{config_hash.removeprefix('sha256:')}.yaml"
    if not _CONFIG.fullmatch(path):
        raise ValueError(f"{config_hash!r} is not a configuration hash; expected 8 to 64 hexadecimal digits")
    return path


def quarantine_paths(path: str, taken: Callable[[str], bool]) -> tuple[str, str]:
    """Return where a refused file goes and where its reason stands; the first number not taken."""
    number = 1
    while taken(f"quarantine/{path}.{number}"):
        number += 1
    return f"quarantine/{path}.{number}", f"quarantine/{path}.{number}.reason.yaml"


def month_of(instant: datetime) -> datetime:
    """Return the first instant of the month that holds `instant`."""
    return datetime(instant.year, instant.month, 1, tzinfo=UTC)


def month_after(month: datetime) -> datetime:
    return month_of(month + _MONTH_LONGEST)


def checked_path(path: str) -> str:
    """Return `path` if it stays inside the repository and out of Git's own folder.

    Raises:
        DataInvalid: Absolute, with `..`, an empty or a `.git` part, or with control characters.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts) or "\\" in path:
        raise DataInvalid(repr(path), "", "not a path inside the data repository")
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path):
        raise DataInvalid(repr(path), "", "control characters in a path")
    return path


def parse_snapshot(path: str) -> SnapshotName | None:
    """Return what a snapshot's path says, None for any other path."""
    found = _SNAPSHOT.fullmatch(path)
    if not found:
        return None
    key, year, month, day, hour, partial = found.groups()
    try:
        opens = datetime(int(year), int(month), int(day), int(hour), tzinfo=UTC)
        return SnapshotName(checked_key(key), Hour.of(opens), int(partial) if partial else None)
    except ValueError:
        return None


def parse_candles(path: str) -> CandlesName | None:
    """Return what a candle file's path says, None for any other path."""
    found = _CANDLES.fullmatch(path)
    if not found:
        return None
    key, timeframe, year, month, to_day, to_hour = found.groups()
    try:
        first = datetime(int(year), int(month), 1, tzinfo=UTC)
        to = first.replace(day=int(to_day), hour=int(to_hour)) if to_day else None
        return CandlesName(checked_key(key), Timeframe(timeframe), first, to)
    except ValueError:
        return None


def parse_metrics(path: str) -> tuple[str, Hour] | None:
    """Return key and hour of a metrics file's path, None for any other path."""
    return _key_and_hour(_METRICS, path)


def parse_shadow(path: str) -> tuple[str, Hour] | None:
    """Return key and hour of a shadow judgement's path, None for any other path."""
    return _key_and_hour(_SHADOW, path)


def parse_desk(path: str) -> Hour | None:
    """Return the hour of a desk file's path, None for any other path."""
    found = _DESK.fullmatch(path)
    try:
        return None if found is None else Hour.parse("T".join(found.groups()))
    except ValueError:
        return None


def parse_trades(path: str) -> datetime | None:
    """Return the month of a trade log's path, None for any other path."""
    found = _TRADES.fullmatch(path)
    try:
        return None if found is None else datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
    except ValueError:
        return None


def _key_and_hour(form: re.Pattern[str], path: str) -> tuple[str, Hour] | None:
    found = form.fullmatch(path)
    if not found:
        return None
    key, date, hour = found.groups()
    try:
        return checked_key(key), Hour.parse(f"{date}T{hour}")
    except ValueError:
        return None


def parse_grid(path: str) -> str | None:
    """Return the grid's id, None for any other path."""
    found = _GRID.fullmatch(path)
    return found.group(1) if found else None


def classify(path: str) -> Kind:
    """Return what may happen to `path`."""
    folder, _, rest = path.partition("/")
    if folder not in OWNED:
        return Kind.FOREIGN
    dated = parse_snapshot(path) or parse_candles(path) or parse_metrics(path) or parse_shadow(path)
    if dated or parse_desk(path) or _WRITE_ONCE.fullmatch(path):
        return Kind.WRITE_ONCE
    if parse_trades(path) or _APPEND_ONLY.fullmatch(path):
        return Kind.APPEND_ONLY
    if _GRID.fullmatch(path):
        return Kind.VERSIONED
    if folder == "quarantine" and rest:
        return Kind.QUARANTINE
    return Kind.MISPLACED
