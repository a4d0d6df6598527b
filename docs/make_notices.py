"""Capture what reaches the phone over simulated days and write docs/notices.md: `make notices`.

The daemon's own code over the simulated market (the same every time), hour by hour, with a channel that keeps
what it is given. The operator overlooks everything at first and answers later; the exchange, one market and
the channel have outages. The first notice of each kind is shown; what did not occur is made by the same
templates from example facts, and marked so.
"""

from __future__ import annotations

import logging
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import anyio
import structlog
import yaml
from tables import table

from daemon.anomalies import watch_anomalies
from daemon.app import App, building
from daemon.clock import DrivenClock
from daemon.configuration import load_settings
from daemon.digest import tell_digest
from daemon.operator import settle_timers
from daemon.rehearsal import ANSWERED_AFTER, answer_open_advice, start_by_hand
from daemon.telling import remind
from daemon.workers import attend, load_state
from decisions.recommendation import Action
from decisions.recommendation import Kind as AdviceKind
from decisions.timers import PastAdvice
from exchanges.sandbox.faults import Fault
from exchanges.sandbox.running import running_sandbox
from exchanges.sandbox.simulated import DEFAULT_SYMBOLS, SimulatedMarket
from exits.states import ExitState
from market.errors import NotifyFailed
from market.hours import Hour
from notifications.advice import AdviceFacts, advice_notice, louder_notice
from notifications.examples import one_of_each_level
from notifications.notice import MOST_BODY, MOST_TITLE, Kind, Level, Notice
from notifications.outbox import Outbox
from notifications.pushover import PRIORITY

TARGET = Path(__file__).with_name("notices.md")
START = Hour.parse("2026-01-05T00")
HOURS = 150
COLUMNS = 45
OVERLOOKED_TO = 30  # hours in which the operator answers nothing
PHONE_OFF = ((24, 27),)
EXCHANGE_OFF = ((60, 66, None), (80, 84, "ETH-USDT"), (138, 142, "ETH-USDT"))
MINUTES_MISSING = ((72, "ETH-USDT"), (53, "BTC-USDT"))
REST = timedelta(hours=12)
TICKS = (0, 1, 15, 20, 31, 45, 59)  # minutes of an hour in which the daemon's timers are looked at


class Phone:
    """A channel that keeps what it is told, as long as it is on."""

    name = "phone"

    def __init__(self) -> None:
        self.shown: list[Notice] = []
        self.is_on = True

    async def send(self, notice: Notice) -> None:
        if not self.is_on:
            raise NotifyFailed("phone: no connection")
        self.shown.append(notice)

    async def aclose(self) -> None:
        """Nothing to give back."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A kind of notice, how it is recognised, and what stands in for it where it does not occur."""

    name: str
    fits: Callable[[Notice], bool]
    made: Callable[[], Notice] | None = None


async def captured(folder: Path) -> list[Notice]:
    """Return every notice that the phone was given, in order."""
    clock, market = DrivenClock(START.closes_at), SimulatedMarket(symbols=DEFAULT_SYMBOLS[:3])
    async with running_sandbox(market, clock, faults=list(faults())) as sandbox:
        path = folder / "config.yaml"
        path.write_text(yaml.safe_dump(configuration(folder, sandbox.url, market)))
        async with building(load_settings(path, {}), clock, create=True) as app:
            await load_state(app)
            phone = Phone()
            app.outbox = Outbox(folder / "phone", [phone], clock)
            for number in range(HOURS):
                phone.is_on = not any(first <= number < end for first, end in PHONE_OFF)
                await live_an_hour(app, clock, number)
    return phone.shown


async def live_an_hour(app: App, clock: DrivenClock, number: int) -> None:
    """Let an hour close and the daemon do what it does until the next one."""
    hour = START.plus(number)
    for minute in TICKS:
        clock.set(hour.closes_at + timedelta(minutes=minute, seconds=5))
        if minute == 0 and not any(first <= number < end for first, end, _ in EXCHANGE_OFF):
            await start_by_hand(app, hour, REST)
        for market in app.settings.markets:  # one after the other: the page is the same every time
            await attend(app, market)
        if timedelta(minutes=minute) == ANSWERED_AFTER:
            await answer_open_advice(app, hour, lambda _: number < OVERLOOKED_TO)
        await remind(app)
        await settle_timers(app)
        await watch_anomalies(app)
        await tell_digest(app)
        await app.outbox.deliver()


def faults() -> Iterator[Fault]:
    for first, end, symbol in EXCHANGE_OFF:
        yield Fault(
            kind="server_error",
            endpoint="/api/v1/market/candles",
            symbol=symbol,
            from_ts=START.plus(first + 1).open_ts,
            to_ts=START.plus(end + 1).open_ts,
        )
    for number, symbol in MINUTES_MISSING:
        closes = START.plus(number).close_ts
        yield Fault(
            kind="gap",
            symbol=symbol,
            from_ts=closes,
            to_ts=closes + 2400,
            rows_from=closes - 1200,
            rows_to=closes + 3600,
        )


