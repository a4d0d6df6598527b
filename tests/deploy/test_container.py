"""The image's steps without an engine, and its command in it: no root, read-only but for the volume."""

import json
import os
import shutil
import signal
import urllib.request

import pytest
import yaml

from store.verify import verify
from tests.cycle.house import START, git, write_config
from tests.cycle.processes import clock_from, started
from tests.deploy.container import build, needed
from tests.deploy.kubectl import DEPLOY
from tests.deploy.sshd import git_host

SECRETS = "/run/secrets/regimed"
pytestmark = [pytest.mark.check, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    needed(tmp_path_factory.mktemp("tried"))
    folder = tmp_path_factory.mktemp("image")
    yield build(folder)
    shutil.rmtree(folder)  # half a gigabyte that pytest would keep for three runs


def test_the_image_holds_the_daemon_and_nothing_that_builds(image):
    """The wheel of the first stage is what runs; neither sources nor the tools came along, pip is gone."""
    upper = image.view.upper
    (cli,) = (upper / "opt" / "regimed" / "lib").glob("*/site-packages/daemon/cli.py")
    assert (upper / "opt" / "regimed" / "bin" / "regimed").is_file()
    assert list(cli.parent.glob("__pycache__/cli.*.pyc"))  # a read-only tree cannot keep them later
    assert not (upper / "opt" / "build").exists()
    assert not (upper / "src").exists()
    assert not list(cli.parent.parent.glob("pip"))
    assert not list(cli.parent.parent.glob("tests"))


@pytest.fixture
def volume(tmp_path, image):
    """An empty volume, as fsGroup leaves it."""
    folder = tmp_path / "volume"
    folder.mkdir()
    os.chown(folder, image.user, image.user)
    return folder


def test_the_daemon_runs_unprivileged_on_a_read_only_tree(tmp_path, image, volume):
    """`CMD` as it stands: an hour judged, ready, pushed over ssh, ended in order, only the volume changed."""
    clock = clock_from(START, 360)
    with (
        git_host(tmp_path / "host") as host,
        started("sandbox", "--port", "0", "--clock", clock) as sandbox,
    ):
        url = sandbox.line(r"(http://127\.0\.0\.1:\d+)", 120)[1]
        mounts = {
            "/etc/regimed": configured(tmp_path / "etc", url, host.remote, image.volume),
            SECRETS: host.secrets(tmp_path / "secrets", image.user),
        }
        check = ["config", "check", *image.stage.words("CMD")[1:]]
        with image.running(volume, mounts, check) as checked:
            assert checked.process.wait(120) == 0, checked.lines
        before = image.view.written()
        with image.running(volume, mounts, [*image.stage.words("CMD"), "--clock", clock]) as daemon:
            address = daemon.line(r"(http://[0-9.]+:\d+)/health", 300)[1]
            daemon.line("hour judged", 300)
            assert_is_well(address)
            assert_has_no_rights(daemon.process.pid, image.user)
            assert_can_write_only(image, daemon)
            check = health_check(image, daemon, address)
            assert check.returncode == 0, check.stderr
            assert daemon.end(signal.SIGTERM, 120) == 0, "\n".join(daemon.lines[-30:])
            assert not [line for line in daemon.lines if "Traceback" in line]
        with image.running(volume, {}, nightly_check(), reads_only=True) as checked:
            assert checked.process.wait(300) == 0, checked.lines
            checked.line("all as recorded, byte for byte")
        assert image.view.written() == before
        assert {path.lstat().st_uid for path in volume.rglob("*")} == {image.user}
        for path in (volume, *volume.rglob("*")):
            os.chown(path, 0, 0, follow_symlinks=False)  # so that root's git looks at it
        report = verify(volume / "data")
        assert report.ok, report.findings
        assert git(volume / "data", "rev-parse", "main") == git(host.repository, "rev-parse", "main")


def configured(folder, url, remote, volume):
    """Write the folder of the ConfigMap: everything under the volume, the secrets' files by their place."""
    folder.mkdir()
    repository = {
        "base_path": f"{volume}/data",
        "remote": remote,
        "ssh_key_file": f"{SECRETS}/ssh-key",
        "known_hosts_file": f"{SECRETS}/known-hosts",
    }
    write_config(folder, url, ["ETH-USDT"], data_repository=repository, state_dir=f"{volume}/state")
    return folder


def nightly_check():
    """Return what the CronJob asks of the image."""
    told = yaml.safe_load((DEPLOY / "components" / "check-live" / "cronjob.yaml").read_text())
    (container,) = told["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    return container["args"]


def health_check(image, container, address):
    """Run the Dockerfile's HEALTHCHECK in the container, against the port that was free here."""
    command = image.stage.words("HEALTHCHECK")
    asked = [word.replace("http://127.0.0.1:8080", address) for word in command]
    assert asked != command
    return image.inside(container, *asked)


def assert_is_well(address):
    for path in ("live", "ready"):
        with urllib.request.urlopen(f"{address}/health/{path}", timeout=30) as answer:
            assert (answer.status, json.loads(answer.read())["status"]) == (200, "pass")


def assert_has_no_rights(pid, user):
    """tini, and the daemon below it: the image's user, no capability, no way to gain one."""
    with open(f"/proc/{pid}/task/{pid}/children") as told:  # noqa: PTH123 a file of the kernel's
        (child,) = told.read().split()
    for each in (pid, child):
        with open(f"/proc/{each}/status") as told:  # noqa: PTH123
            facts = dict(line.split(":\t", 1) for line in told.read().splitlines() if ":\t" in line)
        assert facts["Uid"].split() == facts["Gid"].split() == [str(user)] * 4
        assert {facts[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")} == {"0" * 16}
        assert facts["NoNewPrivs"] == "1"


def assert_can_write_only(image, daemon):
    """Try it: everywhere else the tree takes nothing, and nobody installs there either."""
    for place in ("/", "/tmp", "/opt/regimed", "/usr/local/lib", "/etc/regimed", "/home/regimed", SECRETS):
        refused = image.inside(daemon, "touch", f"{place}/here")
        assert refused.returncode != 0, place
    assert (
        image.inside(daemon, "sh", "-c", f"touch {image.volume}/here && rm {image.volume}/here").returncode
        == 0
    )
    assert image.inside(daemon, "python", "-m", "pip", "--version").returncode != 0


def test_a_container_in_which_nobody_answers_is_not_well(image, volume):
    """The health check is no ornament; the exchange for trying things out runs in the image too."""
    with image.running(volume, {}, ["sandbox", "--port", "0"]) as sandbox:
        address = sandbox.line(r"(http://127\.0\.0\.1:\d+)", 120)[1]
        check = health_check(image, sandbox, address)
        assert check.returncode != 0
        assert "404" in check.stderr
