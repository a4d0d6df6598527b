"""RegimeAnalysisService: hours of a market in, judgements out. Orchestration, without a rule of its own.

Where windows come from and how one is judged is given by the roof, so that command line, dashboard, backtest
and API ask in the same way and get the same answers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Generic, Protocol, TypeVar

from market.errors import RegimedError
from market.hours import Hour, hours_between
from market.window import MarketWindow
from regime.analysis import Insufficient, RegimeAnalysis, Verdict
from regime.engine import RegimeEngine


@dataclass(frozen=True, slots=True)
class BadHour:
    """An hour that could not be read, and why: never replaced by a neighbour, never left out."""

    key: str
    hour: Hour
    reason: str


class Dated(Protocol):
    """What is judged: a window, or a value that carries one."""

    @property
    def hour(self) -> Hour: ...


class Judgement(Protocol):
    """What was found in one hour; `decisions.evaluate.Evaluation` is one.

    `outcome` is `analysed`, `insufficient` or `no_data`; without an analysis `reason` says why.
    """

    @property
    def outcome(self) -> str: ...

    @property
    def reason(self) -> str | None: ...

    @property
    def analysis(self) -> RegimeAnalysis | None: ...


W = TypeVar("W", bound=Dated)
W_co = TypeVar("W_co", bound=Dated, covariant=True)
J = TypeVar("J", bound=Judgement)
Key = TypeVar("Key")
Answer = TypeVar("Answer")


class WindowSource(Protocol[W_co]):
    """Where windows come from: a data repository, recorded candles, a backtest."""

    def windows(self, key: str, hours: Sequence[Hour]) -> Iterable[W_co | BadHour]:
        """Yield one window an hour, in the order of `hours`; lazily, so that few are held at a time.

        An hour asked for again is read again.
        """

    def newest(self, key: str) -> Hour:
        """Return the newest hour that can be judged.

        Raises:
            DataInvalid: Nothing is known of the market.
        """


class Run(Protocol):
    """How several markets are worked on: `map`, or an executor's, which bounds how many at a time."""

    def __call__(self, work: Callable[[Key], Answer], keys: Iterable[Key], /) -> Iterable[Answer]: ...


@dataclass(frozen=True, slots=True)
class HourAnalysis:
    """What the engine alone says of one hour."""

    key: str
    hour: Hour
    outcome: str
    reason: str | None
    analysis: RegimeAnalysis | None


def engine_judge(engine: RegimeEngine) -> Callable[[MarketWindow], HourAnalysis]:
    """Return the judge that asks the engine and nothing else."""

    def judge(window: MarketWindow) -> HourAnalysis:
        found = engine.analyze(window)
        if isinstance(found, Insufficient):
            return HourAnalysis(window.key, window.hour, "insufficient", found.reason, None)
        return HourAnalysis(window.key, window.hour, "analysed", None, found)

    return judge


@dataclass(frozen=True, slots=True)
class RangeSummary:
    """What a range of hours came to.

    Attributes:
        hours: Asked for; the sum of the next three and of the bad ones.
        analysed, insufficient, no_data: By outcome.
        bad: Those that could not be read or judged, with their reasons.
        by_verdict: Hours of each verdict.
        flips: Changes of the verdict from one analysed hour to the next one.
        dwell_median_h: Of the verdicts that began and ended inside the range; None where none did.
        mean_hold_probability: Of the analysed hours; None without any.
    """

    hours: int
    analysed: int
    insufficient: int
    no_data: int
    bad: tuple[BadHour, ...]
    by_verdict: Mapping[Verdict, int]
    flips: int
    dwell_median_h: float | None
    mean_hold_probability: float | None


@dataclass(slots=True)
class _Tally:
    """A summary in the making; judgements are counted, not kept."""

    outcomes: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    bad: list[BadHour] = field(default_factory=list)
    dwells: list[int] = field(default_factory=list)
    flips: int = 0
    millionths: int = 0  # of p, summed exactly
    present: Verdict | None = None
    since: Hour | None = None  # when the present verdict began, None if before the range

    def count(self, hour: Hour, found: Judgement | BadHour) -> None:
        if isinstance(found, BadHour):
            self.bad.append(found)
            return
        self.outcomes[found.outcome] += 1
        if found.analysis is None:
            return
        verdict = found.analysis.verdict
        self.verdicts[verdict] += 1
        self.millionths += round((found.analysis.hold_probability or 0.0) * 1_000_000)
        if self.present is not None and verdict is not self.present:
            self.flips += 1
            if self.since is not None:
                self.dwells.append(hour.index - self.since.index)
            self.since = hour
        self.present = verdict

    def summary(self) -> RangeSummary:
        analysed = self.verdicts.total()
        return RangeSummary(
            hours=self.outcomes.total() + len(self.bad),
            analysed=analysed,
            insufficient=self.outcomes["insufficient"],
            no_data=self.outcomes["no_data"],
            bad=tuple(self.bad),
            by_verdict={verdict: self.verdicts[verdict] for verdict in Verdict},
            flips=self.flips,
            dwell_median_h=float(median(self.dwells)) if self.dwells else None,
            mean_hold_probability=round(self.millionths / analysed / 1_000_000, 6) if analysed else None,
        )


