"""Text that fits a phone: cut at words, and never what the operator acts on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from notifications.manner import as_told
from notifications.notice import MOST_BODY, Kind, Level, Notice
from notifications.text import cut, fit, opened, sentence

AT = datetime(2026, 2, 2, 15, tzinfo=UTC)
WORDS = st.text(alphabet="abc é😀", max_size=300)


@given(soft=st.lists(WORDS, max_size=4), firm=st.lists(WORDS, max_size=4), most=st.integers(1, 400))
def test_it_always_fits_and_what_is_firm_stays_whole_where_it_fits(
    soft: list[str], firm: list[str], most: int
):
    """At most so many characters; the firm part ends the text unless it alone is too long."""
    text = fit(soft, firm, most)
    assert len(text) <= most
    kept = " ".join(part for part in firm if part)
    if len(kept) <= most:
        assert text.endswith(kept)


def test_text_is_cut_at_a_word_and_marked():
    """No half word, no comma before the mark; one long word is cut where it must."""
    assert cut("the price left the range, twice", 26) == "the price left the range…"
    assert cut("x" * 30, 10) == "x" * 9 + "…"
    assert cut("short", 5) == "short"
    assert fit(["why " * 100], ["do this"], 40) == "why why why why why why why why… do this"


@pytest.mark.parametrize(
    ("soft", "firm", "most", "text"),
    [
        (["ab"], ["cd"], 5, "ab cd"),  # just fits
        (["abc"], ["cd"], 5, "a… cd"),
        (["abc"], ["cd"], 4, "… cd"),  # room for one character
        (["abc"], ["cd"], 3, "cd"),  # room for none
        (["abc"], ["cd"], 2, "cd"),
        (["abc"], ["cde"], 2, "c…"),
        ([], ["cd"], 9, "cd"),
        (["", "ab"], ["", ""], 9, "ab"),
    ],
)
def test_soft_text_gets_the_room_that_firm_text_leaves(
    soft: list[str], firm: list[str], most: int, text: str
):
    """To the character."""
    assert fit(soft, firm, most) == text


@pytest.mark.parametrize(
    ("text", "most", "short"),
    [
        ("a bcdefgh", 6, "a bcd…"),  # the last word's start is worth more than a lone letter
        ("abcd efgh", 6, "abcd…"),
        ("one two three", 11, "one two…"),
        ("abc efghi", 6, "abc e…"),
        ("abcdef gh", 7, "abcdef…"),
        (" abcdefgh", 5, " abc…"),
    ],
)
def test_half_a_word_is_shown_where_the_whole_ones_are_less_than_half(text: str, most: int, short: str):
    """A cut at the last blank may not eat most of the line."""
    assert cut(text, most) == short


def test_a_sentence_has_one_end():
    """Whatever it comes with."""
    assert [sentence(text) for text in ("a", "a.", "a!", "")] == ["a.", "a.", "a!", ""]


def notice(**others: object) -> Notice:
    values: dict[str, object] = {
        "dedupe": "d",
        "market": "ETH-USDT",
        "level": Level.EMERGENCY,
        "title": "t",
        "body": "Stop the grid.",
        "at": AT,
        "kind": Kind.ADVICE,
        "grid_id": "eth-1",
        "exit_state": "MANDATORY_EXIT",
    }
    return Notice(**{**values, **others})  # type: ignore[arg-type]


def test_a_notice_in_time_is_told_as_it_is():
    """To the byte."""
    assert as_told(notice(), AT, AT + timedelta(minutes=14), overtaken=False) == notice()


def test_a_late_notice_says_so_and_an_overtaken_one_makes_no_sound():
    """After an outage only the newest message about a grid sounds; each says how late it is."""
    late = as_told(notice(), AT, AT + timedelta(minutes=50), overtaken=False)
    assert (late.level, late.body) == (Level.EMERGENCY, "Told 50 min late. Stop the grid.")
    old = as_told(notice(), AT, AT + timedelta(hours=5), overtaken=True)
    assert old.level is Level.QUIET
    assert old.body == "Told 5 h late. A newer message about this grid follows. Stop the grid."


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        (14, ""),
        (15, "Told 15 min late. "),
        (119, "Told 119 min late. "),
        (120, "Told 2 h late. "),
        (179, "Told 2 h late. "),
    ],
)
def test_how_late_is_said_in_minutes_and_then_in_hours(minutes: int, said: str):
    """From a quarter of an hour on."""
    told = as_told(notice(), AT, AT + timedelta(minutes=minutes), overtaken=False)
    assert told.body == f"{said}Stop the grid."


def test_a_late_notice_of_several_lines_keeps_its_lines():
    """The digest's first line is a grid, not a remark."""
    told = as_told(
        notice(body="eth-1 NORMAL\nETH-USDT RANGE_OK"), AT, AT + timedelta(hours=2), overtaken=False
    )
    assert told.body == "Told 2 h late.\neth-1 NORMAL\nETH-USDT RANGE_OK"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the close is below", "The close is below"),
        ("p_transition: 0.7, above 0.4", "p_transition: 0.7, above 0.4"),
        ("ATR ratio: 1.2", "ATR ratio: 1.2"),
        ("confidence: 0.5", "confidence: 0.5"),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_and_a_name_stays_as_it_is(text: str, shown: str):
    """Metrics are called as in the records."""
    assert opened(text) == shown


@pytest.mark.parametrize(("minutes", "level"), [(59, Level.NORMAL), (60, Level.QUIET)])
def test_a_proposal_that_is_late_by_an_hour_is_history(minutes: int, level: Level):
    """It has expired: it is told, and nobody is called to it."""
    setup = notice(exit_state=None, level=Level.NORMAL)
    assert as_told(setup, AT, AT + timedelta(minutes=minutes), overtaken=False).level is level


def test_a_late_notice_still_fits():
    """The longest body with both remarks stays within a message."""
    full = notice(body="word " * 204 + "end.")
    told = as_told(full, AT, AT + timedelta(hours=5), overtaken=True)
    assert len(told.body) <= MOST_BODY
    assert told.body.startswith("Told 5 h late.")
