"""The handbook: each alert has its entry, each command exists, each figure stands in the evidence."""

import re
import shlex
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from daemon.cli import app
from tests.docs.scripts import script
from tests.drills.__main__ import Row, recalled
from tests.drills.__main__ import page as with_probes
from tests.drills.__main__ import section as probes_section
from tests.drills.kubelet import deployment
from tests.drills.probes import DRILLS, Found

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "operations.md"
TEXT = PAGE.read_text()
# programs of others that the handbook may name
OTHERS = {"kubectl", "docker", "git", "ssh-keygen", "ssh-keyscan", "cp", "ls", "df", "du", "ps", "chown"}


@pytest.fixture(scope="module")
def maker():
    """The script that writes the page, as a module."""
    with script("make_operations") as module:
        yield module


def alerts():
    found = []
    for path in sorted((ROOT / "deploy").rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("kind") == "PrometheusRule":
                found += [
                    rule for group in document["spec"]["groups"] for rule in group["rules"] if "alert" in rule
                ]
    return found


def entries():
    """Return each alert's entry by its heading."""
    parts = re.split(r"^#### (\w+)\n", TEXT, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands():
    """Return every command line of the handbook: whole lines of blocks, and what stands in backticks."""
    blocks = re.findall(r"^```\n(.*?)^```", TEXT, flags=re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    prose = re.sub(r"^```\n.*?^```", "", TEXT, flags=re.DOTALL | re.MULTILINE)
    quoted = re.findall(r"`((?:regimed|make|kubectl|git|docker) [^`]+)`", prose)
    return [line.strip() for line in [*lines, *quoted]]


def test_every_alert_of_the_rules_has_its_entry_and_no_entry_is_for_nothing():
    """Who is woken finds the page; a renamed alert takes its page along."""
    rules = alerts()
    if not rules:
        pytest.skip("deploy/ holds no PrometheusRule")
    assert sorted(entries()) == sorted({rule["alert"] for rule in rules})
    for rule in rules:
        link = rule["annotations"]["runbook_url"]
        assert link.endswith(f"docs/operations.md#{rule['alert'].lower()}"), link
        severity = rule["labels"]["severity"]
        assert entries()[rule["alert"]].startswith(f"\n*{severity}* · "), rule["alert"]


@pytest.mark.parametrize("name", entries())
def test_an_entry_says_what_it_means_costs_and_asks_for(name):
    """Means, what waiting costs, where to look, what to do: none left out, none empty."""
    entry = entries()[name]
    assert re.match(r"\n\*(critical|warning|info)\* · \S", entry)
    for part in ("Waiting costs", "Look", "Do"):
        found = re.search(rf"^- {part}: (.+)$", entry, flags=re.MULTILINE)
        assert found and len(found[1]) > 5, part


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_handbook_exists(line):
    """A command with its options is one of this program's, a target of the Makefile, or a known tool's."""
    words = shlex.split(line.removeprefix(".venv/bin/"))
    while words[0] == "kubectl" and "--" in words:
        words = words[words.index("--") + 1 :]
    if words[0] == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), flags=re.MULTILINE), line
    elif words[0] == "regimed":
        command, rest = get_command(app), words[1:]
        while rest and hasattr(command, "commands"):
            assert rest[0] in command.commands, line
            command, rest = command.commands[rest[0]], rest[1:]
        options = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options, line
    else:
        assert words[0] in OTHERS, line


def test_every_link_and_named_file_is_there():
    """No page, test or folder is named that is not in the repository."""
    headings = {
        re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.+)$", TEXT, flags=re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        assert not file or (PAGE.parent / file).is_file(), target
        assert file or anchor in headings, target
    for file in set(re.findall(r"`((?:tests|docs)/[\w./-]+\.(?:py|md))`", TEXT)):
        assert (ROOT / file).is_file(), file


def test_every_manifest_that_is_named_is_there():
    """The handbook's paths of deploy/ are those of the repository."""
    if not alerts():
        pytest.skip("deploy/ holds no PrometheusRule: the manifests that the handbook describes are not here")
    for place in set(re.findall(r"deploy/[\w./-]+\w", TEXT)):
        assert (ROOT / place).exists(), place


def test_the_capacity_table_is_the_evidence(maker):
    """No figure is typed: the page is what `make operations` would write now."""
    assert maker.page(TEXT, maker.EVIDENCE.read_text()) == TEXT
    other = maker.EVIDENCE.read_text().replace(
        "| 1 market: an hour, median | ", "| 1 market: an hour, median | 9"
    )
    assert maker.page(TEXT, other) != TEXT


def test_the_table_of_probes_is_of_all_drills():
    """One row a drill, as it was found and kept; what was not run yet is named."""
    rows = recalled()
    assert [name for name in DRILLS if name in rows] == list(rows)
    assert all(f"`{name}`" in probes_section(rows) for name in DRILLS if name not in rows)
    assert with_probes(TEXT, probes_section(rows)) == TEXT
    made = Row(Found("a fault", "200", "200", "warn", "none", "yes", 0, 1.0, 1.0), "numbers", "today", "abc")
    other = with_probes(TEXT, probes_section({**rows, "slow_start": made}))
    assert "| a fault | 200 | 200 | warn | none | yes |" in other


def test_the_drills_ran_under_the_probes_of_the_manifest():
    """Other numbers in the manifest ask for other drills: `make drills`."""
    if not alerts():
        pytest.skip("deploy/ holds no PrometheusRule: the manifests that the drills ran under are not here")
    assert {row.probes for row in recalled().values()} <= {str(deployment())}
