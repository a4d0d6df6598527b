"""The trial: a smaller grid in its band only, one trigger to stop it, every condition to promote it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import ValidationError

from grid.checks import all_passed
from grid.economics import EconomicsConfig
from grid.geometry import Spacing
from grid.parameters import GridKind
from grid.probation import (
    ProbationConfig,
    TrialHour,
    TrialMemory,
    advanced,
    allocation_of,
    as_record,
    band_of,
    expiry,
    of_record,
    opened,
    promotion,
    propose_probationary,
    quick_stop,
    stops,
)
from grid.proposal import propose
from market.costs import Fees
from market.errors import DataInvalid
from regime.analysis import Verdict
from store import yaml_text
from tests.grid.settings import setting, settings_
from tests.sections import takes

CONFIG = ProbationConfig()
ECONOMICS = EconomicsConfig()
CALM = TrialHour(
    close=2_000.0,
    lower=1_800.0,
    upper=2_200.0,
    verdict=Verdict.RANGE_WEAK,
    confidence=0.70,
    warned=False,
    net_profit=1.0,
    allocation=400.0,
    cycles=3,
    age_h=24,
)


def named(checks):
    return {check.name: check for check in checks}


@pytest.mark.parametrize(
    ("confidence", "model", "kind"),
    [
        (0.649999, "evidence", None),
        (0.65, "evidence", GridKind.PROBATIONARY),
        (0.799999, "evidence", GridKind.PROBATIONARY),
        (0.8, "evidence", GridKind.NORMAL),
        (0.95, "evidence", GridKind.NORMAL),
        (0.599999, "classic", None),
        (0.6, "classic", GridKind.PROBATIONARY),
        (0.8, "classic", GridKind.NORMAL),
        (0.0, "classic", None),
        (0.7999999, "evidence", GridKind.NORMAL),
    ],
)
def test_property_41_each_band_just_below_at_and_just_above(confidence, model, kind):
    """Confidence counts as it is recorded, at six digits; the check holds it against the least band."""
    band = band_of(confidence, model, CONFIG)
    assert band.kind is kind
    assert band.check.passed == (kind is not None)
    assert band.check.threshold == (0.65 if model == "evidence" else 0.6)


@given(st.floats(0, 1), st.sampled_from(["evidence", "classic"]))
def test_property_41_a_probationary_grid_only_in_its_band(confidence, model):
    """Outside it the last check of the list fails, and names how far."""
    made = propose_probationary(setting(), confidence, model, ECONOMICS, CONFIG)
    band = made.checks[-1]
    assert band.name == "band"
    assert band.passed == (band_of(confidence, model, CONFIG).kind is GridKind.PROBATIONARY)
    assert made.valid == band.passed
    assert band.passed == (band.distance > 0 or band.value == CONFIG.band_lower(model))


@pytest.mark.parametrize(
    ("confidence", "model", "inside"),
    [
        (0.649999, "evidence", False),
        (0.65, "evidence", True),
        (0.599999, "classic", False),
        (0.6, "classic", True),
        (0.799999, "evidence", True),
        (0.8, "evidence", False),
    ],
)
def test_property_41_the_ends_of_the_band(confidence, model, inside):
    """The lower end belongs to it, the upper one is a normal grid's."""
    made = propose_probationary(setting(), confidence, model, ECONOMICS, CONFIG)
    assert made.checks[-1].passed is inside


def test_the_bands_distance_is_to_its_nearer_end():
    """Positive inside."""
    for confidence, threshold, distance in ((0.66, 0.65, 0.01), (0.79, 0.8, 0.01), (0.6, 0.65, -0.05)):
        made = propose_probationary(setting(), confidence, "evidence", ECONOMICS, CONFIG)
        assert made.checks[-1].threshold == threshold
        assert made.checks[-1].distance == pytest.approx(distance)
    halves = ProbationConfig(band_lower_evidence=0.5, band_lower_classic=0.5, band_upper=0.75)
    middle = propose_probationary(setting(), 0.625, "evidence", ECONOMICS, halves)
    assert (middle.checks[-1].threshold, middle.checks[-1].distance) == (0.5, 0.125)


