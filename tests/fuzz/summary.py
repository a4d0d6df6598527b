"""What fuzzing came to: date, seed, commit, command, target, minutes, inputs tried, and each finding."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from tests.fuzz.http_target import HTTP
from tests.fuzz.targets import TARGETS

SAYS = {**{name: (target.__doc__ or "").splitlines()[0] for name, target in TARGETS.items()}, "http": HTTP}


def keep(file: Path, line: dict[str, Any]) -> None:
    """Add a target's run to what is known."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("ab") as stream:
        stream.write(orjson.dumps(line) + b"\n")


def lines_of(file: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the newest run of each target, in the table's order, and those before that found anything."""
    runs = [orjson.loads(line) for line in file.read_bytes().splitlines()]
    newest = {run["target"]: run for run in runs}
    before = [run for run in runs if run["found"] and run is not newest[run["target"]]]
    return [newest[name] for name in SAYS if name in newest], before


def summary(lines: Sequence[dict[str, Any]], before: Sequence[dict[str, Any]] = ()) -> str:
    """Return the page, in Markdown.

    Args:
        lines: The newest run of each target.
        before: Earlier runs that found something.
    """
    found = [(line["target"], words, data) for line in lines for words, data in line["found"].items()]
    text = [
        "# The fuzzers",
        "",
        "Made by these commands and `--summary docs/evidence/fuzz.md`; not edited by hand. Inputs are valid",
        "samples after one to four changes (`tests/fuzz/changes.py`); a finding is what a caller does not",
        "expect: an exception that is no refusal, a 5xx, a server that is gone.",
        "",
        "| target | date | seed | commit | minutes | inputs tried | findings | command |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    text += [
        f"| {line['target']} | {line['date']} | {line['seed']} | {line['commit']} | {line['minutes']:g}"
        f" | {line['inputs']} | {len(line['found'])} | `{_command(line)}` |"
        for line in lines
    ]
    text += ["", "| target | what gets the bytes |", "| --- | --- |"]
    text += [f"| {line['target']} | {SAYS[line['target']]} |" for line in lines]
    text += ["", "## What came back, and how often", "", "| target | answer | times |", "| --- | --- | --- |"]
    for line in lines:
        counts = sorted(line["outcomes"].items(), key=lambda pair: (-pair[1], pair[0]))
        text += [f"| {line['target']} | {words} | {count} |" for words, count in counts]
    text += ["", "## Findings, with the input in base64", ""]
    text += [f"- {target}: {' '.join(words.split())}: `{data[:2000]}`" for target, words, data in found]
    text += [] if found else ["None."]
    if before:
        text += ["", "## Found by earlier runs, mended, and kept as tests in `tests/fuzz/test_fuzz.py`", ""]
        text += [
            "| target | commit | inputs tried | times told | the first |",
            "| --- | --- | --- | --- | --- |",
        ]
        for run in before:
            first = " ".join(next(iter(run["found"])).replace("|", "\\|").split())[:150]
            told = f"{run['inputs']} | {len(run['found'])} | {first}"
            text.append(f"| {run['target']} | {run['commit']} | {told} |")
    return "\n".join(text) + "\n"


def _command(line: dict[str, Any]) -> str:
    return f"python -m tests.fuzz --minutes {line['minutes']:g} --seed {line['seed']} {line['target']}"
