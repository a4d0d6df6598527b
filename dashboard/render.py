"""Values to pages: one HTML text each, with its style, its data and, in a file, its libraries.

Pure but for the libraries, which are read once a process.

A page is whole without script: drawings and tables are in it. With script, the library draws the two large
charts anew, times are told in the reader's zone, and a page that the daemon serves keeps itself fresh.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import quote

import jinja2
import orjson
from markupsafe import Markup

from backtest.report_words import harmless
from dashboard import charts, drawing, spans, tables, words
from dashboard.assets import Shipped, shipped
from dashboard.pages import Advice, MarketPage, MarketRow, Overview

REFRESH_S = 20
MOST_ADVICE = 100
MOST_QUALITY = 168
MOST_SPAN = timedelta(days=400)  # of one page
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


@dataclass(frozen=True)
class Place:
    """How a page is reached and what it may link to.

    Attributes:
        is_live: Served by the daemon (libraries by address, fresh by itself), or a file (libraries within).
        root: What links begin with, relative for files.
        form_error: Why an answer sent from the page was refused, shown at the form.
        note: What was just done, shown once.
        can_link: Of an exported set: whether (key, day) has a file; None where all have a page.
    """

    is_live: bool
    root: str = ""
    form_error: str = ""
    note: str = ""
    can_link: Callable[[str, str], bool] | None = None

    def overview(self) -> str:
        return f"{self.root}/" if self.is_live else f"{self.root}index.html"

    def market(self, key: str) -> str:
        """Return the address of a market's own page; empty where it has none (a file has days alone)."""
        return f"{self.root}/markets/{quote(key, safe='')}" if self.is_live else ""

    def day(self, key: str, day: str | None) -> str:
        """Return the address of a day's page; empty where it has none."""
        if day is None or (self.can_link is not None and not self.can_link(key, day)):
            return ""
        if self.is_live:
            return f"{self.market(key)}/{day}"
        return f"{self.root}{quote(key, safe='')}/{day}.html"

    def newest(self, row: MarketRow) -> str:
        """Return the address of the page of a market's newest hour."""
        if self.is_live:
            return self.market(row.key)
        return self.day(row.key, day_of(row.hour_closes_at) if row.hour_closes_at else None)

    def decision(self, advice: Advice) -> str:
        """Return the address of one recommendation; empty in a file."""
        return f"{self.root}/decisions/{quote(advice.id)}" if self.is_live else ""

    def asset(self, address: str) -> str:
        return f"{self.root}/assets/{address}"


def overview_page(overview: Overview, place: Place) -> str:
    """Return the page of all markets."""
    needs = ("idiomorph",) if place.is_live else ()
    return _page(
        "overview.html.jinja",
        place,
        needs,
        overview=overview,
        live=overview.live,
        counts=_counts(overview.markets),
        now=overview.live.now if overview.live else None,
        as_of=max((row.hour_closes_at for row in overview.markets if row.hour_closes_at), default=None),
        title="Markets",
    )


def market_page(page: MarketPage, place: Place) -> str:
    """Return the page of one market over one span."""
    has_bars = bool(page.candles.opens_ts.shape[0])
    drawn = [charts.price_chart(page)] if has_bars else []
    if page.metrics and page.hours_ts.shape[0]:
        drawn.append(charts.figures_chart(page))
    needs = (*(("echarts",) if drawn else ()), *(("idiomorph",) if place.is_live else ()))
    acting = [each for each in page.advice if _is_acting(each)]
    quality = page.quality[-MOST_QUALITY:]
    return _page(
        "market.html.jinja",
        place,
        needs,
        page=page,
        live=page.live,
        now=page.live.now if page.live else None,
        as_of=page.now.hour_closes_at,
        title=page.key,
        charts={each.name: each for each in drawn},
        data={each.name: embedded(each.options) for each in drawn},
        price=drawing.price_plot(page),
        strips=[(each, drawing.strip_plot(page, each)) for each in page.metrics] if len(drawn) > 1 else [],
        room=charts.price_room(page),
        hours=tables.hours_table(page),
        figures=tables.figures_table(page),
        acting=acting[:MOST_ADVICE],
        acting_left=len(acting) - len(acting[:MOST_ADVICE]),
        calm=len(page.advice) - len(acting),
        quality=quality,
        quality_left=len(page.quality) > len(quality),
        quality_rows=tables.quality_rows(quality) if page.every_hour else quality[::-1],
        gates=tables.by_grid(page.gates),
        last_day=day_of(page.end),
        is_day=page.end - page.start == timedelta(days=1) and page.start.hour == 0,
    )


