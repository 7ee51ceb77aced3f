"""Kubernetes manifests of a service, one document a file, for clusters with the restricted Pod Security Standard."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import psutil

from mlnb.codec import Json, JsonObject
from mlnb.errors import UsageError
from mlnb.methods.contracts.responses import Golden
from mlnb.serving.deploy.container_images import USER
from mlnb.serving.packaging.bento_server import Server, send_request
from mlnb.serving.packaging.bundles import BentoSource
from mlnb.serving.runtime.model_parts import read_record
from mlnb.settings import ProcessSettings, ServiceSettings

PORT = 3000
LEAVE_SECONDS = 5  # between the removal of a pod from its service and SIGTERM
GRACE_SECONDS = 60  # until a pod is killed: the time above, and that of the requests in progress and of the log
REQUESTS = 100  # requests with one row before memory is measured
LIMIT_FACTOR = 1.5  # memory limit in multiples of the measured memory
STEP = 32 * 2**20  # bytes to which memory requests and limits are rounded up
MONITORING = "monitoring"  # namespace of Prometheus, which may scrape the pods
STORE_PORT = "443"  # default port of object storage
LOG = "/log"  # folder of the prediction log in the container, as long as the pod lives
LOG_ROWS, LOG_SECONDS = 10_000, 60  # after which a segment is copied to storage: what a pod that dies can lose
LOG_DISK = "1Gi"  # size of the folder of the log
LOG_MEMORY = 256 * 2**20  # bytes that converting and copying a segment of 60 columns takes


@dataclass(frozen=True)
class KubernetesDeployment:
    """What the documents are made from.

    Attributes:
        name: of all objects: letters, digits and dashes.
        image: name of the image in the registry.
        model: tag of the model, shown as an annotation.
        memory: measured memory of the service in bytes.
        namespace: of all objects.
        replicas: minimum number of pods.
        most_replicas: maximum number of pods.
        pull: image pull policy.
        log_to: folder in object storage that the prediction log is copied to; empty: nothing is logged.
        masked: columns whose values the log omits, separated by commas.
        egress: allowed egress in addition to the DNS of the cluster: PORT, or CIDR:PORT.
        pseudonyms: whether the service needs the key of pseudonyms.
    """

    name: str
    image: str
    model: str
    memory: int
    namespace: str = "default"
    replicas: int = 2
    most_replicas: int = 10
    pull: str = "IfNotPresent"
    log_to: str = ""
    masked: str = ""
    egress: tuple[str, ...] = ()
    pseudonyms: bool = False


def prediction_requests(source: BentoSource) -> dict[str, Sequence[JsonObject]]:
    """Return the golden rows of each model of a bento, by the path of its predictions."""
    return {
        source.route_of(name): read_record(Golden, folder / "golden.json").rows
        for name, folder in source.model_folders.items()
    }


def measure_memory(server: Server, requests: Mapping[str, Sequence[JsonObject]]) -> int:
    """Return the memory in bytes of a ready service's processes after some requests; shared pages count once.

    Args:
        server: the service.
        requests: rows to send, by path.
    """
    for path, rows in requests.items():
        for batch in [rows, *([rows[:1]] * (REQUESTS // len(requests)))]:
            send_request(server.host, server.port, "POST", path, batch)
    parent = psutil.Process(server.process.pid)
    return sum(_memory_of(process) for process in [parent, *parent.children(recursive=True)])


def _memory_of(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.uss))


def make_manifests(deployment: KubernetesDeployment) -> dict[str, JsonObject]:
    """Return the documents by the stem of their file name."""
    documents = {
        "deployment": _deployment(deployment),
        "service": _service(deployment),
        "autoscaler": _autoscaler(deployment),
        "disruption-budget": _disruption_budget(deployment),
        "network-policy": _network_policy(deployment),
        "service-monitor": _service_monitor(deployment),
    }
    resources = [f"{name}.yaml" for name in documents]
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}
    return documents | {"kustomization": kustomization}


def _labels(deployment: KubernetesDeployment) -> dict[str, str]:
    return {"app.kubernetes.io/name": deployment.name, "app.kubernetes.io/managed-by": "mlnb"}


def _selector(deployment: KubernetesDeployment) -> dict[str, str]:
    return {"app.kubernetes.io/name": deployment.name}


def _document(version: str, kind: str, deployment: KubernetesDeployment, spec: JsonObject) -> JsonObject:
    metadata: JsonObject = {"name": deployment.name, "namespace": deployment.namespace, "labels": _labels(deployment)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec}


def _mebibytes(count: float) -> str:
    return f"{-(-int(count) // STEP) * STEP // 2**20}Mi"


def _probe(path: str, **times: int) -> JsonObject:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 5, **times}


def _secret_environment(deployment: KubernetesDeployment) -> list[Json]:
    """Return the variables whose values are in secrets; a pod does not start without them."""
    secrets = {ServiceSettings.api_key.variable: "key"}
    if deployment.pseudonyms:
        secrets[ProcessSettings.personal_key.variable] = "personal"
    return [
        {"name": variable, "valueFrom": {"secretKeyRef": {"name": f"{deployment.name}-{secret}", "key": "key"}}}
        for variable, secret in secrets.items()
    ]


def _log_environment(deployment: KubernetesDeployment) -> list[Json]:
    if not deployment.log_to:
        return []
    variables = {
        ServiceSettings.log.variable: LOG,
        ServiceSettings.log_to.variable: deployment.log_to,
        ServiceSettings.log_mask.variable: deployment.masked,
        ServiceSettings.log_rows.variable: str(LOG_ROWS),
        ServiceSettings.log_seconds.variable: str(LOG_SECONDS),
    }
    return [{"name": name, "value": value} for name, value in variables.items() if value]


def _container(deployment: KubernetesDeployment) -> JsonObject:
    log_memory = LOG_MEMORY if deployment.log_to else 0
    credentials: JsonObject = {"envFrom": [{"secretRef": {"name": f"{deployment.name}-store", "optional": True}}]}
    return {
        "name": "service",
        "image": deployment.image,
        "imagePullPolicy": deployment.pull,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": [*_secret_environment(deployment), *_log_environment(deployment)],
        **(credentials if deployment.log_to else {}),
        "resources": {
            "requests": {"cpu": "250m", "memory": _mebibytes(deployment.memory + log_memory)},
            "limits": {
                "memory": _mebibytes(LIMIT_FACTOR * deployment.memory + log_memory)
            },  # no CPU limit: throttling costs latency
        },
        "startupProbe": _probe("/livez", periodSeconds=1, failureThreshold=60),
        "livenessProbe": _probe("/livez", periodSeconds=10, failureThreshold=3),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=2),
        # Proxies learn that the pod ends before it stops listening.
        "lifecycle": {"preStop": {"exec": {"command": ["sleep", str(LEAVE_SECONDS)]}}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, (path, _) in _volumes(deployment).items()],
    }


def _volumes(deployment: KubernetesDeployment) -> dict[str, tuple[str, str]]:
    """Return path and size of the writable folders, by name."""
    return {"tmp": ("/tmp", "64Mi")} | ({"log": (LOG, LOG_DISK)} if deployment.log_to else {})


def _deployment(deployment: KubernetesDeployment) -> JsonObject:
    spread: JsonObject = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _selector(deployment)},
    }
    pod: JsonObject = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [spread],
        "containers": [_container(deployment)],
        "volumes": [{"name": n, "emptyDir": {"sizeLimit": size}} for n, (_, size) in _volumes(deployment).items()],
    }
    template = {
        "metadata": {"labels": _labels(deployment), "annotations": {"mlnb/model": deployment.model}},
        "spec": pod,
    }
    spec: JsonObject = {
        "replicas": deployment.replicas,
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": _selector(deployment)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": template,
    }
    return _document("apps/v1", "Deployment", deployment, spec)


def _service(deployment: KubernetesDeployment) -> JsonObject:
    port: JsonObject = {"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}
    spec: JsonObject = {"type": "ClusterIP", "selector": _selector(deployment), "ports": [port]}
    return _document("v1", "Service", deployment, spec)


def _autoscaler(deployment: KubernetesDeployment) -> JsonObject:
    target: JsonObject = {"type": "Utilization", "averageUtilization": 70}
    spec: JsonObject = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployment.name},
        "minReplicas": deployment.replicas,
        "maxReplicas": max(deployment.replicas, deployment.most_replicas),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    return _document("autoscaling/v2", "HorizontalPodAutoscaler", deployment, spec)


def _disruption_budget(deployment: KubernetesDeployment) -> JsonObject:
    """Return a budget of one unavailable pod: stated this way, a single replica can still be moved."""
    spec: JsonObject = {"maxUnavailable": 1, "selector": {"matchLabels": _selector(deployment)}}
    return _document("policy/v1", "PodDisruptionBudget", deployment, spec)


def _network_policy(deployment: KubernetesDeployment) -> JsonObject:
    monitoring: JsonObject = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}
    spec: JsonObject = {
        "podSelector": {"matchLabels": _selector(deployment)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}, monitoring], "ports": [{"protocol": "TCP", "port": PORT}]}],
        "egress": _egress(deployment),
    }
    return _document("networking.k8s.io/v1", "NetworkPolicy", deployment, spec)


def _egress(deployment: KubernetesDeployment) -> list[Json]:
    """Return the allowed egress: none, or the stated destinations and the DNS of the cluster."""
    destinations = deployment.egress or ((STORE_PORT,) if deployment.log_to else ())
    rules = [_egress_rule(text) for text in destinations]
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return [{"to": [{"namespaceSelector": {}}], "ports": ports}, *rules] if rules else []


def _egress_rule(text: str) -> JsonObject:
    """Return the rule for PORT or CIDR:PORT; a network policy has no host names."""
    network, _, port = text.rpartition(":")
    try:
        to = [{"ipBlock": {"cidr": str(ipaddress.ip_network(network.strip("[]")))}}] if network else []
        number = int(port)
    except ValueError:
        number, to = 0, []
    if not 0 < number < 65536:
        raise UsageError(
            f"Found egress {text!r}, expected PORT or CIDR:PORT, such as 443, 10.1.0.0/16:9000 or [fd00::/8]:9000: "
            "a network policy has no host names."
        )
    return ({"to": to} if to else {}) | {"ports": [{"protocol": "TCP", "port": number}]}


def _service_monitor(deployment: KubernetesDeployment) -> JsonObject:
    endpoint: JsonObject = {
        "port": "http",
        "path": "/metrics",
        "interval": "30s",
        "authorization": {"credentials": {"name": f"{deployment.name}-key", "key": "key"}},
    }
    spec: JsonObject = {"selector": {"matchLabels": _selector(deployment)}, "endpoints": [endpoint]}
    return _document("monitoring.coreos.com/v1", "ServiceMonitor", deployment, spec)
