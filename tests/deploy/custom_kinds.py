"""The fields that we use of kinds whose schemas no package ships: an unknown one is an error.

Read from the operators' own references: Prometheus operator monitoring.coreos.com/v1, External Secrets
external-secrets.io/v1, Argo CD argoproj.io/v1alpha1.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$")]
Duration = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h|d|w))+$")]
LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")]
MetricName = Annotated[str, Field(pattern=r"^[a-zA-Z_:][a-zA-Z0-9_:]*$")]


class Strict(BaseModel):
    """Field for field, types as they are."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Metadata(Strict):
    name: Name
    namespace: Name | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class Selector(Strict):
    matchLabels: dict[str, str]


class Endpoint(Strict):
    port: str
    path: str
    interval: Duration
    scrapeTimeout: Duration


class ServiceMonitorSpec(Strict):
    jobLabel: str
    selector: Selector
    endpoints: list[Endpoint] = Field(min_length=1)


class ServiceMonitor(Strict):
    apiVersion: Literal["monitoring.coreos.com/v1"]
    kind: Literal["ServiceMonitor"]
    metadata: Metadata
    spec: ServiceMonitorSpec


class Recording(Strict):
    record: MetricName
    expr: str
    labels: dict[LabelName, str] = {}


class Annotations(Strict):
    summary: str
    runbook_url: str


class Severity(Strict):
    severity: Literal["critical", "warning", "info"]


class Alert(Strict):
    alert: Annotated[str, Field(pattern=r"^Regimed[A-Z][A-Za-z]+$")]
    expr: str
    for_: Duration | None = Field(None, alias="for")
    labels: Severity
    annotations: Annotations


class Group(Strict):
    name: str
    rules: list[Recording | Alert] = Field(min_length=1)


class RuleSpec(Strict):
    groups: list[Group]


class PrometheusRule(Strict):
    apiVersion: Literal["monitoring.coreos.com/v1"]
    kind: Literal["PrometheusRule"]
    metadata: Metadata
    spec: RuleSpec


class StoreRef(Strict):
    kind: Literal["ClusterSecretStore", "SecretStore"]
    name: Name


class SecretTarget(Strict):
    name: Name
    creationPolicy: Literal["Owner", "Orphan", "Merge", "None"]
    deletionPolicy: Literal["Delete", "Merge", "Retain"]


class RemoteRef(Strict):
    key: str
    property: str


class SecretData(Strict):
    secretKey: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$")]
    remoteRef: RemoteRef


class ExternalSecretSpec(Strict):
    refreshInterval: Duration
    secretStoreRef: StoreRef
    target: SecretTarget
    data: list[SecretData] = Field(min_length=1)


class ExternalSecret(Strict):
    apiVersion: Literal["external-secrets.io/v1"]
    kind: Literal["ExternalSecret"]
    metadata: Metadata
    spec: ExternalSecretSpec


class Source(Strict):
    repoURL: Annotated[str, Field(pattern=r"^(https|ssh)://")]
    targetRevision: str
    path: str


class Destination(Strict):
    server: str
    namespace: Name


class Automated(Strict):
    prune: bool
    selfHeal: bool


class Backoff(Strict):
    duration: Duration
    factor: int
    maxDuration: Duration


class Retry(Strict):
    limit: int
    backoff: Backoff


class SyncPolicy(Strict):
    automated: Automated
    syncOptions: list[Annotated[str, Field(pattern=r"^[A-Za-z]+=[A-Za-z]+$")]]
    retry: Retry


class ApplicationSpec(Strict):
    project: str
    source: Source
    destination: Destination
    syncPolicy: SyncPolicy
    revisionHistoryLimit: int


class Application(Strict):
    apiVersion: Literal["argoproj.io/v1alpha1"]
    kind: Literal["Application"]
    metadata: Metadata
    spec: ApplicationSpec


KINDS: dict[str, type[Strict]] = {
    kind.__name__: kind for kind in (ServiceMonitor, PrometheusRule, ExternalSecret, Application)
}


def check(manifest: dict[str, Any]) -> None:
    """Raise where a manifest does not fit its kind."""
    KINDS[manifest["kind"]].model_validate(manifest)
