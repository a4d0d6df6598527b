"""A backtest's result as a report needs it: every part checked by name, amounts exact."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from market.errors import DataInvalid
from market.hours import Hour
from trading.trades import RECORD_FORM, TradeRecord

BASELINES = ("cash", "hold", "always_on_grid")
MOST_CHARACTERS = 60  # of an amount: more than any account has, and never a page full of digits


def _amount(found: object) -> Decimal:
    if not isinstance(found, str) or len(found) > MOST_CHARACTERS:
        raise ValueError("expected an amount as decimal text")
    whole, _, decimals = found.removeprefix("-").partition(".")
    if not (whole + decimals).isascii() or not (whole + (decimals or "0")).isdigit() or not whole:
        raise ValueError("expected an amount as decimal text, such as -12.5")
    return Decimal(found)


def _hour(found: object) -> Hour:
    return Hour.parse(found if isinstance(found, str) else repr(found))


Amount = Annotated[Decimal, BeforeValidator(_amount)]
HourName = Annotated[Hour, BeforeValidator(_hour)]
Count = Annotated[int, Field(ge=0, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    """A part of the result; figures that a later version adds are left to that version's report."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, arbitrary_types_allowed=True)


class Figure(_Part):
    value: float | None
    n: Count


class Fraction(_Part):
    value: Share | None
    n: Count


class Drawdown(_Part):
    value: float
    n: Count


class MakerShare(Fraction):
    notional: Amount


class Net(_Part):
    after_fees: Amount
    before_fees: Amount
    edge: Amount
    slippage: Amount
    fees: Amount
    open: Amount
    account: Amount
    n: Count


class Group(_Part):
    n: Count
    won: Count
    net: Amount
    fees: Amount


class HoldCount(_Part):
    low: float = Field(alias="from")
    high: float | None = Field(alias="to")
    n: Count


class Holds(_Part):
    n: Count
    mean: float | None
    p25: float | None
    median: float | None
    p75: float | None
    most: float | None
    counts: tuple[HoldCount, ...] = Field(min_length=1)


class Analytics(_Part):
    net: Net
    win_rate: Fraction
    mean_r: Figure
    by_signal: dict[str, Group]
    by_symbol: dict[str, Group]
    by_regime: dict[str, Group]
    by_tier: dict[str, Group]
    by_exit: dict[str, Group]
    sharpe: Figure
    sortino: Figure
    max_drawdown: Drawdown
    hold_hours: Holds
    maker_share: MakerShare
    time_in_market: Fraction
    too_few_trades: bool


class KpiRow(_Part):
    value: float | None
    low: float | None
    high: float | None
    n: Count
    target: float | None
    stretch: float | None
    meets: bool | None
    note: str


class AdviceKpis(_Part):
    """Of the advice that a repository holds for the hours of the run."""

    kpis: dict[str, KpiRow]
    runs: Count
    answered: Count


class Kpis(_Part):
    trades: dict[str, KpiRow]
    advice: AdviceKpis | None


class FillModelRun(_Part):
    net: Amount
    trades: Count


class Bracket(_Part):
    pessimistic: FillModelRun
    expected: FillModelRun
    optimistic: FillModelRun


class Reported(_Part):
    """What a report is made of; the trades stand beside it."""

    schema_version: Literal[2]
    strategy: str
    keys: tuple[str, ...] = Field(min_length=1)
    start: HourName
    end: HourName
    config_hash: str
    data_digest: str
    seed: Annotated[int, Field(strict=True)]
    fill_model: dict[str, str | int | float | bool | None]
    capital: Annotated[Amount, Field(gt=0)]
    hours: tuple[HourName, ...] = Field(min_length=1)
    nav: tuple[Amount, ...]
    exposure: tuple[Amount, ...]
    baselines: dict[str, tuple[Amount, ...]]
    orders: dict[str, Count]
    refusals: dict[str, Count]
    analytics: Analytics
    kpis: Kpis
    bracket: Bracket | None
    notes: tuple[str, ...]

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        """A page that contradicts itself is worse than none."""
        if unknown := sorted(set(self.baselines) - set(BASELINES)):
            raise ValueError(f"baselines: {unknown[0]!r} is none of {', '.join(BASELINES)}")
        series = {"nav": self.nav, "exposure": self.exposure, **self.baselines}
        for name, values in series.items():
            if len(values) != len(self.hours):
                raise ValueError(
                    f"{name}: {len(values)} values, expected one for each of {len(self.hours)} hours"
                )
        if any(later <= earlier for earlier, later in zip(self.hours, self.hours[1:], strict=False)):
            raise ValueError("hours: expected each hour after the one before")
        if not self.start <= self.hours[0] or not self.hours[-1] < self.end:
            raise ValueError(f"hours: expected all of them from {self.start} to before {self.end}")
        if min(min(values) for name, values in series.items() if name != "exposure") <= 0:
            raise ValueError("nav, baselines: expected amounts above 0")
        if (gained := self.nav[-1] - self.capital) != self.analytics.net.account:
            raise ValueError(
                f"analytics.net.account: {self.analytics.net.account}, but nav ended {gained} higher"
            )
        return self


def checked(result: Mapping[str, Any], where: str) -> tuple[Reported, tuple[TradeRecord, ...]]:
    """Return a result's parts and its closed trades.

    Args:
        result: By `backtest.result`.
        where: For errors.

    Raises:
        DataInvalid: Names the first field that is missing, of another kind or at odds with the others.
    """
    try:
        reported = Reported.model_validate(result)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"]))
        found = "" if first["type"] == "missing" or not field else f", found {first['input']!r:.80}"
        raise DataInvalid(where, field, f"{first['msg']}{found}") from None
    lines = result.get("trades")
    if not isinstance(lines, list):
        raise DataInvalid(where, "trades", f"expected a list, got {type(lines).__name__}")
    trades = tuple(RECORD_FORM.of_record(each, f"{where}: trades[{n}]") for n, each in enumerate(lines))
    if len(trades) != reported.analytics.net.n:
        told = f"{reported.analytics.net.n}, but there are {len(trades)} trades"
        raise DataInvalid(where, "analytics.net.n", told)
    return reported, trades
