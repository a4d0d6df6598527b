import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from daemon.configuration import load_settings

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
MANIFESTS = sorted(path for path in DEPLOY.glob("*.yaml") if path.name != "kustomization.yaml")


def documents():
    return {path.name: yaml.safe_load(path.read_text()) for path in MANIFESTS}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
def test_every_manifest_fits_the_schema_of_its_kind(path):
    """A misspelt field in a manifest is found here, not in the cluster."""
    tool = Path(sys.executable).parent / "kubernetes-validate"
    found = subprocess.run(
        [tool, "--strict", "-k", "1.33", path], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_the_kustomization_names_every_manifest():
    """Nothing that lies in deploy/ is left out of a roll-out."""
    named = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text())["resources"]
    assert sorted(named) == [path.name for path in MANIFESTS]


def test_the_configuration_in_the_cluster_is_valid(tmp_path):
    """The ConfigMap starts: `regimed config check` would pass."""
    config = tmp_path / "config.yaml"
    config.write_text(documents()["configmap.yaml"]["data"]["config.yaml"])
    settings = load_settings(config, {})
    assert settings.http.host == "0.0.0.0"
    assert settings.state_path == Path("/var/lib/regimed/state")


def test_the_shipped_configuration_is_valid():
    """config/config.yaml is the one that people copy."""
    assert [market.key for market in load_settings(ROOT / "config" / "config.yaml", {}).markets] == [
        "ETH-USDT",
        "BTC-USDT",
        "SOL-USDT",
    ]


def test_one_writer_and_probes_that_a_restart_can_answer():
    """Two daemons on one repository must not happen; liveness asks only what a restart cures."""
    spec = documents()["deployment.yaml"]["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    pod = spec["template"]["spec"]
    container = pod["containers"][0]
    assert pod["terminationGracePeriodSeconds"] == 60
    assert container["livenessProbe"]["httpGet"]["path"] == "/health/live"
    assert container["readinessProbe"]["httpGet"]["path"] == "/health/ready"
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert documents()["service.yaml"]["spec"]["publishNotReadyAddresses"] is True


def test_the_dockerfile_passes_its_linter():
    """hadolint with ShellCheck: pinned base, no shell traps."""
    tool = shutil.which("hadolint", path=str(Path(sys.executable).parent))
    assert tool
    found = subprocess.run([tool, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout
