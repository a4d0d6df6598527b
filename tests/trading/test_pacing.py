"""Pacing: no trade comes too soon, and nothing that paces is forgotten over a restart."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from market.errors import DataInvalid
from trading.pacing import (
    DAY_S,
    PACING_FORM,
    Begun,
    MarketRest,
    Pacing,
    PacingConfig,
    began,
    ended,
    refusal,
)
from trading.reasons import Reason

NOW = 1_770_000_000


def begun(*instants: int, key: str = "A-Q") -> Pacing:
    pacing = Pacing.none()
    for ts in instants:
        pacing = began(pacing, key, ts)
    return pacing


def reason_of(config: PacingConfig, pacing: Pacing, key: str = "A-Q", now: int = NOW) -> Reason | None:
    found = refusal(config, pacing, key, now)
    return None if found is None else found.reason


def test_an_account_that_never_traded_may_trade():
    """Nothing to wait for."""
    assert refusal(PacingConfig(min_seconds_between_trades=DAY_S), Pacing.none(), "A-Q", NOW) is None


def test_trades_of_any_market_keep_their_distance():
    """Until the last second of it, whichever market comes; and the words say since which trade."""
    config = PacingConfig(min_seconds_between_trades=600)
    pacing = begun(NOW, key="B-Q")
    found = refusal(config, pacing, "A-Q", NOW + 599)
    assert str(found) == "global_trade_spacing: 599 s since the last trade (B-Q), limit 600 s"
    assert refusal(config, pacing, "A-Q", NOW + 600) is None


@pytest.mark.parametrize(
    ("won", "losses_before", "rest_s"),
    [(True, 0, 600), (True, 5, 600), (False, 0, 1800), (False, 1, 3600), (False, 2, 3600)],
)
def test_a_market_rests_after_its_trade_and_longer_after_losses(won, losses_before, rest_s):
    """Ten minutes after a win whatever came before, thirty after a loss, at most sixty after more."""
    pacing = Pacing.none()
    for _ in range(losses_before):
        pacing = ended(PacingConfig(), pacing, "A-Q", NOW - DAY_S, won=False)
    pacing = ended(PacingConfig(), pacing, "A-Q", NOW, won=won)
    assert reason_of(PacingConfig(), pacing, now=NOW + rest_s - 1) is Reason.SYMBOL_COOLDOWN_ACTIVE
    assert reason_of(PacingConfig(), pacing, now=NOW + rest_s) is None
    assert reason_of(PacingConfig(), pacing, key="B-Q", now=NOW) is None


@pytest.mark.parametrize(("won", "words"), [(True, "a win"), (False, "1 loss(es) in a row")])
def test_the_refusal_says_after_what_a_market_rests_and_until_when(won, words):
    """An operator can read when it may trade again."""
    pacing = ended(PacingConfig(), Pacing.none(), "A-Q", NOW, won=won)
    found = refusal(PacingConfig(), pacing, "A-Q", NOW + 60)
    assert found is not None
    assert found.found == f"60 s since {words}"
    assert found.limit == (
        "600 s, until 2026-02-02T02:50:00Z" if won else "1800 s, until 2026-02-02T03:10:00Z"
    )


def test_a_rest_begun_under_other_rules_is_kept():
    """A restart with a shorter rest does not wake a market that was sent to rest."""
    pacing = ended(PacingConfig(), Pacing.none(), "A-Q", NOW, won=False)
    shorter = PacingConfig(cooldown_loss_s=0, cooldown_loss_most_s=0, cooldown_win_s=0)
    assert reason_of(shorter, pacing, now=NOW + 1799) is Reason.SYMBOL_COOLDOWN_ACTIVE


def test_an_hour_and_a_day_have_only_so_many_trades():
    """The one begun exactly 60 minutes or 24 hours ago no longer counts."""
    config = PacingConfig(max_trades_per_hour=2, max_trades_per_day=3)
    assert reason_of(config, begun(NOW - 3599, NOW)) is Reason.MAX_TRADES_PER_HOUR
    assert reason_of(config, begun(NOW - 3600, NOW)) is None
    assert reason_of(config, begun(NOW - DAY_S + 1, NOW - 3600, NOW)) is Reason.MAX_TRADES_PER_DAY
    assert reason_of(config, begun(NOW - DAY_S, NOW - 3600, NOW)) is None
    found = refusal(config, begun(NOW - DAY_S + 1, NOW - 7200, NOW - 3600), "A-Q", NOW)
    assert str(found) == "max_trades_per_day: 3 trades begun, limit 3 in 24 h"


def test_what_is_a_day_old_is_forgotten():
    """So that the state never grows beyond a day's trades."""
    assert [each.ts for each in begun(NOW - DAY_S, NOW - DAY_S + 1, NOW).begun] == [NOW - DAY_S + 1, NOW]


