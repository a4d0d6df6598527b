"""The KPI table by hand, threshold by threshold; intervals against the books."""

import math
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from decisions.actions import SYSTEM, ActionTaken, Answer
from decisions.adverse import AdverseConfig
from decisions.episodes import Episode, StateChange
from decisions.intervals import bounded_mean, quantile, wilson
from decisions.kpi_targets import KpisConfig, Side, Target
from decisions.kpis import kpis
from decisions.recommendation import Action, Kind
from decisions.timers import PastAdvice
from exits.states import ExitState
from market.hours import Hour

CONFIG = KpisConfig()
T0 = Hour(20_000 * 24).opens_at
START, END = T0, T0 + timedelta(days=14)
NORMAL, WARNING, LATE, MANDATORY = ExitState


def at(hours):
    return T0 + timedelta(hours=hours)


def run(*pairs, **facts):
    """Return a run from T0 with exit states (hour, state); looked at for a month."""
    made = {
        "grid_id": "grid-1",
        "started_at": T0,
        "stopped_at": None,
        "lower": 90.0,
        "upper": 110.0,
        "atr": 4.0,
        "changes": tuple(StateChange(at(hour), state) for hour, state in pairs),
        "followed_until": at(720),
    }
    return Episode(**(made | facts))


def exited(hour, *pairs, **facts):
    return run(*pairs, stopped_at=at(hour), stop_accepted_at=at(hour), **facts)


def figure(name, *episodes, advice=(), start=START, end=END, config=CONFIG):
    return kpis(episodes, advice, start, end, config)[name]


def value(name, *episodes, **rest):
    return figure(name, *episodes, **rest).value


def left_out(kpi):
    """Return what the note says beside that there are too few cases."""
    return kpi.note.partition("; ")[2]


NAMES = [
    "SLAR", "PRR", "TTDR", "FER", "FER_random", "ERT_median", "ERT_p90", "EAW_median", "EAW_p10", "MEC",
    "alerts_per_week", "alerts_false", "acknowledge_median",
]  # fmt: skip


def test_an_empty_period_has_no_figures():
    """An empty denominator is null, never 0; only the count of alerts is a count."""
    report = kpis([], [], START, END, CONFIG)
    assert [kpi.name for kpi in report.kpis] == NAMES
    for kpi in report.kpis:
        if kpi.name == "alerts_per_week":
            assert (kpi.value, kpi.n, kpi.note) == (0.0, 0, "")
        else:
            assert (kpi.value, kpi.low, kpi.high, kpi.n, kpi.meets) == (None, None, None, 0, None)
            assert kpi.note == "insufficient: 0 of 10 cases"


def test_a_period_that_is_none_is_refused():
    """From and to in the wrong order are a mistake, not an empty table."""
    for end in (START, START - timedelta(hours=1)):
        with pytest.raises(ValueError, match="is empty"):
            kpis([], [], START, end, CONFIG)


@pytest.mark.parametrize(
    ("name", "target", "stretch"),
    [
        ("SLAR", 0.95, None), ("PRR", 0.30, 0.75), ("TTDR", 0.75, 0.80), ("FER", 0.30, None),
        ("FER_random", None, None), ("ERT_median", None, None), ("ERT_p90", 120, 30), ("MEC", 1.0, None),
        ("EAW_median", 24, None), ("EAW_p10", 2, None), ("alerts_per_week", None, None),
        ("alerts_false", None, None), ("acknowledge_median", None, None),
    ],
)  # fmt: skip
def test_the_targets_of_the_table(name, target, stretch):
    """As the specification sets them."""
    kpi = figure(name)
    assert (kpi.target, kpi.stretch) == (target, stretch)


@pytest.mark.parametrize(
    ("side", "below", "same", "beyond"),
    [(Side.AT_LEAST, False, True, True), (Side.AT_MOST, True, True, False), (Side.BELOW, True, False, False)],
)
def test_which_side_of_a_target_meets_it(side, below, same, beyond):
    """FER must stay below .30; the others may just reach their target."""
    target = Target(side=side, target=0.3)
    assert [target.is_met_by(found) for found in (0.29, 0.3, 0.31)] == [below, same, beyond]


def test_which_figures_are_better_low():
    """Only the false exits and the reaction time."""
    targets = CONFIG.targets
    assert targets.fer.side is Side.BELOW
    assert targets.ert_p90.side is Side.AT_MOST
    others = set(type(targets).model_fields) - {"fer", "ert_p90"}
    assert {getattr(targets, name).side for name in others} == {Side.AT_LEAST}


