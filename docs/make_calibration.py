"""Write docs/calibration.md from recorded candles: `make calibration DATA=../shared/data`.

Train is what the defaults were chosen on, test what came after; both stand here, good or bad.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tables import figure, table

MARKETS = ("ETH-USDT", "BTC-USDT", "SOL-USDT", "ADA-USDT")
SPANS = {"train": ("--to", "2024-10-01T00"), "test": ("--from", "2024-10-01T00"), "all": ()}
TARGET = Path(__file__).with_name("calibration.md")


def measured(key: str, data: str, span: tuple[str, ...]) -> dict[str, Any]:
    """Return the document of one market and span, made by the command that a reader would run."""
    command = [
        sys.executable,
        "-m",
        "daemon.cli",
        "calibrate",
        key,
        "--data",
        data,
        "--format",
        "json",
        *span,
    ]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=True).stdout))


def verdict_rows(found: dict[tuple[str, str], dict[str, Any]]) -> list[list[str]]:
    rows = []
    for (key, span), document in found.items():
        model = document["models"]["evidence"]
        rows.append(
            [
                key,
                span,
                str(document["hours"]),
                figure(model["auc_hold24"]),
                figure(model["brier_skill"]),
                figure(model["hold_rate"]["RANGE_OK"]),
                figure(model["hold_rate"]["other_than_ok"]),
                figure(model["duty"]),
                f"{model['flips_per_week']:.1f}",
                f"{model['dwell_median_h']:.0f}",
                f"{document['valid_share']:.3f}",
                figure(model["grid_pnl_bps_24h"]["ok"], 1),
                figure(model["grid_pnl_bps_24h"]["null"], 1),
            ]
        )
    return rows


def rival_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            name,
            figure(model["auc_hold24"]),
            figure(model["auc_within_geometry"]),
            figure(model["brier_skill"]),
            figure(model["hold_rate"]["RANGE_OK"]),
            figure(model["hold_rate"]["other_than_ok"]),
            figure(model["duty"]),
            figure(model["grid_pnl_bps_24h"]["ok"], 1),
        ]
        for name, model in document["models"].items()
    ]


def gate_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            preset,
            str(told["stops"]),
            figure(told["wait_h"]["median"], 0),
            figure(told["wait_h"]["p90"], 0),
            figure(told["wait_h"]["over_a_week"]),
            figure(told["held_24h"]["gated"]),
            figure(told["held_24h"]["random"]),
            figure(told["held_24h"]["skill"]),
        ]
        for preset, told in document["gates"].items()
    ]


def condition_rows(document: dict[str, Any]) -> list[list[str]]:
    """Return one row a condition and one a gate, a column a preset; `-` where a preset does not ask."""
    presets = list(document["gates"].values())
    rows = []
    for gate in presets[0]["gates"]:
        for name in dict.fromkeys(name for told in presets for name in told["conditions"][gate]):
            shares = [figure(told["conditions"][gate].get(name)) for told in presets]
            rows.append([f"{gate}: {name}", *shares])
        rows.append([f"{gate}: all", *(figure(told["gates"][gate]["holds"]) for told in presets)])
    return rows


def veto_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{model}: {name}",
            ", ".join(told["present"]),
            figure(told["fired"]),
            figure(told["held_fired"]),
            figure(told["held_silent"]),
            figure(told["worth"]),
        ]
        for model, spoken in document["vetoes"].items()
        for name, told in spoken.items()
    ]


def bin_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [f"{each['stated']:.3f}", figure({**each, "value": each["observed"]}), str(each["n"])]
        for each in document["models"]["evidence"]["bins"]
    ]


def exit_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            name,
            figure(skill["ttdr"]),
            figure(skill["fer"]),
            figure(skill["random_fer"]),
            figure(skill["lead_median_h"], 0),
        ]
        for name, skill in document["exits"].items()
    ]


def band_rows(document: dict[str, Any]) -> list[list[str]]:
    return [
        [
            f"{band['p_low']:.2f} to {band['p_high']:.2f}",
            figure({"value": band["net_bps_24h"], "low": band["low"], "high": band["high"]}, 1),
            str(band["n"]),
        ]
        for band in document["models"]["evidence"]["edge_by_band"]
    ]


def market_lines(key: str, document: dict[str, Any]) -> list[str]:
    """Return what is said of one market over all its hours."""
    return [
        f"## {key}: rivals, all hours",
        "",
        *table(
            "model | AUC | within geometry | Brier skill | holds in OK | elsewhere | duty | grid bps/24h",
            rival_rows(document),
        ),
        f"### {key}: stated and observed",
        "",
        *table("stated | observed | n", bin_rows(document)),
        f"### {key}: exit triggers on frozen grids",
        "",
        *table("trigger | TTDR | FER | random FER | lead h", exit_rows(document)),
        f"### {key}: restart gates after simulated stops",
        "",
        "A stop wherever a frozen grid broke. `held`: share of ranges that held 24 h after a restart by",
        "the gates; `at random`: in a random hour of the two weeks after the stop that allows a setup.",
        "",
        *table(
            "preset | stops | wait h | p90 h | over a week | held | at random | skill", gate_rows(document)
        ),
        f"### {key}: share of hours in which each gate's conditions hold",
        "",
        *table(" | ".join(("gate", *document["gates"])), condition_rows(document)),
        f"### {key}: vetoes",
        "",
        *table("veto | against | fired | held where it spoke | elsewhere | worth", veto_rows(document)),
        f"### {key}: edge by probability band",
        "",
        *table("p | net bps in 24 h | n", band_rows(document)),
    ]


def main(data: str) -> None:
    """Measure every market over every span and write the page."""
    found = {(key, name): measured(key, data, span) for key in MARKETS for name, span in SPANS.items()}
    lines = [
        "# What the defaults were worth on recorded candles",
        "",
        "Made by `make calibration DATA=FOLDER`; a row is `regimed calibrate KEY --data FOLDER`.",
        "KuCoin 1h and 4h candles. Train is before 2024-10-01, test from then on. Scored: hours with a",
        "valid range and the close inside; intervals are 95 %, bootstrap over weeks. Grid: half coin,",
        "half cash, 10 bps maker, pessimistic path on hourly bars, against holding the coin; `by chance`",
        "is the mirrored path.",
        "",
        "## The default model",
        "",
        *table(
            "market | span | hours | AUC | Brier skill | holds in OK | elsewhere | duty | flips/week"
            " | dwell h | valid | grid bps/24h | by chance",
            verdict_rows(found),
        ),
    ]
    for key in MARKETS:
        lines += market_lines(key, found[key, "all"])
    TARGET.write_text("\n".join(lines))


if __name__ == "__main__":
    main(sys.argv[1])