def test_the_checks_go_in_the_order_of_the_reasons():
    """Spacing, rest, hour, day: each shows when those before it are lifted."""
    config = PacingConfig(min_seconds_between_trades=60, max_trades_per_hour=1, max_trades_per_day=1)
    pacing = ended(config, begun(NOW), "A-Q", NOW, won=False)
    assert reason_of(config, pacing) is Reason.GLOBAL_TRADE_SPACING
    config = config.model_copy(update={"min_seconds_between_trades": 0})
    assert reason_of(config, pacing) is Reason.SYMBOL_COOLDOWN_ACTIVE
    pacing = replace(pacing, rests=())
    assert reason_of(config, pacing) is Reason.MAX_TRADES_PER_HOUR
    assert reason_of(config, pacing, now=NOW + 3600) is Reason.MAX_TRADES_PER_DAY


KEYS = st.sampled_from(["A-Q", "B-Q", "C-Q"])
CONFIGS = st.builds(
    PacingConfig,
    min_seconds_between_trades=st.sampled_from([0, 1, 600, 4000]),
    max_trades_per_hour=st.integers(1, 4),
    max_trades_per_day=st.integers(1, 8),
    cooldown_win_s=st.sampled_from([0, 600]),
    cooldown_loss_s=st.sampled_from([0, 900, 1800]),
    cooldown_loss_most_s=st.sampled_from([1800, 3600]),
)
HAPPENINGS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "win", "lose"]), KEYS, st.sampled_from([0, 1, 599, 600, 1800, 3600, 80_000])
    ),
    max_size=40,
)


def by_hand(config: PacingConfig, log: list[tuple[str, str, int]], key: str, now: int) -> Reason | None:
    """What the rules say of the whole past, written down and never shortened."""
    begins = [ts for what, _, ts in log if what == "begin"]
    if begins and now - max(begins) < config.min_seconds_between_trades:
        return Reason.GLOBAL_TRADE_SPACING
    ends = [(what, ts) for what, of, ts in log if of == key and what != "begin"]
    if ends:
        losses = next((n for n, (what, _) in enumerate(reversed(ends)) if what == "win"), len(ends))
        rest = (
            min(losses * config.cooldown_loss_s, config.cooldown_loss_most_s)
            if losses
            else config.cooldown_win_s
        )
        if now < ends[-1][1] + rest:
            return Reason.SYMBOL_COOLDOWN_ACTIVE
    if len([ts for ts in begins if ts > now - 3600]) >= config.max_trades_per_hour:
        return Reason.MAX_TRADES_PER_HOUR
    if len([ts for ts in begins if ts > now - 86_400]) >= config.max_trades_per_day:
        return Reason.MAX_TRADES_PER_DAY
    return None


@given(CONFIGS, HAPPENINGS, KEYS)
def test_what_is_remembered_says_what_the_whole_past_would(config, happenings, asked):
    """Against a plain list of instants, with the state written down and read back after every step."""
    pacing, log, now = Pacing.none(), [], NOW
    for what, key, later in happenings:
        now += later
        log.append((what, key, now))
        if what == "begin":
            pacing = began(pacing, key, now)
        else:
            pacing = ended(config, pacing, key, now, won=what == "win")
        pacing = PACING_FORM.of_record(json.loads(json.dumps(PACING_FORM.as_record(pacing))), "pacing")
        for after in (0, 1, 599, 600, 3599, 3600, 86_399, 86_400):
            assert reason_of(config, pacing, asked, now + after) == by_hand(config, log, asked, now + after)
        assert len(pacing.begun) <= len(log)
        assert all(now - each.ts < DAY_S or what != "begin" for each in pacing.begun)


RECORD = PACING_FORM.as_record(
    Pacing((Begun("A-Q", NOW),), (MarketRest("A-Q", NOW, NOW + 600, won=True, losses_in_a_row=0),))
)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"begun": None}, "begun"),
        ({"begun": [{"key": "A-Q", "ts": "soon"}]}, "begun.0.ts"),
        ({"begun": [{"key": "A-Q"}]}, "begun.0.ts"),
        ({"begun": [{"key": "A-Q", "ts": 1, "more": 1}]}, "begun.0.more"),
        ({"rests": [{**RECORD["rests"][0], "losses_in_a_row": -1}]}, "rests.0.losses_in_a_row"),
        ({"rests": [{**RECORD["rests"][0], "won": 1}]}, "rests.0.won"),
        ({"more": 1}, "more"),
    ],
)
def test_a_damaged_state_is_refused_by_the_name_of_its_field(change, field):
    """Never read as no trades."""
    with pytest.raises(DataInvalid) as refused:
        PACING_FORM.of_record({**RECORD, **change}, "state")
    assert refused.value.field == field


def test_a_longest_rest_below_the_first_is_a_mistake():
    """It would make the second loss rest shorter than the first."""
    with pytest.raises(ValidationError, match="cooldown_loss_most_s 60 must be cooldown_loss_s 1800 or more"):
        PacingConfig(cooldown_loss_most_s=60)
