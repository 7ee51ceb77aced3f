"""What a Kubernetes cluster is told of a service: one document a file, made to pass the strictest admission."""

import ipaddress
from dataclasses import dataclass
from typing import Any

import psutil

from mlnb.errors import UsageError
from mlnb.serving.deploy.container_images import USER
from mlnb.serving.packaging.bento_server import Server, call

PORT = 3000
REQUESTS = 100  # single rows asked for while memory is measured
ROOM = 1.5  # limit of memory, in multiples of what was measured
STEP = 32 * 2**20  # bytes to which requests and limits of memory are rounded up
MONITORING = "monitoring"  # namespace from which Prometheus may ask
STORE_PORT = "443"  # where object storage answers, unless said otherwise
LOG = "/log"  # folder of the prediction log in the container, as long as the pod lives
LOG_ROWS, LOG_SECONDS = 10_000, 60  # after which a segment is shipped: what a pod that dies can lose
LOG_DISK, LOG_ROOM = "1Gi", 256 * 2**20  # bytes of memory in which a segment of 60 columns becomes Parquet, and goes


@dataclass(frozen=True)
class Deployed:
    """What the documents are made from.

    Attributes:
        name: of all objects: letters, digits and dashes.
        model: tag of the model, for people to see.
        memory: bytes that the service was measured to need.
        log_to: folder in object storage that segments of the prediction log go to; empty: nothing is logged.
        masked: columns whose values the log does not hold, separated by commas.
        egress: where the pods may go, beside the cluster's names: PORT, or CIDR:PORT.
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


def measure_memory(server: Server, golden: list[dict[str, Any]]) -> int:
    """Return the bytes that a ready service's processes hold after some requests, what they share counted once."""
    for rows in [golden, *([golden[:1]] * REQUESTS)]:
        call(server.host, server.port, "POST", "/predict", rows)
    parent = psutil.Process(server.process.pid)
    return sum(_held(process) for process in [parent, *parent.children(recursive=True)])


def _held(process: psutil.Process) -> int:
    full = process.memory_full_info()
    return int(getattr(full, "pss", full.uss))


def manifests(deployed: Deployed) -> dict[str, dict[str, Any]]:
    """Return the documents by the name of their file."""
    documents = {
        "deployment": _deployment(deployed),
        "service": _service(deployed),
        "autoscaler": _autoscaler(deployed),
        "disruption-budget": _disruption_budget(deployed),
        "network-policy": _network_policy(deployed),
        "service-monitor": _service_monitor(deployed),
    }
    resources = [f"{name}.yaml" for name in documents]
    kind = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": resources}
    return documents | {"kustomization": kind}


def _labels(deployed: Deployed) -> dict[str, str]:
    return {"app.kubernetes.io/name": deployed.name, "app.kubernetes.io/managed-by": "mlnb"}


def _chosen(deployed: Deployed) -> dict[str, str]:
    return {"app.kubernetes.io/name": deployed.name}


def _document(version: str, kind: str, deployed: Deployed, spec: dict[str, Any]) -> dict[str, Any]:
    about = {"name": deployed.name, "namespace": deployed.namespace, "labels": _labels(deployed)}
    return {"apiVersion": version, "kind": kind, "metadata": about, "spec": spec}


def _mebibytes(count: float) -> str:
    return f"{-(-int(count) // STEP) * STEP // 2**20}Mi"


def _probe(path: str, **times: int) -> dict[str, Any]:
    return {"httpGet": {"path": path, "port": "http"}, "timeoutSeconds": 5, **times}


def _log_environment(deployed: Deployed) -> list[dict[str, Any]]:
    if not deployed.log_to:
        return []
    stated = {"MLNB_LOG": LOG, "MLNB_LOG_TO": deployed.log_to, "MLNB_LOG_MASK": deployed.masked}
    stated |= {"MLNB_LOG_ROWS": str(LOG_ROWS), "MLNB_LOG_SECONDS": str(LOG_SECONDS)}
    return [{"name": name, "value": value} for name, value in stated.items() if value]