@pytest.mark.parametrize(
    ("stopped", "hold_stop", "avoided"),
    [
        (at(9), at(10), 1.0),
        (at(10), at(10), 0.0),
        (at(11), at(10), 0.0),
        (None, at(10), 0.0),
        (at(9), None, None),
    ],
)
def test_slar_counts_stops_before_the_stop_loss(stopped, hold_stop, avoided):
    """Of runs with A whose hold path hits the stop; one that never would have is no case."""
    episode = run(stopped_at=stopped, hold_stop_at=hold_stop, adverse_at=at(5))
    assert value("SLAR", episode) == avoided
    assert value("SLAR", replace(episode, adverse_at=None)) is None


@pytest.mark.parametrize(
    ("realised", "peak", "kept"),
    [
        (30.0, 100.0, 0.3),
        (150.0, 100.0, 1.0),
        (-150.0, 100.0, -1.0),
        (-20.0, 100.0, -0.2),
        (0.0, 0.0, None),
        (-5.0, -1.0, None),
        (1.0, None, None),
        (None, 1.0, None),
    ],
)
def test_prr_is_what_was_kept_of_the_peak(realised, peak, kept):
    """Between -1 and 1; a run never in the plus has nothing to retain, and is counted as left out."""
    kpi = figure("PRR", run(stopped_at=at(9), realised=realised, peak=peak))
    assert kpi.value == kept
    assert left_out(kpi) == ("1 without a profit to retain" if kept is None else "")


def test_prr_is_a_mean():
    """.3, -1 and 1 make .1."""
    runs = [run(stopped_at=at(9), realised=kept, peak=1.0) for kept in (0.3, -4.0, 7.0)]
    assert value("PRR", *runs) == 0.1


@pytest.mark.parametrize(
    ("pairs", "stopped", "detected"),
    [
        ([(98, LATE)], None, 1.0),  # 2 hours before
        ([(98.02, LATE)], None, 0.0),
        ([(98, WARNING)], None, 0.0),
        ([(98, MANDATORY)], None, 1.0),
        ([(40, LATE), (52, NORMAL)], None, 0.0),  # over 48 hours before
        ([(40, LATE), (52.02, NORMAL)], None, 1.0),
        ([(40, LATE)], at(60), 1.0),
        ([(40, LATE)], at(51), 0.0),
        ([], None, 0.0),
    ],
)
def test_ttdr_counts_alerts_from_48_to_2_hours_before(pairs, stopped, detected):
    """A is at hour 100."""
    assert value("TTDR", run(*pairs, adverse_at=at(100), stopped_at=stopped)) == detected


@pytest.mark.parametrize(
    ("adverse", "followed", "false"),
    [
        (at(82), at(720), 0.0),
        (at(83), at(720), 1.0),
        (None, at(94), 1.0),
        (None, at(93), None),
    ],
)
def test_fer_counts_exits_that_no_event_followed(adverse, followed, false):
    """Stopped at hour 10: false without A up to hour 82, not known before hour 94."""
    kpi = figure("FER", exited(10, adverse_at=adverse, followed_until=followed))
    assert kpi.value == false
    assert left_out(kpi) == ("1 not known yet" if false is None else "")


def test_only_advised_stops_are_executed_exits():
    """A run that ended by its own stop-loss was no exit that could be false."""
    assert value("FER", run(stopped_at=at(10))) is None


def test_a_random_alert_is_false_as_often_as_hours_are():
    """A in hour 100: of the hours 1 to 100, the 27 before hour 28 see no A within 72 hours."""
    kpi = figure("FER_random", run(adverse_at=at(100)))
    assert (kpi.value, kpi.n, kpi.low, kpi.high) == (0.27, 100, None, None)
    assert value("FER_random", run(adverse_at=at(100), stopped_at=at(50))) == 0.54
    part = figure("FER_random", run(adverse_at=at(100)), start=at(27), end=at(29))
    assert (part.value, part.n) == (0.5, 2)


def test_a_random_alert_of_hours_not_looked_at_is_not_known():
    """Followed for 90 hours: only the first 6 have their 84; without a label none."""
    kpi = figure("FER_random", run(followed_until=at(90)))
    assert (kpi.value, kpi.n, kpi.note) == (1.0, 6, "insufficient: 6 of 10 cases; 84 not known yet")
    assert figure("FER_random", run(followed_until=None)).n == 0