def test_a_range_for_one_cell_shows_what_that_cell_would_earn():
    """Too few for a grid, but its spacing and its cycle are measured."""
    made = propose_probationary(setting(lower=1990.0, upper=2014.0), 0.65, "evidence", ECONOMICS, CONFIG)
    assert named(made.checks)["levels"].value == 1
    assert made.spacing_pct == pytest.approx(100 * (2009 / 1995 - 1))
    assert named(made.checks)["spacing"].passed and named(made.checks)["net_cycle"].passed
    assert not made.valid and not named(made.checks)["sizes"].passed
    two = propose_probationary(setting(lower=1976.0, upper=2024.0), 0.65, "evidence", ECONOMICS, CONFIG)
    assert named(two.checks)["levels"].value == 2  # which the exchange would take, and the rules do not
    assert named(two.checks)["sizes"].passed and not two.valid


def test_beyond_the_band_a_trial_is_sized_as_at_its_nearer_end():
    """Its last check fails all the same."""
    for confidence, allocation in ((0.1, 400), (0.65, 400), (0.8, 480), (0.95, 480)):
        made = propose_probationary(setting(), confidence, "evidence", ECONOMICS, CONFIG)
        assert made.allocation == allocation


def test_a_probationary_grid_by_hand():
    """At the bottom: half the money, spacing 1.5 times, bounds .25 ATR further in, stop-loss 1 ATR below."""
    normal = propose(setting(), ECONOMICS)
    made = propose_probationary(setting(), 0.65, "evidence", ECONOMICS, CONFIG)
    assert made.kind is GridKind.PROBATIONARY and made.valid
    parameters = made.parameters
    assert (parameters.lower, parameters.upper, parameters.stop_loss) == (1_805, 2_195, 1_785)
    assert (made.allocation, made.investment) == (400, 400)
    assert made.spacing_pct >= 1.5 * normal.spacing_pct
    assert parameters.levels == 7
    assert made.form.investment == "400"
    names = [check.name for check in made.checks]
    assert names == [
        "price_inside", "levels", "sizes", "spacing", "net_cycle", "net_cycle_fee", "order_size", "notional",
        "band",
    ]  # fmt: skip
    top = propose_probationary(setting(), 0.799999, "evidence", ECONOMICS, CONFIG)
    assert top.allocation == Decimal("479.99")
    assert top.parameters.levels == 9


@given(st.integers(10, 10**9).map(lambda cents: Decimal(cents) / 100), st.floats(0, 1), st.integers(2, 4))
@example(Decimal("1000.01"), 0.0, 2)
@example(Decimal("0.10"), 1.0, 2)
def test_property_39_the_allocation_is_50_to_60_percent_of_a_normal_one(normal, position, places):
    """Also after rounding, and rising with the place in the band."""
    amount = allocation_of(normal, position, places, CONFIG)
    assert Decimal("0.50") * normal <= amount <= Decimal("0.60") * normal
    assert amount <= allocation_of(normal, 1.0, places, CONFIG)
    assert amount >= allocation_of(normal, 0.0, places, CONFIG)


def test_property_39_the_allocation_at_both_ends_and_between():
    """50, 55 and 60 of 100."""
    found = [allocation_of(Decimal(100), position, 2, CONFIG) for position in (0.0, 0.5, 1.0)]
    assert found == [50, 55, 60]


@hypothesis_settings(max_examples=300)
@given(settings_(), st.integers(6_500, 7_999), st.sampled_from(list(Spacing)))
def test_property_40_the_spacing_is_never_below_a_normal_ones(given_, confidence, spacing):
    """By the factor of its place in the band, wherever a trial may be proposed at all."""
    economics = EconomicsConfig(spacing=spacing)
    normal = propose(given_, economics)
    made = propose_probationary(given_, confidence / 10_000, "evidence", economics, CONFIG)
    assume(made.parameters is not None)
    position = (confidence / 10_000 - 0.65) / 0.15
    assert made.spacing_pct >= (1.5 - 0.25 * position) * normal.spacing_pct * (1 - 1e-5)
    assert made.spacing_pct >= normal.spacing_pct
    if made.valid:
        assert made.parameters.levels >= 4
        assert made.net_cycle_pct >= given_.fees.maker_bps / 100
        assert made.notional <= given_.deployable


