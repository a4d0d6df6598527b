"""A glance at a record says what the whole record says, or the strict decoder is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from decisions.evaluate import evaluate
from market.errors import DataInvalid
from regime.analysis import Components, RegimeAnalysis, Verdict
from store import glance
from store.decision_files import decision_file, decision_path, decode_decision, encode
from store.glance import advice_glance, glance_at_advice, glance_at_metrics, hour_glance
from store.paths import metrics_path, parse_metrics
from store.records import MetricsFile, decode_metrics, encode_metrics, metrics_file
from tests.decisions.builders import (
    ANALYSIS,
    HOUR,
    KEY,
    advice_of,
    analysis,
    inputs,
    no_data,
    policy,
    reading,
    running,
    stopped,
    unjudged,
)

PATH = metrics_path(KEY, HOUR)
HOSTILE = "yes: 1\n  range:\n    lower: 5.0\n    upper: 6.0\nconfidence:\n  value: 0.1 {{7*7}} </script>"
numbers = st.one_of(st.none(), st.floats(-1e9, 1e9), st.sampled_from([0.0, -0.0, 1e-8, 1e16, 5e-324]))
shares = st.floats(0, 1)
texts = st.one_of(
    st.sampled_from(["yes", "dwell: 3", HOSTILE, "- a\n- b", "'", '"', ""]), st.text(max_size=90)
)


@st.composite
def analyses(draw: st.DrawFn) -> RegimeAnalysis:
    """Return an analysis whose figures and texts are anything that a record may hold."""
    names = list(ANALYSIS.metrics)
    metrics = {
        name: reading(draw(numbers), draw(st.one_of(st.none(), texts)))
        for name in draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    }
    part = Components("neutral", "low", "weak", "NEUTRAL_LOWVOL_WEAK", "CHOPPY", draw(shares))
    lower = draw(st.floats(0.001, 1e6))
    drawn = replace(ANALYSIS.range, lower=lower, upper=lower + 1, valid=draw(st.booleans()))
    return analysis(
        verdict=draw(st.sampled_from(Verdict)),
        hold_probability=draw(st.one_of(st.none(), shares)),
        trendiness=draw(st.one_of(st.none(), shares)),
        metrics=metrics,
        vetoes=tuple(draw(st.lists(texts, max_size=3))),
        distances={"RANGE_OK": draw(st.floats(-1, 1))},
        range=drawn,
        price=draw(st.floats(0.001, 1e6)),
        components=draw(st.sampled_from([None, part])),
    )


def record(found: RegimeAnalysis, **changes: Any) -> MetricsFile:
    made = metrics_file(evaluate(inputs(grids=(running(), running("b-2"))), policy()))
    written = metrics_file(replace(evaluate(inputs(), policy()), analysis=found))
    return written.model_copy(
        update={"exit_evaluation": made.exit_evaluation, "decisions": made.decisions, **changes}
    )


@settings(max_examples=50, deadline=None)
@given(
    analyses(),
    st.lists(
        st.sampled_from(["2026-02-02/dec-ETH-USDT-150000", "2026-02-02/dec-ETH-USDT-150000-a"]), max_size=2
    ),
    st.booleans(),
    st.lists(st.just("2026-02-01T00"), max_size=2),
)
def test_a_glance_says_what_the_whole_record_says(found, decisions, with_summary, revised):
    """Property: whatever the record holds, both ways tell the same figures."""
    file = record(found, decisions=decisions)
    if not with_summary:
        file = file.model_copy(update={"market_summary": None})
    quality = file.data_quality.model_copy(update={"revised": revised, "missing": 2, "missing_24h": 9})
    data = encode_metrics(file.model_copy(update={"data_quality": quality}))
    whole = hour_glance(decode_metrics(data, PATH, parse_metrics(PATH)))
    assert repr(glance_at_metrics(data, PATH)) == repr(whole)  # NaN is NaN in words
    assert (whole.missing, whole.missing_24h, len(whole.exits)) == (2, 9, 2)


def test_an_ordinary_hour_is_read_off_its_lines_and_a_rare_one_whole(monkeypatch):
    """The quick way is what makes a year cheap: it must not fall back to the slow one unseen."""
    grids = (running(), running("b-2"))
    ordinary = encode_metrics(metrics_file(evaluate(inputs(grids=grids), policy())))
    monkeypatch.setattr(glance, "decode_metrics", None)
    found = glance_at_metrics(ordinary, PATH)
    assert (found.verdict, found.hour, found.decisions[0]) == (
        "RANGE_OK",
        HOUR.index,
        "2026-02-02/dec-ETH-USDT-150000-b-2",
    )
    assert found.exits == (("b-2", "NORMAL"), ("eth-usdt-1", "NORMAL"))
    monkeypatch.undo()
    for rare in (unjudged(), no_data(), unjudged(grids=grids), inputs(grids=(stopped(),))):
        data = encode_metrics(metrics_file(evaluate(rare, policy())))
        whole = hour_glance(decode_metrics(data, PATH, parse_metrics(PATH)))
        assert repr(glance_at_metrics(data, PATH)) == repr(whole)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20_000), st.sampled_from(["cut", "byte", "line"]))
def test_damage_is_named_unless_it_touches_nothing_that_is_told(place, how):
    """A file cut short, with a byte or a line changed: refused by name, the same, or still a record."""
    data = encode_metrics(metrics_file(evaluate(inputs(grids=(running(),)), policy())))
    place %= len(data)
    lines = data.splitlines(keepends=True)
    spoilt = {
        "cut": data[:place],
        "byte": data[:place] + b"\xff" + data[place + 1 :],
        "line": b"".join(lines[: place % len(lines)] + lines[place % len(lines) + 1 :]),
    }[how]
    try:
        found = glance_at_metrics(spoilt, PATH)
    except DataInvalid as error:
        assert error.where == PATH
    else:
        if repr(found) != repr(glance_at_metrics(data, PATH)):
            assert repr(found) == repr(hour_glance(decode_metrics(spoilt, PATH, parse_metrics(PATH))))


def test_a_list_that_lost_its_lines_is_not_an_empty_one():
    """An hour whose recommendations were cut out is refused, as the whole record is."""
    data = encode_metrics(metrics_file(evaluate(inputs(grids=(running(),)), policy())))
    lines = data.splitlines(keepends=True)
    cut = b"".join(line for line in lines if not line.startswith(b"- "))
    assert cut != data
    with pytest.raises(DataInvalid, match="decisions"):
        glance_at_metrics(cut, PATH)


@pytest.mark.parametrize(
    "path", [metrics_path("BTC-USDT", HOUR), metrics_path(KEY, HOUR.plus(1)), "metrics/a", "x"]
)
def test_a_record_under_another_name_is_refused(path):
    """The path and the record must agree."""
    data = encode_metrics(metrics_file(evaluate(inputs(), policy())))
    if parse_metrics(path) is None:
        assert repr(glance_at_metrics(data, path)) == repr(glance_at_metrics(data, PATH))
        return
    with pytest.raises(DataInvalid, match="the path names another"):
        glance_at_metrics(data, path)


def test_an_exit_state_that_is_none_is_refused():
    """A running grid's entry without a state is damage."""
    file = record(ANALYSIS, exit_evaluation={"a": {"state": 3}})
    with pytest.raises(DataInvalid, match="exit_evaluation"):
        glance_at_metrics(encode_metrics(file), PATH)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("\nconfidence:\n  value: 0.", "\nconfidence:\n  value: 7."),
        ("\n  hold_probability: 0.", "\n  hold_probability: -3."),
        ("\n  T: 0.", "\n  T: 2."),
        ("\n  range:\n    lower: ", "\n  range:\n    lower: 9"),
        ("\ndata_quality:\n  missing: 0", "\ndata_quality:\n  missing: 61"),
        ("\n  bars_only: false\n", "\n  bars_only: false\ngarbage: [\n"),
        ("\n  files:", "\n  files: []\n  more:"),
    ],
)
def test_a_figure_that_cannot_be_and_words_after_the_end_are_refused(ours, theirs):
    """A page would say 750 %: the quick way refuses what the strict one refuses, and what is out of range."""
    data = encode_metrics(metrics_file(evaluate(inputs(), policy()))).decode()
    assert ours in data
    with pytest.raises(DataInvalid) as error:
        glance_at_metrics(data.replace(ours, theirs, 1).encode(), PATH)
    assert error.value.where == PATH


