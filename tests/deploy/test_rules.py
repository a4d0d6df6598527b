"""The alert rules by promtool: each fires on a series that it is for, and keeps silent on one beside it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from daemon.conditions import DEAD_CHANNEL, FAILURES, MUCH_TOO_SLOW_S, RESTARTS, SLOW_S
from daemon.settings import HealthSettings
from exchanges.kucoin import MOST_CLOCK_OFFSET_S
from store.settings import StoreSettings
from tests.deploy.kubectl import DEPLOY
from tests.servers import required

pytestmark = pytest.mark.servers
FILE = DEPLOY / "components" / "alerts" / "prometheusrule.yaml"
GROUPS = yaml.safe_load(FILE.read_text())["spec"]["groups"]
RULES = [rule for group in GROUPS for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
FIGURES = {rule["record"]: rule for rule in RULES if "record" in rule}


@dataclass(frozen=True)
class Case:
    """What an alert is tried on; a sample a minute, in promtool's notation.

    Attributes:
        fires, silent: Values of each series, by its metric and labels.
        summary: What the operator reads.
        labels: Beside the severity.
        at: When both are looked at.
        early: A moment at which the firing series must not have fired yet.
    """

    fires: dict[str, str]
    silent: dict[str, str]
    summary: str
    labels: dict[str, str] = field(default_factory=dict)
    at: str = "30m"
    early: str | None = None


ETH = {"market": "ETH-USDT"}
KUCOIN = {"exchange": "kucoin"}
DATA = {"volume": "data"}


def _flat(series: str, fires: str, silent: str, summary: str, **more: object) -> Case:
    """Return a case of one series that stays at a value."""
    steady = {"fires": {series: f"{fires}x600"}, "silent": {series: f"{silent}x600"}}
    return Case(**steady, summary=summary, **more)  # type: ignore[arg-type]


CASES = {
    "RegimedDown": _flat(
        'up{job="regimed"}',
        "0",
        "1",
        "regimed cannot be scraped: it is down, or out of reach.",
        labels={"job": "regimed"},
        early="4m",
    ),
    "RegimedNotReady": _flat(
        "regimed_ready",
        "0",
        "1",
        "regimed is not ready: its state is still being loaded, or the lock is another's.",
        early="14m",
    ),
    "RegimedRestarting": Case(
        {"regimed_process_start_time_seconds": "1x10 2x10 3x10 4x10"},
        {"regimed_process_start_time_seconds": "1x10 2x20 3x10"},
        "regimed began anew 3 times within an hour.",
        at="40m",
        early="20m",
    ),
    "RegimedStageHung": _flat(
        'regimed_stage_still_seconds{stage="writer"}',
        "240",
        "170",
        "The writer has not moved for 4m 0s.",
        labels={"stage": "writer"},
    ),
    "RegimedWorkerDying": Case(
        {'regimed_worker_restarts_total{worker="pusher"}': "_x5 1x5 2x5 3x20"},
        {'regimed_worker_restarts_total{worker="pusher"}': "_x5 1x5 2x25"},
        "The worker pusher dies again and again.",
        {"worker": "pusher"},
        early="12m",
    ),
    "RegimedLoopLag": Case(
        {
            'regimed_loop_lag_seconds_bucket{le="0.05"}': "0+9x60",
            'regimed_loop_lag_seconds_bucket{le="0.1"}': "0+10x60",
            'regimed_loop_lag_seconds_bucket{le="+Inf"}': "0+10x60",
        },
        {
            'regimed_loop_lag_seconds_bucket{le="0.05"}': "0+10x60",
            'regimed_loop_lag_seconds_bucket{le="0.1"}': "0+10x60",
            'regimed_loop_lag_seconds_bucket{le="+Inf"}': "0+10x60",
        },
        "The event loop comes back 95ms late at p99.",
        early="15m",
    ),
    "RegimedMemoryHigh": _flat(
        "regimed_process_resident_memory_bytes",
        "966367641",
        "858993459",
        "regimed holds 921.6MiB of its 1 GiB.",
        early="14m",
    ),
    "RegimedFilesOpen": Case(
        {"regimed_process_open_fds": "600x60", "regimed_process_max_fds": "1000x60"},
        {"regimed_process_open_fds": "400x60", "regimed_process_max_fds": "1000x60"},
        "60% of the permitted files are open.",
        early="14m",
    ),
    "RegimedGitChildrenLeft": Case(
        {"regimed_git_child_processes": "2x60"},
        {"regimed_git_child_processes": "2x20 0x0 2x40"},
        "2 child processes of Git have stayed for half an hour.",
        at="45m",
        early="29m",
    ),
    "RegimedDataStale": _flat(
        'regimed_newest_hour_age_seconds{market="ETH-USDT"}',
        "5400",
        "4400",
        "ETH-USDT: the newest judged hour is 1h 30m 0s old, advice is withheld.",
        labels=ETH,
    ),
    "RegimedDataVeryStale": _flat(
        'regimed_newest_hour_age_seconds{market="ETH-USDT"}',
        "14400",
        "10000",
        "ETH-USDT: the newest judged hour is 4h 0m 0s old, advice is withheld.",
        labels=ETH,
    ),
    "RegimedNeverJudged": Case(
        {'regimed_owed_hours{market="ETH-USDT"}': "1x120"},
        {
            'regimed_owed_hours{market="ETH-USDT"}': "1x120",
            'regimed_newest_hour_age_seconds{market="ETH-USDT"}': "60x120",
        },
        "ETH-USDT: no hour has been judged yet.",
        ETH,
        at="95m",
        early="85m",
    ),
    "RegimedNoVerdict": Case(
        {
            'regimed_regime{market="ETH-USDT", verdict="TREND"}': "0x240",
            'regimed_regime{market="ETH-USDT", verdict="RANGE_OK"}': "0x240",
            'regimed_newest_hour_age_seconds{market="ETH-USDT"}': "600x240",
        },
        {
            'regimed_regime{market="ETH-USDT", verdict="TREND"}': "1x240",
            'regimed_regime{market="ETH-USDT", verdict="RANGE_OK"}': "0x240",
            'regimed_newest_hour_age_seconds{market="ETH-USDT"}': "600x240",
        },
        "ETH-USDT: hours are judged, and get no verdict.",
        ETH,
        at="185m",
        early="175m",
    ),
    "RegimedCycleSlow": _flat(
        'regimed_last_cycle_seconds{market="ETH-USDT"}',
        "90",
        "30",
        "ETH-USDT: the last cycle took 1m 30s.",
        labels=ETH,
    ),
    "RegimedCycleVerySlow": _flat(
        'regimed_last_cycle_seconds{market="ETH-USDT"}',
        "420",
        "290",
        "ETH-USDT: the last cycle took 7m 0s.",
        labels=ETH,
    ),
    "RegimedExchangeFailing": _flat(
        'regimed_market_failures_in_a_row{market="ETH-USDT"}',
        "3",
        "2",
        "ETH-USDT: 3 attempts at an hour failed in a row.",
        labels=ETH,
    ),
    "RegimedBreakerOpen": _flat(
        'regimed_breaker_open{exchange="kucoin"}',
        "1",
        "0",
        "kucoin: the circuit breaker is open, hours are owed.",
        labels=KUCOIN,
        early="4m",
    ),
    "RegimedRateLimited": Case(
        {'regimed_exchange_requests_total{exchange="kucoin", endpoint="klines", status="429"}': "0+1x120"},
        {
            'regimed_exchange_requests_total{exchange="kucoin", endpoint="a", status="429"}': "0x60 5x60",
            'regimed_exchange_requests_total{exchange="kucoin", endpoint="a", status="200"}': "0+9x120",
        },
        "kucoin refused 60 requests of an hour: too many.",
        KUCOIN,
        at="90m",
    ),
    "RegimedClockOff": _flat(
        'regimed_clock_ahead_seconds{exchange="kucoin"}',
        "-2",
        "-0.9",
        "Our clock is 2s off that of kucoin.",
        labels=KUCOIN,
        early="4m",
    ),
    "RegimedClockFarOff": _flat(
        'regimed_clock_ahead_seconds{exchange="kucoin"}',
        "6",
        "4",
        "Our clock is 6s off that of kucoin: nothing is signed.",
        labels=KUCOIN,
        early="4m",
    ),
    "RegimedKeysUnverified": _flat(
        'regimed_keys_unverified{exchange="kucoin"}',
        "1",
        "0",
        "The key for kucoin could not be checked: market data only.",
        labels=KUCOIN,
        at="61m",
        early="59m",
    ),
    "RegimedCommitsFailing": _flat(
        "regimed_git_commit_failing", "1", "0", "Commits fail: nothing new is recorded.", early="4m"
    ),
    "RegimedQueueFilling": _flat(
        "regimed_git_queue_changesets",
        "100",
        "64",
        "100 change-sets wait for the Git writer, which takes 256.",
        early="4m",
    ),
    "RegimedPushFailing": _flat("regimed_git_push_failures_in_a_row", "5", "4", "5 pushes failed in a row."),
    "RegimedUnpushedOld": Case(
        {"regimed_git_oldest_unpushed_seconds": "10800x60", "regimed_git_has_remote": "1x60"},
        {"regimed_git_oldest_unpushed_seconds": "10800x60", "regimed_git_has_remote": "0x60"},
        "The oldest commit that is on this disk only is 3h 0m 0s old.",
    ),
    "RegimedRemoteUnrelated": _flat(
        "regimed_git_remote_unrelated", "1", "0", "The remote holds another history: nothing is pushed."
    ),
    "RegimedRefusedFromOutside": _flat(
        "regimed_git_refused_files",
        "2",
        "0",
        "2 files that were pushed from outside are refused, ours stay in force.",
    ),
    "RegimedFilesQuarantined": _flat(
        "regimed_store_quarantined_files_total", "1", "0", "1 corrupt files went to quarantine."
    ),
    "RegimedMaintenanceOverdue": _flat(
        "regimed_git_maintenance_age_seconds", "345600", "90000", "Git had no maintenance for 4d 0h 0m 0s."
    ),
    "RegimedDiskLow": Case(
        {
            'regimed_disk_free_bytes{volume="data"}': "5e9x60",
            'regimed_disk_size_bytes{volume="data"}': "1e11x60",
        },
        {
            'regimed_disk_free_bytes{volume="data"}': "2e9x60",
            'regimed_disk_size_bytes{volume="data"}': "1e10x60",
        },
        "The volume of the data is nearly full.",
        DATA,
        early="4m",
    ),
    "RegimedDiskFull": _flat(
        'regimed_disk_free_bytes{volume="data"}',
        "5e7",
        "2e8",
        "The volume of the data has 50MB left.",
        labels=DATA,
    ),
    "RegimedDiskFilling": Case(
        {'regimed_disk_free_bytes{volume="data"}': "8e9-1000000x600"},
        {'regimed_disk_free_bytes{volume="data"}': "8e9-100000x600"},
        "At the last day's rate the volume of the data is full within a week.",
        DATA,
        at="480m",
        early="300m",
    ),
    "RegimedChannelFailing": _flat(
        'regimed_channel_failing_seconds{channel="pushover"}',
        "660",
        "540",
        "The channel pushover has failed for 11m 0s.",
        labels={"channel": "pushover"},
    ),
    "RegimedOutboxNotDurable": _flat(
        "regimed_outbox_not_durable_notices",
        "3",
        "0",
        "3 notices are in memory only: the outbox cannot be written.",
    ),
    "RegimedNoticesWaiting": Case(
        {"regimed_outbox_notices": "2x120"},
        {"regimed_outbox_notices": "2x50 0x0 2x60"},
        "2 notices have waited for an hour.",
        at="100m",
        early="59m",
    ),
    "RegimedMessagesRunningOut": Case(
        {
            'regimed_pushover_messages_remaining{channel="pushover"}': "400x60",
            'regimed_pushover_messages_limit{channel="pushover"}': "10000x60",
        },
        {
            'regimed_pushover_messages_remaining{channel="pushover"}': "600x60",
            'regimed_pushover_messages_limit{channel="pushover"}': "10000x60",
        },
        "The channel pushover is nearly out of the month's messages.",
        {"channel": "pushover"},
    ),
    "RegimedMandatoryExit": Case(
        {'regimed_exit_state{market="ETH-USDT", grid="eth-1", state="MANDATORY_EXIT"}': "1x60"},
        {
            'regimed_exit_state{market="ETH-USDT", grid="eth-1", state="MANDATORY_EXIT"}': "0x60",
            'regimed_exit_state{market="ETH-USDT", grid="eth-1", state="WARNING"}': "1x60",
        },
        "ETH-USDT: the grid eth-1 must be stopped now (MANDATORY_EXIT).",
        {**ETH, "grid": "eth-1", "state": "MANDATORY_EXIT"},
    ),
    "RegimedGridRefused": _flat(
        "regimed_grid_faults", "1", "0", "1 grid files are not in force as they lie there.", early="4m"
    ),
    "RegimedDeskBehind": Case(
        {"regimed_desk_newest_hour_timestamp_seconds": "0x400", "regimed_desk_in_trouble": "0x400"},
        {"regimed_desk_newest_hour_timestamp_seconds": "0+60x400", "regimed_desk_in_trouble": "0x400"},
        "The paper desk does not get on: its hours are owed.",
        at="215m",
        early="200m",
    ),
    "RegimedDeskStopped": _flat(
        "regimed_desk_breakers_tripped", "1", "0", "1 breakers of the paper desk are tripped: no new trade."
    ),
    "RegimedDeskQuiet": Case(
        {"regimed_desk_recent_signals": "24x60", "regimed_desk_recent_trades": "0x60"},
        {"regimed_desk_recent_signals": "24x60", "regimed_desk_recent_trades": "1x60"},
        "24 signals in three days, and the paper desk began no trade.",
    ),
    "RegimedDeskBusy": _flat(
        "regimed_desk_day_trades",
        "9",
        "8",
        "The paper desk began 9 trades in a day, at most 8 are expected.",
    ),
    "RegimedDeskLosing": _flat(
        "regimed_desk_recent_win_ratio",
        "0.2",
        "0.3",
        "The paper desk won 20% of its last trades, at least 30 % are expected.",
    ),
    "RegimedIndexFailing": _flat(
        "regimed_index_failing_seconds",
        "3600",
        "1200",
        "The regime index has not answered for 1h 0m 0s: history is computed from the files.",
    ),
    "RegimedShadowFailing": Case(
        {'regimed_shadow_hours_total{market="ETH-USDT", outcome="failed"}': "1x60 2x60 3x60"},
        {
            'regimed_shadow_hours_total{market="ETH-USDT", outcome="failed"}': "1x180",
            'regimed_shadow_hours_total{market="ETH-USDT", outcome="analysed"}': "1x60 2x60 3x60",
        },
        "ETH-USDT: the shadow configuration fails.",
        {**ETH, "outcome": "failed"},
        at="150m",
    ),
    "RegimedKpisWaiting": _flat(
        "regimed_kpis_waiting", "1", "0", "The KPIs of a day cannot be made.", at="365m", early="355m"
    ),
}

RECORDED = {
    "regimed:loop_lag_seconds:p99_10m": (CASES["RegimedLoopLag"].fires, "", 0.09499999999999997),
    "regimed:cycle_seconds:p95_6h": (
        {
            'regimed_cycle_seconds_bucket{market="ETH-USDT", le="1"}': "0+1x60",
            'regimed_cycle_seconds_bucket{market="ETH-USDT", le="2.5"}': "0+1x60",
            'regimed_cycle_seconds_bucket{market="ETH-USDT", le="+Inf"}': "0+1x60",
            'regimed_cycle_seconds_bucket{market="BTC-USDT", le="1"}': "0x60",
            'regimed_cycle_seconds_bucket{market="BTC-USDT", le="2.5"}': "0+1x60",
            'regimed_cycle_seconds_bucket{market="BTC-USDT", le="+Inf"}': "0+1x60",
        },
        "",
        2.35,
    ),
    "regimed:exchange_errors:ratio_1h": (
        {
            'regimed_exchange_requests_total{exchange="kucoin", endpoint="klines", status="200"}': "0+3x60",
            'regimed_exchange_requests_total{exchange="kucoin", endpoint="klines", status="503"}': "0+1x60",
        },
        '{exchange="kucoin"}',
        0.25,
    ),
    "regimed:disk_free:ratio": (CASES["RegimedDiskLow"].fires, '{volume="data"}', 0.05),
}


def _promtool(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    tool = required("promtool", "prometheus")
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": GROUPS}))
    return subprocess.run([tool, *command], capture_output=True, text=True, check=False, cwd=folder)


def _trial(series: dict[str, str], **asked: object) -> dict[str, object]:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, **asked}


def _tried(folder: Path, *trials: dict[str, object]) -> subprocess.CompletedProcess[str]:
    (folder / "test.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": list(trials)}))
    return _promtool(folder, "test", "rules", "test.yaml")


def test_the_rules_are_valid(tmp_path):
    """promtool reads them, and finds nothing to complain of."""
    found = _promtool(tmp_path, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")
    assert found.returncode == 0, found.stdout + found.stderr
    assert f"{len(RULES)} rules found" in found.stdout + found.stderr


def test_every_rule_has_its_series():
    """A new rule without a series that makes it fire, and one that does not, does not come in."""
    assert set(CASES) == set(ALERTS)
    assert set(RECORDED) == set(FIGURES)
    assert len(ALERTS) + len(FIGURES) == len(RULES)
    waiting = {name for name, rule in ALERTS.items() if "for" in rule}
    assert {name for name, case in CASES.items() if case.early} >= waiting


def _trials_of(name: str) -> list[dict[str, object]]:
    rule, case = ALERTS[name], CASES[name]
    told = {
        "exp_labels": {**rule["labels"], **case.labels},
        "exp_annotations": {**rule["annotations"], "summary": case.summary},
    }
    asked = [{"eval_time": case.at, "alertname": name, "exp_alerts": [told]}]
    if case.early:
        asked.append({"eval_time": case.early, "alertname": name, "exp_alerts": []})
    silent = [{"eval_time": case.at, "alertname": name, "exp_alerts": []}]
    return [_trial(case.fires, alert_rule_test=asked), _trial(case.silent, alert_rule_test=silent)]


def test_each_alert_fires_on_what_it_is_for_and_on_nothing_beside(tmp_path):
    """The same minute: one series fires with these very words, one near the limit does not."""
    found = _tried(tmp_path, *(trial for name in ALERTS for trial in _trials_of(name)))
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_rule_that_would_not_fire_is_seen(tmp_path):
    """The trial itself can fail: the silent series does not make the alert fire."""
    rule, case = ALERTS["RegimedPushFailing"], CASES["RegimedPushFailing"]
    told = {"exp_labels": rule["labels"], "exp_annotations": {**rule["annotations"], "summary": case.summary}}
    asked = [{"eval_time": case.at, "alertname": "RegimedPushFailing", "exp_alerts": [told]}]
    assert _tried(tmp_path, _trial(case.silent, alert_rule_test=asked)).returncode == 1


def test_a_recorded_figure_is_what_it_says(tmp_path):
    """The value that follows from these series by hand."""
    trials = []
    for name, (series, labels, value) in RECORDED.items():
        sample = {"labels": f"{name}{labels}", "value": value}
        trials.append(
            _trial(series, promql_expr_test=[{"expr": name, "eval_time": "30m", "exp_samples": [sample]}])
        )
    found = _tried(tmp_path, *trials)
    assert found.returncode == 0, found.stdout + found.stderr


def test_one_daemon_missing_among_many_is_seen(tmp_path):
    """A shard that is down alerts by its own target, and so does a cluster without any."""
    up = {
        'up{job="regimed", namespace="regimed-a"}': "1x60",
        'up{job="regimed", namespace="regimed-b"}': "0x60",
    }
    rule, case = ALERTS["RegimedDown"], CASES["RegimedDown"]
    told = {"exp_annotations": {**rule["annotations"], "summary": case.summary}}
    labels = {**rule["labels"], "job": "regimed"}
    one = {**told, "exp_labels": {**labels, "namespace": "regimed-b"}}
    asked = [{"eval_time": "10m", "alertname": "RegimedDown", "exp_alerts": [one]}]
    found = _tried(tmp_path, _trial(up, alert_rule_test=asked))
    assert found.returncode == 0, found.stdout + found.stderr
    asked = [{"eval_time": "10m", "alertname": "RegimedDown", "exp_alerts": [{**told, "exp_labels": labels}]}]
    found = _tried(tmp_path, _trial({'up{job="other"}': "1x60"}, alert_rule_test=asked))
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_last_bytes_of_a_small_disk_and_the_last_messages_alert_by_their_number(tmp_path):
    """Each half of an `or` fires alone: 1 GB of a small disk, 100 messages of a large quota."""
    disk = {
        'regimed_disk_free_bytes{volume="data"}': "9e8x60",
        'regimed_disk_size_bytes{volume="data"}': "4e9x60",
    }
    messages = {
        'regimed_pushover_messages_remaining{channel="pushover"}': "90x60",
        'regimed_pushover_messages_limit{channel="pushover"}': "1000x60",
    }
    trouble = {"regimed_desk_in_trouble": "1x60"}
    trials = [
        _trial(
            series,
            promql_expr_test=[
                {
                    "expr": f'count(ALERTS{{alertname="{name}", alertstate="firing"}})',
                    "eval_time": "40m",
                    "exp_samples": [{"labels": "{}", "value": 1}],
                }
            ],
        )
        for name, series in (
            ("RegimedDiskLow", disk),
            ("RegimedMessagesRunningOut", messages),
            ("RegimedDeskBehind", trouble),
        )
    ]
    found = _tried(tmp_path, *trials)
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_limits_are_the_daemons_own():
    """What Prometheus calls too much is what the daemon's notices and its health page call so."""
    limits = HealthSettings()
    for name, part in (
        ("RegimedDataStale", f"> {limits.stale_warn_s:.0f}"),
        ("RegimedDataVeryStale", f"> {limits.stale_fail_s:.0f}"),
        ("RegimedStageHung", f"> {limits.live_limit_s:.0f}"),
        ("RegimedUnpushedOld", f"> {limits.unpushed_warn_s:.0f}"),
        ("RegimedPushFailing", f">= {limits.push_failures_warn}"),
        ("RegimedClockOff", f"> {limits.clock_warn_s:g}"),
        ("RegimedClockFarOff", f"> {MOST_CLOCK_OFFSET_S:g}"),
        ("RegimedCycleSlow", f"> {SLOW_S:g}"),
        ("RegimedCycleVerySlow", f"> {MUCH_TOO_SLOW_S:g}"),
        ("RegimedExchangeFailing", f">= {FAILURES}"),
        ("RegimedWorkerDying", f">= {RESTARTS - 1}"),
        ("RegimedChannelFailing", f"> {DEAD_CHANNEL.total_seconds():.0f}"),
        ("RegimedDeskQuiet", f">= {limits.desk_quiet_triggers} "),
        ("RegimedDeskBusy", f"> {limits.desk_trades_per_day}"),
        ("RegimedDeskLosing", f"< {limits.desk_win_rate:g}"),
    ):
        assert part in f"{ALERTS[name]['expr']} ", name
    assert "regimed_disk_free_bytes < 1e9" in ALERTS["RegimedDiskLow"]["expr"]
    assert limits.disk_warn_bytes == 10**9
    assert (
        f"takes {StoreSettings(base_path=Path('x')).queue_bound}"
        in ALERTS["RegimedQueueFilling"]["annotations"]["summary"]
    )
    deployment = yaml.safe_load((DEPLOY / "base" / "deployment.yaml").read_text())
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "1Gi"
    assert "0.85 * 1024 * 1024 * 1024" in ALERTS["RegimedMemoryHigh"]["expr"]


def test_every_alert_leads_to_its_runbook_entry():
    """The link's anchor is the alert's name, in lower case as a heading's anchor is."""
    for name, rule in ALERTS.items():
        assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
