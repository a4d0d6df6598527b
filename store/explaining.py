"""A recommendation in plain words, from its records: for the terminal, for links in notices, for pages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from decisions.explain import explain
from regime.analysis import Verdict
from store.advice import read_advice
from store.decision_files import ActionFile, DecisionFile, past_advice, recommendation_of


def explained(root: Path, decision_id: str) -> list[str]:
    """Return a recorded recommendation as paragraphs, with what was done about it.

    Args:
        root: The data repository.
        decision_id: `2026-02-02/dec-ETH-USDT-150000`.

    Raises:
        DataInvalid: There is none of this name, or a file of it is corrupt.
    """
    found = read_advice(root, decision_id)
    return in_words(found.file, found.actions)


def in_words(file: DecisionFile, actions: Sequence[ActionFile]) -> list[str]:
    """Return a recommendation and what was done about it as paragraphs."""
    return explain(
        recommendation_of(file),
        None if file.verdict is None else Verdict(file.verdict),
        None if file.scores is None else file.scores.p,
        past_advice(file, list(actions)).actions,
    )
