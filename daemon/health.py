"""The operator's page: what is well, what is not, since when, and what to do. `application/health+json`."""

from __future__ import annotations

import shutil
from datetime import datetime
from importlib.metadata import version
from typing import Any

from daemon.app import App
from daemon.board import ExchangeState, MarketState
from daemon.desk_watch import desk_check
from daemon.restoring import restored_check
from daemon.shadow import Shadow
from market.hours import instant_iso
from notifications.anomalies import MOST_NAMED
from regime.analysis import ENGINE_VERSION

MESSAGES_WARN, MESSAGES_WARN_SHARE = 100, 0.05  # left of a month's quota
FULL_BYTES = 100_000_000  # less is no room to work in; RegimedDiskFull says the same
_RANK = {"pass": 0, "warn": 1, "fail": 2}


def health(app: App) -> dict[str, Any]:
    """Return the page; `status` is the worst of its checks."""
    checks = [
        *(_market(app, market) for market in app.board.markets.values()),
        *(_exchange(app, exchange) for exchange in app.board.exchanges.values()),
        _grids(app),
        *([] if app.shadow is None else [_shadow(app, app.shadow)]),
        *([] if app.paper is None else [desk_check(app)]),
        _git(app),
        *([] if app.board.restored is None else [restored_check(app, app.board.restored)]),
        _kpis(app),
        _channels(app),
        _index(app),
        _workers(app),
        _disk(app),
    ]
    worst = max((check["status"] for check in checks), key=_RANK.__getitem__)
    if not app.board.ready:
        worst = "fail"
    return {
        "status": worst,
        "version": version("regimed"),
        "engine_version": ENGINE_VERSION,
        "config_hash": app.policy.config_hash,
        "description": "regimed: regime-aware decision support for grid traders",
        "mode": app.settings.mode,
        "now": instant_iso(app.clock.now()),
        "started_at": instant_iso(app.board.started_at),
        "next_ring_at": _iso(app.board.next_ring_at),
        "stopping": app.board.stopping,
        "notes": [check["output"] for check in checks if check["status"] != "pass"],
        "checks": {check.pop("name"): check for check in checks},
    }


def live(app: App) -> tuple[bool, list[str]]:
    """Say whether the process works on; only what a restart could cure counts."""
    hung = app.progress.hung()
    return not hung, hung


def ready(app: App) -> tuple[bool, str]:
    """Say whether state is loaded, the lock held, and at least one market judged or its absence reported."""
    if not app.board.ready:
        return False, "state is being loaded"
    if app.board.was_ready or any(market.retry_at for market in app.board.markets.values()):
        return True, "ready"
    return False, "no market has been judged yet"


def _iso(instant: datetime | None) -> str | None:
    return None if instant is None else instant_iso(instant)


def _worst(*found: tuple[str, str]) -> tuple[str, str]:
    """Return the worst status and the words of all that are not well."""
    bad = [each for each in found if each[0] != "pass"]
    if not bad:
        return "pass", ""
    return max((each[0] for each in bad), key=_RANK.__getitem__), "; ".join(each[1] for each in bad)


def freshness(app: App, market: MarketState) -> tuple[str, str]:
    """Say whether a market's newest judgement is young enough to advise by, else how old it is."""
    limits, age = app.settings.health, _age_s(app, market)
    stale = (app.clock.now() - app.board.started_at).total_seconds() if age is None else age
    if stale <= limits.stale_warn_s:
        return "pass", ""
    what = "no judged hour" if market.newest is None else f"newest judged hour {market.newest}"
    return "fail" if stale > limits.stale_fail_s else "warn", f"{what}, {stale / 3600:.1f} h old"


def _age_s(app: App, market: MarketState) -> float | None:
    return None if market.newest is None else (app.clock.now() - market.newest.closes_at).total_seconds()


def _market(app: App, market: MarketState) -> dict[str, Any]:
    fresh, what = freshness(app, market)
    trouble = ("warn", f"{market.key}: {market.trouble}") if market.trouble else ("pass", "")
    blind = ("pass", "")
    if market.facts is not None and market.facts.verdict is None:
        blind = ("warn", f"{market.key}: hour {market.facts.hour} {market.outcome}: {market.facts.reason}")
    status, output = _worst((fresh, f"{market.key}: {what}; advice is withheld"), trouble, blind)
    facts = market.facts
    return {
        "name": f"market:{market.key}",
        "status": status,
        "output": output,
        "newest_hour": None if market.newest is None else str(market.newest),
        "newest_hour_age_s": _age_s(app, market),
        "newest_candle_at": _iso(market.newest_candle_at),
        "owed_hours": market.owed,
        "last_cycle": {
            "at": _iso(market.last_cycle_at),
            "seconds": market.last_cycle_s,
            "outcome": market.outcome,
        },
        "retry_at": _iso(market.retry_at),
        "verdict": None if facts is None else facts.verdict,
        "hold_probability": None if facts is None else facts.hold_probability,
        "price": None if facts is None else facts.price,
        "range": None if facts is None or facts.lower is None else [facts.lower, facts.upper],
        "grids": _market_grids(market),
        "minutes_missing": market.missing,
        "minutes_without_trade": market.no_trade,
    }


