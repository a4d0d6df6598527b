"""Answers from the records of the data repository: what there is, as it lies there. Blocking."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import orjson

from daemon.api import routes
from daemon.api.cursors import cursor_at, place_of
from daemon.api.problems import Problem
from daemon.regime_forms import recorded_from, time_of
from daemon.regimes import RegimeHistory
from grid.record import as_value
from market.errors import DataInvalid
from market.hours import Hour, Timeframe, instant_of_ts
from regime.series import STORED
from store import disk
from store.advice import read_advice
from store.decision_files import DecisionFile, decision_of, decision_path, decode_decision
from store.grids import GridShelf
from store.kpi_files import decode_kpis
from store.ledger import snapshots_of_hour

_TIMEFRAMES = [each.value for each in Timeframe]
READ_AT_ONCE = 200  # records of decisions that one page reads; `next` goes on
_CLOSED = re.compile(r"-(\d{6})(?:-|$)")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """Where a recommendation stands in the list: by the close of its hour, then by its name."""

    closed: str
    id: str

    def __str__(self) -> str:
        return f"{self.closed} {self.id}"


class Records:
    """Reads one data repository; any thread.

    Args:
        root: The work tree.
        history: Knows how far each market is stored.
        markets: Configured keys.
    """

    def __init__(self, root: Path, history: RegimeHistory, markets: tuple[str, ...]) -> None:
        self._root, self._history, self._markets = root, history, markets
        self._decision = lru_cache(maxsize=4096)(self._read_decision)
        self.answers: Mapping[str, Callable[[Mapping[str, Any]], bytes]] = {
            routes.MARKETS.name: self._of_markets,
            routes.SNAPSHOT.name: self._of_snapshot,
            routes.DECISIONS.name: self._of_decisions,
            routes.DECISION.name: self._of_decision,
            routes.GRIDS.name: self._of_grids,
            routes.KPIS.name: self._of_kpis,
        }

    def _of_markets(self, _: Mapping[str, Any]) -> bytes:
        known = {span.key: span for span in self._history.markets()}
        told = []
        for key in sorted({*known, *self._markets}):
            span = known.get(key)
            stored: Mapping[Timeframe, int] = {} if span is None else span.stored_to
            told.append(
                {
                    "symbol": key,
                    "configured": key in self._markets,
                    "start": None if span is None else time_of(span.start_ts),
                    "end": None if span is None else time_of(span.end_ts),
                    "recorded_from": dict.fromkeys(_TIMEFRAMES) if span is None else recorded_from(span),
                    "stored_to": {
                        each.value: time_of(stored[each]) if each in stored else None for each in STORED
                    },
                }
            )
        return orjson.dumps({"markets": told})

    def _of_snapshot(self, asked: Mapping[str, Any]) -> bytes:
        key, hour = asked["key"], asked["hour"]
        names = snapshots_of_hour(self._root, key, hour)
        if not names:
            raise Problem(404, f"nothing was collected of {key} in the hour {hour}")
        name = next((name for name in names if name.partial is None), None)
        newest = name or max(names, key=lambda each: each.partial or 0)
        return self._bytes(newest.path)

    def _of_decisions(self, asked: Mapping[str, Any]) -> bytes:
        market, since = asked["market"], asked["since"]
        question = f"{routes.DECISIONS.name} {market}"
        before = None if asked["cursor"] is None else place_of(question, asked["cursor"])
        first = "" if since is None else f"{instant_of_ts(since):%Y-%m-%dT%H%M%S}"
        most = min(asked["limit"], READ_AT_ONCE)
        told: list[dict[str, Any]] = []
        damaged: list[str] = []
        last, more = None, False
        for place, actions in self._places(market, first, before):
            if len(told) + len(damaged) == most:
                more = True
                break
            last = place
            try:
                summary = self._decision(place.id)
                if market is None or summary["market"] == market:
                    told.append(summary | {"actions": actions})
            except DataInvalid:
                damaged.append(place.id)
            except FileNotFoundError:
                continue  # it went to quarantine a moment ago
        following = cursor_at(question, str(last)) if more else None
        return orjson.dumps({"decisions": told, "damaged": damaged, "next": following})

    def _places(self, market: str | None, first: str, before: str | None) -> Iterator[tuple[_Place, int]]:
        """Yield recommendations, newest first, with how many actions each has."""
        for day in reversed(disk.names_in(self._root / "decisions")):
            if not _DAY.fullmatch(day) or day < first[:10] or (before is not None and day > before[:10]):
                continue
            found: dict[_Place, int] = {}
            for name in disk.names_in(self._root / "decisions" / day):
                named = decision_of(f"decisions/{day}/{name}")
                if named is None:
                    continue
                place = _place(named[0], market)
                if place is not None and named[1] is None:
                    found.setdefault(place, 0)
                elif place is not None and named[1] is not None and named[1].startswith("action-"):
                    found[place] = found.get(place, 0) + 1
            for place in sorted(found, reverse=True):
                if place.closed >= first and (before is None or str(place) < before):
                    yield place, found[place]

    def _read_decision(self, decision_id: str) -> dict[str, Any]:
        path = decision_path(decision_id)
        file = decode_decision((self._root / path).read_bytes(), path)
        return _summary(file)

    def _of_decision(self, asked: Mapping[str, Any]) -> bytes:
        decision_id = f"{asked['date']}/{asked['name']}"
        named = decision_of(f"decisions/{decision_id}.yaml")
        if named is None or named[1] is not None or not (self._root / decision_path(named[0])).is_file():
            raise Problem(404, f"there is no decision {decision_id}")
        recorded = read_advice(self._root, decision_id)
        return orjson.dumps(
            {
                "decision": recorded.file.model_dump(mode="json"),
                "actions": [action.model_dump(mode="json") for action in recorded.actions],
            }
        )

    def _of_grids(self, _: Mapping[str, Any]) -> bytes:
        shelf = GridShelf(self._root)
        grids = [as_value(record) for record in shelf.records().values()]
        return orjson.dumps({"grids": grids, "damaged": sorted(shelf.faults)})

    def _of_kpis(self, asked: Mapping[str, Any]) -> bytes:
        path = f"kpis/{asked['date']}.yaml"
        data = disk.read(self._root / path)
        if data is None:
            raise Problem(404, f"there is no KPI record of {asked['date']}")
        return orjson.dumps(decode_kpis(data, path).model_dump(mode="json", by_alias=True))

    def _bytes(self, path: str) -> bytes:
        data = disk.read(self._root / path)
        if data is None:
            raise Problem(404, f"{path} is not there any more")
        return data


def _place(decision_id: str, market: str | None) -> _Place | None:
    """Return a recommendation's place; None for another market's."""
    day, _, name = decision_id.partition("/")
    if market is not None:
        prefix = f"dec-{market}"
        closed = _CLOSED.match(name, len(prefix)) if name.startswith(prefix) else None
    else:
        closed = _CLOSED.search(name)
    if closed is None:
        return None if market is not None else _Place(f"{day}T", decision_id)
    return _Place(f"{day}T{closed[1]}", decision_id)


def _summary(file: DecisionFile) -> dict[str, Any]:
    return {
        "id": file.id,
        "market": file.market,
        "hour": Hour.parse(file.hour).iso(),
        "grid_id": file.grid_id,
        "type": file.type.value,
        "action": file.action.value,
        "verdict": file.verdict,
        "confidence": file.confidence.value,
        "created_at": file.created_at,
        "expires_at": file.expires_at,
    }