def configuration(folder: Path, url: str, market: SimulatedMarket) -> dict[str, object]:
    quick = {"tries": 2, "first_wait_s": 0.01, "longest_wait_s": 0.05, "breaker_open_s": 1e-6}
    exchange = {
        "kind": "kucoin",
        "base_url": url,
        "fees": {"maker_bps": 10.0, "taker_bps": 10.0},
        "resilience": quick | {"budget_weight": 1_000_000},
    }
    return {
        "data_repository": {"base_path": str(folder / "data")},
        "exchanges": {"sandbox": exchange},
        "markets": [{"exchange": "sandbox", "symbol": rules.symbol} for rules in market.symbols],
        "capital": {"total_quote": 10_000, "mode": "multi_grid"},
        "economics": {"require_positive_edge": False},
    }


def titled(*parts: str) -> Callable[[Notice], bool]:
    """Return what recognises a notice told in time by words of its title."""

    def fits(notice: Notice) -> bool:
        told_in_time = not notice.body.startswith("Told ") and "Caught up" not in notice.body
        return told_in_time and all(part in notice.title for part in parts)

    return fits


def entered(state: ExitState) -> Callable[[Notice], bool]:
    """Return what recognises the first word of an exit state that grew worse."""
    named = titled(f"exit state {state}")
    return lambda notice: named(notice) and "still" not in notice.title


def eased(notice: Notice) -> bool:
    return notice.body.startswith("It was ") and notice.title.endswith("exit state NORMAL")


def overtaken(notice: Notice) -> bool:
    return "A newer message about this grid follows" in notice.body


def late(notice: Notice) -> bool:
    return notice.kind is Kind.ADVICE and notice.body.startswith("Told ") and not overtaken(notice)


def not_clear(notice: Notice) -> bool:
    return notice.kind is Kind.DIGEST and not notice.title.startswith("All clear")


EXAMPLE = AdviceFacts(
    id="2026-01-07/dec-ETH-USDT-150000",
    grid_id="eth-usdt-1",
    action=Action.CONTINUE.value,
    reason="the exit state is NORMAL: nothing asks for an end",
    confidence=0.84,
    exit_state=ExitState.NORMAL.value,
    told_higher=None,
    expected=None,
    form="",
    until=None,
    since="2026-01-07T14",
)


def advised(action: Action, reason: str, **facts: str | float | None) -> Callable[[], Notice]:
    """Return what makes a notice of advice from example facts."""

    def made() -> Notice:
        now = replace(EXAMPLE, action=action.value, reason=reason, **facts)
        notice = advice_notice("ETH-USDT", EXAMPLE, now, Hour.parse("2026-01-07T14").closes_at)
        assert notice is not None
        return notice

    return made


def unanswered() -> Notice:
    closes_at = Hour.parse("2026-01-07T14").closes_at
    advice = PastAdvice(
        EXAMPLE.id,
        EXAMPLE.grid_id,
        AdviceKind.MANAGE,
        Action.STOP_GRID,
        None,
        closes_at,
        closes_at,
        None,
        0.65,
    )
    state = ExitState.LATEST_ACCEPTABLE_EXIT.value
    return louder_notice("ETH-USDT", advice, state, closes_at + timedelta(minutes=30))