def _market_grids(market: MarketState) -> dict[str, Any]:
    """Return how the market's grids stood after the newest judged hour."""
    found = market.grids
    running = {} if found is None else found.exits
    return {
        "running": {
            grid_id: {
                "version": entry["grid_version"],
                "exit_state": entry["state"],
                "since": entry["since"],
                "hold_probability": entry["hold"],
                "net_profit": None if not entry["position"] else entry["position"]["figures"]["net_profit"],
                "risk": entry["risk"],
            }
            for grid_id, entry in running.items()
        },
        "stopped": {
            grid_id: {
                "stopped_at": entry["stopped_at"],
                "gates": {gate["name"]: gate["status"] for gate in entry["gates"]},
            }
            for grid_id, entry in ({} if found is None else found.gates).items()
        },
        "advice": []
        if market.facts is None
        else [
            {"id": each.id, "action": each.action, "reason": each.reason, "confidence": each.confidence}
            for each in market.facts.advice
        ],
    }


def _grids(app: App) -> dict[str, Any]:
    faults = app.store.grid_faults
    shown = "; ".join(f"{fault}" for fault in faults.values())
    return {
        "name": "grids",
        "status": "warn" if faults else "pass",
        "output": f"not in force, the last valid form stays: {shown}" if faults else "",
        "running": sorted(
            grid_id
            for market in app.board.markets.values()
            if market.grids is not None
            for grid_id in market.grids.exits
        ),
    }


def _shadow(app: App, shadow: Shadow) -> dict[str, Any]:
    """Return how the second configuration does; whatever is wrong with it touches nothing in force."""
    failed = [
        f"{key} {market.shadow.hour}: {market.shadow.reason} ({market.shadow_failures} hours since the start)"
        for key, market in app.board.markets.items()
        if market.shadow is not None and market.shadow.failed
    ]
    return {
        "name": "shadow",
        "status": "warn" if failed else "pass",
        "output": f"the shadow fails, the judgement in force is untouched: {'; '.join(failed)}"
        if failed
        else "",
        "config_hash": shadow.policy.config_hash,
        "file": shadow.file,
        "markets": {
            key: {
                "hour": market.shadow.hour,
                "outcome": market.shadow.outcome,
                "verdict": market.shadow.verdict,
                "hold_probability": market.shadow.hold_probability,
                "failed_hours": market.shadow_failures,
            }
            for key, market in app.board.markets.items()
            if market.shadow is not None
        },
    }


def _index(app: App) -> dict[str, Any]:
    """Return how the derived index does: without it, history is computed from the files, more slowly."""
    index = app.board.index
    output = ""
    if index.failing_since is not None:
        minutes = (app.clock.now() - index.failing_since).total_seconds() / 60
        output = (
            f"the index of regimes is not filled for {minutes:.0f} min, nothing waits for it: {index.trouble}"
        )
    return {
        "name": "index",
        "status": "warn" if output else "pass",
        "output": output,
        "current_at": _iso(index.current_at),
        "rows": sum(index.rows.values()),
        "size_bytes": index.size_bytes,
    }


def _exchange(app: App, exchange: ExchangeState) -> dict[str, Any]:
    breaker = ("pass", "")
    if exchange.breaker != "closed":
        breaker = (
            "warn",
            f"{exchange.name}: circuit breaker {exchange.breaker}; hours are owed until it closes",
        )
    clock = ("pass", "")
    ahead = exchange.clock_ahead_s
    if ahead is not None and abs(ahead) > app.settings.health.clock_warn_s:
        clock = ("warn", f"{exchange.name}: our clock is {ahead:+.1f} s off the exchange's; check NTP")
    keys = ("pass", "")
    if exchange.keys == "unverified":
        keys = ("warn", f"{exchange.name}: the key could not be checked; market data only until it can")
    status, output = _worst(breaker, clock, keys)
    return {
        "name": f"exchange:{exchange.name}",
        "status": status,
        "output": output,
        "breaker": exchange.breaker,
        "clock_ahead_s": ahead,
        "keys": exchange.keys,
    }


