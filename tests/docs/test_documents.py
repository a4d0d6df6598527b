"""Every document: its links lead somewhere, its commands exist with the options that it names."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer

from daemon.cli import app

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def anchors(page):
    """Return the anchors that GitHub gives to a page's headings."""
    text = FENCED.sub("", page.read_text())
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each) for each in headings)
    return {re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in plain}


def calls(page):
    """Yield each call of `regimed` in a fenced block, as its words."""
    for _, block in FENCED.findall(page.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            found = re.match(r"^\s*(?:\$ |Example: )?(?:\S*/)?regimed ([a-z].*)$", line)
            if found:
                yield shlex.split(found[1].partition(" #")[0], comments=False)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page):
    """A file that is there, and a heading in it that is there."""
    text = FENCED.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), target
        if anchor and place.suffix == ".md":
            assert anchor in anchors(place), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_exists_with_its_options(page):
    """What a document says to type is what the program takes."""
    for words in calls(page):
        command = typer.main.get_command(app)
        rest = list(words)
        while hasattr(command, "commands") and rest:
            name = rest.pop(0)
            assert name in command.commands, words
            command = command.commands[name]
        known = {option for each in command.params for option in each.opts} | {"--help"}
        asked = {each.partition("=")[0] for each in rest if re.match(r"--[a-z]", each)}
        assert asked <= known, (words, asked - known)


def test_the_pages_with_commands_are_seen():
    """The two tests above look at real commands, not at none."""
    told = {page.relative_to(ROOT).as_posix(): len(list(calls(page))) for page in PAGES}
    assert told["docs/tutorial.md"] >= 12
    assert told["docs/how-to.md"] >= 6
    assert sum(told.values()) > 60
