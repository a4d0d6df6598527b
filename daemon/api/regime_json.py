"""Rows as JSON, quickly: what a code says is written once, a row is put together from such pieces.

The form is that of `daemon.regime_forms.row_dicts`, byte for byte.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from daemon.regime_answers import RegimePage
from daemon.regime_forms import row_dicts
from market.hours import Timeframe
from regime.components.states import FULL_REGIMES
from regime.series import CONFIDENCE_UNIT, NO_VERDICT, VERDICTS, RegimeRows

_DAY_S = 86_400
_VERDICTS = [*range(len(VERDICTS)), NO_VERDICT]
_SOURCES = (b"stored", b"computed")
Letters = NDArray[np.uint8]


def _letters(texts: Sequence[bytes]) -> Letters:
    """Return texts as rows of letters, zeros after the shorter ones."""
    return np.array(texts).view(np.uint8).reshape(len(texts), -1)


def _pieces() -> Letters:
    """Return what stands between time and confidence, by full regime and verdict."""
    count = len(FULL_REGIMES) * len(_VERDICTS)
    every = RegimeRows(
        Timeframe.H1,
        np.zeros(count, dtype=np.int64),
        np.repeat(np.arange(len(FULL_REGIMES), dtype=np.int8), len(_VERDICTS)),
        np.tile(np.array(_VERDICTS, dtype=np.int8), len(FULL_REGIMES)),
        np.zeros(count, dtype=np.int16),
    )
    told = []
    for row in row_dicts(RegimePage(every, None, 1, 1, 0, None)):
        inner = {name: row[name] for name in row if name not in ("open_time", "confidence", "source")}
        told.append(b'",%b,"confidence":' % orjson.dumps(inner)[1:-1])
    return _letters(told)


_OPENING = _letters([b'{"open_time":"'])
_CLOCK = _letters([b"T%02d:%02d:00Z" % divmod(minute, 60) for minute in range(24 * 60)])
_PIECES = _pieces()
_CONFIDENCE = _letters([orjson.dumps(each / CONFIDENCE_UNIT) for each in range(CONFIDENCE_UNIT + 1)])
_CLOSING = _letters([b',"source":"%b"},' % source for source in _SOURCES])


def rows_json(page: RegimePage) -> bytes:
    """Return the rows of a page as a JSON array."""
    rows = page.rows
    if page.bars is not None or not len(rows):
        return orjson.dumps(row_dicts(page))
    days, day = np.unique(rows.ts // _DAY_S, return_inverse=True)
    dates = _letters(np.datetime_as_string(days.astype("datetime64[D]")).astype("S10").tolist())
    columns = (
        np.broadcast_to(_OPENING, (len(rows), _OPENING.shape[1])),
        dates[day],
        _CLOCK[rows.ts % _DAY_S // 60],
        _PIECES[rows.full.astype(np.intp) * len(_VERDICTS) + rows.verdict % len(_VERDICTS)],
        _CONFIDENCE[rows.confidence],
        _CLOSING[(rows.ts >= page.stored_before_ts).astype(np.intp)],
    )
    letters = np.concatenate(columns, axis=1).reshape(-1)
    return b"[%b]" % letters[letters != 0].tobytes()[:-1]


def stored_rows(page: RegimePage) -> int:
    """Return how many of a page's rows came from the index."""
    return int(np.searchsorted(page.rows.ts, page.stored_before_ts))


def joined(head: dict[str, Any], name: str, array: bytes, tail: dict[str, Any]) -> bytes:
    """Return one JSON object: the members of `head`, a member of ready JSON, the members of `tail`."""
    return b'%b,"%b":%b,%b' % (orjson.dumps(head)[:-1], name.encode(), array, orjson.dumps(tail)[1:])
