"""What a campaign came to: date, seed, commit, command, and each finding with its replay command."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from market.failpoints import NAMES
from tests.campaign.faults import FAULTS

SAYS = {
    "deaths": "a life copied before each call and failpoint, each different disk started again",
    "daemon": "kill -9 of `regimed run` at random moments and at failpoints, fifteen times on one repository",
    **{name: fault.says for name, fault in FAULTS.items()},
}


def summary(journal: Sequence[dict[str, Any]], *, date: str, seed: int, commit: str, command: str) -> str:
    """Return the page, in Markdown; of a case that was tried again, its newest line counts."""
    lines = list({line["case"]: line for line in journal}.values())
    still = {line["case"] for line in lines if line.get("found")}
    mended = [(line, pair) for line in journal for pair in line.get("found", []) if line["case"] not in still]
    struck = [line for line in lines if line["reached"]]
    points = sum(line.get("points", 0) for line in struck)
    cpu = sum(line["cpu_s"] for line in struck)
    killed = sum(line.get("deaths", 0) for line in struck if line["fault"] == "daemon")
    found = [pair for line in lines for pair in line.get("found", [])]
    by_kill = [line for line in struck if line["fault"] == "deaths"]
    disks = sum(line["disks"] for line in by_kill)
    rate = sum(line["points"] for line in by_kill) / max(sum(line["cpu_s"] for line in by_kill), 0.001)
    text = [
        "# The fault campaign",
        "",
        "Made by the command below; not edited by hand.",
        "",
        "| date | seed | commit | command |",
        "| --- | --- | --- | --- |",
        f"| {date} | {seed} | {commit} | `{command}` |",
        "",
        (
            f"{len(struck)} cases, {points} kill points, of them {killed} kill -9 of the real daemon; "
            f"{len(found)} findings. {cpu:.0f} s of processor time; {rate:.1f} kill points a second of one "
            f"core where lives are copied; these left {disks} different disks, each started again. After "
            "each case the model check compared what the exchange served, what the repository holds and what "
            "the operator was told, with `git fsck` and `verify`."
        ),
        "",
        "| fault | what it does | cases | kill points | findings |",
        "| --- | --- | --- | --- | --- |",
    ]
    for fault, says in SAYS.items():
        mine = [line for line in struck if line["fault"] == fault]
        bad = sum(len(line.get("found", [])) for line in mine)
        text.append(f"| {fault} | {says} | {len(mine)} | {sum(x.get('points', 0) for x in mine)} | {bad} |")
    places: Counter[str] = Counter()
    for line in struck:
        places.update(line.get("places") or {})
        places.update(_place(name) for name in line.get("events", []))
    text += ["", *_complete(lines), "", _unstruck(places)]
    text += ["", "| struck before | times |", "| --- | --- |"]
    text += [f"| {name} | {count} |" for name, count in sorted(places.items())]
    text += ["", "## Findings, with the command that replays each", ""]
    if not found:
        text.append("None.")
    else:
        text += ["| finding | replay |", "| --- | --- |"]
        text += [f"| {_cell(words)} | `python -m tests.campaign --replay {case}` |" for case, words in found]
    if mended:
        text += ["", "## Found on the way and mended: tried again under a later commit and not found", ""]
        text += ["| finding | under | replay |", "| --- | --- | --- |"]
        text += [
            f"| {_cell(words)} | {line.get('commit', '?')} | `python -m tests.campaign --replay {case}` |"
            for line, (case, words) in mended
        ]
    return "\n".join(text) + "\n"


def _complete(lines: Sequence[dict[str, Any]]) -> list[str]:
    """Say of which moments each call failed once, up to the number at which none was left."""
    tried: dict[str, dict[int, bool]] = {}
    for line in lines:
        if line["fault"] == "eio":
            _, moment, at = line["case"].split(":")
            tried.setdefault(moment, {})[int(at)] = line["reached"]
    whole = []
    for moment, ats in tried.items():
        last = min((at for at, reached in ats.items() if not reached), default=0)
        if last and all(at in ats for at in range(1, last)):
            whole.append(f"{moment} ({last - 1})")
    said = ", ".join(whole) or "of no moment yet"
    return [f"Each call failed once, N = 1, 2, ... until none was left (`eio`): {said}."]


def _unstruck(places: Counter[str]) -> str:
    left = [name for name in NAMES if not places[name]]
    return (
        f"Of {len(NAMES)} failpoints {len(NAMES) - len(left)} were struck; not: {', '.join(left) or 'none'}."
    )


def _place(name: str) -> str:
    return name if name.startswith(("git ", "clock")) else name.partition(" ")[0].rstrip(":")


def _cell(words: str) -> str:
    return " ".join(words.replace("|", "\\|").split())[:300]
