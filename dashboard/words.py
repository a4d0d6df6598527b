"""How a page says things: badges of colour, shape and word, numbers as a trader reads them. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from backtest.report_words import GAP, NOTHING, count, harmless, words
from dashboard.pages import Advice, Tone


@dataclass(frozen=True, slots=True)
class Badge:
    """A name as it is shown: `style` gives the colour, `shape` and `word` tell the same without it."""

    style: str
    shape: str
    letter: str
    word: str


_VERDICTS = {
    "RANGE_OK": Badge("ok", "■", "R", "Range OK"),
    "RANGE_WEAK": Badge("weak", "□", "W", "Range weak"),
    "TRANSITION": Badge("transition", "◆", "X", "Transition"),
    "TREND": Badge("trend", "▲", "T", "Trend"),
}
_REGIMES = {
    "TREND_UP": Badge("trend", "▲", "U", "Trend up"),
    "TREND_DOWN": Badge("trend", "▲", "D", "Trend down"),
    "RANGE": Badge("ok", "■", "R", "Range"),
    "CHOPPY": Badge("transition", "◆", "C", "Choppy"),
    "NEUTRAL": Badge("unknown", "○", "N", "Neutral"),
}
_EXITS = {
    "NORMAL": Badge("good", "●", "N", "Normal"),
    "WARNING": Badge("watch", "▲", "W", "Warning"),
    "LATEST_ACCEPTABLE_EXIT": Badge("bad", "◆", "L", "Latest acceptable exit"),
    "MANDATORY_EXIT": Badge("urgent", "■", "M", "Mandatory exit"),
}
_TONES = {
    Tone.GOOD: Badge("good", "●", "g", "good"),
    Tone.WATCH: Badge("watch", "▲", "w", "watch"),
    Tone.BAD: Badge("bad", "◆", "b", "bad"),
    Tone.URGENT: Badge("urgent", "■", "u", "urgent"),
    Tone.UNKNOWN: Badge("unknown", "○", "?", "unknown"),
}
_ACTIONS = {
    "CONTINUE": Badge("good", "●", "C", "Continue"),
    "ADJUST": Badge("watch", "▲", "A", "Adjust grid"),
    "STOP_GRID": Badge("urgent", "■", "S", "Stop grid"),
    "WITHHELD": Badge("bad", "◆", "?", "Advice withheld"),
    "CREATE_GRID": Badge("act", "✚", "C", "Create grid"),
    "CREATE_PROBATIONARY_GRID": Badge("act", "✚", "P", "Create probationary grid"),
    "NO_SETUP": Badge("unknown", "○", "-", "No setup"),
}
_GATES = {
    "PASSED": Badge("good", "●", "P", "passed"),
    "FAILED": Badge("bad", "◆", "F", "failed"),
    "NOT_EVALUATED": Badge("unknown", "○", "-", "not evaluated"),
}
_STATUS = {
    "pass": Badge("good", "●", "p", "Healthy"),
    "warn": Badge("watch", "▲", "w", "Warning"),
    "fail": Badge("urgent", "■", "f", "Failing"),
}
NOT_JUDGED = Badge("unknown", "○", "?", "Not judged")


def _known(names: dict[str, Badge], name: str) -> Badge:
    return names.get(name) or Badge("unknown", "○", "?", harmless(words(name)) or "unnamed")


def verdict(name: str | None) -> Badge:
    """Return the badge of a verdict of chapter 4."""
    return _known(_VERDICTS, name) if name else NOT_JUDGED


def stretch(name: str, of: str) -> Badge:
    """Return the badge of a stretch of a ribbon: of a `verdict`, a simplified `regime`, an `exit` state."""
    return _known({"verdict": _VERDICTS, "regime": _REGIMES, "exit": _EXITS}[of], name)


def exit_state(name: str | None) -> Badge:
    """Return the badge of an exit state."""
    return _known(_EXITS, name) if name else Badge("unknown", "○", "-", "No grid runs")


def unwatched(grids: int) -> Badge:
    """Return the badge of running grids whose exit state the newest record does not tell."""
    return Badge("unknown", "○", "?", f"{count(grids, 'grid')}, state not known")


def action(name: str | None) -> Badge:
    """Return the badge of what is advised."""
    return _known(_ACTIONS, name) if name else Badge("unknown", "○", "-", "No advice")


def gate(name: str) -> Badge:
    """Return the badge of a gate's status."""
    return _known(_GATES, name)


def status(name: str) -> Badge:
    """Return the badge of the daemon's health."""
    return _known(_STATUS, name)


def tone(value: Tone | None) -> Badge:
    """Return the badge of how a thing stands."""
    return _TONES[value or Tone.UNKNOWN]