def missing_page(title: str, why: str, place: Place) -> str:
    """Return a page that says what is not there, or what went wrong, and why."""
    return _page(
        "missing.html.jinja",
        replace(place, note=""),
        (),
        title=title,
        why=why,
        live=None,
        now=None,
        as_of=None,
    )


@cache
def policy(*, is_live: bool = True) -> str:
    """Return the Content-Security-Policy: scripts by address or hash, nothing from elsewhere."""
    if is_live:
        scripts, more = f"'self' {_hash(_glue())}", "connect-src 'self'; form-action 'self'; base-uri 'none'"
    else:
        inlined = (_hash(inline(each.text)) for each in shipped().assets.values())
        scripts, more = " ".join((_hash(_glue()), *inlined)), "form-action 'none'; base-uri 'none'"
    return f"default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; img-src data:; {more}"


def embedded(value: object) -> Markup:
    """Return JSON that may stand in a script element: no character of markup, no end of line of scripts."""
    text = orjson.dumps(value).decode()
    for found, escape in _ESCAPES.items():
        text = text.replace(found, escape)
    return Markup(text)  # noqa: S704


def inline(script: str) -> str:
    """Return a script that ends no script element; within texts, an escaped slash is a slash."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def day_of(closes_at: datetime) -> str:
    """Return the UTC day of the hour that closes then."""
    return f"{closes_at - timedelta(hours=1):%Y-%m-%d}"


def _is_acting(advice: Advice) -> bool:
    calm = advice.action in ("CONTINUE", "NO_SETUP", "WITHHELD")
    return advice.is_open or bool(advice.answers) or not calm


def _counts(rows: Sequence[MarketRow]) -> list[tuple[str, int]]:
    """How many markets stand how, what is urgent first."""
    order = ("urgent", "bad", "watch", "good", "unknown")
    return [(name, sum(each.tone == name for each in rows)) for name in order]


def _page(template: str, place: Place, needs: Sequence[str], **told: Any) -> str:
    libraries = shipped()
    assets = [libraries.assets[each] for each in needs if each in libraries.assets]
    scripts: list[tuple[str, Markup]] = []
    for each in assets:
        if place.is_live:
            scripts.append((place.asset(each.address), Markup()))
        else:
            scripts.append(("", Markup(inline(each.text))))  # noqa: S704 what the lock names
    return (
        _templates()
        .get_template(template)
        .render(
            place=place,
            policy=policy(is_live=place.is_live),
            scripts=scripts,
            glue=Markup(_glue()),  # noqa: S704 our own
            lacks=_lacks(libraries, needs),
            refresh_s=REFRESH_S,
            **told,
        )
    )


def _lacks(libraries: Shipped, needs: Sequence[str]) -> list[str]:
    """Why a library that this page needs is not used."""
    return [each for each in libraries.lacks if any(name in each for name in needs)]


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


@cache
def _glue() -> str:
    return _templates().get_template("glue.jinja").render()


@cache
def _templates() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("dashboard"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    made.globals.update(drawing=drawing, spans=spans, words=words, day_of=day_of)
    made.filters.update(harmless=harmless, utc=_utc, iso=_iso)
    return made


def _utc(at: datetime, form: str = "full") -> str:
    told = {
        "full": "%d %b %H:%M UTC",
        "long": "%d %b %Y %H:%M UTC",
        "day": "%d %b %Y",
        "title": "%Y-%m-%d %H:%M UTC",
    }
    return f"{at:{told[form]}}"


def _iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"
