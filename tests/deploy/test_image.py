"""The image and the road to it: what goes in, what it may do, and who writes the tag that is rolled out."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from daemon.settings import HealthSettings
from tests.deploy.container import stages
from tests.deploy.kubectl import DEPLOY, ROOT

WORKFLOW = ROOT / ".github" / "workflows" / "ci.yaml"
COMPOSE = DEPLOY / "compose" / "docker-compose.yaml"
BIN = Path(sys.executable).parent


def test_the_dockerfile_passes_its_linter():
    """hadolint with ShellCheck: pinned base, no shell traps."""
    found = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout


def test_the_image_runs_without_rights_and_tools():
    """Not root, what a hung Git needs to be found and ended, and no installer left."""
    build, image = stages()
    assert image.all("USER") == ["10001:10001"]
    (run,) = image.all("RUN")
    installed = re.search(r"--no-install-recommends ([^&]+)", run).group(1).split()
    assert installed == ["git", "openssh-client", "procps", "tini"]
    assert "pip uninstall --yes --quiet setuptools wheel pip" in run
    assert "--uid 10001" in run
    assert image.all("COPY") == ["--from=build /opt/regimed /opt/regimed"]
    assert "--without-pip /opt/regimed" in build.all("RUN")[0]
    assert json.loads(image.all("ENTRYPOINT")[0]) == ["tini", "--", "regimed"]
    deployment = yaml.safe_load((DEPLOY / "base" / "deployment.yaml").read_text())
    assert deployment["spec"]["template"]["spec"]["containers"][0]["args"] == json.loads(image.all("CMD")[0])


def test_everything_installed_is_pinned_by_hash():
    """The image's libraries and what builds its wheel; each variant has its file."""
    build, _ = stages()
    installs = [
        part for run in build.all("RUN") for part in run.split("&&") if "pip" in part and " install " in part
    ]
    assert len(installs) == 3
    for part in installs:
        assert "--require-hashes" in part or "--no-deps /tmp/regimed-" in part
    assert any("-m dashboard.pack_assets" in run for run in build.all("RUN"))
    for name in ("runtime", "full", "build", "node"):
        assert "--hash=sha256:" in (ROOT / "requirements" / f"{name}.txt").read_text()


def test_the_health_check_asks_what_a_restart_cures():
    """A container without Kubernetes is as patient as the probes."""
    _, image = stages()
    (check,) = image.all("HEALTHCHECK")
    options = dict(re.findall(r"--(\S+)=(\S+)", check))
    command = json.loads(check.partition("CMD ")[2])
    assert "/health/live" in command[-1]
    assert int(options["interval"].rstrip("s")) * int(options["retries"]) == HealthSettings().live_limit_s
    assert options["start-period"] == "10m"
    compile(command[-1], "the check", "exec")


def packages():
    """Return what the wheel is made of, by pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text()
    return set(re.findall(r'"(\w+)\*"', re.search(r"^include = \[(.+)\]$", text, re.MULTILINE).group(1)))


def test_only_what_the_wheel_is_made_of_goes_to_the_build():
    """No history, no recorded data, no secret of a developer's folder: the list names what is let in."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    let_in = {line.removeprefix("!") for line in lines if line.startswith("!")}
    assert let_in == packages() | {"README.md", "pyproject.toml", "requirements"}


def schema(name, file):
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", name, file]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("name", "file"), [("vendor.github-workflows", WORKFLOW), ("vendor.compose-spec", COMPOSE)]
)
def test_workflow_and_compose_file_fit_their_schemas(name, file, tmp_path):
    """GitHub's and Compose's own schemas, shipped in a package; one wrong key is refused."""
    found = schema(name, file)
    assert found.returncode == 0, found.stdout
    wrong = tmp_path / file.name
    wrong.write_text(file.read_text().replace("runs-on:", "run-on:").replace("read_only:", "readonly:"))
    assert schema(name, wrong).returncode == 1


def test_compose_holds_the_container_as_the_cluster_does():
    """Read-only, without rights, local port, sixty seconds to stop, memory as in the manifest."""
    service = yaml.safe_load(COMPOSE.read_text())["services"]["regimed"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["user"] == "10001:10001"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "60s"
    assert service["mem_limit"] == "1g"
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert service["tmpfs"] == ["/tmp:size=64m"]


def jobs():
    return yaml.safe_load(WORKFLOW.read_text())["jobs"]


def test_what_is_pushed_was_linted_tested_tried_and_scanned():
    """In this order, each only where the one before went well; what is not trusted may not write."""
    image, bump = jobs()["image"], jobs()["bump"]
    assert set(image["needs"]) == {"lint", "test"}
    assert bump["needs"] == "image"
    names = [step["name"] for step in image["steps"] if "name" in step]
    assert names == ["Build", "Try", "Keep for the scanner", "Scan", "Push what was tried and scanned"]
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}
    assert bump["if"] == "github.ref == 'refs/heads/main'"
    assert "continue-on-error" not in WORKFLOW.read_text()
    scan = next(step for step in image["steps"] if step.get("name") == "Scan")
    assert scan["with"]["fail-build"] is True