class RangeAnalysis(Generic[J]):
    """The judgements of a range, oldest first, made while it is walked; walking again judges again."""

    def __init__(self, walk: Callable[[], Iterator[tuple[Hour, J | BadHour]]]) -> None:
        self._walk, self._tally = walk, _Tally()

    def __iter__(self) -> Iterator[J | BadHour]:
        self._tally = _Tally()
        for hour, found in self._walk():
            self._tally.count(hour, found)
            yield found

    @property
    def summary(self) -> RangeSummary:
        """Of the hours walked so far."""
        return self._tally.summary()


class RegimeAnalysisService(Generic[W, J]):
    """Answers for one hour, for a range, for many markets.

    A bad hour (unreadable, skipped or swapped by the source, or refused by the judge) is read once more, then
    reported with its reason.

    Args:
        source: Where windows come from.
        judge: What is found in a window; pure, so that an answer does not depend on what was asked before.
        run: How several markets are worked on; one after the other when left out.
        batch_hours: Windows held at a time, for each market.
    """

    def __init__(
        self,
        source: WindowSource[W],
        judge: Callable[[W], J],
        *,
        run: Run = map,
        batch_hours: int = 24,
    ) -> None:
        self._source, self._judge, self._run, self._batch_hours = source, judge, run, batch_hours

    def analyze_current(self, key: str) -> J | BadHour:
        """Judge the newest hour of a market.

        Raises:
            DataInvalid: Nothing is known of the market.
        """
        return self.analyze_hour(key, self._source.newest(key))

    def analyze_hour(self, key: str, hour: Hour) -> J | BadHour:
        """Judge one hour."""
        return self._batch(key, [hour])[0]

    def analyze_range(
        self,
        key: str,
        start: Hour,
        end: Hour,
        told: Callable[[int, int], None] | None = None,
    ) -> RangeAnalysis[J]:
        """Return the judgements of [start, end), made lazily, a batch at a time.

        Args:
            key: Market.
            start: First hour.
            end: Hour after the last one.
            told: Is told after each hour how many are done, and of how many.
        """

        def walk() -> Iterator[tuple[Hour, J | BadHour]]:
            hours = hours_between(start, end)
            for first in range(0, len(hours), self._batch_hours):
                batch = hours[first : first + self._batch_hours]
                for done, answer in enumerate(zip(batch, self._batch(key, batch), strict=True), first + 1):
                    yield answer
                    if told is not None:
                        told(done, len(hours))

        return RangeAnalysis(walk)

    def analyze_markets(
        self,
        keys: Sequence[str],
        start: Hour,
        end: Hour,
        take: Callable[[str, J | BadHour], None],
    ) -> dict[str, RangeSummary]:
        """Judge [start, end) of several markets, as many at a time as `run` allows.

        Args:
            keys: Markets.
            start: First hour.
            end: Hour after the last one.
            take: Is given every judgement, hours of a market in order; called from the thread that `run`
                works on.

        Returns:
            The summary of each market.
        """

        def work(key: str) -> RangeSummary:
            judged = self.analyze_range(key, start, end)
            for found in judged:
                take(key, found)
            return judged.summary

        return dict(zip(keys, self._run(work, keys), strict=True))

    def _batch(self, key: str, hours: Sequence[Hour]) -> list[J | BadHour]:
        """Return a few hours' judgements; the newest is judged first, its folds hold all the others' bars."""
        windows = list(self._windows(key, hours))
        answers = [self._judged(key, hour, w) for hour, w in zip(hours[::-1], windows[::-1], strict=True)]
        return answers[::-1]

    def _judged(self, key: str, hour: Hour, found: W | BadHour, *, again: bool = True) -> J | BadHour:
        if not isinstance(found, BadHour):
            try:
                return self._judge(found)
            except RegimedError as error:
                found = BadHour(key, hour, str(error))
        if not again:
            return found
        (second,) = self._windows(key, [hour])
        return self._judged(key, hour, second, again=False)

    def _windows(self, key: str, hours: Sequence[Hour]) -> Iterator[W | BadHour]:
        """Yield one answer an hour, whatever the source does: skip, swap or break off."""
        answers: Iterator[W | BadHour] | None = None
        for at, hour in enumerate(hours):
            try:
                answers = answers or iter(self._source.windows(key, hours[at:]))
                found = next(answers)
            except StopIteration:
                reason = "the source has nothing for this hour"
            except RegimedError as error:
                reason = str(error)
            else:
                if found.hour == hour:
                    yield found
                    continue
                reason = f"the source answered with {found.hour} instead"
            yield BadHour(key, hour, reason)
            answers = None  # asked anew for the hours after this one
