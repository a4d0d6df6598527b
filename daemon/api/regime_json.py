"""Rows as JSON, quickly: what a code says is written once, a row is put together from such pieces.

The form is that of `daemon.regime_forms.row_dicts`, byte for byte.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson

from daemon.regime_forms import row_dicts
from daemon.regimes import RegimePage
from market.hours import Timeframe
from regime.components.states import FULL_REGIMES
from regime.series import CONFIDENCE_UNIT, NO_VERDICT, VERDICTS, RegimeRows


def _pieces() -> list[list[str]]:
    """Return what stands between time and confidence, by full regime and verdict; NO_VERDICT is the last."""
    verdicts = [*range(len(VERDICTS)), NO_VERDICT]
    every = RegimeRows(
        Timeframe.H1,
        np.zeros(len(FULL_REGIMES) * len(verdicts), dtype=np.int64),
        np.repeat(np.arange(len(FULL_REGIMES), dtype=np.int8), len(verdicts)),
        np.tile(np.array(verdicts, dtype=np.int8), len(FULL_REGIMES)),
        np.zeros(len(FULL_REGIMES) * len(verdicts), dtype=np.int16),
    )
    told = []
    for row in row_dicts(RegimePage(every, None, 1, 1, 0, None)):
        inner = {name: row[name] for name in row if name not in ("open_time", "confidence", "source")}
        told.append(f'Z",{orjson.dumps(inner).decode()[1:-1]},"confidence":')
    return [told[place : place + len(verdicts)] for place in range(0, len(told), len(verdicts))]


_PIECES = _pieces()
_CONFIDENCE = [orjson.dumps(each / CONFIDENCE_UNIT).decode() for each in range(CONFIDENCE_UNIT + 1)]
_STORED, _COMPUTED = ',"source":"stored"}', ',"source":"computed"}'


def rows_json(page: RegimePage) -> bytes:
    """Return the rows of a page as a JSON array."""
    if page.bars is not None:
        return orjson.dumps(row_dicts(page))
    rows, stored = page.rows, stored_rows(page)
    times = np.datetime_as_string(rows.ts.astype("datetime64[s]")).tolist()
    columns = zip(times, rows.full.tolist(), rows.verdict.tolist(), rows.confidence.tolist(), strict=True)
    told = [
        f'{{"open_time":"{time}{_PIECES[full][verdict]}{_CONFIDENCE[confidence]}'
        for time, full, verdict, confidence in columns
    ]
    parts = []
    if stored:
        parts.append(f"{_STORED},".join(told[:stored]) + _STORED)
    if stored < len(told):
        parts.append(f"{_COMPUTED},".join(told[stored:]) + _COMPUTED)
    return f"[{','.join(parts)}]".encode()


def stored_rows(page: RegimePage) -> int:
    """Return how many of a page's rows came from the index."""
    return int(np.searchsorted(page.rows.ts, page.stored_before_ts))


def joined(head: dict[str, Any], name: str, array: bytes, tail: dict[str, Any]) -> bytes:
    """Return one JSON object: the members of `head`, a member of ready JSON, the members of `tail`."""
    return b'%b,"%b":%b,%b' % (orjson.dumps(head)[:-1], name.encode(), array, orjson.dumps(tail)[1:])
