"""The probe drill: what is wrong with a real process, which probe turns, and whether a restart helps."""

from __future__ import annotations

import random
import shutil
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cycle.house import START, git, write_config
from tests.cycle.processes import clock_from, started
from tests.drills.kubelet import Kubelet, Pod, deployment
from tests.drills.wire import Wire, free_port, wired

SCALE = 10.0
RATE = 360.0  # the exchange's hours: one in ten seconds
SLOW_BYTES, SLOW_BYTES_PER_S = 24_000_000, 2_000_000.0
DEAD_CLONE_S = 10.0
PATIENCE_S = 150.0  # real seconds, on a machine that does other things too
STILL_FIRST_S = 180.0  # `health.live_limit_s` as it is when nobody sets it


@dataclass(frozen=True, slots=True)
class Found:
    """One row of the table; times are the deployment's seconds since the fault struck.

    Attributes:
        live, ready, page: What each probe and /health did.
        reaction: What Kubernetes did.
        helped: Whether that helps, or why nothing is the right reaction.
        restarts: How often the container was started again.
        turned_s: When the first probe or check turned.
        healed_s: When all was well again, after the fault had ended.
    """

    fault: str
    live: str
    ready: str
    page: str
    reaction: str
    helped: str
    restarts: int
    turned_s: float
    healed_s: float


@dataclass(frozen=True, slots=True)
class Drill:
    """A daemon under the kubelet, its exchange and its remote."""

    kubelet: Kubelet
    pod: Pod
    folder: Path
    trouble: Path
    wire: Wire
    sandbox: str

    def begin(self) -> float:
        """Begin the trouble that was armed, wait until it strikes, and return when that was."""
        asked = self.kubelet.now()
        self.trouble.touch()
        container = self.kubelet.container
        assert container is not None
        container.line('"failpoint"', PATIENCE_S)
        self.kubelet._note("the fault struck")
        return self.kubelet.wait("the fault struck", asked).at

    def stays_up(self, since: float) -> None:
        """Wait longer than Kubernetes would with a dead process, and fail if either probe turned."""
        self.kubelet.rest(STILL_FIRST_S + self.pod.liveness.patience_s + self.pod.liveness.period_s)
        turned = [e for e in self.kubelet.events if e.at > since and e.what.startswith(_TURNS)]
        assert not turned, turned
        assert self.kubelet.starts == 1

    def heals(self, since: float, *checks: str) -> float:
        """Wait until the named checks pass again and return how long that took."""
        for check in checks:
            self.kubelet.wait(f"health {check} pass", since)
        return self.kubelet.now() - since


# what Kubernetes acts on; one probe without an answer in time is a busy machine, and it waits for more
_TURNS = ("live fails: 5", "unready", "killed", "exited")


@contextmanager
def drilling(
    folder: Path,
    faults: str = "",
    *,
    fill: int = 0,
    slow: float | None = None,
    clone_s: float = 480.0,
    frozen: bool = False,
) -> Iterator[Drill]:
    """Run the daemon under the kubelet, with failpoints that wait for the trouble to begin.

    Args:
        folder: For everything.
        faults: `PLACE=ACTION` of each failpoint; they begin with `Drill.begin`.
        fill: So many bytes of an operator's file in the remote before the first start.
        slow: Bytes a second of the remote; None for as fast as it can.
        clone_s: Deadline of the first clone, real seconds, as the start-up probe's.
        frozen: The remote answers nothing from the beginning.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pod, clock, port = deployment(), clock_from(START, RATE), free_port()
    trouble = folder / "trouble"
    armed = ";".join(f"{each}?{trouble}" for each in filter(None, faults.split(";")))
    with ExitStack() as stack:
        sandbox = stack.enter_context(started("sandbox", "--port", "0", "--clock", clock))
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)", PATIENCE_S)[1]
        wire = stack.enter_context(remote_behind_a_wire(folder, fill, slow))
        if frozen:
            wire.freeze()
        config = write_config(
            folder,
            url,
            ["ETH-USDT"],
            {"http": {"deadline_s": 1.0}, "resilience": {"first_wait_s": 0.05, "breaker_open_s": 5.0}},
            data_repository={
                "base_path": str(folder / "data"),
                "remote": f"git://127.0.0.1:{wire.port}/remote.git",
                "push_timeout_s": 60 / SCALE,
                "clone_timeout_s": clone_s,
            },
            health={"live_limit_s": STILL_FIRST_S / SCALE, "clock_warn_s": 1e9},
            http={"port": port},
        )

        def start(nth: int):
            return started(
                "run", "--config", str(config), "--clock", clock, REGIMED_FAILPOINTS=armed if nth == 0 else ""
            )

        kubelet = Kubelet(pod, start, f"http://127.0.0.1:{port}", SCALE)
        stack.enter_context(kubelet.running())
        yield Drill(kubelet, pod, folder, trouble, wire, url)


@contextmanager
def remote_behind_a_wire(folder: Path, fill: int = 0, slow: float | None = None) -> Iterator[Wire]:
    """Serve a bare remote by git's own server, behind a line that can be slow or dead."""
    remote, port = folder / "remote.git", free_port()
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(remote)], check=True)
    if fill:
        laptop = folder / "laptop"
        subprocess.run(["git", "clone", "-q", str(remote), str(laptop)], check=True, capture_output=True)
        (laptop / "notes.bin").write_bytes(random.Random(1).randbytes(fill))
        git(laptop, "add", "notes.bin")
        git(laptop, "-c", "user.name=op", "-c", "user.email=op@example.org", "commit", "-qm", "notes")
        git(laptop, "push", "-q", "origin", "HEAD:main")
        shutil.rmtree(laptop)
    serving = ["git", "daemon", "--reuseaddr", "--export-all", "--enable=receive-pack", "--listen=127.0.0.1"]
    server = subprocess.Popen(
        [*serving, f"--port={port}", f"--base-path={folder}", str(folder)],
        stderr=subprocess.DEVNULL,
    )
    try:
        with wired(port, slow) as wire:
            yield wire
    finally:
        server.terminate()
        server.wait(10)


