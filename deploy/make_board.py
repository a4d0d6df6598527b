"""`make board`: Grafana's dashboard as code. What it writes is committed, and a test compares the two.

Every expression names metrics that the daemon exports, which a test asks a live process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import dashboard, prometheus, stat, statetimeline, timeseries
from grafana_foundation_sdk.builders.common import VizLegendOptions
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    Threshold,
    ThresholdsMode,
    VariableRefresh,
)

FILE = Path(__file__).parent / "components" / "alerts" / "regimed.json"
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HERE = 'namespace=~"$namespace"'
MARKET = f'{HERE}, market=~"$market"'


@dataclass(frozen=True)
class Drawn:
    """One panel: what it is called, what it asks, how a series is named, in which unit.

    Attributes:
        warn, bad: Above these a value is coloured.
        least: Below this it is.
    """

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"
    words: str = ""
    span: int = 8
    kind: str = "lines"
    warn: float | None = None
    bad: float | None = None
    least: float | None = None


def _one(title: str, expr: str, legend: str, unit: str = "short", words: str = "", **more: object) -> Drawn:
    return Drawn(title, ((expr, legend),), unit, words, **more)  # type: ignore[arg-type]


ROWS: tuple[tuple[str, tuple[Drawn, ...]], ...] = (
    (
        "Now",
        (
            _one("Ready", f"regimed_ready{{{HERE}}}", "{{namespace}}", span=4, kind="figure", least=1),
            _one(
                "Alerts",
                f'count(ALERTS{{alertstate="firing", alertname=~"Regimed.*", {HERE}}}) or vector(0)',
                "firing",
                span=4,
                kind="figure",
                warn=1,
            ),
            _one("Running grids", f"sum(regimed_running_grids{{{HERE}}})", "grids", span=4, kind="figure"),
            _one("Owed hours", f"sum(regimed_owed_hours{{{HERE}}})", "hours", span=4, kind="figure", warn=2),
            _one(
                "Not pushed",
                f"sum(regimed_git_unpushed_commits{{{HERE}}})",
                "commits",
                span=4,
                kind="figure",
                warn=20,
            ),
            _one(
                "Waiting notices",
                f"sum(regimed_outbox_notices{{{HERE}}})",
                "notices",
                span=4,
                kind="figure",
                warn=1,
            ),
        ),
    ),
    (
        "Markets and grids",
        (
            _one(
                "Regime", f"regimed_regime{{{MARKET}}} == 1", "{{market}} {{verdict}}", span=12, kind="states"
            ),
            _one(
                "Exit state",
                f"regimed_exit_state{{{MARKET}}} == 1",
                "{{market}} {{grid}} {{state}}",
                span=12,
                kind="states",
            ),
            _one(
                "Probability that the range holds 24 h",
                f"regimed_hold_probability{{{MARKET}}}",
                "{{market}}",
                "percentunit",
            ),
            _one(
                "Price in its range",
                f"regimed_range_distance_ratio{{{MARKET}}}",
                "{{market}}",
                "percentunit",
                "0 at the lower bound, 1 at the upper.",
            ),
            _one(
                "Probability that a grid's bounds hold 24 h",
                f"regimed_grid_hold_probability{{{MARKET}}}",
                "{{market}} {{grid}}",
                "percentunit",
            ),
            _one(
                "Net profit of running grids",
                f"regimed_grid_net_profit{{{MARKET}}}",
                "{{market}} {{grid}}",
                words="Simulated, quote coin.",
            ),
            _one(
                "Distance to the stop",
                f"regimed_grid_stop_distance_atr{{{MARKET}}}",
                "{{market}} {{grid}}",
                words="In average true ranges.",
            ),
            _one(
                "Lost at the stop",
                f"regimed_grid_capital_at_risk{{{MARKET}}}",
                "{{market}} {{grid}}",
                words="Quote coin.",
            ),
            _one(
                "Restart gates",
                f"regimed_gate_distance_ratio{{{MARKET}}}",
                "{{market}} {{grid}} {{gate}} {{condition}}",
                words="Distance of each condition from its threshold; it holds above 0.",
                span=24,
            ),
        ),
    ),
    (
        "Hours and cycles",
        (
            _one(
                "Age of the newest judged hour",
                f"regimed_newest_hour_age_seconds{{{MARKET}}}",
                "{{market}}",
                "s",
                warn=4500,
                bad=10800,
            ),
            _one("Hours owed", f"regimed_owed_hours{{{MARKET}}}", "{{market}}"),
            Drawn(
                "Cycle",
                (
                    (f"regimed_last_cycle_seconds{{{MARKET}}}", "{{market}}"),
                    (f"regimed:cycle_seconds:p95_6h{{{HERE}}}", "p95 of 6 h"),
                ),
                "s",
                warn=60,
                bad=300,
            ),
            _one(
                "Stages of a cycle, p95",
                "histogram_quantile(0.95, sum by (stage, le)"
                f" (rate(regimed_stage_seconds_bucket{{{HERE}}}[6h])))",
                "{{stage}}",
                "s",
            ),
            _one(
                "Cycles by outcome",
                f"sum by (outcome) (increase(regimed_cycles_total{{{MARKET}}}[1h]))",
                "{{outcome}}",
            ),
            _one(
                "Attempts that failed, in a row",
                f"regimed_market_failures_in_a_row{{{MARKET}}}",
                "{{market}}",
                warn=3,
            ),
        ),
    ),
    (
        "Exchanges",
        (
            _one(
                "Requests by status",
                f"sum by (exchange, status) (rate(regimed_exchange_requests_total{{{HERE}}}[5m]))",
                "{{exchange}} {{status}}",
                "reqps",
            ),
            _one(
                "Share of requests that failed, 1 h",
                f"regimed:exchange_errors:ratio_1h{{{HERE}}}",
                "{{exchange}}",
                "percentunit",
            ),
            _one(
                "Answer time, p95",
                "histogram_quantile(0.95, sum by (exchange, endpoint, le)"
                f" (rate(regimed_exchange_request_seconds_bucket{{{HERE}}}[15m])))",
                "{{exchange}} {{endpoint}}",
                "s",
            ),
            _one(
                "Breaker",
                f"regimed_breaker_open{{{HERE}}}",
                "{{exchange}}",
                words="1 while it is open.",
                span=12,
            ),
            _one(
                "Our clock minus theirs",
                f"regimed_clock_ahead_seconds{{{HERE}}}",
                "{{exchange}}",
                "s",
                span=12,
            ),
        ),
    ),
    (
        "Records",
        (
            Drawn(
                "Waiting for Git",
                (
                    (f"regimed_git_queue_changesets{{{HERE}}}", "change-sets to commit"),
                    (f"regimed_git_unpushed_commits{{{HERE}}}", "commits to push"),
                ),
            ),
            _one(
                "Oldest commit not pushed",
                f"regimed_git_oldest_unpushed_seconds{{{HERE}}}",
                "{{namespace}}",
                "s",
                warn=7200,
            ),
            Drawn(
                "Pushes that failed",
                (
                    (f"increase(regimed_git_push_failures_total{{{HERE}}}[1h])", "in an hour"),
                    (f"regimed_git_push_failures_in_a_row{{{HERE}}}", "in a row"),
                ),
                warn=5,
            ),
            _one("Free disk", f"regimed:disk_free:ratio{{{HERE}}}", "{{volume}}", "percentunit", least=0.1),
            _one(
                "Cache of decoded hours",
                f"rate(regimed_store_cache_hits_total{{{HERE}}}[15m])"
                f" / (rate(regimed_store_cache_hits_total{{{HERE}}}[15m])"
                f" + rate(regimed_store_cache_misses_total{{{HERE}}}[15m]))",
                "hits",
                "percentunit",
            ),
            _one(
                "Rows of the index", f"sum by (timeframe) (regimed_index_rows{{{MARKET}}})", "{{timeframe}}"
            ),
        ),
    ),
    (
        "Notices",
        (
            _one(
                "Notices by outcome",
                f"sum by (channel, outcome) (increase(regimed_notifications_total{{{HERE}}}[1h]))",
                "{{channel}} {{outcome}}",
            ),
            _one("Waiting in a channel", f"regimed_channel_notices{{{HERE}}}", "{{channel}}"),
            _one(
                "A channel fails", f"regimed_channel_failing_seconds{{{HERE}}}", "{{channel}}", "s", warn=600
            ),
        ),
    ),
    (
        "Paper desk",
        (
            Drawn(
                "Net asset value",
                ((f"regimed_desk_nav{{{HERE}}}", "now"), (f"regimed_desk_peak_nav{{{HERE}}}", "its peak")),
                words="Quote coin.",
            ),
            Drawn(
                "Trades",
                (
                    (f"regimed_desk_open_trades{{{HERE}}}", "open"),
                    (f"regimed_desk_day_trades{{{HERE}}}", "begun in 24 h"),
                ),
            ),
            _one(
                "What it did not do",
                f"sum by (reason) (increase(regimed_desk_refusals_total{{{HERE}}}[1d]))",
                "{{reason}}",
            ),
        ),
    ),
    (
        "The process",
        (
            _one(
                "Loop lag, p99",
                f"regimed:loop_lag_seconds:p99_10m{{{HERE}}}",
                "{{namespace}}",
                "s",
                warn=0.05,
            ),
            _one(
                "Resident memory",
                f"regimed_process_resident_memory_bytes{{{HERE}}}",
                "{{namespace}}",
                "bytes",
            ),
            _one(
                "Processor",
                f"rate(regimed_process_cpu_seconds_total{{{HERE}}}[5m])",
                "{{namespace}}",
                "percentunit",
            ),
            Drawn(
                "Files and children",
                (
                    (f"regimed_process_open_fds{{{HERE}}}", "open files"),
                    (f"regimed_git_child_processes{{{HERE}}}", "children"),
                ),
            ),
            _one("Without progress", f"regimed_stage_still_seconds{{{HERE}}}", "{{stage}}", "s", bad=180),
            _one(
                "API, p99",
                "histogram_quantile(0.99, sum by (route, le)"
                f" (rate(regimed_api_seconds_bucket{{{HERE}}}[15m])))",
                "{{route}}",
                "s",
            ),
        ),
    ),
)


def _panel(drawn: Drawn) -> timeseries.Panel | stat.Panel | statetimeline.Panel:
    made = {"lines": timeseries.Panel, "figure": stat.Panel, "states": statetimeline.Panel}[drawn.kind]()
    made = made.title(drawn.title).unit(drawn.unit).datasource(SOURCE).span(drawn.span)
    made = made.height(4 if drawn.kind == "figure" else 8)
    if drawn.words:
        made = made.description(drawn.words)
    if {drawn.warn, drawn.bad, drawn.least} != {None}:
        made = made.thresholds(_thresholds(drawn))
    if drawn.kind == "lines":
        legend = VizLegendOptions().display_mode(LegendDisplayMode.TABLE).placement(LegendPlacement.BOTTOM)
        made = made.legend(legend.show_legend(show_legend=True).calcs(["lastNotNull"]))
    for ref, (expr, legend_format) in zip("ABC", drawn.queries, strict=False):
        query = prometheus.Dataquery().expr(expr).legend_format(legend_format).ref_id(ref)
        made = made.with_target(query.instant() if drawn.kind == "figure" else query)
    return made


def _thresholds(drawn: Drawn) -> dashboard.ThresholdsConfig:
    steps = [Threshold(value=None, color="green" if drawn.least is None else "red")]
    limits = ((drawn.least, "green"), (drawn.warn, "orange"), (drawn.bad, "red"))
    steps += [Threshold(value=limit, color=color) for limit, color in limits if limit is not None]
    return dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps)


def _variables() -> Iterable[dashboard.QueryVariable | dashboard.DatasourceVariable]:
    yield dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    for name, query in (
        ("namespace", "label_values(regimed_ready, namespace)"),
        ("market", 'label_values(regimed_owed_hours{namespace=~"$namespace"}, market)'),
    ):
        yield (
            dashboard.QueryVariable(name)
            .label(name.capitalize())
            .datasource(SOURCE)
            .query(query)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .include_all(include_all=True)
            .all_value(".*")
            .multi(multi=True)
        )


def board() -> str:
    """Return the dashboard as Grafana reads it, the same bytes for the same code."""
    made = (
        dashboard.Dashboard("regimed")
        .uid("regimed")
        .description("What regimed knows of its markets, and how it does. Made by deploy/make_board.py.")
        .tags(["regimed"])
        .time("now-7d", "now")
        .refresh("1m")
        .timezone("utc")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .readonly()
    )
    for variable in _variables():
        made = made.with_variable(variable)
    for title, panels in ROWS:
        made = made.with_row(dashboard.Row(title))
        for drawn in panels:
            made = made.with_panel(_panel(drawn))
    return JSONEncoder(sort_keys=True, indent=2).encode(made.build()) + "\n"


if __name__ == "__main__":
    FILE.write_text(board())
    sys.stderr.write(f"{FILE.relative_to(Path.cwd())} written\n")
