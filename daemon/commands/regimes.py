"""`regimed regimes`: the regimes of a market's bars, from the index where it is current, else from files."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import orjson
import typer
from rich.table import Table
from rich.text import Text

from daemon.asking import (
    BEGINNING,
    END,
    confidence_named,
    regime_named,
    time_named,
    timeframe_named,
    verdict_named,
)
from daemon.commands.sharing import ConfigOption, RepoOption, console, fail, key_of, print_json, settings_of
from daemon.histories import OpenHistory, open_history
from daemon.regime_answers import PeriodPage, RowFilter, UnknownMarket
from daemon.regime_forms import LEGEND, counts_dict, period_dicts, row_dicts, time_of
from daemon.regimes import RegimeHistory
from market.hours import Timeframe
from regime.components.states import SIMPLIFIED, SimplifiedRegime
from regime.series import STORED
from store.recorded import Kind, write_table

T = TypeVar("T")
PAGE = 20_000
FORMATS = ("table", "json", "csv", "parquet")
_ROW: dict[str, Kind] = {
    "open_time": "time",
    "trend_state": "text",
    "volatility_state": "text",
    "momentum_state": "text",
    "full_regime": "text",
    "simplified_regime": "text",
    "verdict": "text",
    "confidence": "number",
    "source": "text",
}
_PERIOD: dict[str, Kind] = {
    "simplified_regime": "text",
    "previous_regime": "text",
    "start": "time",
    "end": "time",
    "bars": "integer",
    "open": "number",
    "close": "number",
    "return_pct": "number",
    "ongoing": "truth",
}


def register(app: typer.Typer) -> None:
    app.command()(regimes)


def regimes(
    key: Annotated[str, typer.Argument(help="Market key, for example ETH-USDT.")],
    timeframe: Annotated[str, typer.Argument(help="1m, 5m, 15m, 1h or 4h.")],
    simplified: Annotated[
        str | None, typer.Option(help="Only this regime: TREND_UP, TREND_DOWN, RANGE, CHOPPY, NEUTRAL.")
    ] = None,
    verdict: Annotated[
        str | None, typer.Option(help="Only hours of this verdict (1h): RANGE_OK, ...")
    ] = None,
    min_confidence: Annotated[float | None, typer.Option(help="Only rows this sure, 0 to 1.")] = None,
    since: Annotated[
        str | None, typer.Option(help="First bar that opens then or later: 2024-01-31T14.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Bars that open before then.")] = None,
    periods: Annotated[bool, typer.Option("--periods", help="Runs of equal regime.")] = False,
    stats: Annotated[bool, typer.Option("--stats", help="Distribution, durations, transitions.")] = False,
    transitions: Annotated[
        str | None, typer.Option(help="Changes from one regime to another: CHOPPY:TREND_UP.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="So many at most, the oldest.")] = None,
    chosen: Annotated[
        str | None,
        typer.Option("--format", help="table, json, csv or parquet; else by the file's name, or table."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write into this file; parquet needs one.")] = None,
    repo: RepoOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the regimes of a market's bars as known now; times are UTC, --since --until half-open.

    Rows come from the index where it is current; the rest is computed from the files and not stored.

    Example: regimed regimes ETH-USDT 1h --simplified TREND_UP --since 2024-01-01 --format csv
    """
    key_of(key)
    frame = _read("TIMEFRAME", timeframe_named, timeframe)
    span = (
        BEGINNING if since is None else _read("--since", time_named, since),
        END if until is None else _read("--until", time_named, until),
    )
    if span[0] >= span[1]:
        fail(f"--since {since} --until {until}: the first must lie before the second", 2)
    where = RowFilter(
        None if simplified is None else _read("--simplified", regime_named, simplified),
        None if verdict is None else _read("--verdict", verdict_named, verdict),
        None if min_confidence is None else _read("--min-confidence", confidence_named, min_confidence),
    )
    if verdict is not None and frame is not Timeframe.H1:
        fail(f"--verdict: {frame.value} bars have no verdict; expected TIMEFRAME 1h", 2)
    between = None if transitions is None else _change(transitions)
    form = _named_by(out) if chosen is None else chosen
    _check_shape(periods=periods, stats=stats, between=between, where=where, limit=limit, form=form, out=out)
    opened = open_history(repo, settings_of(config) if repo is None or config is not None else None)
    asked = _Asked(opened, key, frame, *span, limit)
    try:
        if stats:
            asked.print_stats(form, out)
        elif periods or between is not None:
            _print(asked.periods(where.simplified, between), _PERIOD, _period_table, form, out)
        else:
            _print(asked.rows(where), _ROW, _row_table, form, out)
    except UnknownMarket as error:
        fail(f"KEY: {error}", 2)
    else:
        asked.tell_missing()
    finally:
        asked.tell()
        opened.close()


def _read(option: str, read: Callable[[Any], T], value: Any) -> T:
    try:
        return read(value)
    except ValueError as error:
        return fail(f"{option}: {error}", 2)