def slow_start(folder: Path) -> Found:
    """A large repository is cloned over a slow line: nothing answers until it is there."""
    with drilling(folder, fill=SLOW_BYTES, slow=SLOW_BYTES_PER_S) as drill:
        up = drill.kubelet.wait("started up", seconds=PATIENCE_S)
        ready = drill.kubelet.wait("ready", seconds=PATIENCE_S)
        assert drill.kubelet.starts == 1
        budget = drill.pod.startup.patience_s
        return Found(
            "slow start: a large repository is cloned",
            f"no answer for {up.at / SCALE:.0f} s (real ones): the start-up probe allows {budget:.0f} s",
            f"200 after {ready.at / SCALE:.0f} s (real ones), with the first judged hour",
            "no answer; the log says `asking the remote`",
            "waits",
            "yes: a restart would begin the clone anew",
            0,
            up.at / SCALE,
            ready.at / SCALE,
        )


def dead_remote_at_first_start(folder: Path) -> Found:
    """The volume is empty and the remote does not answer: nothing is begun beside a history."""
    with drilling(folder, clone_s=DEAD_CLONE_S, frozen=True) as drill:
        ended = drill.kubelet.wait("exited 3", seconds=PATIENCE_S)
        drill.wire.thaw()
        ready = drill.kubelet.wait("ready", seconds=PATIENCE_S)
        return Found(
            "first start, and the remote hangs",
            "no answer",
            "no answer",
            "no answer; exit code 3 at `clone_timeout_s`, the log names the remote",
            "starts it again with back-off",
            f"yes: ready {(ready.at - ended.at) / SCALE:.0f} s (real ones) after the remote answers again",
            drill.kubelet.starts - 1,
            ended.at / SCALE,
            (ready.at - ended.at) / SCALE,
        )


def hung_exchange(folder: Path) -> Found:
    """The exchange takes requests and never answers."""
    with drilling(folder) as drill:
        drill.kubelet.wait("ready", seconds=PATIENCE_S)
        faults = f"{drill.sandbox}/sandbox/faults"
        _ask(faults, b'{"kind": "hang", "seconds": 3600}')
        since = drill.kubelet.now()
        first = drill.kubelet.wait("health exchange:sandbox warn", since, PATIENCE_S)
        drill.stays_up(since)
        _ask(faults, None)
        healed = drill.heals(drill.kubelet.now(), "exchange:sandbox")
        return Found(
            "the exchange hangs",
            "200 throughout",
            "200 throughout",
            f"warn at the third hour's question that fails (breaker; {(first.at - since) / SCALE:.0f} s, real"
            " ones: the daemon leaves a minute between), fail when the newest hour is 3 h old",
            "none",
            "yes: a restart cannot mend an exchange; the owed hours are caught up",
            0,
            (first.at - since) / SCALE,
            healed / SCALE,
        )


