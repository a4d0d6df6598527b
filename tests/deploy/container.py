"""The Dockerfile without an engine: its own instructions, run in copy-on-write views of this machine's root.

Each stage gets an overlay of `/` (what it writes lands in a folder of the test) with this interpreter where
the base image has its own, `/usr/local`. The instructions are the Dockerfile's. One thing is not done,
`apt-get`: the packages that it names must be on this machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.cycle.processes import ROOT, Process, reading
from tests.servers import required

# $1 the new root, $2 its upper and $3 its work folder; $4 the interpreter's prefix, $5 and $6 the same of it
_VIEW = """set -eu
mount -t overlay overlay -o lowerdir=/,upperdir="$2",workdir="$3" "$1"
mount -t overlay overlay -o lowerdir="$4",upperdir="$5",workdir="$6" "$1/usr/local"
mount --rbind /proc "$1/proc"
mount --rbind /dev "$1/dev"
mount -t tmpfs -o mode=1777 tmpfs "$1/tmp"
"""
# stands in for apt-get: what an image asks for is here, or the step fails
_APT = """#!/bin/sh
[ "$1" = install ] || exit 0
for package; do
  case "$package" in install | -*) ;; *) dpkg -s "$package" >/dev/null || exit 100 ;; esac
done
"""
PACKAGES = {"git": "git", "ssh": "openssh-client", "pgrep": "procps", "tini": "tini"}  # by a command of each


@dataclass
class Stage:
    """One FROM and what follows it: (instruction, argument) in order, shell lines joined."""

    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [told for name, told in self.steps if name == instruction]

    def words(self, instruction: str) -> list[str]:
        """Return the list of an ENTRYPOINT, a CMD or a HEALTHCHECK's CMD, which stands in JSON form."""
        (told,) = self.all(instruction)
        found: list[str] = json.loads(told[told.index("[") :])
        return found

    @property
    def environment(self) -> dict[str, str]:
        """Return what ARG and ENV set, in order; names of before are filled in."""
        found = {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin"}
        for told in (told for name, told in self.steps if name in ("ARG", "ENV")):
            for entry in shlex.split(told):
                key, _, value = entry.partition("=")
                found[key] = re.sub(r"\$\{?(\w+)\}?", lambda name: found.get(name[1], ""), value)
        return found


def stages(dockerfile: Path = ROOT / "Dockerfile") -> list[Stage]:
    """Return the stages of a Dockerfile; the last one is the image that runs."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    found: list[Stage] = []
    for line in filter(None, re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()):
        word, _, told = line.strip().partition(" ")
        if word == "FROM":
            found.append(Stage(told.rpartition(" AS ")[2]))
        found[-1].steps.append((word, told.strip()))
    return found


@dataclass(frozen=True, slots=True)
class View:
    """A root of its own over this machine's; what is written there lies in `upper` and `python`."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def upper(self) -> Path:
        return self.folder / "upper"

    def command(self, inside: str) -> list[str]:
        """Return what sets the view up, in a mount namespace that ends with it, and goes on with `inside`."""
        over = [self.root, self.upper, self.folder / "work"]
        python = [self.folder / "python", self.folder / "python-work"]
        for path in (*over, *python):
            path.mkdir(parents=True, exist_ok=True)
        places = [*map(str, over), sys.base_prefix, *map(str, python)]
        return ["unshare", "--mount", "sh", "-c", _VIEW + inside, "sh", *places]

    def written(self) -> dict[str, tuple[int, int]]:
        """Return what lies over the machine's own, holes too, with its times: a run must leave it alone."""
        places = (self.upper, self.folder / "python")
        found = [(path, path.lstat()) for place in places for path in sorted(place.rglob("*"))]
        return {str(path): (stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found}


def needed(folder: Path) -> None:
    """Skip, with the reason, where no view can be had: an engine's own container, a developer's account."""
    if os.geteuid() != 0:
        pytest.skip("the image's steps run in an overlay of /: needs root")
    if sys.base_prefix == "/usr":
        pytest.skip("the interpreter is the distribution's: needs one with a prefix of its own")
    for command, package in PACKAGES.items():
        required(command, package)
    tried = subprocess.run(View(folder).command("true"), capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"an overlay of / cannot be mounted here: {tried.stderr.strip()[-300:]}")


@dataclass(frozen=True, slots=True)
class Image:
    """What was built: the view of the last stage, and what the Dockerfile says of running it."""

    view: View
    stage: Stage

    @property
    def user(self) -> int:
        return int(self.stage.all("USER")[-1].partition(":")[0])

    @property
    def volume(self) -> str:
        return self.stage.all("VOLUME")[-1]

    def _as_user(self, *command: str) -> str:
        """Return the shell words that run a command in the view as the cluster does: no root, no rights."""
        environment = {**self.stage.environment, "HOME": "/home/regimed"}  # from passwd, as an engine does
        shown = [f"{key}={value}" for key, value in environment.items()]
        rights = ["--reuid", str(self.user), "--regid", str(self.user), "--clear-groups", "--no-new-privs"]
        dropped = ["--bounding-set=-all", "--inh-caps=-all"]
        within = ["sh", "-c", 'cd "$0" && exec "$@"', self.stage.all("WORKDIR")[-1], *command]
        return shlex.join(
            ["env", "-i", *shown, "chroot", str(self.view.root), "setpriv", *rights, *dropped, *within]
        )

    @contextmanager
    def running(
        self, volume: Path, mounts: Mapping[str, Path], command: Sequence[str], *, reads_only: bool = False
    ) -> Iterator[Process]:
        """Run the entry point; only the volume is writable: the root is not, nor `/tmp`, nor the mounts.

        Args:
            volume: The folder that becomes the volume.
            mounts: Place to folder.
            command: What follows the entry point.
            reads_only: Not even the volume is writable.
        """
        root = self.view.root
        lines = [f"mkdir -p {root}{place}" for place in mounts]
        lines += [f"mount --bind {folder} {root}{place}" for place, folder in mounts.items()]
        lines += [f"mount -o remount,ro,bind {root}{place}" for place in mounts]
        lines += [f"mount -o remount,ro {root}{place}" for place in ("/tmp", "/usr/local", "")]
        lines += [f"mount --bind {volume} {root}{self.volume}"]
        lines += [f"mount -o remount,ro,bind {root}{self.volume}"] * reads_only
        lines += ["exec " + self._as_user(*self.stage.words("ENTRYPOINT"), *command)]
        process = subprocess.Popen(
            self.view.command("\n".join(lines)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        with reading(process) as running:
            try:
                yield running
            finally:  # killed, the first process would leave the others behind
                if process.poll() is None:
                    running.end(signal.SIGTERM, 60)

    def inside(self, container: Process, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command beside the entry point, as `docker exec` and a health check do."""
        joined = ["nsenter", "--mount", "--target", str(container.process.pid), "sh", "-c"]
        return subprocess.run(
            [*joined, self._as_user(*command)], capture_output=True, text=True, timeout=120, check=False
        )


def build(folder: Path) -> Image:
    """Run every stage of the Dockerfile; fails with what a step said."""
    done: dict[str, View] = {}
    view, stage = View(folder), Stage("")
    sources = _sent(folder / "context")
    for number, stage in enumerate(stages()):
        view = View(folder / f"stage-{number}")
        script = "\n".join(_script(stage, view.root, sources, done))
        built = subprocess.run(view.command(script), capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stdout[-2000:] + built.stderr[-4000:]
        done[stage.name] = view
    return Image(view, stage)


def _sent(folder: Path) -> Path:
    """Copy what an engine would be sent: .dockerignore refuses everything and lets in what it names."""
    for rule in (ROOT / ".dockerignore").read_text().splitlines():
        name = rule.removeprefix("!")
        if name == rule:
            continue
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "assets"))
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy2(source, folder / name)
    return folder


def _script(stage: Stage, root: Path, sources: Path, done: Mapping[str, View]) -> Iterator[str]:
    """Yield the shell lines that carry out a stage's instructions."""
    yield f"cat >{root}/usr/local/bin/apt-get <<'END'\n{_APT}END\nchmod 755 {root}/usr/local/bin/apt-get"
    yield f"ln -sf python{sys.version_info[0]}.{sys.version_info[1]} {root}/usr/local/bin/python"
    yield f"chroot {root} ldconfig"  # a shared libpython is found where it lies now
    so_far, cwd = Stage(stage.name), "/"
    for name, told in stage.steps:
        so_far.steps.append((name, told))
        if name == "WORKDIR":
            cwd = told
            yield f"mkdir -p {root}{cwd}"
        elif name == "COPY":
            *words, target = [word for word in told.split() if not word.startswith("--")]
            origin = re.search(r"--from=(\S+)", told)
            base = done[origin[1]].upper if origin else sources
            place = root / (target if target.startswith("/") else f"{cwd}/{target}").lstrip("/")
            for word in words:  # folders only: the content of each
                yield f"mkdir -p {place} && cp -a {base / word.lstrip('/')}/. {place}"
        elif name == "RUN":
            passed = {key: value for key, value in os.environ.items() if _is_registry(key)}
            shown = [f"{key}={value}" for key, value in {**passed, **so_far.environment}.items()]
            inside = ["chroot", str(root), "sh", "-ec", f"cd {cwd}; {told}"]
            yield shlex.join(["env", "-i", "HOME=/root", *shown, *inside])


def _is_registry(key: str) -> bool:
    """Say whether a variable tells how this machine reaches its registries."""
    return key.upper().startswith(("PIP_", "SSL_", "HTTP", "NO_PROXY", "NPM_CONFIG", "NODE_EXTRA"))
