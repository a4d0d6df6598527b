"""Rules and board ask for what is there: metrics that a running `regimed` exports, labels that it gives."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import urllib.request

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tests.cycle.processes import started
from tests.deploy.exported import PAGE, declared_by, page
from tests.deploy.kubectl import DEPLOY, ROOT
from tests.servers import required

BOARD = DEPLOY / "components" / "alerts" / "regimed.json"
GROUPS = yaml.safe_load((BOARD.parent / "prometheusrule.yaml").read_text())["spec"]["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
FROM_PROMETHEUS = {"up", "ALERTS"}  # its own series
OF_TARGETS = {"job", "namespace", "alertname", "alertstate"}  # given at the scrape, or by Prometheus itself
OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SAMPLES = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "info": ("_info",)}


def panels():
    return [panel for panel in json.loads(BOARD.read_text())["panels"] if panel["type"] != "row"]


def expressions():
    """Return every expression of the rules and the board, with what it belongs to."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in RULES}
    for panel in panels():
        for target in panel["targets"]:
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    for variable in json.loads(BOARD.read_text())["templating"]["list"]:
        if variable["type"] == "query":
            found[f"variable {variable['name']}"] = variable["query"]
    return found


def metrics_in(expression):
    """Return the names of series that an expression asks for."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^]]*\]|\b(by|without|on|ignoring) *\([^)]*\)", " ", expression)
    return set(re.findall(r"\b(?:regimed[a-z0-9_:]*|up|ALERTS)\b", bare))


def labels_in(expression):
    """Return the labels that it matches or groups by."""
    matched = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression)
    grouped = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expression)
    named = re.findall(r"label_values\([^,]*(?:\{[^}]*\})?,\s*(\w+)\)", expression)
    return {
        *matched,
        *named,
        *(each.strip() for group in grouped for each in group.split(",") if each.strip()),
    }


@pytest.fixture(scope="module")
def scraped(tmp_path_factory):
    """What a real process exports after some hours: family by name, as a scrape gives it."""
    folder = tmp_path_factory.mktemp("demo")
    hours, markets = 3, 1
    with started(
        *("demo", "--paper", "--hours", str(hours), "--markets", str(markets), "--port", "0", "--rate", "1"),
        *("--dir", str(folder)),
    ) as process:
        address = process.line(r"(http://127\.0\.0\.1:\d+)/health", 120).group(1)
        asked = urllib.request.Request(f"{address}/metrics", headers={"Accept": OPENMETRICS})
        for _ in range(600):
            with urllib.request.urlopen(asked, timeout=30) as answer:
                families = {
                    each.name: each for each in text_string_to_metric_families(answer.read().decode())
                }
            done = [each.value for each in families["regimed_cycles"].samples if each.name.endswith("_total")]
            if sum(done) >= hours * markets:
                return families
            threading.Event().wait(0.2)
    pytest.fail(f"the demo did not judge its hours: {process.lines[-10:]}")


def series_of(families):
    """Return the family of each series name that can be asked for."""
    return {
        f"{family.name}{ending}": family
        for family in families.values()
        for ending in SAMPLES.get(family.type, ("",))
    }


async def test_every_expression_asks_for_what_is_exported(scraped, tmp_path):
    """Each metric of rules and board is in a live process's scrape, each label is one that it gives."""
    known, declared = series_of(scraped), await declared_by(tmp_path)
    assert set(declared) == set(scraped)
    recorded_from = {rule["record"]: metrics_in(rule["expr"]) for rule in RULES if "record" in rule}
    assert len(expressions()) > 90
    for name, expression in expressions().items():
        asked = metrics_in(expression)
        assert asked, name
        assert asked <= known.keys() | RECORDED | FROM_PROMETHEUS, f"{name}: {asked}"
        sources = {source for metric in asked for source in recorded_from.get(metric, {metric})}
        labels = set(OF_TARGETS)
        for source in sources - FROM_PROMETHEUS:
            labels |= declared[known[source].name].labels | ({"le"} if source.endswith("_bucket") else set())
        assert labels_in(expression) <= labels, f"{name}: {labels_in(expression) - labels}"


async def test_the_page_of_metrics_is_what_is_declared(tmp_path):
    """docs/metrics.md names each metric, its labels and its alerts as they are; else `make reference`."""
    assert page(await declared_by(tmp_path)) == PAGE.read_text()


def test_what_a_scrape_gives_is_what_is_declared(scraped):
    """The scrape has samples of nearly every family, so the check above is not of empty names."""
    told = {name for name, family in scraped.items() if family.samples}
    assert {"regimed_cycle_seconds", "regimed_disk_free_bytes", "regimed_regime"} <= told
    assert len(told) > 50
    assert {label for s in scraped["regimed_disk_free_bytes"].samples for label in s.labels} == {"volume"}


async def test_every_text_of_an_alert_names_labels_that_it_has(tmp_path):
    """A summary with `$labels.markt` would read as nothing at all."""
    declared = await declared_by(tmp_path)
    families = {
        f"{name}{ending}": each.labels for name, each in declared.items() for ending in ("", "_total")
    }
    recorded_from = {rule["record"]: metrics_in(rule["expr"]) for rule in RULES if "record" in rule}
    for rule in RULES:
        if "alert" in rule:
            asked = set(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))
            sources = {
                s for m in metrics_in(rule["expr"]) for s in recorded_from.get(m, {m})
            } - FROM_PROMETHEUS
            given = set().union(*(families.get(source, set()) for source in sources))
            assert asked <= given, rule["alert"]


def test_the_board_is_what_its_code_makes():
    """The committed JSON is the generator's: nobody edits it by hand."""
    made = subprocess.run(
        [sys.executable, "-c", "from make_board import board; print(board(), end='')"],
        capture_output=True,
        text=True,
        check=True,
        cwd=DEPLOY,
    )
    assert made.stdout == BOARD.read_text(), "run `make board`"


def test_the_board_can_be_read():
    """Every panel has a place and a title of its own, a unit, and a source that can be chosen."""
    titles, places = [], []
    for panel in json.loads(BOARD.read_text())["panels"]:
        titles.append(panel["title"])
        spot = panel["gridPos"]
        places += [
            (x, y)
            for x in range(spot["x"], spot["x"] + spot["w"])
            for y in range(spot["y"], spot["y"] + spot["h"])
        ]
        assert spot["x"] + spot["w"] <= 24
    for panel in panels():
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
        assert panel["fieldConfig"]["defaults"]["unit"]
    assert len(titles) == len(set(titles))
    assert len(places) == len(set(places))


@pytest.mark.servers
def test_the_boards_expressions_are_valid(tmp_path):
    """promtool reads each, with the variables filled in as Grafana does for `All`."""
    tool = required("promtool", "prometheus")
    filled = [
        {"record": f"board:{number}", "expr": re.sub(r"\$(namespace|market)", ".*", target["expr"])}
        for number, target in enumerate(target for panel in panels() for target in panel["targets"])
    ]
    file = tmp_path / "board.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "board", "rules": filled}]}))
    found = subprocess.run([tool, "check", "rules", file], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(filled)} rules found" in found.stdout + found.stderr


def test_the_folder_of_the_board_is_the_repositorys():
    """The committed file is the one that kustomize packs into the ConfigMap for Grafana."""
    told = yaml.safe_load((BOARD.parent / "kustomization.yaml").read_text())
    (made,) = told["configMapGenerator"]
    assert made["files"] == [BOARD.name]
    assert made["options"]["labels"]["grafana_dashboard"] == "1"
    assert BOARD.is_relative_to(ROOT)
