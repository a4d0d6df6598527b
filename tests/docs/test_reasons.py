"""The table of reasons in docs/trading.md: it is what the script makes of the code today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.scripts import script
from trading.reasons import MEANINGS, Reason

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "trading.md").read_text()


@pytest.fixture(scope="module")
def maker():
    """The script that writes the table, as a module."""
    with script("make_reasons") as module:
        yield module


def test_the_table_is_what_the_code_says(maker):
    """After a change of a reason, its meaning or who gives it, `make reasons` has to be run."""
    assert maker.page(PAGE) == PAGE


def test_every_reason_has_a_part_a_meaning_and_somebody_who_gives_it(maker):
    """No code that nothing produces, none without words, none that is left out of the table."""
    parts = maker.parts((maker.TRADING / "reasons.py").read_text())
    assert "" not in parts
    assert [reason for reasons in parts.values() for reason in reasons] == list(Reason)
    assert set(MEANINGS) == set(Reason)
    assert [reason for reason, files in maker.givers().items() if not files] == []


def test_the_rest_of_the_document_stays_as_it_is(maker):
    """First, last or not there at all: nothing else is touched, and the section is there once."""
    own = "\n".join(maker.section()).rstrip("\n")
    assert maker.page("# T\n\n## A\n\na\n") == f"# T\n\n## A\n\na\n\n{own}\n"
    old = "## Reasons\n\n### Old\n\nold\n"
    assert maker.page(f"# T\n\n{old}\n## A\n\na\n") == f"# T\n\n{own}\n\n## A\n\na\n"
    assert maker.page(f"# T\n\n## A\n\na\n\n{old}") == f"# T\n\n## A\n\na\n\n{own}\n"


def test_a_reason_counts_as_given_only_where_it_is_named(maker):
    """A name in a text or of another thing is none."""
    assert maker.named_in('x = Reason.STOP\ny = "Reason.TARGET"\nz = Other.MAX_HOLD\n') == {Reason.STOP}
