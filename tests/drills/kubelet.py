"""What Kubernetes would do: the probes of the manifest against a real process, by the manifest's numbers.

Time goes `scale` times as fast: periods, deadlines, the daemon's own limits and the grace period are divided
by it, and what is measured is multiplied by it. A probe's deadline is never below half a second, and the
start-up probe keeps its own pace, because the process under them does not get faster.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson
import yaml

from tests.cycle.processes import ROOT, Process

LEAST_DEADLINE_S = 0.5
BACK_OFF_S = 10.0  # Kubernetes' first wait before a container starts again


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe as the manifest has it, seconds; what it leaves out is Kubernetes' default."""

    path: str
    period_s: float
    timeout_s: float
    failures: int

    @classmethod
    def of(cls, told: dict[str, Any]) -> Probe:
        return cls(
            told["httpGet"]["path"],
            float(told.get("periodSeconds", 10)),
            float(told.get("timeoutSeconds", 1)),
            int(told.get("failureThreshold", 3)),
        )

    @property
    def patience_s(self) -> float:
        """Return how long a failure must last to count."""
        return self.period_s * self.failures


@dataclass(frozen=True, slots=True)
class Pod:
    """What the Deployment says of its one container."""

    startup: Probe
    liveness: Probe
    readiness: Probe
    grace_s: float

    def __str__(self) -> str:
        named = (("start-up", self.startup), ("liveness", self.liveness), ("readiness", self.readiness))
        told = [f"{name} every {each.period_s:g} s, {each.failures} failures" for name, each in named]
        return f"{'; '.join(told)}; {self.grace_s:g} s of grace"


def deployment() -> Pod:
    """Return the numbers of the Deployment in `deploy/`, or in the folder that REGIMED_DEPLOY names."""
    folder = Path(os.environ.get("REGIMED_DEPLOY", ROOT / "deploy"))
    for path in sorted(folder.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if isinstance(document, dict) and document.get("kind") == "Deployment":
                pod = document["spec"]["template"]["spec"]
                probes = pod.get("containers", [{}])[0]
                if "startupProbe" in probes:
                    names = ("startupProbe", "livenessProbe", "readinessProbe")
                    found = [Probe.of(probes[name]) for name in names]
                    return Pod(*found, grace_s=float(pod["terminationGracePeriodSeconds"]))
    raise LookupError(f"{folder}: no Deployment with the three probes")


class Starting(Protocol):
    """Starts the container the n-th time (from 0)."""

    def __call__(self, nth: int) -> AbstractContextManager[Process]: ...


@dataclass(frozen=True, slots=True)
class Event:
    """Something changed: `at` in the deployment's seconds since the drill began."""

    at: float
    what: str


@dataclass
class Kubelet:
    """Runs one container and probes it; `events` tell what happened.

    Attributes:
        url: Where the container answers; its port is the same after each start.
        scale: How much faster than in the cluster.
        events: Oldest first: started, started up, ready, unready, live fails, live again, health ..., killed,
            exited N.
    """

    pod: Pod
    start: Starting
    url: str
    scale: float
    events: list[Event] = field(default_factory=list)
    starts: int = 0
    container: Process | None = None
    _ended: threading.Event = field(default_factory=threading.Event)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _began: float = field(default_factory=time.monotonic)

    @contextmanager
    def running(self) -> Iterator[Kubelet]:
        """Keep the container running for as long as the block runs."""
        thread = threading.Thread(target=self._keep, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join(60)
            assert not thread.is_alive(), "the kubelet did not end"

    def now(self) -> float:
        return (time.monotonic() - self._began) * self.scale

    def wait(self, what: str, since: float = 0.0, seconds: float = 90.0) -> Event:
        """Return the first event that begins so since then; fails after so many real seconds."""

        def found() -> Event | None:
            return self.first(what, since)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self.first("exited 2") is not None, seconds)
        event = found()
        shown = "\n".join([*map(str, self.events), *(self.container.lines[-15:] if self.container else [])])
        assert event is not None, f"never {what!r} in {seconds} s:\n{shown}"
        return event

    def first(self, what: str, since: float = 0.0) -> Event | None:
        return next((e for e in list(self.events) if e.at >= since and e.what.startswith(what)), None)

    def rest(self, seconds: float) -> None:
        """Let so many of the deployment's seconds pass."""
        self._ended.wait(seconds / self.scale)

    def health(self) -> dict[str, Any]:
        """Return the operator's page."""
        page: dict[str, Any] = orjson.loads(self._asked("/health", 10.0)[1])
        return page

    # -- the container

    def _keep(self) -> None:
        while not self._ended.is_set():
            with self.start(self.starts) as container:
                self.starts, self.container = self.starts + 1, container
                self._note("started")
                self._attend(container)
            self._ended.wait(BACK_OFF_S / self.scale)

    def _attend(self, container: Process) -> None:
        """Probe one start of the container until it ends, is ended, or the drill is over."""
        over, hopeless = threading.Event(), threading.Event()
        probing = [
            threading.Thread(target=self._start_up, args=(over, hopeless), daemon=True),
            threading.Thread(target=self._look_at_health, args=(over,), daemon=True),
        ]
        for thread in probing:
            thread.start()
        try:
            while not self._ended.is_set():
                if container.process.poll() is not None:
                    self._note(f"exited {container.process.returncode}")
                    return
                if hopeless.is_set():
                    self._note("killed")
                    self._kill(container)
                    return
                self._ended.wait(0.02)
            container.end(signal.SIGTERM, 60)
        finally:
            over.set()
            for thread in probing:
                thread.join(15)

    def _kill(self, container: Process) -> None:
        """Ask it to end, and end it after the grace period."""
        try:
            container.end(signal.SIGTERM, self.pod.grace_s / self.scale)
        except (subprocess.TimeoutExpired, AssertionError):
            container.end(signal.SIGKILL)
        self._note(f"exited {container.process.returncode}")

    def _start_up(self, over: threading.Event, hopeless: threading.Event) -> None:
        probe, failed = self.pod.startup, 0
        while not self._passes(probe):
            failed += 1
            if failed >= probe.failures:
                hopeless.set()
                return
            if over.wait(probe.period_s):
                return
        self._note("started up")
        ready = threading.Thread(target=self._readiness, args=(over,), daemon=True)
        ready.start()
        self._liveness(over, hopeless)
        ready.join(15)

    def _liveness(self, over: threading.Event, hopeless: threading.Event) -> None:
        failed = 0
        while not over.wait(self.pod.liveness.period_s / self.scale):
            status = self._status(self.pod.liveness)
            passes = status == 200
            if over.is_set():
                return
            if not passes and failed == 0:
                self._note(f"live fails: {status or 'no answer'}")
            if passes and failed:
                self._note("live again")
            failed = 0 if passes else failed + 1
            if failed >= self.pod.liveness.failures:
                hopeless.set()
                return

    def _readiness(self, over: threading.Event) -> None:
        failed, was_ready = 0, False
        while True:
            passes = self._passes(self.pod.readiness)
            if over.is_set():
                return
            failed = 0 if passes else failed + 1
            if passes and not was_ready:
                self._note("ready")
                was_ready = True
            if was_ready and failed >= self.pod.readiness.failures:
                self._note("unready")
                was_ready = False
            if over.wait(self.pod.readiness.period_s / self.scale):
                return

    def _look_at_health(self, over: threading.Event) -> None:
        """Note each check of the operator's page whenever its status changes."""
        before: dict[str, str] = {}
        while not over.wait(0.1):
            try:
                page = orjson.loads(self._asked("/health", 2.0)[1])
            except (OSError, ValueError):
                continue
            now = {name: check["status"] for name, check in page["checks"].items()}
            for name in sorted(now):
                if now[name] != before.get(name, "pass"):
                    self._note(f"health {name} {now[name]}: {page['checks'][name]['output']}")
            before = now

    def _passes(self, probe: Probe) -> bool:
        return self._status(probe) == 200

    def _status(self, probe: Probe) -> int | None:
        """Return what is answered, None for nothing in time."""
        try:
            return self._asked(probe.path, max(LEAST_DEADLINE_S, probe.timeout_s / self.scale))[0]
        except OSError:
            return None

    def _asked(self, path: str, seconds: float) -> tuple[int, bytes]:
        try:
            with urllib.request.urlopen(f"{self.url}{path}", timeout=seconds) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def _note(self, what: str) -> None:
        with self._changed:
            self.events.append(Event(self.now(), what))
            self._changed.notify_all()