@pytest.mark.parametrize("entry", ["nonsense", {"state": 3}, ["NORMAL"]])
def test_an_exit_entry_that_is_none_is_refused_by_file_and_field(entry):
    """Not passed over as if no grid ran; the error names the file that is damaged."""
    file = record(ANALYSIS, exit_evaluation={"eth-usdt-1": entry})
    with pytest.raises(DataInvalid) as error:
        glance_at_metrics(encode_metrics(file), PATH)
    assert (error.value.where, error.value.field) == (PATH, "exit_evaluation.eth-usdt-1.state")


@pytest.mark.parametrize("grids", [(), (running(),), (stopped(),)])
def test_a_recommendation_at_a_glance_is_the_whole_one_in_short(grids):
    """Both ways tell the same; damage and another name are refused."""
    made = evaluate(inputs(grids=grids), policy())
    advice = advice_of(made)
    data, path = encode(decision_file(made, advice)), decision_path(advice.id)
    found = glance_at_advice(data, path)
    assert found == advice_glance(decode_decision(data, path)) and found.action == advice.action
    with pytest.raises(DataInvalid, match="not UTF-8"):
        glance_at_advice(b"\xff" + data, path)
    with pytest.raises(DataInvalid, match="the path names"):
        glance_at_advice(data, decision_path("2026-02-02/dec-ETH-USDT-160000"))