def _container(deployed: Deployed) -> dict[str, Any]:
    key = {"name": f"{deployed.name}-key", "key": "key"}
    room = LOG_ROOM if deployed.log_to else 0
    account = {"envFrom": [{"secretRef": {"name": f"{deployed.name}-store", "optional": True}}]}
    return {
        "name": "service",
        "image": deployed.image,
        "imagePullPolicy": deployed.pull,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": "MLNB_API_KEY", "valueFrom": {"secretKeyRef": key}}, *_log_environment(deployed)],
        **(account if deployed.log_to else {}),
        "resources": {
            "requests": {"cpu": "250m", "memory": _mebibytes(deployed.memory + room)},
            "limits": {"memory": _mebibytes(ROOM * deployed.memory + room)},  # the CPU has none: it costs latency
        },
        "startupProbe": _probe("/livez", periodSeconds=1, failureThreshold=60),
        "livenessProbe": _probe("/livez", periodSeconds=10, failureThreshold=3),
        "readinessProbe": _probe("/readyz", periodSeconds=5, failureThreshold=2),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": name, "mountPath": path} for name, (path, _) in _volumes(deployed).items()],
    }


def _volumes(deployed: Deployed) -> dict[str, tuple[str, str]]:
    """Return the places that may be written to, and their sizes, by name."""
    return {"tmp": ("/tmp", "64Mi")} | ({"log": (LOG, LOG_DISK)} if deployed.log_to else {})


def _deployment(deployed: Deployed) -> dict[str, Any]:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": _chosen(deployed)},
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [spread],
        "containers": [_container(deployed)],
        "volumes": [{"name": n, "emptyDir": {"sizeLimit": size}} for n, (_, size) in _volumes(deployed).items()],
    }
    template = {"metadata": {"labels": _labels(deployed), "annotations": {"mlnb/model": deployed.model}}, "spec": pod}
    spec = {
        "replicas": deployed.replicas,
        "revisionHistoryLimit": 5,
        "selector": {"matchLabels": _chosen(deployed)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": template,
    }
    return _document("apps/v1", "Deployment", deployed, spec)


def _service(deployed: Deployed) -> dict[str, Any]:
    ports = [{"name": "http", "port": 80, "targetPort": "http", "protocol": "TCP"}]
    return _document("v1", "Service", deployed, {"type": "ClusterIP", "selector": _chosen(deployed), "ports": ports})


def _autoscaler(deployed: Deployed) -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 70}
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": deployed.name},
        "minReplicas": deployed.replicas,
        "maxReplicas": max(deployed.replicas, deployed.most_replicas),
        "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
    }
    return _document("autoscaling/v2", "HorizontalPodAutoscaler", deployed, spec)


def _disruption_budget(deployed: Deployed) -> dict[str, Any]:
    """

    Args:
        deployed: One at a time, said so that a single replica can still be moved.
    """
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _chosen(deployed)}}
    return _document("policy/v1", "PodDisruptionBudget", deployed, spec)


def _network_policy(deployed: Deployed) -> dict[str, Any]:
    names = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}]
    spec = {
        "podSelector": {"matchLabels": _chosen(deployed)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}, *names], "ports": [{"protocol": "TCP", "port": PORT}]}],
        "egress": _egress(deployed),
    }
    return _document("networking.k8s.io/v1", "NetworkPolicy", deployed, spec)


def _egress(deployed: Deployed) -> list[dict[str, Any]]:
    """Return where the pods may go: nowhere, unless they ship a log or were told to, and then to names too."""
    stated = deployed.egress or ((STORE_PORT,) if deployed.log_to else ())
    places = [_place(text) for text in stated]
    ports = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    return [{"to": [{"namespaceSelector": {}}], "ports": ports}, *places] if places else []


def _place(text: str) -> dict[str, Any]:
    """Return a rule of PORT or CIDR:PORT; a policy knows no names of hosts."""
    network, _, port = text.rpartition(":")
    try:
        to = [{"ipBlock": {"cidr": str(ipaddress.ip_network(network.strip("[]")))}}] if network else []
        number = int(port)
    except ValueError:
        number, to = 0, []
    if not 0 < number < 65536:
        found = f"Found egress {text!r}, expected PORT or CIDR:PORT"
        raise UsageError(f"{found}, as 443, 10.1.0.0/16:9000 or [fd00::/8]:9000: a network policy knows no host names.")
    return ({"to": to} if to else {}) | {"ports": [{"protocol": "TCP", "port": number}]}


def _service_monitor(deployed: Deployed) -> dict[str, Any]:
    endpoint = {
        "port": "http",
        "path": "/metrics",
        "interval": "30s",
        "authorization": {"credentials": {"name": f"{deployed.name}-key", "key": "key"}},
    }
    spec = {"selector": {"matchLabels": _chosen(deployed)}, "endpoints": [endpoint]}
    return _document("monitoring.coreos.com/v1", "ServiceMonitor", deployed, spec)
