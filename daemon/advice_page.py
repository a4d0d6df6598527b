"""One recommendation and the market of its hour: what a link in a message leads to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from dashboard.pages import Advice, Live, MarketPage, Tone, Trouble
from dashboard.reading import PageReader
from dashboard.reading.advice import Standing, advice_of
from dashboard.reading.grids import EVER, running_at
from dashboard.reading.records import RecordShelf
from dashboard.reading.telling import Troubles
from market.hours import Hour
from store.decision_files import DecisionFile

BEFORE_ADVICE = timedelta(hours=24)


def advice_page(
    reader: PageReader, shelf: RecordShelf, file: DecisionFile, newest: Hour | None, live: Live
) -> MarketPage:
    """Return the 24 hours up to a recommendation, which stands where a market's page has the current one.

    Args:
        shelf: The records that the recommendation is read from where the hours do not name it.
        newest: The newest judged hour of its market.

    Raises:
        DataInvalid: No hour of those 24 can be read.
    """
    page = reader.market(file.market, file.closes_at - BEFORE_ADVICE, file.closes_at, live)
    found = next((advice for advice in page.advice if advice.id == file.id), None)
    if found is None:  # the record of its hour is damaged: what it names is read all the same
        troubles = Troubles()
        found = _alone(shelf, file, newest, live, troubles)
        own = () if found is None else (found,)
        page = replace(page, advice=[*own, *page.advice], troubles=(*troubles.all(), *page.troubles))
    if newest is not None and newest.closes_at > file.closes_at:
        page = replace(page, troubles=(_overtaken(file.market, newest), *page.troubles))
    return replace(page, current=found)


def _alone(
    shelf: RecordShelf, file: DecisionFile, newest: Hour | None, live: Live, troubles: Troubles
) -> Advice | None:
    is_newest = newest is not None and newest.closes_at == file.closes_at
    running = running_at(shelf.grids().of_market(file.market), EVER)
    standing = Standing(live.now, frozenset((file.id,) if is_newest else ()), running)
    return advice_of(shelf, file.id, standing, troubles)


def _overtaken(key: str, newest: Hour) -> Trouble:
    since = f"a newer hour is judged, {newest.closes_at:%Y-%m-%d %H:%M} UTC; this page is as of its own hour"
    return Trouble("Not the newest", since, f"The page of {key} says how it stands now.", Tone.WATCH)
