"""Where two records differ, field by field: what `replay` and `backtest --check-live` print."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def differing_fields(recorded: Any, now: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield each field that differs, by its path in the record, with both values in words.

    Args:
        recorded, now: Plain values as JSON or YAML hold them.
        where: Path of both in the whole record.
    """
    if isinstance(recorded, dict) and isinstance(now, dict):
        for name in sorted({*recorded, *now}):
            place = f"{where}.{name}" if where else name
            yield from differing_fields(recorded.get(name), now.get(name), place)
    elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        for place, (one, other) in enumerate(zip(recorded, now, strict=True)):
            yield from differing_fields(one, other, f"{where}.{place}")
    elif recorded != now:
        yield where or "record", f"recorded {recorded!r}, recomputed {now!r}"
