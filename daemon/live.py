"""What only the running daemon knows, for the dashboard: from the board, by the words of /health."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from daemon.app import App
from daemon.health import freshness, health
from dashboard.pages import Fact, Live, Tone
from market.hours import parse_instant

_TONES = {"pass": Tone.GOOD, "warn": Tone.WATCH, "fail": Tone.BAD}
LAG_FINE_S = 0.05


def live_of(app: App, *, may_answer: bool) -> Live:
    """Return it; on the loop, as the board is."""
    page = health(app)
    stale = {}
    for key, market in app.board.markets.items():
        status, words = freshness(app, market)
        if status != "pass":
            stale[key] = words
    return Live(
        now=app.clock.now(),
        status=page["status"],
        notes=tuple(page["notes"]),
        facts=tuple(_facts(page)),
        stale=stale,
        may_answer=may_answer,
    )


def _facts(page: Mapping[str, Any]) -> list[Fact]:
    """Return what /health says as facts that stand still while nothing happens: no age, no running figure."""
    checks = page["checks"]
    facts = [Fact("Mode", page["mode"]), Fact("Version", page["version"])]
    facts += [Fact("Running since", "", at=parse_instant(page["started_at"]))]
    if page["next_ring_at"] is not None:
        facts.append(Fact("Next hour is collected", "", at=parse_instant(page["next_ring_at"])))
    for name, check in checks.items():
        if name.startswith("exchange:"):
            title = f"Exchange {name.removeprefix('exchange:')}"
            tone = _TONES[check["status"]]
            facts.append(Fact(title, f"circuit breaker {check['breaker']}", tone, check["output"]))
    facts += [*_git(checks["git"]), _loop(checks["workers"]), _channels(checks["channels"])]
    for name, title in (("index", "Regime index"), ("grids", "Grids"), ("disk", "Disk"), ("kpis", "KPIs")):
        check = checks[name]
        facts.append(
            Fact(
                title,
                "fine" if check["status"] == "pass" else "look",
                _TONES[check["status"]],
                check["output"],
            )
        )
    return facts


def _git(check: Mapping[str, Any]) -> list[Fact]:
    waiting, unpushed = check["uncommitted_change_sets"], check["unpushed_commits"]
    committed = "everything is committed" if not waiting else f"{waiting} change-sets wait to be committed"
    pushed = "everything is pushed" if not unpushed else f"{unpushed} commits not pushed"
    if check["remote"] != "configured":
        pushed = check["remote"]
    last = None if check["last_push_at"] is None else parse_instant(check["last_push_at"])
    tone = _TONES[check["status"]]
    return [
        Fact("Git", committed, tone if waiting else Tone.GOOD),
        Fact(
            "Last push" if last else "Push", pushed, Tone.WATCH if unpushed else tone, check["output"], last
        ),
    ]


def _loop(check: Mapping[str, Any]) -> Fact:
    lag_s = check["loop_lag_p99_s"]
    fine = lag_s <= LAG_FINE_S
    words = f"at most {1000 * LAG_FINE_S:.0f} ms late" if fine else f"up to {1000 * lag_s:.0f} ms late"
    tone = _TONES[check["status"]] if fine else Tone.WATCH
    return Fact("Event loop", words, tone, check["output"])


def _channels(check: Mapping[str, Any]) -> Fact:
    waiting = sum(channel["waiting"] for channel in check["channels"].values())
    words = "everything is told" if not waiting else f"{waiting} notices wait"
    return Fact("Notices", words, _TONES[check["status"]], check["output"])