def test_property_42_fewer_than_four_levels_is_no_trial():
    """Five normal cells at 1.5 times the spacing are three; the numbers still stand in the record."""
    narrow = setting(lower=1_850.0, upper=2_010.0, price=1_950.0, atr=1.0)
    assert propose(narrow, ECONOMICS).parameters.levels == 5
    made = propose_probationary(narrow, 0.65, "evidence", ECONOMICS, CONFIG)
    assert named(made.checks)["levels"].passed is False
    assert named(made.checks)["levels"].value == 3
    assert not made.valid
    assert propose_probationary(setting(), 0.65, "evidence", ECONOMICS, CONFIG).valid


@pytest.mark.parametrize(("upper", "levels"), [(1_850.0, 0), (1_900.0, 1), (1_960.0, 2)])
def test_property_42_what_little_fits_is_recorded(upper, levels):
    """From two cells on there is a grid to look at, from one a spacing; none is valid."""
    economics = EconomicsConfig(fewest_levels=2)
    tight = setting(upper=upper, price=1_820.0, atr=1.0)
    made = propose_probationary(tight, 0.65, "evidence", economics, ProbationConfig(spacing_bottom=2.5))
    assert named(made.checks)["levels"].value == levels
    assert (made.spacing_pct is not None) == (levels >= 1)
    assert (made.parameters is not None) == (levels >= 2)


@pytest.mark.parametrize("others", [{"atr": 900.0}, {"lower": 2_300.0}])
def test_property_42_bounds_that_cross_when_pulled_in_are_refused(others):
    """There is no grid and no form."""
    made = propose_probationary(setting(**others), 0.7, "evidence", ECONOMICS, CONFIG)
    assert not made.valid and made.form is None
    assert (named(made.checks)["levels"].value, made.spacing_pct) == (0, None)


def test_property_43_a_cycle_must_earn_one_fee_after_two():
    """The same list asks for more where fees are higher, and for a gain in any case."""
    for maker, threshold in ((10, 0.1), (40, 0.4), (0, 0), (-5, 0)):
        fees = Fees(maker_bps=maker, taker_bps=10)
        made = propose_probationary(setting(fees=fees), 0.7, "evidence", ECONOMICS, CONFIG)
        assert named(made.checks)["net_cycle_fee"].threshold == pytest.approx(threshold)
        assert named(made.checks)["net_cycle"].threshold == 0
    net = propose_probationary(setting(), 0.7, "evidence", ECONOMICS, CONFIG).net_cycle_pct
    just = ProbationConfig(fewest_fees=net * 10)
    assert propose_probationary(setting(), 0.7, "evidence", ECONOMICS, just).valid
    much = ProbationConfig(fewest_fees=30)
    made = propose_probationary(setting(), 0.7, "evidence", ECONOMICS, much)
    assert named(made.checks)["net_cycle_fee"].passed is False
    assert not made.valid


# --- quick stop -------------------------------------------------------------------------------------------

TRIGGERS = {
    "warning_bars": (TrialMemory(warning_bars=2), {"warned": True}),
    "close_inside": (opened(), {"close": 2_200.01}),
    "weak_bars": (TrialMemory(weak_bars=2), {"confidence": 0.5}),
    "loss": (opened(), {"net_profit": -4.0}),
    "trend": (opened(), {"verdict": Verdict.TREND}),
}