def trouble(value: Tone) -> Badge:
    """Return the badge of something that is wrong, said plainly."""
    known = _TONES[value]
    word = {Tone.WATCH: "Notice", Tone.BAD: "Problem", Tone.URGENT: "Urgent"}.get(value, known.word)
    return Badge(known.style, known.shape, known.letter, word)


def passed(value: bool | None) -> Badge:  # noqa: FBT001
    """Return the badge of a check."""
    if value is None:
        return Badge("unknown", "○", "-", "not reached")
    return _GATES["PASSED" if value else "FAILED"]


def fitting(badge: Badge, part: float) -> str:
    """Return as much of a name as has room in that part of a phone's width: word, letter, nothing."""
    if part > 0.03 + 0.023 * len(badge.word):
        return badge.word
    return badge.letter if part > 0.03 else ""


def legend_of_verdicts() -> tuple[Badge, ...]:
    """Return what the shading of a chart can mean."""
    return tuple(_VERDICTS.values())


def regime(name: str | None) -> str:
    """Return a simplified regime as words: `TREND_UP` is read `trend up`."""
    return words(name).lower() if name else ""


def share(value: float | None) -> str:
    """Return a probability in percent, cut after one decimal: rounding would carry it over a threshold."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if 0.99 < value < 1 or 0 < value < 0.01:
        return f"> 99{GAP}%" if value > 0.5 else f"< 1{GAP}%"
    tenths = math.floor(round(1000 * value, 9))
    return f"{tenths / 10:.1f}{GAP}%"


def change(value: float | None) -> str:
    """Return a signed percentage."""
    if value is None or not math.isfinite(value):
        return NOTHING
    text = f"{value:+.2f}"
    return (f"{0:.2f}" if float(text) == 0 else text.replace("-", "−")) + f"{GAP}%"


def decimals_of(value: float) -> int:
    """Return how many decimals tell a price of this size apart."""
    return 2 if abs(value) >= 100 or value == 0 else max(2, 4 - math.floor(math.log10(abs(value))))


def price(value: float | None, decimals: int | None = None) -> str:
    """Return a price, with thousands separators."""
    if value is None or not math.isfinite(value):
        return NOTHING
    return f"{value:,.{decimals_of(value) if decimals is None else decimals}f}".replace("-", "−")


def figure(value: float | None, digits: int = 3) -> str:
    """Return a figure with so many digits that count."""
    if value is None or not math.isfinite(value):
        return NOTHING
    if value == 0:
        return "0"
    places = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(places, 6 if digits <= 3 else 12)}f}".replace("-", "−")


def apart(value: float | None, other: float | None) -> tuple[str, str]:
    """Return two figures with as many digits as tell them apart: a missed target never reads as met."""
    told = [(figure(value, digits), figure(other, digits)) for digits in range(3, 10)]
    return next((each for each in told if each[0] != each[1]), told[0])


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units."""
    minutes = int(length.total_seconds()) // 60
    days, hours = minutes // 1440, minutes // 60
    if days:
        return f"{days}{GAP}d {hours % 24}{GAP}h" if hours % 24 else f"{days}{GAP}d"
    if hours:
        return f"{hours}{GAP}h {minutes % 60}{GAP}min" if minutes % 60 else f"{hours}{GAP}h"
    return f"{minutes}{GAP}min"


def ahead(at: datetime, now: datetime | None) -> str:
    """Return how far an instant lies from now; empty where now is not known."""
    if now is None:
        return ""
    return f"in {span(at - now)}" if at > now else f"{span(now - at)} ago"


def reasons(advice: Advice) -> str:
    """Return what stands behind a recommendation, counted."""
    parts = [count(len(advice.checks), "check")] if advice.checks else []
    if advice.confidence is not None:
        parts.append(f"confidence {share(advice.confidence)}")
    return ", ".join(parts) or "its record"


_LAPSED = {
    "expired": "Expired unanswered.",
    "overtaken": "Overtaken by a newer hour, unanswered.",
    "settled": "Settled by an earlier answer.",
    "withheld": "Withheld: what it was made of is old.",
}


def what_to_do(advice: Advice | None, *, is_live: bool = True) -> str:
    """Return the one sentence of the page: what is wanted of the operator, in a file what was wanted then."""
    if advice is None:
        return "No recommendation is recorded."
    if advice.is_open and advice.withheld:
        return "Still unanswered, but old: look at the exchange first."
    if advice.is_open:
        return "Waits for your answer." if is_live else "Was open then."
    if advice.answers:
        return f"Answered: {harmless(words(advice.answers[-1].action))}."
    if advice.lapsed:
        return _LAPSED.get(advice.lapsed, "Not open any more.")
    return "Nothing to answer."