@pytest.mark.parametrize(
    ("pairs", "minutes"),
    [
        ([(8, LATE)], 120.0),
        ([(9.5, MANDATORY)], 30.0),
        ([(1, WARNING), (8, LATE), (9, MANDATORY)], 120.0),
        ([(2, LATE), (3, NORMAL), (9, LATE)], 480.0),  # from the very first one
        ([(10, LATE)], 0.0),
        ([(11, LATE)], None),
        ([(1, WARNING)], None),
    ],
)
def test_ert_is_the_time_from_the_first_alert_to_the_stop(pairs, minutes):
    """Stopped at hour 10; a stop without an alert before reacted to nothing."""
    kpi = figure("ERT_median", exited(10, *pairs))
    assert kpi.value == minutes
    assert left_out(kpi) == ("1 without an alert before" if minutes is None else "")


@pytest.mark.parametrize(
    ("pairs", "hours"),
    [
        ([(4, WARNING)], 96.0),
        ([(4, WARNING), (5, NORMAL), (98, WARNING)], 96.0),
        ([(60, LATE)], 40.0),
        ([(100, MANDATORY)], 0.0),
        ([(101, WARNING)], None),
        ([], None),
    ],
)
def test_eaw_is_the_time_from_the_first_warning_to_the_event(pairs, hours):
    """A is at hour 100; one that came without a warning is counted as left out."""
    kpi = figure("EAW_median", run(*pairs, adverse_at=at(100)))
    assert kpi.value == hours
    assert left_out(kpi) == ("1 without a warning before" if hours is None else "")


@pytest.mark.parametrize(
    ("stopped", "followed", "in_time"),
    [
        (at(11), at(720), 1.0),
        (at(11) + timedelta(seconds=1), at(720), 0.0),
        (None, at(720), 0.0),
        (None, at(11), 0.0),
        (None, at(10), None),
        (None, None, None),
    ],
)
def test_mec_counts_stops_within_an_hour(stopped, followed, in_time):
    """MANDATORY at hour 10; as long as its hour is not over it is not known."""
    kpi = figure("MEC", run((10, MANDATORY), stopped_at=stopped, followed_until=followed))
    assert kpi.value == in_time
    assert left_out(kpi) == ("1 not known yet" if in_time is None else "")


def test_each_entry_into_mandatory_is_a_case():
    """Acknowledged, calmed down, and entered again: asked twice, followed once."""
    episode = run((10, MANDATORY), (40, LATE), (50, MANDATORY), stopped_at=at(50.5))
    kpi = figure("MEC", episode)
    assert (kpi.value, kpi.n) == (0.5, 2)


def test_the_alert_budget():
    """Three alerts in a fortnight, two of them false; escalating one is no other alert."""
    one = run((10, LATE), (12, MANDATORY), (40, NORMAL), (50, LATE), adverse_at=at(130))
    two = run((1, WARNING), (20, MANDATORY), grid_id="grid-2")
    assert value("alerts_per_week", one, two) == 1.5
    assert figure("alerts_per_week", one, two).n == 3
    assert value("alerts_false", one, two) == 1.0
    assert value("alerts_false", replace(one, adverse_at=at(122)), two) == 0.666667


def advice(*deeds, grid_id="grid-1", kind=Kind.MANAGE):
    action = Action.STOP_GRID if kind is Kind.MANAGE else Action.CREATE_GRID
    return PastAdvice("id", grid_id, kind, action, None, T0, T0, None, None, deeds)


def deed(hour, action=Answer.ACCEPT, actor="operator"):
    return ActionTaken(at(hour), actor, action)


@pytest.mark.parametrize(
    ("told", "minutes"),
    [
        ([advice(deed(10.5))], 30.0),
        ([advice(deed(10))], 0.0),
        ([advice(deed(10.5, Answer.DECLINE))], 30.0),
        ([advice(deed(10.5, Answer.NOTE))], 30.0),
        ([advice(deed(12)), advice(deed(11), deed(10.25))], 15.0),
        ([advice(deed(9.99))], None),
        ([advice(deed(10.5, Answer.EXPIRED))], None),
        ([advice(deed(10.5, actor=SYSTEM))], None),
        ([advice(deed(10.5), grid_id="grid-2")], None),
        ([advice(deed(10.5), kind=Kind.SETUP)], None),
        ([advice(deed(20))], None),  # that answers the next alert
        ([advice(deed(19.99))], 599.4),
    ],
)
def test_an_alert_is_acknowledged_by_a_humans_answer_about_its_grid(told, minutes):
    """Alerts at the hours 10 and 20; only the first lies in the period."""
    episode = run((10, LATE), (15, NORMAL), (20, LATE))
    kpi = figure("acknowledge_median", episode, advice=told, end=at(15))
    assert kpi.value == minutes
    assert left_out(kpi) == ("1 not acknowledged" if minutes is None else "")


