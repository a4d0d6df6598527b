"""What docs/trading.md says of the policy is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from store import yaml_text
from trading.rules import PolicyConfig
from trading.signals.registry import SIGNALS

DOCUMENT = (
    (Path(__file__).parents[2] / "docs" / "trading.md")
    .read_text("utf-8")
    .partition("\n## Universe, signals, rules\n")[2]
    .partition("\n## ")[0]
)


def test_the_policy_in_the_document_is_the_default_one():
    """An operator may copy it and change a row."""
    (block,) = re.findall(r"```yaml\n(regimes:\n.*?)```", DOCUMENT, re.DOTALL)
    assert PolicyConfig.read(yaml_text.load(block.encode(), "docs"), "docs") == PolicyConfig()


def test_every_signal_has_its_row():
    """By the name that a configuration uses."""
    assert re.findall(r"^\| `(\w+)` \|", DOCUMENT, re.MULTILINE) == list(SIGNALS)


def test_every_setting_that_the_document_names_is_one():
    """A threshold in the table is a field of its signal."""
    for name, entry in SIGNALS.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", DOCUMENT, re.MULTILINE)
        named = set(re.findall(r"`(\w+)`", row)) - {name}
        assert named <= set(entry.config.model_fields)
