"""What a Kubernetes cluster is told of a service: one document a file, made to pass the strictest admission."""

from dataclasses import dataclass
from typing import Any

import psutil

from mlnb.serving.containers.images import USER
from mlnb.serving.servers import Server, call

PORT = 3000
REQUESTS = 100  # single rows asked for while memory is measured
ROOM = 1.5  # limit of memory, in multiples of what was measured
STEP = 32 * 2**20  # bytes to which requests and limits of memory are rounded up
MONITORING = "monitoring"  # namespace from which Prometheus may ask


@dataclass(frozen=True)
class Deployed:
    """What the documents are made from."""

    name: str  # of all objects: letters, digits and dashes
    image: str
    model: str  # tag of the model, for people to see
    memory: int  # bytes that the service was measured to need
    namespace: str = "default"
    replicas: int = 2
    most_replicas: int = 10
    pull: str = "IfNotPresent"


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


def _container(deployed: Deployed) -> dict[str, Any]:
    key = {"name": f"{deployed.name}-key", "key": "key"}
    return {
        "name": "service",
        "image": deployed.image,
        "imagePullPolicy": deployed.pull,
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        "env": [{"name": "MLNB_API_KEY", "valueFrom": {"secretKeyRef": key}}],
        "resources": {
            "requests": {"cpu": "250m", "memory": _mebibytes(deployed.memory)},
            "limits": {"memory": _mebibytes(ROOM * deployed.memory)},  # none for the CPU: throttling costs latency
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
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


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
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}],
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
    # One at a time, said so that a single replica can still be moved.
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _chosen(deployed)}}
    return _document("policy/v1", "PodDisruptionBudget", deployed, spec)


def _network_policy(deployed: Deployed) -> dict[str, Any]:
    names = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": MONITORING}}}]
    spec = {
        "podSelector": {"matchLabels": _chosen(deployed)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [{"podSelector": {}}, *names], "ports": [{"protocol": "TCP", "port": PORT}]}],
        "egress": [],  # a service asks nobody
    }
    return _document("networking.k8s.io/v1", "NetworkPolicy", deployed, spec)


def _service_monitor(deployed: Deployed) -> dict[str, Any]:
    endpoint = {
        "port": "http",
        "path": "/metrics",
        "interval": "30s",
        "authorization": {"credentials": {"name": f"{deployed.name}-key", "key": "key"}},
    }
    spec = {"selector": {"matchLabels": _chosen(deployed)}, "endpoints": [endpoint]}
    return _document("monitoring.coreos.com/v1", "ServiceMonitor", deployed, spec)
