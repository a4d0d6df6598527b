"""The records of a data repository, through the store's readers, each file kept while it stays the same."""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from dashboard.reading.files import FileCache, Sign, sign_of
from grid.record import GridRecord
from market.errors import DataInvalid
from market.hours import HOUR_S, Hour
from market.keys import checked_key
from store import disk, yaml_text
from store.calibration_files import CalibrationFile, decode_calibration
from store.decision_files import (
    ActionFile,
    DecisionFile,
    action_path,
    decision_path,
    decode_action,
    decode_decision,
    evaluation_path,
)
from store.glance import AdviceGlance, HourGlance, glance_at_advice, glance_at_metrics
from store.grids import GridShelf
from store.kpi_files import KpisFile, decode_kpis
from store.ledger import Ledger
from store.outcomes import EvaluationFile, decode_evaluation
from store.paths import config_path, metrics_path, parse_metrics
from store.records import MetricsFile, decode_metrics

Hours = NDArray[np.int64]
NO_HOURS: Hours = np.empty(0, dtype=np.int64)
_NAME_LENGTH = len("2026-02-02-14.yaml")
_MARKETS_KEPT = 4000


@dataclass(frozen=True, slots=True)
class Grids:
    """The grids of a repository by id, and the files that are not valid, by path."""

    records: dict[str, GridRecord]
    faults: dict[str, str]

    def of_market(self, key: str) -> list[GridRecord]:
        return [record for record in self.records.values() if record.market == key]


class RecordShelf:
    """Reads one data repository; any thread. Everything raises DataInvalid where a file is damaged."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._base = os.fspath(root)
        self._glances: FileCache[HourGlance] = FileCache(root, glance_at_metrics, 60_000)
        self._metrics: FileCache[MetricsFile] = FileCache(root, _metrics, 256)
        self._advice_glances: FileCache[AdviceGlance] = FileCache(root, glance_at_advice, 20_000)
        self._decisions: FileCache[DecisionFile] = FileCache(root, decode_decision, 2_000)
        self._actions: FileCache[ActionFile] = FileCache(root, decode_action, 4_000)
        self._evaluations: FileCache[EvaluationFile] = FileCache(root, decode_evaluation, 6_000)
        self._kpis: FileCache[KpisFile] = FileCache(root, decode_kpis, 64)
        self._calibrations: FileCache[CalibrationFile] = FileCache(root, decode_calibration, 256)
        self._configs: FileCache[object] = FileCache(root, yaml_text.load, 32)
        self._shelf, self._shelf_lock = GridShelf(root), Lock()
        self._judged: OrderedDict[str, tuple[Sign, Hours]] = OrderedDict()
        self._judged_lock = Lock()

    def judged(self, key: str) -> Hours:
        """Return the judged hours of a market, oldest first, by the names of the files alone."""
        folder = f"{self._base}/metrics/{checked_key(key)}"
        sign = sign_of(folder)
        if sign is None:
            return NO_HOURS
        with self._judged_lock:
            kept = self._judged.get(key)
        # a folder may change twice within one tick of its clock: the hour that comes next is asked for
        if kept is not None and kept[0] == sign and not self._has_next(key, kept[1]):
            return kept[1]
        hours = self._listed(key, folder)
        with self._judged_lock:
            self._judged[key] = sign, hours
            self._judged.move_to_end(key)
            while len(self._judged) > _MARKETS_KEPT:
                self._judged.popitem(last=False)
        return hours

    def _has_next(self, key: str, hours: Hours) -> bool:
        return (
            len(hours) > 0
            and sign_of(f"{self._base}/{metrics_path(key, Hour(int(hours[-1]) + 1))}") is not None
        )

    def _listed(self, key: str, folder: str) -> Hours:
        names = [
            name
            for name in disk.names_in(Path(folder))
            if len(name) == _NAME_LENGTH and name.endswith(".yaml")
        ]
        try:
            texts = [f"{name[:10]}T{name[11:13]}" for name in names]
            return np.array(texts, dtype="datetime64[h]").astype(np.int64)
        except ValueError:  # a name that is no hour's: the ledger knows them all
            return np.array([hour.index for hour in Ledger(self.root).judged_hours(key)], dtype=np.int64)

    def glances(self, key: str, hours: Hours) -> tuple[list[HourGlance], list[DataInvalid]]:
        """Return the hours at a glance, those that can be read, and the damage of the others."""
        found: list[HourGlance] = []
        damaged: list[DataInvalid] = []
        texts = np.datetime_as_string(hours.astype("datetime64[h]"))
        for text in texts.tolist():
            try:
                glance = self._glances.read(f"metrics/{key}/{text[:10]}-{text[11:13]}.yaml")
            except DataInvalid as error:
                damaged.append(error)
            else:
                if glance is not None:
                    found.append(glance)
        return found, damaged

    def glance(self, key: str, hour: Hour) -> HourGlance | None:
        """Return one hour at a glance, None without a record."""
        return self._glances.read(metrics_path(key, hour))

    def metrics(self, key: str, hour: Hour) -> MetricsFile | None:
        """Return an hour's whole record, None where there is none."""
        return self._metrics.read(metrics_path(key, hour))

    def advice_at_a_glance(self, decision_id: str) -> AdviceGlance | None:
        return self._advice_glances.read(_decision_path(decision_id))

    def decision(self, decision_id: str) -> DecisionFile | None:
        return self._decisions.read(_decision_path(decision_id))

    def actions(self, decision_id: str) -> list[ActionFile]:
        """Return what was done about a recommendation, in the order of the numbers."""
        found: list[ActionFile] = []
        while (action := self._actions.read(action_path(decision_id, len(found) + 1))) is not None:
            found.append(action)
        return found

    def has_action(self, decision_id: str) -> bool:
        return sign_of(f"{self._base}/{action_path(decision_id, 1)}") is not None

    def evaluation(self, decision_id: str, horizon: str) -> EvaluationFile | None:
        return self._evaluations.read(evaluation_path(decision_id, horizon))

    def kpis(self, path: str) -> KpisFile | None:
        return self._kpis.read(path)

    def calibration(self, path: str) -> CalibrationFile | None:
        return self._calibrations.read(path)

    def config(self, config_hash: str) -> object:
        """Return the effective configuration of a hash as plain values, None where it is not recorded."""
        try:
            return self._configs.read(config_path(config_hash))
        except ValueError as error:
            raise DataInvalid("configs", "", str(error)) from None

    def grids(self) -> Grids:
        with self._shelf_lock:
            return Grids(dict(self._shelf.records()), dict(self._shelf.faults))

    def stamp_of(self, path: str) -> Sign | None:
        """Return what changes with a file or folder of the repository."""
        return sign_of(f"{self._base}/{path}")


def opens_ts(hours: Hours) -> Hours:
    """Return the opens of hours, epoch seconds."""
    return hours * HOUR_S


def _decision_path(decision_id: str) -> str:
    try:
        return decision_path(decision_id)
    except ValueError as error:
        raise DataInvalid("decisions", "id", str(error)) from None


def _metrics(data: bytes, path: str) -> MetricsFile:
    return decode_metrics(data, path, parse_metrics(path))
