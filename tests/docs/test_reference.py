"""The generated references are what the program says of itself today."""

from __future__ import annotations

import pytest
import typer

from daemon.cli import app
from daemon.commands.overview import SECTIONS
from tests.docs.scripts import DOCS, script


@pytest.mark.parametrize(
    ("maker", "page"),
    [
        ("make_commands", "commands.md"),
        ("make_settings", "configuration.md"),
        ("make_licences", "licences.md"),
        ("make_goals", "evidence/goals.md"),
    ],
)
def test_the_page_is_what_the_program_says(maker, page):
    """After a change of a command, a setting, a dependency or a measurement, the page has to be made anew."""
    with script(maker) as module:
        assert module.page() == (DOCS / page).read_text()


def test_every_command_stands_in_one_section():
    """None is missing from `regimed --help`, none is named that is not there, none stands twice."""
    named = [name for commands in SECTIONS.values() for name in commands]
    assert sorted(named) == sorted(typer.main.get_command(app).commands)


def test_every_command_has_an_example_that_calls_it():
    """Somebody who has never used it sees how it is written."""
    with script("make_commands") as maker:
        for name, top in typer.main.get_command(app).commands.items():
            for words, command in maker.leaves((name,), top):
                if not hasattr(command, "commands"):
                    assert f"Example: regimed {words}" in " ".join((command.help or "").split()), words


def test_every_setting_says_what_it_does():
    """A setting without words is one that nobody dares to change."""
    rows = [row for row in (DOCS / "configuration.md").read_text().splitlines() if row.startswith("| `")]
    assert len(rows) > 200
    assert [row for row in rows if row.endswith("|  |")] == []