def _ask(url: str, fault: bytes | None) -> None:
    request = urllib.request.Request(url, fault, method="DELETE" if fault is None else "POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status in (201, 204)


def hung_remote(folder: Path) -> Found:
    """The Git remote takes connections and never answers."""
    with drilling(folder) as drill:
        drill.kubelet.wait("ready", seconds=PATIENCE_S)
        drill.wire.freeze()
        since = drill.kubelet.now()
        first = drill.kubelet.wait("health git warn", since)
        drill.stays_up(since)
        drill.wire.thaw()
        healed = drill.heals(drill.kubelet.now(), "git")
        return Found(
            "the Git remote hangs",
            "200 throughout",
            "200 throughout",
            f"warn after {first.at - since:.0f} s (push), with the count of commits only here",
            "none",
            "yes: a restart cannot mend a remote; hours are judged and told meanwhile",
            0,
            first.at - since,
            healed,
        )


def blocked_loop(folder: Path) -> Found:
    """The event loop stands: nothing can be answered, logged or saved by it."""
    with drilling(folder, "cycle.after_record=hang") as drill:
        drill.kubelet.wait("ready", seconds=PATIENCE_S)
        since = drill.begin()
        live, ready = drill.kubelet.wait("live fails", since), drill.kubelet.wait("unready", since)
        ended = drill.kubelet.wait("exited", since)
        assert ended.what == "exited 70", drill.kubelet.events
        again = drill.kubelet.wait("ready", ended.at, PATIENCE_S)
        return Found(
            "the event loop is blocked",
            f"no answer, seen after {live.at - since:.0f} s",
            f"no answer, unready after {ready.at - since:.0f} s",
            f"no answer; the watchdog prints every stack and ends the process after {ended.at - since:.0f} s",
            "starts it again",
            f"yes: ready {again.at - ended.at:.0f} s later, the hour is finished from the disk",
            drill.kubelet.starts - 1,
            live.at - since,
            again.at - ended.at,
        )


def hung_writer(folder: Path) -> Found:
    """The writer's thread stands while the loop turns: an answered probe would prove nothing."""
    with drilling(folder, "writer.before_rename=hang") as drill:
        drill.kubelet.wait("ready", seconds=PATIENCE_S)
        since = drill.begin()
        live = drill.kubelet.wait("live fails", since)
        killed = drill.kubelet.wait("killed", since)
        assert not [e for e in drill.kubelet.events if e.at > since and e.what == "unready"]
        ended = drill.kubelet.wait("exited", since)
        again = drill.kubelet.wait("ready", ended.at, PATIENCE_S)
        return Found(
            "the writer hangs",
            f"503 after {live.at - since:.0f} s",
            "200 until it is ended",
            "fail with the same words",
            f"ends it after {killed.at - since:.0f} s, gone after {ended.at - since:.0f} s",
            f"yes: ready {again.at - ended.at:.0f} s later, the intent is finished from the disk",
            drill.kubelet.starts - 1,
            live.at - since,
            again.at - ended.at,
        )


def dead_worker(folder: Path) -> Found:
    """A worker dies of a surprise; the process starts it anew itself."""
    with drilling(folder, "index.before_refresh=enospc") as drill:
        drill.kubelet.wait("ready", seconds=PATIENCE_S)
        since = drill.begin()
        first = drill.kubelet.wait("health workers warn", since)
        drill.stays_up(since)
        assert "housekeeper was restarted" in first.what
        drill.trouble.unlink()
        return Found(
            "a worker dies again and again",
            "200 throughout",
            "200 throughout",
            f"warn after {first.at - since:.0f} s, names the worker",
            "none",
            "yes: the worker is started anew within a minute, the others never stopped",
            0,
            first.at - since,
            0.0,
        )


def full_disk(folder: Path) -> Found:
    """Nothing can be written under data and state."""
    with drilling(folder, "writer.before_write=enospc;notify.before_rename=enospc") as drill:
        drill.kubelet.wait("ready", seconds=PATIENCE_S)
        since = drill.begin()
        first = drill.kubelet.wait("health git fail", since)
        drill.stays_up(since)
        drill.trouble.unlink()
        healed = drill.heals(drill.kubelet.now(), "market:ETH-USDT")
        return Found(
            "the disk is full",
            "200 throughout",
            "200 throughout",
            f"fail after {first.at - since:.0f} s (commits, outbox), then each market says so",
            "none",
            "yes: a restart makes no room and would lose the notices that go out from memory; hours are owed",
            0,
            first.at - since,
            healed,
        )


DRILLS: dict[str, Callable[[Path], Found]] = {
    each.__name__: each
    for each in (
        slow_start,
        dead_remote_at_first_start,
        hung_exchange,
        hung_remote,
        blocked_loop,
        hung_writer,
        dead_worker,
        full_disk,
    )
}
