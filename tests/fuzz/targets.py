"""The parsers of what comes from outside, each with valid samples; they say whether they took the bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import httpx
import orjson

from exchanges.http import Answer
from exchanges.kucoin import KucoinExchange
from exchanges.kucoin_errors import unwrapped
from market.errors import DataInvalid, ExchangeError
from market.hours import Timeframe
from store.calibration_files import decode_calibration, encode_calibration
from store.columns import decode_columns
from store.decision_files import action_path, check_decision, encode
from store.grids import decode_grid
from store.kpi_files import decode_kpis, encode_kpis
from store.paths import SnapshotName, metrics_path, shadow_path
from store.records import decode_metrics, encode_metrics, metrics_file
from store.seal import sealed
from store.shadow_files import decode_shadow, encode_shadow, shadow_file
from store.snapshots import decode_snapshot, encode_snapshot
from store.yaml_text import load_all
from tests.exchanges.conftest import NOW, connected
from tests.fakes import FakeClock
from tests.store.samples import FIRST, KEY, analysis, decision_files, grid_file, hour_snapshot
from tests.store.test_calibration_files import made as calibration_made
from tests.store.test_decision_files import ACTION, EVALUATIONS, ID
from tests.store.test_files import HOUR, evaluation_of, full_snapshot
from tests.store.test_kpi_files import PATH as KPIS
from tests.store.test_kpi_files import made as kpis_made

Parse = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Target:
    """A parser and valid samples; it says whether it took the bytes, and what it raises is a surprise."""

    parse: Parse
    samples: Sequence[bytes]


def snapshot() -> Sequence[Target]:
    """Stored hours, both ways of reading; half of the inputs are sealed anew, to get past the digest."""
    name = SnapshotName(KEY, FIRST, None)
    turn = [0]

    def parse(data: bytes) -> bool:
        turn[0] += 1
        if turn[0] % 2:
            with suppress(ValueError, TypeError, AttributeError):
                value = orjson.loads(data)
                content = {
                    name: each for name, each in value.items() if name not in ("digest", "collected_at")
                }
                data = sealed(content, NOW)
        outcomes = []
        for read in (decode_snapshot, decode_columns):
            try:
                read(data, name.path, name)
                outcomes.append(True)
            except DataInvalid:
                outcomes.append(False)
        return all(outcomes)

    whole = encode_snapshot(hour_snapshot(FIRST))
    return [Target(parse, [whole, encode_snapshot(hour_snapshot(FIRST, no_trade=(3, 4)))])]


def yaml() -> Sequence[Target]:
    """Every YAML record of the repository, by the reader of its kind."""
    record = evaluation_of(analysis(), full_snapshot().summary)
    unjudged = encode_metrics(metrics_file(evaluation_of()))
    metrics, shadow = metrics_path(KEY, HOUR), shadow_path(KEY, HOUR)
    shadowed = encode_shadow(shadow_file(record))
    calibrated, calibration = calibration_made()
    kinds: list[tuple[Callable[[bytes], object], list[bytes]]] = [
        (
            lambda data: decode_metrics(data, metrics, (KEY, HOUR)),
            [encode_metrics(metrics_file(record)), unjudged],
        ),
        (lambda data: decode_shadow(data, shadow, (KEY, HOUR)), [shadowed]),
        (lambda data: decode_grid(data, "grids/eth-1.yaml"), [grid_file(), grid_file(lower=(1800, 1850))]),
        (lambda data: decode_kpis(data, KPIS), [encode_kpis(kpis_made())]),
        (lambda data: decode_calibration(data, calibrated), [encode_calibration(calibration)]),
        (lambda data: check_decision(data, action_path(ID, 1)), [encode(ACTION)]),
        (lambda data: load_all(data, "exit_states/ETH-USDT/2026-02-02.yaml"), [b"---\nat: 1\n---\nat: 2\n"]),
    ]
    for name in ("create", "continue", "no data"):
        path, data = next(iter(decision_files(EVALUATIONS[name]).items()))
        kinds.append((lambda data, path=path: check_decision(data, path), [data]))  # type: ignore[misc]

    def parsed(read: Callable[[bytes], object]) -> Parse:
        def parse(data: bytes) -> bool:
            try:
                read(data)
            except DataInvalid:
                return False
            return True

        return parse

    return [Target(parsed(read), samples) for read, samples in kinds]


_END = int(NOW.timestamp()) // 60 * 60
_CANDLES = [
    [str(_END - 60 * n), "2000.1", "2000.2", "2000.3", "2000.0", "1.5", "3000.15"] for n in range(1, 6)
]
_BODIES: dict[str, tuple[object, Callable[[KucoinExchange], Awaitable[object]]]] = {
    "/api/v1/timestamp": (1772366403000, lambda client: client.clock_offset()),
    "/api/v1/market/candles": (
        _CANDLES,
        lambda client: client.candles("ETH-USDT", Timeframe.M1, _END - 3600, _END),
    ),
    "/api/v1/market/orderbook/level1": (
        {"time": 1772366403000, "sequence": "1", "price": "2000.1", "size": "0.1", "bestBid": "2000",
         "bestBidSize": "1", "bestAsk": "2000.2", "bestAskSize": "1"},
        lambda client: client.ticker("ETH-USDT"),
    ),
    "/api/v2/symbols/ETH-USDT": (
        {"symbol": "ETH-USDT", "name": "ETH-USDT", "baseCurrency": "ETH", "quoteCurrency": "USDT",
         "baseMinSize": "0.0001", "quoteMinSize": "0.1", "baseMaxSize": "1", "quoteMaxSize": "1",
         "baseIncrement": "0.0001", "quoteIncrement": "0.01", "priceIncrement": "0.01", "minFunds": "0.1",
         "enableTrading": True},
        lambda client: client.rules("ETH-USDT"),
    ),
}  # fmt: skip
_REFUSED = orjson.dumps({"code": "429000", "msg": "too many"})


def kucoin() -> Sequence[Target]:
    """The whole client over a wire that answers one of its requests so: candles, ticker, rules, time."""
    clock = FakeClock(NOW)
    valid = {path: orjson.dumps({"code": "200000", "data": body}) for path, (body, _) in _BODIES.items()}

    def parsed(path: str, call: Callable[[KucoinExchange], Awaitable[object]]) -> Parse:
        def parse(data: bytes) -> bool:
            def answer(request: httpx.Request) -> httpx.Response:
                return httpx.Response(
                    200, content=data if request.url.path == path else valid[request.url.path]
                )

            async def ask() -> bool:
                async with connected(
                    "http://kucoin.test",
                    clock,
                    transport=httpx.MockTransport(answer),
                    resilience={"tries": 1},
                ) as client:
                    try:
                        await call(client)
                    except ExchangeError:
                        return False
                    return True

            with suppress(ExchangeError):
                unwrapped("kucoin", "GET /x", Answer(200, {}, data, NOW, 0.1))
            return asyncio.run(ask())

        return parse

    return [
        Target(parsed(path, call), [valid[path], valid[path], _REFUSED])
        for path, (_, call) in _BODIES.items()
    ]


TARGETS: dict[str, Callable[[], Sequence[Target]]] = {"snapshot": snapshot, "yaml": yaml, "kucoin": kucoin}
