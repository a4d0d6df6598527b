"""docs/notices.md: every kind of notice is there, and each fits a phone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from decisions.recommendation import Action
from exits.states import ExitState
from market.hours import Hour
from notifications.examples import one_of_each_level
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level, Notice
from notifications.pushover import PRIORITY
from tests.docs.scripts import script

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "notices.md").read_text()
SIZE = re.compile(r"Level (\w+), Pushover priority (-?\d); title (\d+) of 250, body (\d+) of 1024 characters")


@pytest.fixture(scope="module")
def maker():
    """The script that writes the page, as a module."""
    with script("make_notices") as module:
        yield module


def sections() -> dict[str, str]:
    """Return the text under each heading of a kind; the same heading twice is one."""
    found: dict[str, str] = {}
    for part in PAGE.split("\n### ")[1:]:
        name, _, text = part.partition("\n")
        found[name] = found.get(name, "") + text
    return found


def test_the_page_shows_every_kind_action_and_exit_state(maker):
    """A kind that is added to the list, an action or a state that is added to the program, needs the page."""
    found = sections()
    assert [kind.name for kind in maker.KINDS if kind.name not in found] == []
    assert [level for level in Level if f"Test, {level.value}" not in found] == []
    told = [action for action in Action if action not in (Action.NO_SETUP, Action.CONTINUE)]
    texts = " ".join(found.values())
    assert [word for word in (*told, *ExitState) if word not in texts] == []


def test_every_text_on_the_page_fits_the_phone_and_names_its_priority():
    """The sizes that were measured, against the limits of Pushover; lines as wide as a phone's."""
    sizes = SIZE.findall(PAGE)
    assert len(sizes) == PAGE.count("\n### ")
    for level, priority, title, body in sizes:
        assert int(title) <= MOST_TITLE
        assert int(body) <= MOST_BODY
        assert int(priority) == PRIORITY[Level(level)]
    for block in PAGE.split("```text\n")[1:]:
        lines = block.partition("\n```")[0].splitlines()
        assert all(len(line) <= 45 or " " not in line for line in lines), lines


def test_the_tests_messages_on_the_page_are_those_that_are_sent(maker):
    """The page follows the templates: after a change of words it has to be made again."""
    for notice in maker.the_test():
        for line in maker.shown(f"Test, {notice.level.value}", notice):
            assert line in PAGE


def test_what_stands_in_is_made_by_the_real_templates_and_recognised(maker):
    """An example that its own kind would not recognise would be another kind."""
    made = [kind for kind in maker.KINDS if kind.made is not None]
    assert made
    for kind in made:
        assert kind.fits(kind.made()), kind.name
        shown = "\n".join(maker.shown(kind.name, kind.made(), is_example=True))
        assert "Did not occur in the run" in shown


def test_a_text_that_is_too_long_is_not_shown(maker):
    """The page cannot be made with what Pushover would refuse."""
    notice = one_of_each_level(Hour.parse("2026-01-07T14").closes_at)[0]
    with pytest.raises(AssertionError):
        list(maker.shown("too long", replace(notice, body="x" * (MOST_BODY + 1))))


def test_the_page_fails_where_a_kind_neither_occurs_nor_has_a_stand_in(maker):
    """A gap in the page is an error of the command."""
    with pytest.raises(LookupError, match="seen for the first time"):
        list(maker.page([]))


async def test_the_phone_keeps_what_it_is_given_while_it_is_on(maker):
    """Off, it fails as a channel does, and the outbox keeps the notice."""
    phone = maker.Phone()
    notice = Notice("d", "", Level.QUIET, "t", "b", Hour.parse("2026-01-07T14").closes_at, Kind.MARKET)
    await phone.send(notice)
    phone.is_on = False
    with pytest.raises(maker.NotifyFailed):
        await phone.send(notice)
    assert phone.shown == [notice]