def _change(text: str) -> tuple[int, int]:
    before, colon, after = text.partition(":")
    if not colon:
        fail(f"--transitions: found {text!r}, expected FROM:TO, for example CHOPPY:TREND_UP", 2)
    return _read("--transitions", regime_named, before), _read("--transitions", regime_named, after)


def _named_by(out: Path | None) -> str:
    suffix = "" if out is None else out.suffix.removeprefix(".")
    return suffix if suffix in FORMATS else "table"


def _check_shape(
    *,
    periods: bool,
    stats: bool,
    between: tuple[int, int] | None,
    where: RowFilter,
    limit: int | None,
    form: str,
    out: Path | None,
) -> None:
    if form not in FORMATS:
        fail(f"--format: found {form!r}, expected one of {', '.join(FORMATS)}", 2)
    if periods + stats + (between is not None) > 1:
        fail("--periods, --stats and --transitions: found several, expected one of them", 2)
    rows_alone = [("--verdict", where.verdict), ("--min-confidence", where.min_confidence)]
    if stats or between is not None:
        rows_alone.append(("--simplified", where.simplified))
    named = [option for option, value in rows_alone if value is not None]
    if named and (periods or stats or between is not None):
        fail(f"{named[0]}: it chooses rows; leave it out with --periods, --stats and --transitions", 2)
    if stats and (limit is not None or form in ("csv", "parquet")):
        fail("--stats: it is one answer; leave --limit out, and expected --format is table or json", 2)
    if out is not None and out.is_dir():
        fail(f"--out: {out} is a folder; expected a file to write", 2)
    if form == "parquet" and out is None:
        fail("--format parquet: it is binary; name a file with --out", 2)
    if out is not None and not out.absolute().parent.is_dir():
        fail(f"--out: found {out}, expected a file in a folder that is there", 2)


@dataclass
class _Asked:
    """A question, answered page by page, and how much of the answer was stored."""

    opened: OpenHistory
    key: str
    timeframe: Timeframe
    start_ts: int
    end_ts: int
    limit: int | None
    stored: int = 0
    computed: int = 0
    computed_from: int | None = None

    @property
    def history(self) -> RegimeHistory:
        return self.opened.history

    def rows(self, where: RowFilter) -> Iterator[list[dict[str, Any]]]:
        start: int | None = self.start_ts
        left = self.limit
        while start is not None and left != 0:
            limit = PAGE if left is None else min(PAGE, left)
            page = self.history.rows(self.key, self.timeframe, start, self.end_ts, limit=limit, where=where)
            told = row_dicts(page)
            stored = sum(row["source"] == "stored" for row in told)
            self.stored, self.computed = self.stored + stored, self.computed + len(told) - stored
            start, left = page.next_ts, None if left is None else left - len(told)
            yield told

    def periods(self, regime: int | None, between: tuple[int, int] | None) -> Iterator[list[dict[str, Any]]]:
        self._note_computed()
        start: int | None = self.start_ts
        left = self.limit
        while start is not None and left != 0:
            page = self._period_page(start, END if left is None else left, regime, between)
            start, left = page.next_ts, None if left is None else left - len(page.periods)
            yield period_dicts(page)

    def _period_page(
        self, start: int, limit: int, regime: int | None, between: tuple[int, int] | None
    ) -> PeriodPage:
        if between is None:
            return self.history.periods(
                self.key, self.timeframe, start, self.end_ts, regime=regime, limit=limit
            )
        before, after = between
        return self.history.transitions(
            self.key, self.timeframe, start, self.end_ts, before=before, after=after, limit=limit
        )

    def print_stats(self, form: str, out: Path | None) -> None:
        counts = self.history.counts(self.key, self.timeframe, self.start_ts, self.end_ts)
        stored_to = self._note_computed()
        if self.computed_from is not None and stored_to > self.start_ts:
            self.stored = self.history.counts(self.key, self.timeframe, self.start_ts, stored_to).rows
            self.computed = counts.rows - self.stored
        told = counts_dict(counts)
        with _opened(out):
            if form == "json":
                print_json(told)
            else:
                screen = console()
                for table in _stats_tables(told):
                    screen.print(table)

    def _note_computed(self) -> int:
        """Note from when on the answer is computed; returns until when it is stored."""
        series = self.history.standing(self.key, self.timeframe)
        if series.stored_to_ts < min(self.end_ts, series.end_ts):
            self.computed_from = max(series.start_ts, self.start_ts, series.stored_to_ts)
        return series.stored_to_ts

    def tell_missing(self) -> None:
        """Say on stderr what of the asked span is not recorded: an empty answer about it is no finding."""
        series = self.history.standing(self.key, self.timeframe)
        missing = []
        if BEGINNING < self.start_ts < series.start_ts:
            missing.append(f"from {time_of(series.start_ts)} on; nothing is known of the time before")
        if series.end_ts < self.end_ts < END:
            missing.append(f"to {time_of(series.end_ts)}; nothing is known of the time after")
        for span in missing:
            print(f"regimed: {self.key} {self.timeframe.value} is recorded {span}", file=sys.stderr)

    def tell(self) -> None:
        """Say on stderr what was computed, and how that is saved next time."""
        if not self.computed and self.computed_from is None:
            return
        if self.stored or self.computed:
            told = f"{self.stored} rows stored, {self.computed} computed from the files"
        else:
            told = f"what opens from {time_of(self.computed_from or 0)} on was computed from the files"
        if self.timeframe not in STORED:
            why = f"{self.timeframe.value} is never stored"
        else:
            stores = "`regimed index rebuild` or a running daemon stores them"
            why = self.opened.index.problem or stores
        print(f"regimed: {told}; {why}", file=sys.stderr)