@given(st.sets(st.sampled_from(sorted(TRIGGERS))))
def test_property_45_each_quick_stop_trigger_alone_stops(fired):
    """Any set of them: exactly those show, and one is enough."""
    after, hour = opened(), CALM
    for name in fired:
        memory, change = TRIGGERS[name]
        after = TrialMemory(
            max(after.warning_bars, memory.warning_bars), max(after.weak_bars, memory.weak_bars)
        )
        hour = replace(hour, **change)
    checks = quick_stop(after, hour, CONFIG)
    assert {check.name for check in checks if check.passed is False} == fired
    assert stops(checks) == bool(fired)
    assert [check.name for check in checks] == [
        "warning_bars",
        "close_inside",
        "weak_bars",
        "loss",
        "trend",
    ]


@pytest.mark.parametrize(
    ("name", "memory", "change", "safe", "distance"),
    [
        ("warning_bars", TrialMemory(warning_bars=1), {}, True, 1),
        ("warning_bars", TrialMemory(warning_bars=2), {}, False, 0),
        ("warning_bars", TrialMemory(warning_bars=3), {}, False, -1),
        ("close_inside", opened(), {"close": 1_800.0}, True, 0),
        ("close_inside", opened(), {"close": 1_799.99}, False, -0.01),
        ("close_inside", opened(), {"close": 2_200.0}, True, 0),
        ("close_inside", opened(), {"close": 2_200.01}, False, -0.01),
        ("close_inside", opened(), {"close": 1_900.0}, True, 100),
        ("close_inside", opened(), {"close": 2_150.0}, True, 50),
        ("weak_bars", TrialMemory(weak_bars=1), {}, True, 1),
        ("weak_bars", TrialMemory(weak_bars=2), {}, False, 0),
        ("loss", opened(), {"net_profit": -3.99}, True, 0.0025),
        ("loss", opened(), {"net_profit": -4.0}, False, 0),
        ("loss", opened(), {"net_profit": -4.01}, False, -0.0025),
        ("loss", opened(), {"net_profit": None}, None, None),
        ("trend", opened(), {"verdict": Verdict.TRANSITION}, True, 0),
        ("trend", opened(), {"verdict": Verdict.TREND}, False, -1),
    ],
)
def test_property_45_each_trigger_just_before_at_and_beyond_its_threshold(
    name, memory, change, safe, distance
):
    """Distances are positive on the safe side; an unknown profit is not a loss, and shows as unknown."""
    found = named(quick_stop(memory, replace(CALM, **change), CONFIG))[name]
    assert found.passed is safe
    assert found.distance == (None if distance is None else pytest.approx(distance))


def test_the_nearer_bound_is_the_close_checks_threshold():
    """So that the record says which side was near."""
    for close, bound in ((1_900.0, 1_800), (2_000.0, 1_800), (2_100.0, 2_200)):
        assert (
            named(quick_stop(opened(), replace(CALM, close=close), CONFIG))["close_inside"].threshold == bound
        )


# --- what a trial remembers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("confidence", "weak", "sure"),
    [
        (0.549999, 2, 0),
        (0.55, 0, 0),
        (0.5499999, 0, 0),
        (0.799999, 0, 0),
        (0.8, 0, 2),
        (0.7999999, 0, 2),
        (None, 1, 0),
    ],
)
def test_confidence_counts_by_bars(confidence, weak, sure):
    """Below .55 towards a stop, from .80 towards a promotion; unknown keeps the first, ends the second."""
    after = advanced(TrialMemory(weak_bars=1, sure_bars=1), replace(CALM, confidence=confidence), CONFIG)
    assert (after.weak_bars, after.sure_bars) == (weak, sure)