def _git(app: App) -> dict[str, Any]:
    state, board, limits = app.store.state(), app.board, app.settings.health
    age = None if state.oldest_unpushed is None else (app.clock.now() - state.oldest_unpushed).total_seconds()
    commit_trouble = board.commit_trouble or state.last_commit_error
    commit = ("pass", "")
    if commit_trouble:
        commit = (
            "fail",
            f"commits fail: {commit_trouble}; {state.uncommitted} change-sets wait, durable on disk",
        )
    push = ("pass", "")
    if board.push_trouble:
        only = f"{state.unpushed} commits are not pushed: this disk is their only copy"
        push = ("warn", f"push fails ({board.push_failures} in a row): {board.push_trouble}; {only}")
    elif age is not None and age > limits.unpushed_warn_s:
        push = ("warn", f"the oldest of {state.unpushed} unpushed commits is {age / 3600:.1f} h old")
    foreign = ("pass", "")
    if board.remote_unrelated:
        foreign = ("fail", "the remote holds another history, nothing is merged: mend data_repository.remote")
    refused = ("pass", "")
    if state.refused_from_outside:
        shown = "; ".join(f"{path}: {why}" for path, why in sorted(state.refused_from_outside.items()))
        refused = ("warn", f"refused from outside, ours stays in force: {shown}")
    quarantined = ("pass", "")
    if state.quarantined:
        count, newest = len(state.quarantined), state.quarantined[-1]
        quarantined = ("warn", f"{count} corrupt files went to quarantine/, the newest {newest}")
    status, output = _worst(commit, push, foreign, refused, quarantined)
    return {
        "name": "git",
        "status": status,
        "output": output,
        "queue_depth": state.queue_depth,
        "uncommitted_change_sets": state.uncommitted,
        "unpushed_commits": state.unpushed,
        "oldest_unpushed_age_s": age,
        "last_push_at": _iso(board.last_push_at),
        "remote": "none: everything stays on this disk"
        if not app.settings.data_repository.remote
        else "configured",
    }


def _kpis(app: App) -> dict[str, Any]:
    trouble = app.board.kpis_trouble
    return {
        "name": "kpis",
        "status": "warn" if trouble else "pass",
        "output": f"the day's KPIs wait: {trouble}; mend it, and each day is made up for" if trouble else "",
    }


def _channels(app: App) -> dict[str, Any]:
    """Show every way to the operator: a dead one must be seen by someone else than itself."""
    found, shown = [], {}
    for name, channel in app.outbox.channels.items():
        waiting = app.outbox.waiting_for(name)
        shown[name] = {
            "waiting": waiting,
            "failing_since": _iso(channel.failing_since),
            "trouble": channel.trouble,
            "sent_at": _iso(channel.sent_at),
        }
        if channel.trouble is not None:
            since = "" if channel.failing_since is None else f" since {_iso(channel.failing_since)}"
            found.append(("warn", f"channel {name}: {channel.trouble}{since}; {waiting} notices wait"))
    quotas = {}
    for phone in app.emergencies:
        if phone.quota is None:
            continue
        left, limit, reset = phone.quota.remaining, phone.quota.limit, _iso(phone.quota.reset_at)
        quotas[phone.name] = {"remaining": left, "limit": limit, "reset_at": reset}
        if left < MESSAGES_WARN or left < limit * MESSAGES_WARN_SHARE:
            found.append(("warn", f"channel {phone.name}: {left} of {limit} messages left until {reset}"))
    not_durable = app.outbox.not_durable
    if not_durable:
        said = (
            f"the outbox cannot be written: {not_durable} notices are not durable; mend the disk of the state"
        )
        found.append(("fail", said))
    damaged = app.outbox.damaged
    if damaged:
        said = f"{len(damaged)} notices that waited were damaged and not sent: "
        said += ", ".join(damaged[:MOST_NAMED])
        found.append(("warn", f"{said}; read them in the outbox, then take them away"))
    status, output = _worst(*found) if found else ("pass", "")
    return {
        "name": "channels",
        "status": status,
        "output": output,
        "not_durable": not_durable,
        "damaged": len(damaged),
        "quotas": quotas,
        "channels": shown,
    }


def _workers(app: App) -> dict[str, Any]:
    alive, hung = live(app)
    restarted = [f"{name} was restarted {count} times" for name, count in app.board.restarts.items()]
    status, output = _worst(
        ("pass", "") if alive else ("fail", "; ".join(hung)),
        ("warn", "; ".join(restarted)) if restarted else ("pass", ""),
    )
    return {
        "name": "workers",
        "status": status,
        "output": output,
        "still_s": {name: round(still, 1) for name, still in app.progress.still_s().items()},
        "loop_lag_p99_s": round(app.progress.lag_p99_s(), 4),
        "notices_waiting": app.outbox.waiting,
    }


def _disk(app: App) -> dict[str, Any]:
    usage = shutil.disk_usage(app.settings.data_repository.base_path)
    low = usage.free < app.settings.health.disk_warn_bytes or usage.free < usage.total // 10
    full = usage.free < FULL_BYTES
    return {
        "name": "disk",
        "status": "fail" if full else "warn" if low else "pass",
        "output": f"{usage.free / 1e9:.2f} GB free under the data repository" if low or full else "",
        "free_bytes": usage.free,
    }