def _print(
    pages: Iterator[list[dict[str, Any]]],
    columns: Mapping[str, Kind],
    table: Callable[[Iterable[Mapping[str, Any]]], Table],
    form: str,
    out: Path | None,
) -> None:
    if form == "parquet":
        assert out is not None, "checked before"
        write_table(out, columns, (_columns(page, columns) for page in pages))
        return
    # the first page before anything is printed: an error leaves stdout and the file untouched
    first = next(pages, [])
    rows = (row for page in _followed(first, pages) for row in page)
    with _opened(out) as stream:
        if form == "json":
            _print_json_array(rows, stream)
        elif form == "csv":
            writer = csv.DictWriter(stream, list(columns), extrasaction="ignore", lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        else:
            console().print(table(rows))


def _followed(
    first: list[dict[str, Any]], rest: Iterator[list[dict[str, Any]]]
) -> Iterator[list[dict[str, Any]]]:
    yield first
    yield from rest


@contextmanager
def _opened(out: Path | None) -> Iterator[IO[str]]:
    """Send stdout into a file, if one is named, that is there as a whole or not at all."""
    if out is None:
        yield sys.stdout
        return
    part, stdout = out.with_name(f".{out.name}.part"), sys.stdout
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            sys.stdout = stream
            yield stream
        part.replace(out)
    finally:
        sys.stdout = stdout
        part.unlink(missing_ok=True)


def _print_json_array(rows: Iterable[Mapping[str, Any]], stream: IO[str]) -> None:
    before = "[\n"
    for row in rows:
        stream.write(before + orjson.dumps(row).decode())
        before = ",\n"
    stream.write("\n]\n" if before == ",\n" else "[]\n")


def _columns(page: list[dict[str, Any]], columns: Mapping[str, Kind]) -> dict[str, list[Any]]:
    return {
        name: [time_named(row[name]) if kind == "time" else row[name] for row in page]
        for name, kind in columns.items()
    }


def _labelled(name: str | None) -> Text | str:
    """Return a regime with its letter, in its colour."""
    if name is None:
        return "-"
    told = LEGEND[SimplifiedRegime(name)]
    return Text(f"{told['letter']} {name}", style=told["colour"])


def _row_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table(
        "open time", "regime", "full regime", "verdict", "confidence", "source", box=None, pad_edge=False
    )
    for row in rows:
        table.add_row(
            row["open_time"],
            _labelled(row["simplified_regime"]),
            row["full_regime"],
            row["verdict"] or "-",
            f"{row['confidence']:.4f}",
            row["source"],
        )
    return table


def _period_table(rows: Iterable[Mapping[str, Any]]) -> Table:
    table = Table("start", "end", "regime", "after", "bars", "open", "close", "%", box=None, pad_edge=False)
    for row in rows:
        table.add_row(
            row["start"],
            row["end"] + (" ongoing" if row["ongoing"] else ""),
            _labelled(row["simplified_regime"]),
            _labelled(row["previous_regime"]),
            str(row["bars"]),
            f"{row['open']:g}",
            f"{row['close']:g}",
            f"{row['return_pct']:+.2f}",
        )
    return table


def _stats_tables(told: Mapping[str, Any]) -> Iterator[Table]:
    labels = [label.value for label in SIMPLIFIED]
    shares = Table("regime", "bars", "share", "periods", "mean bars", box=None, pad_edge=False)
    for label in labels:
        row = told["distribution"][label]
        shares.add_row(
            _labelled(label),
            str(row["bars"]),
            "-" if row["share"] is None else f"{row['share']:.1%}",
            str(row["periods"]),
            "-" if row["mean_bars"] is None else f"{row['mean_bars']:.1f}",
        )
    yield shares
    changes = Table("from \\ to", *labels, box=None, pad_edge=False)
    for label in labels:
        counts = told["transitions"][label]["counts"]
        changes.add_row(_labelled(label), *(str(counts[other]) for other in labels))
    yield changes
    bins = Table("confidence", "rows", box=None, pad_edge=False)
    width = told["confidence"]["bin_width"]
    for place, count in enumerate(told["confidence"]["all"]):
        bins.add_row(f"{place * width:.2f} to {(place + 1) * width:.2f}", str(count))
    yield bins