class Trial(RuleBasedStateMachine):
    """Hours of any kind, held against what the list of them says."""

    def __init__(self):
        super().__init__()
        self.memory, self.hours = opened(), []

    @rule(confidence=st.sampled_from([None, 0.4, 0.55, 0.7, 0.8, 0.9]), warned=st.booleans())
    def judged(self, confidence, warned):
        hour = replace(CALM, confidence=confidence, warned=warned)
        self.memory = advanced(self.memory, hour, CONFIG)
        self.hours.append(hour)

    @rule()
    def unjudged(self):
        self.memory = advanced(self.memory, None, CONFIG)
        self.hours.append(None)

    @rule()
    def restarted(self):
        text = yaml_text.dump(as_record(self.memory))
        self.memory = of_record(yaml_text.load(text, "metrics"))

    @invariant()
    def counts_follow_from_the_hours(self):
        seen = [hour for hour in self.hours if hour is not None]
        known = [hour.confidence for hour in seen if hour.confidence is not None]
        assert self.memory == TrialMemory(
            warning_bars=_last_run([hour.warned for hour in seen]),
            weak_bars=_last_run([confidence < 0.55 for confidence in known]),
            sure_bars=_last_run(
                [
                    hour is not None and hour.confidence is not None and hour.confidence >= 0.8
                    for hour in self.hours
                ]
            ),
            was_warned=any(hour.warned for hour in seen),
        )


def _last_run(facts):
    return next((i for i, fact in enumerate(reversed(facts)) if not fact), len(facts))


TestTrial = Trial.TestCase


def test_a_memory_that_is_none_is_refused_by_name():
    """A flag is no count."""
    with pytest.raises(DataInvalid) as refused:
        of_record({**as_record(opened()), "weak_bars": False}, "metrics 14")
    assert (refused.value.where, refused.value.field) == ("metrics 14", "weak_bars")


# --- promotion and expiry ---------------------------------------------------------------------------------

SURE = TrialMemory(sure_bars=3)


def test_a_trial_that_meets_everything_is_promoted():
    """24 hours, three cycles, a profit, three sure hours, never warned."""
    checks = promotion(SURE, CALM, CONFIG)
    assert all_passed(checks)
    assert [check.name for check in checks] == ["age", "cycles", "profit", "sure_bars", "was_warned"]


@pytest.mark.parametrize(
    ("name", "memory", "change", "passed"),
    [
        ("age", SURE, {"age_h": 23}, False),
        ("age", SURE, {"age_h": 25}, True),
        ("cycles", SURE, {"cycles": 2}, False),
        ("cycles", SURE, {"cycles": 4}, True),
        ("cycles", SURE, {"cycles": None}, None),
        ("profit", SURE, {"net_profit": 0.0}, False),
        ("profit", SURE, {"net_profit": 0.01}, True),
        ("profit", SURE, {"net_profit": -0.01}, False),
        ("profit", SURE, {"net_profit": None}, None),
        ("sure_bars", TrialMemory(sure_bars=2), {}, False),
        ("sure_bars", TrialMemory(sure_bars=4), {}, True),
        ("was_warned", TrialMemory(sure_bars=3, was_warned=True), {}, False),
    ],
)
def test_each_condition_of_a_promotion_at_its_threshold(name, memory, change, passed):
    """One that fails or is not known is enough to stay on trial."""
    checks = promotion(memory, replace(CALM, **change), CONFIG)
    assert named(checks)[name].passed is passed
    assert all_passed(checks) == (passed is True)


@pytest.mark.parametrize(("age", "running"), [(71, True), (72, False), (73, False)])
def test_a_trial_expires_after_72_hours(age, running):
    """At 72 it is over."""
    assert expiry(replace(CALM, age_h=age), CONFIG).passed is running


