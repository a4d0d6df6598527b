"""What the daemon exports, metric by metric; `python -m tests.deploy.exported` writes docs/metrics.md."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import NamedTuple

import anyio
import yaml
from prometheus_client.metrics import MetricWrapperBase

from tests.cycle.house import house
from tests.deploy.kubectl import DEPLOY, ROOT

PAGE = ROOT / "docs" / "metrics.md"
HEAD = """\
# Metrics

Made by `make reference` from the program itself. `/metrics` answers in Prometheus' formats; every name below
is there from the start. Alerts on them, each with what to do: [operations.md](operations.md). A counter's
series ends in `_total`, a histogram's in `_bucket`, `_sum`, `_count`.

| metric | kind | labels | what it says | alerts |
| --- | --- | --- | --- | --- |
"""


class Exported(NamedTuple):
    """A family as it is declared."""

    kind: str
    labels: set[str]
    words: str


async def declared_by(folder: Path) -> dict[str, Exported]:
    """Return every metric by its family, also those that have no sample yet."""
    async with house(folder, mode="paper") as there:
        found = {}
        for collector in list(there.app.metrics.registry._collector_to_names):
            for family in collector.collect():
                labels = (
                    collector._labelnames
                    if isinstance(collector, MetricWrapperBase)
                    else getattr(family, "_labelnames", ())
                )
                found[family.name] = Exported(family.type, set(labels), family.documentation)
        return found


def page(declared: dict[str, Exported]) -> str:
    """Return docs/metrics.md."""
    rules = yaml.safe_load((DEPLOY / "components" / "alerts" / "prometheusrule.yaml").read_text())
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"] if "alert" in rule]
    recorded = {
        rule["record"]: rule["expr"]
        for group in rules["spec"]["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    rows = []
    for name, each in sorted(declared.items()):
        series = re.compile(rf"\b{name}(?:_total|_bucket|_sum|_count)?\b")
        also = [record for record, expr in recorded.items() if series.search(expr)]
        named = [
            f"[{rule['alert']}](operations.md#{rule['alert'].lower()})"
            for rule in alerts
            if series.search(rule["expr"]) or any(record in rule["expr"] for record in also)
        ]
        labels = ", ".join(f"`{label}`" for label in sorted(each.labels))
        words = each.words.replace("|", "\\|")
        rows.append(f"| `{name}` | {each.kind} | {labels} | {words} | {', '.join(named)} |\n")
    return HEAD + "".join(rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        PAGE.write_text(page(anyio.run(declared_by, Path(folder))))


if __name__ == "__main__":
    main()
