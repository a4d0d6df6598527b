"""The verdict of every hour since the anchor, for both models: the classifier folded over its signals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from market.candles import Floats
from regime.analysis import ScoreModel, Verdict
from regime.classifier import Signals, Standing, raw_class, stepped, vetoed
from regime.config import RegimeConfig

MODELS: tuple[ScoreModel, ...] = ("evidence", "classic")
_VERDICTS = tuple(Verdict)
_NO_VERDICT = -1


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """One model's way through the hours, shape (n,) each; -1 where there is nothing to judge by.

    Attributes:
        verdict: Rank of the verdict, after vetoes; -1 in an hour without p or T.
        present: Rank of the class that hysteresis holds; an hour without a verdict leaves it as it is.
        across: Bars for which the raw class has differed from it.
    """

    verdict: NDArray[np.int8]
    present: NDArray[np.int8]
    across: NDArray[np.int32]

    def verdict_at(self, row: int) -> Verdict | None:
        """Return the verdict of one hour."""
        rank = int(self.verdict[row])
        return None if rank == _NO_VERDICT else _VERDICTS[rank]

    def present_at(self, row: int) -> Verdict:
        """Return the class that hysteresis holds in an hour with a verdict."""
        return _VERDICTS[int(self.present[row])]

    def dwell(self, row: int, at_most: int = 168) -> int:
        """Return for how many bars the verdict of this hour has stood, 0 where it has just changed."""
        judged, changes = self._changes(row)
        since = int(changes[-1]) if changes.size else int(judged[0])
        return min(row - since, at_most)

    def flips(self, row: int, bars: int = 168) -> int:
        """Return how many of the last `bars` hours changed the verdict."""
        return int(np.count_nonzero(self._changes(row)[1] > row - bars))

    def _changes(self, row: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        judged = np.flatnonzero(self.verdict[: row + 1] != _NO_VERDICT)
        told = self.verdict[judged]
        return judged, judged[1:][told[1:] != told[:-1]]


@dataclass(frozen=True, slots=True, eq=False)
class VerdictFold:
    """Signals and what both models made of them.

    Attributes:
        signals: The fields of `Signals` as rows, shape (7, n); NaN where unknown.
        tracks: By model.
    """

    signals: Floats
    tracks: dict[ScoreModel, Track]

    def signals_at(self, row: int) -> Signals:
        """Return what the classifier saw in one hour."""
        return _signals(self.signals[:, row].tolist())


def fold_verdicts(signals: Floats, config: RegimeConfig, known: VerdictFold | None = None) -> VerdictFold:
    """Return the verdicts of all hours.

    Args:
        signals: Shape (7, n), oldest first.
        config: Both models' numbers.
        known: An earlier fold; its rows are kept as far as its signals are the same, bit by bit.
    """
    kept = 0 if known is None else _same_columns(known.signals, signals)
    if known is not None and kept == signals.shape[1]:
        return known
    later = [_signals(column) for column in signals[:, kept:].T.tolist()]
    return VerdictFold(
        signals,
        {
            model: _track(model, later, config, None if known is None else known.tracks[model], kept)
            for model in MODELS
        },
    )


def _track(
    model: ScoreModel, later: list[Signals], config: RegimeConfig, known: Track | None, kept: int
) -> Track:
    standing: Standing | None = None
    verdicts: list[int] = []
    presents: list[int] = []
    across: list[int] = []
    if known is not None and kept and known.present[kept - 1] != _NO_VERDICT:
        standing = Standing(_VERDICTS[known.present[kept - 1]], int(known.across[kept - 1]))
    for signals in later:
        rank = _NO_VERDICT
        if signals.hold_probability >= 0 and signals.trendiness >= 0:
            standing = stepped(model, standing, raw_class(model, signals, config), signals, config)
            rank = _VERDICTS.index(vetoed(model, standing.present, signals, config)[0])
        verdicts.append(rank)
        presents.append(_NO_VERDICT if standing is None else _VERDICTS.index(standing.present))
        across.append(0 if standing is None else standing.bars_across)
    columns = (
        np.array(verdicts, dtype=np.int8),
        np.array(presents, dtype=np.int8),
        np.array(across, dtype=np.int32),
    )
    if known is None:
        return Track(*columns)
    earlier = (known.verdict[:kept], known.present[:kept], known.across[:kept])
    return Track(*(np.concatenate(pair) for pair in zip(earlier, columns, strict=True)))  # type: ignore[arg-type]


def _signals(column: list[float]) -> Signals:
    p, trendiness, trendiness_4h, half_life, valid, inside, outside = column
    return Signals(p, trendiness, trendiness_4h, half_life, valid == 1, inside == 1, outside == 1)


def _same_columns(known: Floats, signals: Floats) -> int:
    count = min(known.shape[1], signals.shape[1])
    same = known[:, :count].view(np.int64) == signals[:, :count].view(np.int64)  # bits: NaN equals NaN
    differ = ~same.all(axis=0)
    return int(np.argmax(differ)) if differ.any() else count
