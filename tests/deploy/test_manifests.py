"""What a cluster is given: rendered by the real kustomize, each kind against its schema."""

import copy
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from daemon.configuration import load_settings
from daemon.settings import HealthSettings
from daemon.workers import CYCLE_STOP_S, LEAVE_S
from tests.deploy.custom_kinds import KINDS, check
from tests.deploy.kubectl import DEPLOY, ROOT, one, rendered

FOLDERS = ("base", "overlays/production", "shards")


def tool(name: str) -> Path:
    return Path(sys.executable).parent / name


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_manifest_fits_the_schema_of_its_kind(folder, tmp_path):
    """A misspelt field is found here, not in the cluster: core by Kubernetes' schemas, others by ours."""
    core = []
    for number, manifest in enumerate(rendered(folder)):
        if manifest["kind"] in KINDS:
            check(manifest)
        else:
            core.append(tmp_path / f"{number}.yaml")
            core[-1].write_text(yaml.safe_dump(manifest))
    found = subprocess.run(
        [tool("kubernetes-validate"), "--strict", "-k", "1.34", *core],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_misspelt_field_is_refused(tmp_path):
    """The schemas refuse what they should: one of Kubernetes' kinds, and each of the others."""
    deployment = copy.deepcopy(one(rendered("base"), "Deployment"))
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    container["livenesProbe"] = container.pop("livenessProbe")
    (tmp_path / "wrong.yaml").write_text(yaml.safe_dump(deployment))
    found = subprocess.run(
        [tool("kubernetes-validate"), "--strict", "-k", "1.34", tmp_path / "wrong.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode != 0
    assert "livenesProbe" in found.stdout + found.stderr
    custom = [m for m in [*rendered("overlays/production"), application()] if m["kind"] in KINDS]
    assert {manifest["kind"] for manifest in custom} == set(KINDS)
    for manifest in custom:
        with pytest.raises(ValidationError):
            check({**manifest, "spec": {**manifest["spec"], "misspelt": 1}})


def application():
    return yaml.safe_load((DEPLOY / "argocd" / "application.yaml").read_text())


def test_the_application_rolls_out_the_overlay():
    """Argo CD's Application fits its kind and names a folder that is there."""
    check(application())
    path = application()["spec"]["source"]["path"]
    assert (ROOT / path / "kustomization.yaml").is_file()
    assert application()["spec"]["destination"]["namespace"] == "regimed"


def test_no_manifest_is_left_out_of_a_roll_out():
    """Each file in deploy/ is named by a kustomization, or is one of the few that are used as they are."""
    alone = {"argocd/application.yaml", "compose/docker-compose.yaml", "compose/config.yaml"}
    named = set()
    for file in DEPLOY.rglob("kustomization.yaml"):
        told = yaml.safe_load(file.read_text())
        entries = [*told.get("resources", []), *told.get("components", [])]
        entries += [patch["path"] for patch in told.get("patches", []) if "path" in patch]
        entries += [entry for made in told.get("configMapGenerator", []) for entry in made.get("files", [])]
        named |= {os.path.normpath(file.parent.relative_to(DEPLOY) / entry) for entry in entries}
    there = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*.yaml")}
    there = {path for path in there if not path.endswith("kustomization.yaml")}
    assert there - named - alone == set()


@pytest.mark.parametrize("file", sorted(DEPLOY.rglob("config.yaml")), ids=lambda path: str(path.parent.name))
def test_each_configuration_in_deploy_is_valid(file):
    """What is rolled out starts: `regimed config check` passes on it, on the volume's folders."""
    settings = load_settings(file, {})
    assert settings.http.host == "0.0.0.0"
    assert settings.state_path == Path("/var/lib/regimed/state")
    assert settings.data_repository.base_path == Path("/var/lib/regimed/data")


def test_the_shipped_configuration_is_valid():
    """config/config.yaml is the one that people copy."""
    keys = [market.key for market in load_settings(ROOT / "config" / "config.yaml", {}).markets]
    assert keys == ["ETH-USDT", "BTC-USDT", "SOL-USDT"]


def pod_of(manifest):
    return manifest["spec"]["template"]["spec"]


def test_one_writer_that_has_time_to_stop():
    """Two daemons on one repository must not happen; the grace period outlasts the daemon's own stop."""
    spec = one(rendered("base"), "Deployment")["spec"]
    assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")
    store_closes_s, margin_s = 10, 15
    longest = CYCLE_STOP_S + LEAVE_S + store_closes_s
    assert longest <= 45
    assert pod_of({"spec": spec})["terminationGracePeriodSeconds"] >= longest + margin_s


def test_the_probes_leave_work_its_time():
    """Live is as wide as the daemon's own limit, ready is tight, and the start may clone for ten minutes."""
    container = pod_of(one(rendered("base"), "Deployment"))["containers"][0]
    paths = {name: container[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {found["port"] for found in paths.values()} == {"http"}
    assert paths["startupProbe"]["path"] == paths["livenessProbe"]["path"] == "/health/live"
    assert paths["readinessProbe"]["path"] == "/health/ready"

    def patience(probe):
        return probe["periodSeconds"] * probe["failureThreshold"]

    assert patience(container["startupProbe"]) == 600
    assert patience(container["livenessProbe"]) == HealthSettings().live_limit_s == 180
    assert patience(container["readinessProbe"]) == 30
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert container[probe]["timeoutSeconds"] <= container[probe]["periodSeconds"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_pod_can_do_more_than_it_must(folder):
    """Restricted: no root, no writable root file system, no capability, no token, no service variables."""
    workloads = [each for each in rendered(folder) if each["kind"] in {"Deployment", "Job", "CronJob"}]
    assert workloads
    for workload in workloads:
        pod = pod_of(workload if workload["kind"] != "CronJob" else workload["spec"]["jobTemplate"])
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert {"hostNetwork", "hostPID", "hostIPC"}.isdisjoint(pod)
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert {"requests", "limits"} <= set(container["resources"])
    for namespace in (each for each in rendered(folder) if each["kind"] == "Namespace"):
        assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("folder", FOLDERS)
def test_selectors_find_what_they_mean(folder):
    """Service, ServiceMonitor and policy select the daemon's pod; the service shows it when not ready."""
    manifests = rendered(folder)
    for service in (each for each in manifests if each["kind"] == "Service"):
        near = in_space(manifests, service["metadata"].get("namespace"))
        deployment = one(near, "Deployment")
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["metadata"]["name"] == "regimed"
        assert service["spec"]["publishNotReadyAddresses"] is True
        assert service["spec"]["selector"].items() <= labels.items()
        assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
        policy = one(near, "NetworkPolicy")
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
        for job in (each for each in near if each["kind"] == "Job"):
            labels_of_job = job["spec"]["template"]["metadata"]["labels"]
            assert not service["spec"]["selector"].items() <= labels_of_job.items()
        for monitor in (each for each in near if each["kind"] == "ServiceMonitor"):
            assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
            assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "regimed"
            assert {each["port"] for each in monitor["spec"]["endpoints"]} == {"http"}
        claim = one(near, "PersistentVolumeClaim")["metadata"]["name"]
        volumes = {each["name"]: each for each in pod_of(deployment)["volumes"]}
        assert volumes["state"]["persistentVolumeClaim"]["claimName"] == claim


def test_the_policy_lets_out_what_the_daemon_needs():
    """In: Prometheus alone. Out: names, HTTPS, SSH; kustomize added our label to nobody else's pods."""
    spec = one(rendered("overlays/production"), "NetworkPolicy")["spec"]
    (scrape,) = spec["ingress"]
    assert scrape["from"][0]["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    names, outside = spec["egress"]
    assert names["to"][0]["podSelector"] == {"matchLabels": {"k8s-app": "kube-dns"}}
    assert {(port["protocol"], port["port"]) for port in names["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert sorted(port["port"] for port in outside["ports"]) == [22, 443]
    assert [each["ipBlock"]["cidr"] for each in outside["to"]] == ["0.0.0.0/0", "::/0"]
    shard = one(in_space(rendered("shards"), "regimed-alts"), "NetworkPolicy")
    assert [port["port"] for port in shard["spec"]["egress"][-1]["ports"]] == [5432]


def test_the_check_before_a_roll_out_checks_what_is_rolled_out(tmp_path):
    """The PreSync hook has the image, the configuration and the variables that the daemon will have."""
    manifests = rendered("overlays/production")
    deployment, job = one(manifests, "Deployment"), one(manifests, "Job")
    daemon, checker = pod_of(deployment)["containers"][0], pod_of(job)["containers"][0]
    assert job["metadata"]["annotations"]["argocd.argoproj.io/hook"] == "PreSync"
    assert job["spec"]["backoffLimit"] == 0
    assert checker["image"] == daemon["image"]
    assert checker.get("env") == daemon.get("env")
    maps = {each["metadata"]["name"]: each for each in manifests if each["kind"] == "ConfigMap"}
    mounted = {each["name"]: each for each in pod_of(deployment)["volumes"]}["config"]["configMap"]["name"]
    checked = {each["name"]: each for each in pod_of(job)["volumes"]}["config"]["configMap"]["name"]
    assert mounted != checked
    assert maps[mounted]["data"] == maps[checked]["data"]
    annotations = maps[checked]["metadata"]["annotations"]
    assert annotations["argocd.argoproj.io/hook"] == "PreSync"
    assert int(annotations["argocd.argoproj.io/sync-wave"]) < 0
    (tmp_path / "config.yaml").write_text(maps[checked]["data"]["config.yaml"])
    command = [sys.executable, "-m", "daemon.cli", *checker["args"][:-1], tmp_path / "config.yaml"]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    (tmp_path / "config.yaml").write_text("mode: advise\nmarkts: []\n")
    failed = subprocess.run(command, capture_output=True, text=True, check=False)
    assert failed.returncode == 2
    assert "markts: unknown key" in failed.stderr


def test_the_nightly_check_reads_what_the_daemon_wrote_and_is_not_taken_for_it():
    """The daemon's image and volume on the daemon's node, read-only, no secret; no traffic comes to it."""
    manifests = rendered("overlays/production")
    deployment, nightly = one(manifests, "Deployment"), one(manifests, "CronJob")
    job = nightly["spec"]["jobTemplate"]
    pod, daemon = pod_of(job), pod_of(deployment)
    (checker,) = pod["containers"]
    assert checker["image"] == daemon["containers"][0]["image"]
    (volume,) = pod["volumes"]
    claim = one(manifests, "PersistentVolumeClaim")["metadata"]["name"]
    assert volume["persistentVolumeClaim"] == {"claimName": claim, "readOnly": True}
    (mount,) = checker["volumeMounts"]
    assert (mount["readOnly"], mount["mountPath"]) == (True, "/var/lib/regimed")
    (near,) = pod["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    wanted = near["labelSelector"]["matchLabels"]
    own = job["spec"]["template"]["metadata"]["labels"]
    assert wanted.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert not one(manifests, "Service")["spec"]["selector"].items() <= own.items()
    assert not deployment["spec"]["selector"]["matchLabels"].items() <= own.items()


def test_another_configuration_is_a_roll_out():
    """The ConfigMap's name carries its content's hash, so a changed configuration restarts the daemon."""
    names = set()
    for folder in ("base", "overlays/production"):
        volumes = {each["name"]: each for each in pod_of(one(rendered(folder), "Deployment"))["volumes"]}
        names.add(volumes["config"]["configMap"]["name"])
    assert len(names) == 2
    assert all(name.startswith("regimed-config-") for name in names)


def in_space(manifests, space):
    return [each for each in manifests if each["metadata"].get("namespace") == space]


def texts(node):
    """Yield every text that stands somewhere in a value."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


@pytest.mark.parametrize("folder", ["overlays/production", "shards"])
def test_every_secret_file_that_is_configured_is_mounted(folder):
    """A file named in the configuration or in a variable is a key of the Secret that lies at that path."""
    for deployment in (each for each in rendered(folder) if each["kind"] == "Deployment"):
        near = in_space(rendered(folder), deployment["metadata"]["namespace"])
        secret = one(near, "ExternalSecret")["spec"]
        container = pod_of(deployment)["containers"][0]
        mount = next(each for each in container["volumeMounts"] if each["name"] == "secrets")
        assert mount["readOnly"] is True
        volumes = {each["name"]: each for each in pod_of(deployment)["volumes"]}
        assert volumes["secrets"]["secret"]["secretName"] == secret["target"]["name"]
        config = yaml.safe_load(
            one(near, "ConfigMap", volumes["config"]["configMap"]["name"])["data"]["config.yaml"]
        )
        wanted = {text for text in texts([config, container.get("env", [])]) if "/secrets/" in text}
        assert wanted
        assert wanted <= {f"{mount['mountPath']}/{entry['secretKey']}" for entry in secret["data"]}


def test_shards_share_no_market_and_no_history(tmp_path):
    """Two daemons that wrote one repository, or judged one market twice, would be two answers."""
    found = {}
    for manifest in rendered("shards"):
        if manifest["kind"] == "ConfigMap" and "config.yaml" in manifest["data"]:
            file = tmp_path / "config.yaml"
            file.write_text(manifest["data"]["config.yaml"])
            found[manifest["metadata"]["namespace"]] = load_settings(file, {})
    assert len(found) == 2
    markets = [market.key for settings in found.values() for market in settings.markets]
    assert len(markets) == len(set(markets))
    remotes = [settings.data_repository.remote for settings in found.values()]
    assert len(set(remotes)) == len(found)


def test_shards_share_an_index():
    """Each has the same PostgreSQL in its variables, by names that the configuration knows, and a driver."""
    seen = set()
    for manifest in rendered("shards"):
        if manifest["kind"] == "Deployment":
            container = pod_of(manifest)["containers"][0]
            environment = {each["name"]: each["value"] for each in container["env"]}
            settings = load_settings(DEPLOY / "base" / "config.yaml", environment)
            seen.add((settings.index.url, settings.index.password_file))
            assert container["image"].endswith("-full")
    assert seen == {
        (
            "postgresql://regimed@postgresql.databases:5432/regimes",
            Path("/run/secrets/regimed/index-password"),
        )
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="a file of another owner can only be made by root")
def test_ssh_takes_a_key_that_is_mounted_as_a_secret(tmp_path):
    """root owns it, the group reads it (fsGroup): ssh refuses that of its own files only."""
    secrets = next(
        each
        for each in pod_of(one(rendered("overlays/production"), "Deployment"))["volumes"]
        if each["name"] == "secrets"
    )
    keygen = shutil.which("ssh-keygen")
    setpriv = shutil.which("setpriv")
    assert keygen
    assert setpriv
    nobody = pwd.getpwnam("nobody")  # ssh wants a user that has a name; the image's has one
    folder = Path("/run") / f"regimed-test-{os.getpid()}"  # pytest's folders are closed to others
    folder.mkdir(mode=0o755)
    try:
        key = folder / "ssh-key"
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        key.chmod(secrets["secret"]["defaultMode"])
        os.chown(key, 0, nobody.pw_gid)
        daemon = [setpriv, f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
        read = subprocess.run([*daemon, keygen, "-y", "-f", key], capture_output=True, text=True, check=False)
        assert read.returncode == 0, read.stderr
        assert read.stdout.split()[:2] == key.with_suffix(".pub").read_text().split()[:2]
        os.chown(key, nobody.pw_uid, nobody.pw_gid)
        own = subprocess.run([*daemon, keygen, "-y", "-f", key], capture_output=True, text=True, check=False)
        assert "UNPROTECTED PRIVATE KEY FILE" in own.stderr
    finally:
        shutil.rmtree(folder)