@pytest.mark.parametrize(
    ("name", "episode"),
    [
        ("SLAR", run(stopped_at=at(30), hold_stop_at=at(40), adverse_at=at(24))),
        ("PRR", run(stopped_at=at(24), realised=1.0, peak=2.0)),
        ("TTDR", run(adverse_at=at(24))),
        ("FER", exited(24)),
        ("ERT_p90", exited(24, (1, LATE))),
        ("EAW_p10", run((1, WARNING), adverse_at=at(24))),
        ("MEC", run((24, MANDATORY))),
        ("alerts_per_week", run((24, LATE))),
        ("alerts_false", run((24, LATE))),
    ],
)
def test_a_case_belongs_to_the_period_of_its_event(name, episode):
    """From included, to not: days laid end to end count each case once."""
    assert figure(name, episode, start=at(24), end=at(48)).n == 1
    assert figure(name, episode, start=at(0), end=at(24)).n == 0
    assert figure(name, episode, start=at(24) + timedelta(seconds=1), end=at(48)).n == 0


@pytest.mark.parametrize(("n", "judged"), [(9, False), (10, True)])
def test_fewer_than_ten_cases_are_insufficient(n, judged):
    """The value is shown, but neither praised nor blamed."""
    kpi = figure("FER", *[exited(10)] * n)
    assert (kpi.value, kpi.n, kpi.meets) == (1.0, n, False if judged else None)
    assert kpi.note == ("" if judged else "insufficient: 9 of 10 cases")
    assert figure("FER_random", *[run()] * n).meets is None


def test_a_share_stands_with_wilsons_interval():
    """8 of 10 detected: .8, from .490 to .943; the target .75 is met, the stretch .80 is in sight."""
    runs = [run((90, LATE), adverse_at=at(100))] * 8 + [run(adverse_at=at(100))] * 2
    kpi = figure("TTDR", *runs)
    assert (kpi.value, kpi.low, kpi.high) == (0.8, 0.490162, 0.943318)
    assert kpi.meets is True
    assert kpi.as_record() == {
        "value": 0.8, "low": 0.490162, "high": 0.943318, "n": 10, "target": 0.75, "stretch": 0.8,
        "meets": True, "note": "",
    }  # fmt: skip


def test_medians_and_percentiles_by_hand():
    """Ten stops after 10, 20, ... 100 minutes: median 55, 90 % within 91; place 9 x .9 = 8.1."""
    runs = [exited(10, (10 - minutes / 60, LATE)) for minutes in range(10, 101, 10)]
    assert value("ERT_median", *runs) == 55.0
    kpi = figure("ERT_p90", *runs)
    assert (kpi.value, kpi.meets) == (91.0, True)
    warned = [run((100 - hours, WARNING), adverse_at=at(100)) for hours in range(1, 11)]
    assert value("EAW_median", *warned) == 5.5
    kpi = figure("EAW_p10", *warned)
    assert (kpi.value, kpi.meets) == (1.9, False)


def test_the_windows_are_configured():
    """Other numbers, other figures."""
    config = KpisConfig(
        adverse=AdverseConfig(within_h=10, back_within_h=2), earliest_h=20, latest_h=5, mandatory_min=30,
        fewest=1, low_share=0.0, high_share=1.0,
    )  # fmt: skip
    assert value("TTDR", run((95, LATE), adverse_at=at(100)), config=config) == 1.0
    assert value("TTDR", run((95.01, LATE), adverse_at=at(100)), config=config) == 0.0
    assert value("TTDR", run((70, LATE), (80, NORMAL), adverse_at=at(100)), config=config) == 0.0
    assert value("MEC", run((10, MANDATORY), stopped_at=at(10.6)), config=config) == 0.0
    assert value("FER", exited(10, adverse_at=at(21)), config=config) == 1.0
    two = [exited(10, (9, LATE)), exited(10, (8, LATE))]
    assert value("ERT_p90", *two, config=config) == 120.0
    kpi = figure("EAW_p10", *(run((h, WARNING), adverse_at=at(100)) for h in (1, 99)), config=config)
    assert (kpi.value, kpi.note, kpi.meets) == (1.0, "", False)