def test_configured_thresholds_are_honoured():
    """Each one moved, each check moved with it."""
    config = ProbationConfig(
        stop_warning_bars=5, stop_confidence_bars=6, stop_loss_pct=2.0, promote_age_h=30, promote_cycles=7,
        promote_confidence_bars=4, expires_h=80, stop_confidence=0.4, promote_confidence=0.9,
    )  # fmt: skip
    told = named((*quick_stop(SURE, CALM, config), *promotion(SURE, CALM, config), expiry(CALM, config)))
    assert {name: check.threshold for name, check in told.items() if name != "close_inside"} == {
        "warning_bars": 5, "weak_bars": 6, "loss": 2, "trend": 0, "age": 30, "cycles": 7, "profit": 0,
        "sure_bars": 4, "was_warned": 0, "expiry": 80,
    }  # fmt: skip
    assert advanced(opened(), replace(CALM, confidence=0.5), config).weak_bars == 0
    assert advanced(opened(), replace(CALM, confidence=0.85), config).sure_bars == 0
    moved = ProbationConfig(
        pull_in_atr=1.0, stop_loss_atr=2.0, allocation_bottom=0.2, allocation_top=0.4, spacing_bottom=2.0,
        band_lower_evidence=0.7, band_lower_classic=0.65, band_upper=0.9,
    )  # fmt: skip
    made = propose_probationary(setting(), 0.7, "evidence", ECONOMICS, moved)
    assert (made.parameters.lower, made.parameters.upper) == (1_820, 2_180)
    assert (made.parameters.stop_loss, made.allocation) == (1_780, 160)
    assert made.parameters.levels == 5
    assert band_of(0.65, "classic", moved).kind is GridKind.PROBATIONARY
    assert band_of(0.65, "evidence", moved).kind is None
    assert band_of(0.85, "evidence", moved).kind is GridKind.PROBATIONARY


@pytest.mark.parametrize(
    "values",
    [
        {"band_lower_evidence": 0.8},
        {"band_lower_classic": 0.8},
        {"allocation_bottom": 0.61},
        {"spacing_bottom": 1.2},
        {"promote_age_h": 73},
        {"promote_confidence": 1.1},
        {"unknown": 1},
    ],
)
def test_a_configuration_that_contradicts_itself_is_refused(values):
    """At load."""
    with pytest.raises(ValidationError):
        ProbationConfig(**values)


def test_ends_of_the_configuration_may_meet():
    """A constant share, a constant spacing, promotion at the last hour."""
    meeting = {"allocation_bottom": 0.6, "spacing_bottom": 1.25, "promote_age_h": 72}
    assert ProbationConfig(**meeting).model_dump(include=set(meeting)) == meeting


def test_the_defaults_are_those_of_the_specification():
    """Every number of a trial."""
    assert CONFIG.model_dump() == {
        "band_lower_evidence": 0.65,
        "band_lower_classic": 0.60,
        "band_upper": 0.80,
        "allocation_bottom": 0.50,
        "allocation_top": 0.60,
        "spacing_bottom": 1.50,
        "spacing_top": 1.25,
        "pull_in_atr": 0.25,
        "stop_loss_atr": 1.0,
        "fewest_fees": 1.0,
        "stop_warning_bars": 2,
        "stop_confidence": 0.55,
        "stop_confidence_bars": 2,
        "stop_loss_pct": 1.0,
        "promote_age_h": 24,
        "promote_cycles": 3,
        "promote_confidence": 0.80,
        "promote_confidence_bars": 3,
        "expires_h": 72,
    }


@pytest.mark.parametrize(
    ("field", "taken", "refused"),
    [
        ("allocation_bottom", (1e-9, 1), (0, 1.5)),
        ("allocation_top", (1e-9, 1), (0, 1.5)),
        ("spacing_bottom", (1, 10), (0.5, 10.5)),
        ("spacing_top", (1, 10), (0.5, 10.5)),
        ("pull_in_atr", (0, 5), (-0.5, 5.5)),
        ("stop_loss_atr", (1e-9, 20), (0, 20.5)),
        ("fewest_fees", (0, 100), (-0.5, 100.5)),
        ("stop_warning_bars", (1, 168), (0, 169)),
        ("stop_confidence_bars", (1, 168), (0, 169)),
        ("stop_loss_pct", (1e-9, 100), (0, 100.5)),
        ("promote_age_h", (1, 1000), (0, 1001)),
        ("promote_cycles", (0, 1000), (-1, 1001)),
        ("promote_confidence_bars", (1, 168), (0, 169)),
        ("expires_h", (1, 1000), (0, 1001)),
    ],
)
def test_each_number_may_reach_its_limits_and_no_further(field, taken, refused):
    """On both ends."""
    assert [takes(ProbationConfig, field, value) for value in (*taken, *refused)] == [
        True,
        True,
        False,
        False,
    ]
