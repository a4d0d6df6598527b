"""Tables and numbers of the pages that commands write."""

from __future__ import annotations

from typing import Any


def figure(found: dict[str, Any] | None, digits: int = 3) -> str:
    """Return a value with its interval."""
    if not found or found["value"] is None:
        return "-"
    if found["low"] is None:
        return f"{found['value']:.{digits}f}"
    high = "never" if found["high"] is None else f"{found['high']:.{digits}f}"
    return f"{found['value']:.{digits}f} [{found['low']:.{digits}f}, {high}]"


def table(head: str, rows: list[list[str]]) -> list[str]:
    """Return a Markdown table."""
    columns = head.split(" | ")
    return [f"| {head} |", "|" + " --- |" * len(columns), *(f"| {' | '.join(row)} |" for row in rows), ""]


def number(value: float | None, digits: int = 2) -> str:
    """Return a value, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"
