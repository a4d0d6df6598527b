"""`regimed calibrate`: what the rules were worth on recorded candles, with intervals, beside plain rivals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.table import Table

from daemon.clock import WallClock
from daemon.commands.sharing import (
    ConfigOption,
    FormatOption,
    RepoOption,
    bound_of,
    checked_format,
    console,
    fail,
    key_of,
    print_json,
    settings_of,
)
from daemon.settings import CollectionSettings
from decisions.calibration.report import calibrate as measure
from decisions.calibration.values import grid_values
from market.candles import Bars
from market.costs import Fees
from market.errors import DataInvalid
from market.hours import Timeframe
from regime.config import RegimeConfig
from regime.history import judge_history
from store.inputs import ReadOnlyStore
from store.recorded import RecordedFile, RecordedMarket, parse_name, recorded_files
from store.recorded_windows import RecordedWindows

_EVERYTHING_D = 3650
_VENUES = ("KUCOIN", "BINANCE")  # where a folder holds several, the venue that is traded on goes first


def register(app: typer.Typer) -> None:
    app.command()(calibrate)


def calibrate(
    key: Annotated[str, typer.Argument(help="Market, for example ETH-USDT.")],
    data: Annotated[
        Path | None, typer.Option(help="Recorded candles: a folder, or a 1h file with its 4h file beside.")
    ] = None,
    repo: RepoOption = None,
    first: Annotated[str | None, typer.Option("--from", help="First hour or day that is scored.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Hour after the last one, or a day.")] = None,
    venue: Annotated[str | None, typer.Option(help="KUCOIN, BINANCE, ...; the first that is there.")] = None,
    config: ConfigOption = None,
    form: FormatOption = "table",
) -> None:
    """Measure both models, their rivals, exit triggers, gates and vetoes on recorded hours; changes nothing.

    On the hours of the data repository, or on recorded candles with --data.

    Example: regimed calibrate ETH-USDT --data ../shared/data --format json
    """
    checked_format(form)
    if data is not None and repo is not None:
        fail("--data and --repo: name one of them", 2)
    settings = settings_of(config) if config is not None or (data is None and repo is None) else None
    regime = RegimeConfig() if settings is None else settings.regime
    maker_bps = _maker_bps(settings)
    if data is None:
        root = repo or settings_of(config).data_repository.base_path
        collection = CollectionSettings() if settings is None else settings.collection
        source = _of_repository(key, root, venue, collection.max_missing_minutes)
    else:
        source = _of_recordings(_market(key, data, venue))
    hours = source.hours
    judged = judge_history(
        hours, source.four_hours, source.price_scale, regime, volume_scale=source.volume_scale
    )
    start = None if first is None else bound_of(first, "--from")
    end = None if last is None else bound_of(last, "--to")
    keep = np.ones(len(judged), dtype=np.bool_)
    if start is not None:
        keep &= judged.ts >= start.open_ts
    if end is not None:
        keep &= judged.ts < end.open_ts
    scored = judged.where(keep)
    if not len(scored):
        fail(f"no hour of {key} can be judged in this span; {len(judged)} can in all", 1)
    values = grid_values(scored, hours, source.price_scale, maker_bps)
    document = measure(key, scored, regime, values).document | {
        "venue": source.venue,
        "maker_bps": maker_bps,
    }
    if form == "json":
        print_json(document)
    else:
        _show(document)


class _Source(NamedTuple):
    """The bars that are measured on, and where they come from."""

    venue: str
    hours: Bars
    four_hours: Bars
    price_scale: int
    volume_scale: int


def _of_recordings(market: RecordedMarket) -> _Source:
    windows = RecordedWindows(market, {})
    return _Source(
        market.exchange,
        windows.bars(Timeframe.H1),
        windows.bars(Timeframe.H4),
        windows.price_scale,
        windows.volume_scale,
    )


def _of_repository(key: str, root: Path, venue: str | None, max_missing_minutes: int) -> _Source:
    """Return every hour that a data repository knows of a market, as known now."""
    if venue is not None:
        fail("--venue chooses among recorded files and needs --data", 2)
    key_of(key)
    spans = dict.fromkeys((Timeframe.H1, Timeframe.H4), _EVERYTHING_D)
    store = ReadOnlyStore(root, max_missing_minutes=max_missing_minutes, timeframes=spans)
    newest = store.ledger.newest_judged(key)
    if newest is None:
        fail(f"{root}: no judged hour of {key}; regimed calibrate KEY --data FOLDER measures recordings", 1)
    window = store.reader.load_window(key, newest, spans, WallClock().now())
    hours, four_hours = window.bars[Timeframe.H1], window.bars[Timeframe.H4]
    return _Source("the repository", hours, four_hours, window.price_scale, window.volume_scale)


def _maker_bps(settings: Any) -> float:
    if settings is None:
        return Fees().maker_bps
    return float(next(iter(settings.exchanges.values())).fees_in_force.maker_bps)


def _market(key: str, data: Path, venue: str | None) -> RecordedMarket:
    """Return one venue's 1h and 4h files of a market.

    Raises:
        DataInvalid: There are none; says what was looked for.
    """
    folder = data if data.is_dir() else data.parent
    if not folder.is_dir():
        fail(f"--data: {data}: no such file or folder", 2)
    named = None if data.is_dir() else parse_name(data)
    found: dict[str, dict[Timeframe, Path]] = {}
    for file in recorded_files(folder):
        if file.symbol == key and file.window is None and _is_wanted(file, venue, named):
            found.setdefault(file.exchange, {})[file.timeframe] = file.path
    whole = {name: files for name, files in found.items() if {Timeframe.H1, Timeframe.H4} <= set(files)}
    if not whole:
        raise DataInvalid(
            str(data), "", f"no 1h and 4h candles of {key} of one venue (EXCHANGE_{key}_1h.parquet)"
        )
    chosen = min(whole, key=lambda name: (_VENUES.index(name) if name in _VENUES else len(_VENUES), name))
    files = whole[chosen]
    return RecordedMarket(chosen, key, {frame: files[frame] for frame in (Timeframe.H1, Timeframe.H4)})


def _is_wanted(file: RecordedFile, venue: str | None, named: RecordedFile | None) -> bool:
    if named is not None:
        return file.exchange == named.exchange
    return venue is None or file.exchange == venue


def _show(document: dict[str, Any]) -> None:
    out = console()
    out.print(
        f"{document['key']} ({document['venue']}) {document['from']} to {document['to']}:"
        f" {document['hours']} hours scored of {document['hours_all']},"
        f" valid ranges {document['valid_share']:.1%}, base rate {_figure(document['base_rate'])}"
    )
    for table in (_models, _exits, _gates, _vetoes, _bands):
        out.print(table(document))


def _models(document: dict[str, Any]) -> Table:
    table = _table(
        "model", "AUC", "within geometry", "Brier skill", "holds in OK", "elsewhere", "duty", "flips/week",
        "dwell h", "grid bps/24h", "by chance",
    )  # fmt: skip
    for name, model in document["models"].items():
        holds, grid = model["hold_rate"], model["grid_pnl_bps_24h"]
        table.add_row(
            name,
            _figure(model["auc_hold24"]),
            _figure(model["auc_within_geometry"]),
            _figure(model["brier_skill"]),
            _figure(holds["RANGE_OK"]),
            _figure(holds["other_than_ok"]),
            _figure(model["duty"]),
            _plain(model.get("flips_per_week")),
            _plain(model.get("dwell_median_h")),
            _figure(grid["ok"], 1),
            _figure(grid["null"], 1),
        )
    return table


def _exits(document: dict[str, Any]) -> Table:
    table = _table("exit trigger", "TTDR", "FER", "random", "lead h", "outside at alert")
    for name, skill in document["exits"].items():
        table.add_row(
            name,
            _figure(skill["ttdr"]),
            _figure(skill["fer"]),
            _figure(skill["random_fer"]),
            _plain(skill["lead_median_h"]["value"]),
            _figure(skill["outside_at_alert"]),
        )
    return table


def _gates(document: dict[str, Any]) -> Table:
    table = _table(
        "gates", "stops", "wait h", "p90 h", "over a week", "restarted", "held 24 h", "at random", "skill"
    )
    for name, told in document["gates"].items():
        waits, after = told["wait_h"], told["held_24h"]
        table.add_row(
            name,
            str(told["stops"]),
            _figure(waits["median"], 0),
            _figure(waits["p90"], 0),
            _figure(waits["over_a_week"]),
            _figure(told["restarted"]),
            _figure(after["gated"]),
            _figure(after["random"]),
            _figure(after["skill"]),
        )
    return table


def _vetoes(document: dict[str, Any]) -> Table:
    table = _table("veto", "against", "fired", "held where it spoke", "elsewhere", "worth")
    for model, spoken in document["vetoes"].items():
        for name, told in spoken.items():
            table.add_row(
                f"{model} {name}",
                ", ".join(told["present"]),
                _figure(told["fired"]),
                _figure(told["held_fired"]),
                _figure(told["held_silent"]),
                _figure(told["worth"]),
            )
    return table


def _bands(document: dict[str, Any]) -> Table:
    table = _table("p band", "net bps/24h", "n")
    for band in document["models"]["evidence"]["edge_by_band"]:
        shown = {"value": band["net_bps_24h"], "low": band["low"], "high": band["high"]}
        table.add_row(f"{band['p_low']:.2f} to {band['p_high']:.2f}", _figure(shown, 1), str(band["n"]))
    return table


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False)


def _figure(figure: dict[str, Any] | None, digits: int = 3) -> str:
    """Return a value with its interval, `-` where there is none."""
    if figure is None or figure["value"] is None:
        return "-"
    value = f"{figure['value']:.{digits}f}"
    if figure["low"] is None:
        return value
    high = "never" if figure["high"] is None else f"{figure['high']:.{digits}f}"
    return f"{value} [{figure['low']:.{digits}f}, {high}]"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
