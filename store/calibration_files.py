"""Calibration files: once a month, what the probabilities of a market were worth so far."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from decisions.inputs import Calibration, EdgeBand
from market.errors import DataInvalid
from market.hours import instant_iso, micros, parse_instant
from market.keys import checked_key
from store import disk, yaml_text
from store.seal import digest_of_bytes, validated

SCHEMA_VERSION = 1
_MONTH = re.compile(r"(\d{4}-\d{2})\.yaml")


class CalibrationFile(BaseModel):
    """What `calibration/{key}/{YYYY-MM}.yaml` holds; `report` is what `regimed calibrate` prints as JSON."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    schema_version: Literal[1]
    key: str
    month: str
    known_at: str
    config_hash: str
    engine_version: int
    bars_only: bool
    report: dict[str, Any]

    def edge_by_band(self) -> tuple[EdgeBand, ...]:
        """Return the bands in which the edge was measured.

        Raises:
            LookupError, TypeError: The report has no such table.
        """
        bands = self.report["models"]["evidence"]["edge_by_band"]
        return tuple(EdgeBand(**band) for band in bands if band["net_bps_24h"] is not None)


@dataclass(frozen=True, slots=True)
class InForce:
    """The newest calibration known at an instant, and what a record names it by."""

    calibration: Calibration
    known_at: datetime
    digest: str


def calibration_path(key: str, month: str) -> str:
    """Return where the record of a month (`2026-02`) lies."""
    return f"calibration/{checked_key(key)}/{month}.yaml"


def encode_calibration(file: CalibrationFile) -> bytes:
    """Return the record as YAML; equal records give equal bytes."""
    return yaml_text.dump(file.model_dump(mode="json"))


def calibration_file(
    key: str,
    known_at: datetime,
    config_hash: str,
    engine_version: int,
    *,
    bars_only: bool,
    report: dict[str, Any],
) -> tuple[str, CalibrationFile]:
    """Return path and record of a calibration made at an instant."""
    month = f"{known_at:%Y-%m}"
    made = CalibrationFile(
        schema_version=1,
        key=key,
        month=month,
        known_at=instant_iso(known_at),
        config_hash=config_hash,
        engine_version=engine_version,
        bars_only=bars_only,
        report=report,
    )
    return calibration_path(key, month), made


def decode_calibration(data: bytes, path: str) -> CalibrationFile:
    """Return the record in `data`, agreeing with its path.

    Raises:
        DataInvalid: Names file, field, what was found and what was expected.
    """
    file = validated(CalibrationFile, yaml_text.load_record(data, path, SCHEMA_VERSION), path)
    if f"calibration/{file.key}/{file.month}.yaml" != path:
        raise DataInvalid(path, "key, month", f"{file.key} {file.month}, but the path names another")
    try:
        parse_instant(file.known_at)
        file.edge_by_band()
    except (LookupError, TypeError, ValueError) as error:
        raise DataInvalid(path, "report", f"no table edge_by_band, or no instant: {error!r}") from None
    return file


class CalibrationShelf:
    """The calibration records of one repository, each read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._read: dict[str, tuple[int, InForce | None]] = {}
        self.faults: dict[str, str] = {}

    def in_force(self, key: str, at: datetime) -> InForce | None:
        """Return the newest record of a market that was known before `at`, None where there is none."""
        folder = f"calibration/{checked_key(key)}"
        for name in reversed(disk.names_in(self._root / folder)):
            if not _MONTH.fullmatch(name) or name[:7] > f"{at:%Y-%m}":
                continue
            found = self._record(f"{folder}/{name}")
            if found is not None and micros(found.known_at) < micros(at):
                return found
        return None

    def _record(self, path: str) -> InForce | None:
        try:
            changed = (self._root / path).stat().st_mtime_ns
            kept = self._read.get(path)
            if kept is not None and kept[0] == changed:
                return kept[1]
            data = (self._root / path).read_bytes()
            file = decode_calibration(data, path)
        except (DataInvalid, OSError) as error:
            self.faults[path] = str(error)
            return None
        calibration = Calibration(path, file.edge_by_band())
        found = InForce(calibration, parse_instant(file.known_at), digest_of_bytes(data))
        self._read[path] = changed, found
        return found
