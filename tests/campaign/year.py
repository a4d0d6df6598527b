"""kill -9 of the real daemon on a repository of one year, and how soon it is ready again.

`python -m tests.campaign.year` makes 8,760 judged hours of a market, a commit each, and prints the figures.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from market.hours import Hour, hours_between
from store.decision_files import decision_path
from store.paths import metrics_path
from store.seal import digest_of_file
from store.snapshots import encode_snapshot
from store.verify import verify
from tests.cycle.house import write_config
from tests.cycle.processes import Process, clock_from, hours_of, started
from tests.dashboard.grown import YEAR_H, Records
from tests.decisions.builders import HOUR, KEY
from tests.store.samples import hour_snapshot

END = Hour.parse("2026-01-05T00")  # the first hour that is still owed


PLACE = "writer.between_renames"  # half of the hour's files have their names, and no commit holds them
PATIENCE_S = 300.0


@dataclass(frozen=True, slots=True)
class Again:
    """What a death on a large repository came to.

    Attributes:
        ready_s: From the start of the process to the first 200 of /health/ready; the hour is judged then.
        found: What is wrong afterwards.
    """

    hours: int
    ready_s: float
    found: list[str]


def killed_and_ready_again(folder: Path, hours: int = YEAR_H) -> Again:
    """Fill a repository, kill the daemon in the middle of recording the next hour, and start it again."""
    year_of_hours(folder, hours)
    clock = clock_from(END, 1)
    with started("sandbox", "--port", "0", "--clock", clock) as sandbox:
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)", PATIENCE_S)[1]
        config = str(write_config(folder, url, [KEY]))
        run = ("--log-level", "INFO", "run", "--config", config, "--clock", clock)
        with started(*run, REGIMED_FAILPOINTS=f"{PLACE}=kill") as daemon:
            died = daemon.process.wait(PATIENCE_S)
        began = time.monotonic()
        with started(*run) as daemon:
            _until_ready(daemon, began)
            ready_s = time.monotonic() - began
            stopped = daemon.end(signal.SIGTERM, PATIENCE_S)
    found = [f"{each.path}: {each.problem}" for each in verify(folder / "data").findings if each.is_error]
    if (died, stopped) != (-signal.SIGKILL, 0):
        found.append(f"exit codes {died} and {stopped}, expected {-signal.SIGKILL} and 0")
    if hours_of(folder, KEY) != list(hours_between(END.plus(-hours), END.plus(1))):
        found.append("hours are lost")
    return Again(hours, ready_s, found)


def _until_ready(daemon: Process, began: float) -> None:
    url = daemon.line(r"(http://127\.0\.0\.1:\d+/health)", PATIENCE_S)[1]
    while time.monotonic() - began < PATIENCE_S and httpx.get(f"{url}/ready").status_code != 200:
        time.sleep(0.05)


def year_of_hours(folder: Path, hours: int = YEAR_H) -> Path:
    """Fill `folder/data` with the hours before END, a commit each; all is at `folder/remote.git` too."""
    data = folder / "data"
    _git(folder, "init", "-q", "-b", "main", str(data))
    _git(data, "fast-import", "--quiet", "--done", stdin=b"".join(_stream(hours)))
    _git(data, "reset", "-q", "--hard")
    _git(folder, "clone", "-q", "--bare", str(data), str(folder / "remote.git"))
    return folder


def _stream(hours: int) -> Iterator[bytes]:
    metrics, advice = Records(KEY).of(HOUR, 2000.0, random.Random(1)).values()
    before: dict[str, bytes] = {}
    for hour in hours_between(END.plus(-hours), END):
        snapshot = f"snapshots/{KEY}/{hour.opens_at:%Y/%m/%d/%H}.json"
        inputs = {snapshot: encode_snapshot(hour_snapshot(hour, key=KEY))}
        named = "".join(
            f"    {path}: {digest_of_file(path, data)}\n" for path, data in sorted((before | inputs).items())
        )
        before = {
            metrics_path(KEY, hour): _of(metrics, hour).replace(
                b"files: {}", b"files:\n" + named[:-1].encode()
            )
        }
        files = inputs | before | {decision_path(_id(hour)): _of(advice, hour)}
        subject = f"[hour] {KEY} {hour}".encode()
        yield b"commit refs/heads/main\ncommitter regimed <regimed@localhost> %d +0000\n" % hour.close_ts
        yield b"data %d\n%s\n" % (len(subject), subject)
        for path, data in files.items():
            yield b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(data), data)
    yield b"done\n"


def _id(hour: Hour) -> str:
    return f"{hour.closes_at:%Y-%m-%d}/dec-{KEY}-{hour.closes_at:%H%M%S}"


def _of(mould: bytes, hour: Hour) -> bytes:
    known = f"{HOUR.closes_at:%Y-%m-%dT%H}:", f"{hour.closes_at:%Y-%m-%dT%H}:"
    told = ((_id(HOUR), _id(hour)), (HOUR.iso(), hour.iso()), known)
    text = mould.decode()
    for ours, new in told:
        text = text.replace(ours, new)
    return text.encode()


def _git(folder: Path, *arguments: str, stdin: bytes | None = None) -> None:
    subprocess.run(["git", "-C", str(folder), *arguments], input=stdin, check=True, capture_output=True)


def main() -> int:
    """Print what a death on a year's repository came to; exit code 1 where something is wrong."""
    with tempfile.TemporaryDirectory(prefix="regimed-year-") as name:
        again = killed_and_ready_again(Path(name))
    print(
        f"{again.hours} hours: ready {again.ready_s:.1f} s after the start that followed kill -9 at {PLACE}"
    )
    for words in again.found:
        print(words)
    return 1 if again.found else 0


if __name__ == "__main__":
    sys.exit(main())