FORM = "Lowest price 2766.87, Highest price 2884.99, Number of grids 5, Investment 2000, Stop-loss 2712.4"
KINDS = (
    Shown("A market is seen for the first time", titled("watching")),
    Shown("The verdict turns against a grid", titled("to TREND")),
    Shown("The verdict turns for one", titled("to RANGE_")),
    Shown("A setup", titled("CREATE_GRID")),
    Shown(
        "A setup on trial",
        titled("CREATE_PROBATIONARY_GRID"),
        advised(
            Action.CREATE_PROBATIONARY_GRID,
            "the price is inside a valid range of 168 h, and every check passed; the confidence is enough for"
            " a smaller grid on trial",
            exit_state=None,
            since=None,
            expected="expected +6 bps in 24 h [-11, +23] at 10 bps maker",
            form=FORM,
            until="16:00 UTC",
        ),
    ),
    Shown("WARNING", entered(ExitState.WARNING)),
    Shown("LATEST_ACCEPTABLE_EXIT", entered(ExitState.LATEST_ACCEPTABLE_EXIT)),
    Shown(
        "MANDATORY_EXIT",
        entered(ExitState.MANDATORY_EXIT),
        advised(
            Action.STOP_GRID,
            "MANDATORY_EXIT: closes outside the bounds in a row: 2, at or above 2",
            exit_state=ExitState.MANDATORY_EXIT.value,
        ),
    ),
    Shown("Still there, and not acknowledged", titled(": still STOP_GRID")),
    Shown("A stop that waits too long for its answer", titled("unanswered for"), unanswered),
    Shown("It has eased", eased),
    Shown(
        "ADJUST",
        titled(": ADJUST"),
        advised(
            Action.ADJUST,
            "the centre of the range has moved by 1.62 x spacing, above 1 x spacing",
            form=FORM,
            until="16:00 UTC",
        ),
    ),
    Shown(
        "WITHHELD",
        titled(": WITHHELD"),
        advised(Action.WITHHELD, "the hour could not be judged; look at the grid yourself", confidence=None),
    ),
    Shown("An hour that could not be judged", titled("could not be judged")),
    Shown("Caught up after an outage", lambda notice: "Caught up" in notice.body),
    Shown("Told late", late),
    Shown("Told late, and overtaken by a newer one", overtaken),
    Shown("An anomaly: one market is stale", titled("ETH-USDT: no fresh hour")),
    Shown("An anomaly is over", titled("over: ETH-USDT: no fresh hour")),
    Shown("Several markets stale in one", titled("3 markets of sandbox: no fresh hour")),
    Shown("Several markets are over it", titled("over: 3 markets")),
    Shown("An exchange that fails", titled("sandbox: the exchange")),
    Shown("The daily digest: all clear", titled("All clear")),
    Shown("The daily digest: not all clear", not_clear),
)


def the_test() -> list[Notice]:
    return one_of_each_level(START.plus(60).closes_at)


def on_a_phone(text: str) -> Iterator[str]:
    """Yield lines as wide as a phone's."""
    for line in text.splitlines():
        yield from textwrap.wrap(line, COLUMNS, break_on_hyphens=False) or [""]


def shown(name: str, notice: Notice, *, is_example: bool = False) -> Iterator[str]:
    """Yield a section of the page."""
    assert len(notice.title) <= MOST_TITLE
    assert len(notice.body) <= MOST_BODY
    size = f"title {len(notice.title)} of {MOST_TITLE}, body {len(notice.body)} of {MOST_BODY} characters"
    source = "Did not occur in the run: made by the same template from example facts. " if is_example else ""
    yield f"### {name}"
    yield ""
    yield f"{source}Level {notice.level.value}, Pushover priority {PRIORITY[notice.level]}; {size}."
    yield ""
    yield "```text"
    yield from on_a_phone(notice.title)
    yield "-" * COLUMNS
    yield from on_a_phone(notice.body)
    yield "```"
    yield ""


def page(notices: list[Notice]) -> Iterator[str]:
    """Yield the lines of docs/notices.md."""
    yield from (
        "# What reaches the phone",
        "",
        f"Made by `make notices`: {HOURS} hours of three simulated markets through the daemon's own code",
        "and a channel that keeps what it is given. The first notice of each kind is shown, its title above",
        f"the line, wrapped at {COLUMNS} columns. Where `notifications.link` is set, a Pushover message",
        "about a recommendation has a button `Why` that leads to its page.",
        "",
    )
    yield from table("level | Pushover | sounds", [
        [Level.QUIET.value, str(PRIORITY[Level.QUIET]), "no"],
        [Level.NORMAL.value, str(PRIORITY[Level.NORMAL]), "once, unless the phone is quiet"],
        [Level.HIGH.value, str(PRIORITY[Level.HIGH]), "once, also when the phone is quiet"],
        [Level.EMERGENCY.value, str(PRIORITY[Level.EMERGENCY]), "until somebody acknowledges it, for hours"],
    ])  # fmt: skip
    counts = [[level.value, str(sum(notice.level is level for notice in notices))] for level in Level]
    yield f"In these {HOURS} hours, with an operator who overlooks everything for {OVERLOOKED_TO} of them and"
    yield f"{len(EXCHANGE_OFF)} outages of the exchange and {len(PHONE_OFF)} of the channel, the phone was"
    yield "given:"
    yield ""
    yield from table("level | notices", counts)
    yield "## Each kind"
    yield ""
    for kind in KINDS:
        found = next((notice for notice in notices if kind.fits(notice)), None)
        if found is not None:
            yield from shown(kind.name, found)
        elif kind.made is not None:
            yield from shown(kind.name, kind.made(), is_example=True)
        else:
            raise LookupError(f"{kind.name}: not in the run, and nothing stands in for it")
    yield "## `regimed notify test`"
    yield ""
    for notice in the_test():
        yield from shown(f"Test, {notice.level.value}", notice)


def main() -> None:
    """Run the hours and write the page."""
    logging.disable(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory(prefix="regimed-notices-") as folder:
        notices = anyio.run(captured, Path(folder))
    TARGET.write_text("\n".join(page(notices)).rstrip() + "\n")


if __name__ == "__main__":
    main()
