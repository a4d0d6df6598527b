"""A push over a real sshd, with key and host key as Kubernetes mounts them from a Secret."""

import os
import pwd
import shutil
import subprocess

import pytest
import yaml

from store.git import git_environment
from tests.deploy.kubectl import DEPLOY
from tests.deploy.sshd import MODE, git_host, keygen, open_folder

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(os.geteuid() != 0, reason="a file of another owner can only be made by root"),
]

ANYBODYS = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}


@pytest.fixture
def place():
    with open_folder("ssh") as folder, git_host(folder / "host") as host:
        yield folder, host


def as_daemon(folder, secrets, *arguments):
    """Run git as the daemon does: its environment, another user than the files', nothing but its group."""
    nobody = pwd.getpwnam("nobody")  # ssh wants a user that has a name; the image's has one
    rights = [shutil.which("setpriv"), f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}"]
    environment = git_environment(secrets / "ssh-key", secrets / "known-hosts")
    return subprocess.run(
        [*rights, "--clear-groups", "git", "-C", str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **environment},
    )


@pytest.fixture
def clone(place):
    """A repository of the daemon's user with one commit, and the Secret's folder."""
    folder, host = place
    nobody = pwd.getpwnam("nobody")
    secrets = host.secrets(folder / "secrets", nobody.pw_gid)
    data = folder / "data"
    data.mkdir()
    os.chown(data, nobody.pw_uid, nobody.pw_gid)
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    for arguments in (
        ("init", "--quiet", "--initial-branch=main"),
        (*identity, "commit", "--quiet", "--allow-empty", "--message", "begin"),
        ("remote", "add", "origin", host.remote),
    ):
        done = as_daemon(data, secrets, *arguments)
        assert done.returncode == 0, done.stderr
    return data, secrets, host


def head(repository):
    done = subprocess.run(
        ["git", "-C", str(repository), "rev-parse", "--verify", "--quiet", "main"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **ANYBODYS},
    )
    return done.stdout.strip()


def test_a_mounted_key_and_host_key_push(clone):
    """root's files, mode 0440, read through the group: pushed without a prompt, and nothing kept at home."""
    data, secrets, host = clone
    pushed = as_daemon(data, secrets, "push", "--porcelain", "origin", "main")
    assert pushed.returncode == 0, pushed.stderr + host.log.read_text()
    assert head(host.repository) == head(data) != ""


def test_a_host_that_shows_another_key_is_refused(clone):
    """Somebody stands in between: nothing is sent to him."""
    data, secrets, host = clone
    keygen(host.folder / "other")
    theirs = " ".join((host.folder / "other.pub").read_text().split()[:2])
    (secrets / "..data" / "known-hosts").write_text(f"[127.0.0.1]:{host.port} {theirs}\n")
    pushed = as_daemon(data, secrets, "push", "--porcelain", "origin", "main")
    assert pushed.returncode != 0
    assert "Host key verification failed" in pushed.stderr
    assert head(host.repository) == ""


def test_an_unknown_host_is_refused_without_a_prompt(clone):
    """An empty known_hosts learns no host by itself."""
    data, secrets, host = clone
    (secrets / "..data" / "known-hosts").write_text("")
    pushed = as_daemon(data, secrets, "push", "--porcelain", "origin", "main")
    assert pushed.returncode != 0
    assert "Host key verification failed" in pushed.stderr
    assert head(host.repository) == ""


def test_a_key_without_access_is_refused_by_name(clone):
    """A rotated key that the host does not know yet: the reason is what /health shows."""
    data, secrets, host = clone
    (host.folder / "permitted").write_text("")
    pushed = as_daemon(data, secrets, "push", "--porcelain", "origin", "main")
    assert pushed.returncode != 0
    assert "Permission denied (publickey)" in pushed.stderr
    assert head(host.repository) == ""


def test_the_manifest_mounts_the_secret_in_this_mode():
    """What is tried here is what the component asks for."""
    component = yaml.safe_load((DEPLOY / "components" / "secrets" / "kustomization.yaml").read_text())
    (patch,) = component["patches"]
    volume = yaml.safe_load(patch["patch"])[0]["value"]
    assert volume["secret"]["defaultMode"] == MODE