def test_the_commands_of_the_workflow_are_sound_shell(tmp_path):
    """ShellCheck reads each `run:`; expressions reach the shell as variables only, never as text."""
    steps = [step for job in jobs().values() for step in job["steps"] if "run" in step]
    assert len(steps) >= 6
    for number, step in enumerate(steps):
        assert "${{" not in step["run"]
        script = tmp_path / f"{number}.sh"
        script.write_text(f"#!/usr/bin/env bash\n{step['run']}\n")
        found = subprocess.run(
            [BIN / "shellcheck", "--exclude=SC2154", script], capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stdout
    for step in (step for job in jobs().values() for step in job["steps"] if "uses" in step):
        assert re.fullmatch(r"[\w-]+/[\w-]+@v\d+", step["uses"])


def git(folder, *arguments):
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def remote(tmp_path):
    """A bare repository with our deploy/ and the script in it, and one clone of it."""
    work = tmp_path / "work"
    shutil.copytree(DEPLOY, work / "deploy")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "remote.git")
    git(work, "init", "--quiet", "--initial-branch=main")
    for name, value in (("user.name", "t"), ("user.email", "t@localhost")):
        git(work, "config", name, value)
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "begin")
    git(work, "remote", "add", "origin", str(tmp_path / "remote.git"))
    git(work, "push", "--quiet", "origin", "main")
    return work


def bump(work, *arguments):
    return subprocess.run(
        [ROOT / ".ci" / "bump-image", *arguments], cwd=work, capture_output=True, text=True, check=False
    )


def test_the_bump_rolls_out_exactly_the_pushed_tag(remote):
    """The overlay and the shards name the image, nothing else changes; said twice is done once."""
    image, tag = "ghcr.io/somebody/regimed", "sha-0123abc"
    done = bump(remote, image, tag)
    assert done.returncode == 0, done.stderr
    changed = git(remote, "diff", "--numstat", "HEAD~1").splitlines()
    assert [line.split("\t")[:2] for line in changed] == [["2", "2"]] * 3
    for folder, expected in (("overlays/production", tag), ("shards/alts", f"{tag}-full")):
        text = git(remote, "show", f"origin/main:deploy/{folder}/kustomization.yaml")
        (told,) = yaml.safe_load(text)["images"]
        assert told == {"name": "regimed", "newName": image, "newTag": expected}
    before = git(remote, "rev-parse", "origin/main")
    assert bump(remote, image, tag).returncode == 0
    assert git(remote, "rev-parse", "origin/main") == before


def test_the_bump_gives_way_to_a_push_that_came_between(remote, tmp_path):
    """A rejected push is tried on top of what came: neither is lost, nothing is forced."""
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", "remote.git", "other")
    named = ("-c", "user.name=o", "-c", "user.email=o@x")
    git(other, *named, "commit", "--quiet", "--allow-empty", "-m", "between")
    hook = remote / ".git" / "hooks" / "pre-push"
    hook.write_text(f"#!/bin/sh\ncd {other} && unset GIT_DIR && git push --quiet origin HEAD:main\n")
    hook.chmod(0o755)
    done = bump(remote, "ghcr.io/somebody/regimed", "v1.2.3")
    assert done.returncode == 0, done.stderr
    assert "somebody pushed meanwhile (try 1)" in done.stderr
    told = git(tmp_path / "remote.git", "log", "--format=%s", "main").splitlines()
    assert told == ["Roll out ghcr.io/somebody/regimed:v1.2.3", "between", "begin"]


@pytest.mark.parametrize(
    ("image", "tag"), [("ghcr.io/a/b", "x|y"), ("ghcr.io/a/b", ""), ("ghcr.io/a b", "v1"), ("a;b", "v1")]
)
def test_the_bump_refuses_what_is_no_image(remote, image, tag):
    """What would be a command or another key of the file is not written."""
    before = git(remote, "rev-parse", "HEAD")
    assert bump(remote, image, tag).returncode != 0
    assert git(remote, "rev-parse", "HEAD") == before
    assert git(remote, "status", "--porcelain") == ""


def test_no_committed_file_names_a_package_registry():
    """Addresses of registries are the machine's affair; an image's name is not one."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    hosts = re.compile(rb"(pypi\.org|pythonhosted\.org|registry\.npmjs|registry\.yarnpkg|deb\.debian\.org)")
    own = Path(__file__).relative_to(ROOT)
    named = [
        name for name in listed.splitlines() if name != str(own) and hosts.search((ROOT / name).read_bytes())
    ]
    assert named == []