def test_the_numbers_of_the_windows():
    """As the specification sets them."""
    assert CONFIG.model_dump(exclude={"targets"}) == {
        "adverse": {"beyond_atr": 1.0, "back_within_h": 12, "within_h": 72},
        "earliest_h": 48,
        "latest_h": 2,
        "mandatory_min": 60,
        "fewest": 10,
        "low_share": 0.10,
        "high_share": 0.90,
    }


def test_a_report_is_recorded_as_plain_values():
    """What `kpis/{date}.yaml` holds: the period and a mapping of figures."""
    report = kpis([exited(10)], [], START, END, CONFIG)
    record = report.as_record()
    assert list(record) == ["from", "to", "kpis"]
    assert (record["from"], record["to"]) == ("2024-10-04T00:00:00Z", "2024-10-18T00:00:00Z")
    assert list(record["kpis"]) == NAMES
    assert record["kpis"]["FER"]["value"] == 1.0
    plain = (type(None), float, int, bool, str)
    assert all(type(found) in plain for kpi in record["kpis"].values() for found in kpi.values())


@given(st.integers(1, 400), st.data())
def test_wilsons_interval_is_the_books(n, data):
    """As scipy computes it."""
    k = data.draw(st.integers(0, n))
    low, high = wilson(k / n, n)
    book = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((book.low, book.high), abs=1e-12)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1


def test_wilsons_interval_by_hand():
    """z^2 = 3.841459: 0 of 10 reaches up to z^2 / (10 + z^2) = .277533."""
    assert wilson(0.0, 10) == pytest.approx((0.0, 0.277533), abs=1e-6)
    assert wilson(1.0, 10) == pytest.approx((0.722467, 1.0), abs=1e-6)


def test_the_mean_of_bounded_values_by_hand():
    """.6 and 0 between -1 and 1: mean .3, place .65; Wilson of .65 and 2 cases, stretched back."""
    mean, low, high = bounded_mean([0.6, 0.0], -1.0, 1.0)
    share_low, share_high = wilson(0.65, 2)
    assert (mean, low, high) == pytest.approx((0.3, 2 * share_low - 1, 2 * share_high - 1))
    assert bounded_mean([4.0, 4.0], 2.0, 6.0)[0] == 4.0


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_the_interval_of_a_bounded_mean_holds_the_mean_and_stays_within(values):
    """Never beyond what the values can be."""
    mean, low, high = bounded_mean(values, -1.0, 1.0)
    assert -1 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1
    assert mean == pytest.approx(math.fsum(values) / len(values))


def test_quantiles_by_hand():
    """Of 1, 2, 3, 10 the median is 2.5; 90 % stand at place 2.7: 3 + .7 x 7 = 7.9."""
    assert quantile([10.0, 1.0, 3.0, 2.0], 0.5)[0] == 2.5
    assert quantile([10.0, 1.0, 3.0, 2.0], 0.9)[0] == pytest.approx(7.9)
    assert quantile([7.0], 0.1) == (7.0, 7.0, 7.0)
    low_share, high_share = wilson(0.5, 101)
    found, low, high = quantile([float(number) for number in range(101)], 0.5)
    assert (found, low, high) == pytest.approx((50.0, 100 * low_share, 100 * high_share))


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=40), st.sampled_from([0.1, 0.5, 0.9]))
def test_a_quantile_lies_in_its_interval_and_the_interval_in_the_values(values, share):
    """Whatever the order they come in."""
    found, low, high = quantile(values, share)
    assert min(values) <= low <= found <= high <= max(values)
    assert quantile(sorted(values), share) == (found, low, high)


@given(st.lists(st.tuples(st.integers(0, 300), st.sampled_from(list(ExitState))), max_size=8), st.data())
def test_days_laid_end_to_end_count_every_case_once(pairs, data):
    """The figures of a fortnight have as many cases as its days together."""
    pairs = sorted(pairs, key=lambda pair: pair[0])
    adverse = data.draw(st.one_of(st.none(), st.integers(1, 300)))
    stopped = data.draw(st.integers(1, 330))
    episode = exited(
        stopped, *pairs, adverse_at=None if adverse is None else at(adverse), realised=1.0, peak=2.0
    )
    whole = kpis([episode], [], START, END, CONFIG)
    days = [
        kpis([episode], [], START + d * timedelta(days=1), START + (d + 1) * timedelta(days=1), CONFIG)
        for d in range(14)
    ]
    for name in NAMES:
        assert whole[name].n == sum(day[name].n for day in days)
