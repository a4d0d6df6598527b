"""Options of the charts as data: what the library is given is the page's numbers, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import orjson
import pytest

from dashboard import charts, drawing, words
from dashboard.pages import Check
from tests.dashboard import samples

HOUR_MS = 3_600_000


def test_options_are_plain_data():
    """JSON and back is the same: no function, no NaN, no number of another kind."""
    for page in (samples.leaving(), samples.year()):
        for chart in (charts.price_chart(page), charts.figures_chart(page)):
            assert orjson.loads(orjson.dumps(chart.options)) == chart.options
            assert b"NaN" not in orjson.dumps(chart.options)


def test_candles_are_the_recorded_ones_and_shades_cover_their_hours():
    """24 bars with their closes; each verdict's shade begins and ends half a bar left of its hours."""
    page = samples.leaving()
    options = charts.price_chart(page).options
    source = options["dataset"]["source"]
    assert source["t"] == [1000 * ts for ts in page.candles.opens_ts.tolist()]
    assert source["close"] == [round(each, 2) for each in page.candles.closes.tolist()]
    shades = options["series"][0]["markArea"]["data"]
    begins = [area[0]["xAxis"] for area in shades]
    assert begins == [int(1000 * each.start.timestamp()) - HOUR_MS // 2 for each in page.verdicts]
    assert {len(column) for column in source.values()} == {24}


def test_both_charts_share_one_time_axis():
    """Quarter-hour candles over hourly figures: the same ends, and a figure at every bar of its hour."""
    page = samples.quiet()
    short = replace(samples.candles(96), step_s=900, opens_ts=page.candles.opens_ts[0] + 900 * np.arange(96))
    page = replace(page, candles=short)
    price, figures = charts.price_chart(page).options, charts.figures_chart(page).options
    ends = {(axis["min"], axis["max"]) for chart in (price, figures) for axis in chart["xAxis"]}
    assert ends == {
        (1000 * int(page.start.timestamp()) - 450_000, 1000 * int(page.end.timestamp()) - 450_000)
    }
    source = figures["dataset"]["source"]
    assert source["t"] == price["dataset"]["source"]["t"]
    hourly = charts.figures_chart(samples.quiet()).options["dataset"]["source"]
    assert source["0"][::4] == source["0"][3::4] == hourly["0"]


def test_a_small_line_is_broken_where_nothing_is_known():
    """Two ends far apart are not joined; a lone hour is a dash."""
    line = drawing.sparkline(np.array([1.0, 2.0, *[np.nan] * 40, 2.0, np.nan, 1.0, 1.5]))
    assert [part.count("L") for part in line.split("M")[1:]] == [1, 0, 1]
    assert line.split("M")[2].endswith("h1")
    assert drawing.sparkline(np.array([1.0, 2.0, 3.0])).count("M") == 1


@pytest.mark.parametrize(("threshold", "distance"), [("1e-05", 1e-5), (">= 1", 1.0), ("<= 2.5E+2 h", 250.0)])
def test_a_distance_is_told_in_parts_of_its_threshold_however_it_is_written(threshold, distance):
    """As far as the threshold is from 0: a full half."""
    bar = drawing.distance_bar(Check("x", True, "", threshold, distance, ""))
    assert bar is not None and (bar.at, bar.width, bar.spare) == ("50", "50", True)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.7451, "74.5"), (0.74999, "74.9"), (0.75, "75.0"), (0.29, "29.0"), (0.57, "57.0"), (0.5951, "59.5"),
        (0.9951, "> 99"), (0.99999, "> 99"), (1.0, "100.0"), (0.004, "< 1"), (0.0, "0.0"), (0.01, "1.0"),
    ],
)  # fmt: skip
def test_a_share_is_never_rounded_over_a_threshold(value, told):
    """Beside Range weak stands no 75 %."""
    assert words.share(value).replace("\u202f", " ").replace("\u00a0", " ") == f"{told} %"


def test_a_missed_target_never_reads_as_met():
    """As many digits as tell them apart; three where three do."""
    assert words.apart(0.9496, 0.95) == ("0.9496", "0.9500")
    assert words.apart(0.66, 0.75) == ("0.660", "0.750")
    assert words.apart(None, 0.75) == (words.figure(None), "0.750")
    assert words.apart(0.95, 0.95) == ("0.950", "0.950")


def test_the_regimes_are_a_ribbon_of_their_own():
    """Under the verdicts': each stretch of the simplified regime, named where it has room."""
    options = charts.price_chart(samples.quiet()).options
    (ribbon,) = (each for each in options["series"] if each["name"] == "Regime")
    areas = ribbon["markArea"]["data"]
    assert [area[0].get("name") for area in areas] == ["N", "Range"]
    assert [(area[1]["xAxis"] - area[0]["xAxis"]) // HOUR_MS for area in areas] == [4, 20]
    assert len(options["grid"]) == len(options["xAxis"]) == len(options["yAxis"]) == 5


def test_a_gap_is_a_gap_and_a_year_has_few_bars():
    """What was not recorded is null, never 0; a year is drawn in bars of six hours, without grid levels."""
    source = charts.figures_chart(samples.quiet()).options["dataset"]["source"]
    assert source["6"].count(None) == 2
    options = charts.price_chart(samples.year()).options
    assert len(options["dataset"]["source"]["t"]) == 8_760 // 6
    assert options["series"][0]["markLine"]["data"] == []
