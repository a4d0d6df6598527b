"""Market keys: what paths, tables, the API and tools call a market."""

from __future__ import annotations

import re

KEY_FORM = r"[A-Z0-9][A-Z0-9._-]*"
_KEY = re.compile(KEY_FORM)


def checked_key(text: str) -> str:
    """Return `text` if it may name a market, and so a folder.

    Raises:
        ValueError: Any other form; nothing unvalidated ever reaches a path.
    """
    if not _KEY.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is not a market key; expected {KEY_FORM}, for example ETH-USDT")
    return text
