"""What agents may ask: the arguments of each tool, with the words that a schema and an error tell them in."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from daemon.asking import TIME_FORMS, shown, time_named
from market.hours import Timeframe
from market.keys import KEY_FORM, checked_key

MOST_ROWS = MOST_PERIODS = 1_000
MOST_MARKETS = 500
A = TypeVar("A", bound=BaseModel)
RegimeName = Literal["TREND_UP", "TREND_DOWN", "RANGE", "CHOPPY", "NEUTRAL"]
VerdictName = Literal["RANGE_OK", "RANGE_WEAK", "TRANSITION", "TREND"]
TimeframeName = Literal["1m", "5m", "15m", "1h", "4h"]


def _key(text: str) -> str:
    try:
        return checked_key(text)
    except ValueError:
        raise ValueError(
            f"found {shown(text)}, expected a market key as list_markets tells: {KEY_FORM}"
        ) from None


def _time(text: str) -> str:
    time_named(text)
    return text


Symbol = Annotated[
    str, AfterValidator(_key), Field(description="Market key as list_markets tells it, for example ETH-USDT.")
]
Start = Annotated[
    Annotated[str, AfterValidator(_time)] | None,
    Field(description=f"First instant, included: {TIME_FORMS}. Left out: from the first recorded bar on."),
]
End = Annotated[
    Annotated[str, AfterValidator(_time)] | None,
    Field(description="Last instant, not included, in the same forms. Left out: to the last recorded bar."),
]
Cursor = Annotated[
    str | None,
    Field(
        max_length=200,
        description="For the next page: `next` of the answer before, with all other arguments unchanged.",
    ),
]


class Arguments(BaseModel):
    """Arguments of a tool; one of another name is an error, never overlooked."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ListMarkets(Arguments):
    limit: int = Field(100, ge=1, le=MOST_MARKETS, description="How many markets at most.")
    cursor: Cursor = None


class GetRegimes(Arguments):
    symbol: Symbol
    timeframe: TimeframeName = Field(description="Length of the bars. Only 1h rows have a verdict.")
    start: Start = None
    end: End = None
    simplified_regime: RegimeName | None = Field(None, description="Only rows of this regime.")
    verdict: VerdictName | None = Field(None, description="Only rows of this verdict; timeframe 1h.")
    min_confidence: float | None = Field(None, ge=0, le=1, description="Only rows at least this sure.")
    candles: bool = Field(
        False, description="Add open, high, low, close (quote) and volume (base) of the bar."
    )
    limit: int = Field(100, ge=1, le=MOST_ROWS, description="How many rows at most.")
    cursor: Cursor = None


class RegimeStats(Arguments):
    symbol: Symbol | None = Field(
        None,
        description="Market key; left out: all rows of all markets together, then without start and end.",
    )
    timeframe: TimeframeName | None = Field(
        None, description="Needed with symbol. Without symbol one of 15m, 1h, 4h, or left out for all three."
    )
    start: Start = None
    end: End = None


class RegimeTransitions(Arguments):
    symbol: Symbol | None = Field(None, description="Market key; left out: changes in all markets.")
    timeframe: TimeframeName | None = Field(
        None, description="Needed with symbol. Without symbol one of 15m, 1h, 4h, or left out for all three."
    )
    from_regime: RegimeName | None = Field(
        None, description="Regime before the change; left out (only with symbol): any."
    )
    to_regime: RegimeName | None = Field(
        None, description="Regime after the change; left out (only with symbol): any."
    )
    start: Start = None
    end: End = None
    limit: int = Field(100, ge=1, le=MOST_PERIODS, description="How many changes at most.")
    cursor: Cursor = None


class RegimePeriods(Arguments):
    symbol: Symbol
    timeframe: TimeframeName = Field(description="Length of the bars.")
    simplified_regime: RegimeName | None = Field(None, description="Only periods of this regime.")
    start: Start = None
    end: End = None
    limit: int = Field(100, ge=1, le=MOST_PERIODS, description="How many periods at most.")
    cursor: Cursor = None


class ExplainDecision(Arguments):
    decision_id: str = Field(
        max_length=200,
        description="Day and name of a recommendation, for example 2026-02-02/dec-ETH-USDT-150000, as"
        " messages and `regimed decisions` tell it; or a market key, for the newest of that market.",
    )


class CompareBacktests(Arguments):
    symbol: Symbol
    start: Start = None
    end: End = None


class BadArgument(ValueError):
    """Raised when an argument cannot be used; the text names it, what was found and what was expected."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")


def read_arguments(model: type[A], given: dict[str, Any]) -> A:
    """Return the arguments of a call.

    Raises:
        BadArgument: The first one that cannot be used.
    """
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in found["loc"][:1])
        match found["type"]:
            case "missing":
                problem = f"found nothing, expected {model.model_fields[name].description}"
            case "extra_forbidden":
                problem = f"there is no such argument, expected {', '.join(model.model_fields) or 'none'}"
            case "value_error":
                problem = str(found["ctx"]["error"])
            case _:
                expected = found["msg"].removeprefix("Input should be ")
                problem = f"found {shown(found['input'])}, expected {expected}"
        raise BadArgument(name, problem) from None


def unknown_market(key: str, names: list[str]) -> BadArgument:
    """Return the error of a market that nothing is recorded of; names a few that there are."""
    some = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return BadArgument("symbol", f"found {shown(key)}, expected one of: {some or 'none is recorded'}")


def stored_timeframes(name: str | None, stored: tuple[Timeframe, ...]) -> tuple[Timeframe, ...]:
    """Return the timeframes that a question to all markets is about.

    Raises:
        BadArgument: 1m or 5m, which are not stored.
    """
    if name is None:
        return stored
    chosen = Timeframe(name)
    if chosen not in stored:
        expected = ", ".join(each.value for each in stored)
        raise BadArgument("timeframe", f"found {shown(name)}, expected one of {expected} without symbol")
    return (chosen,)
