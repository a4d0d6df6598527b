"""Where a message leads: the page that explains a recommendation."""

from __future__ import annotations

from urllib.parse import quote


def decision_link(link: str | None, decision: str) -> str | None:
    """Return the address of a recommendation's page; None without an address or a recommendation.

    Args:
        link: Scheme, host and port where the operator's browser reaches this program.
        decision: Id of the recommendation, `""` for none.
    """
    return f"{link}/decisions/{quote(decision)}" if link and decision else None
