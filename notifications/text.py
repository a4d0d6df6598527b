"""Text that fits a phone: what may be cut is cut at a word, what the operator acts on stays whole."""

from __future__ import annotations

from collections.abc import Iterable


def fit(soft: Iterable[str], firm: Iterable[str], most: int) -> str:
    """Join sentences into at most `most` characters.

    Args:
        soft: Why and what else; cut where it is too much.
        firm: How sure, what to do, by when, where to read on; kept whole as long as it fits on its own.
        most: Characters, at least 1.
    """
    kept = " ".join(part for part in firm if part)
    before = " ".join(part for part in soft if part)
    if not kept:
        return cut(before, most)
    room = most - len(kept) - 1
    if not before or room < 1:
        return cut(kept, most)
    return f"{cut(before, room)} {kept}"


def cut(text: str, most: int) -> str:
    """Return `text` in at most `most` characters, shortened at a word and marked where it was too long."""
    if len(text) <= most:
        return text
    head = text[: most - 1]
    at_word = head if text[most - 1].isspace() else head.rpartition(" ")[0]
    return f"{(at_word if len(at_word) > most // 2 else head).rstrip(' ,;:')}…"


def opened(text: str) -> str:
    """Return `text` with a capital letter, unless it begins with a name such as `p_transition`."""
    first = text.partition(" ")[0]
    return f"{text[:1].upper()}{text[1:]}" if first.isalpha() and first.islower() else text


def sentence(text: str) -> str:
    """Return `text` with an end to it."""
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."
