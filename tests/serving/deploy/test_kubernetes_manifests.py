"""The manifests are valid by the Kubernetes schemas, strict, and consistent."""

from dataclasses import replace

import jsonschema
import kubernetes_validate
import pytest

from mlnb.cli.deploy import NAME
from mlnb.errors import UsageError
from mlnb.serving.deploy.kubernetes_manifests import KubernetesDeployment, make_manifests

DEPLOYED = KubernetesDeployment("churn", "registry.example/churn:7", "churn:0123456789ab", 150 * 2**20, "shop")
PLACES = ("10.1.0.0/16:9000", "[fd00::/8]:443")
SHIPPING = replace(DEPLOYED, log_to="s3://bucket/log/churn", masked="name", egress=PLACES)
FOREIGN = {"service-monitor", "kustomization"}  # no kinds of Kubernetes' own: looked at below
TEXT, OBJECT = {"type": "string"}, {"type": "object", "additionalProperties": False}
LABELS = {"type": "object", "additionalProperties": TEXT}
SECRET = {**OBJECT, "required": ["key"], "properties": {"key": TEXT, "name": TEXT, "optional": {"type": "boolean"}}}
TIME = r"^(0|((\d+)y)?((\d+)w)?((\d+)d)?((\d+)h)?((\d+)m)?((\d+)s)?((\d+)ms)?)$"
ENDPOINT = {
    "port": TEXT,
    "targetPort": {"type": ["integer", "string"]},
    "path": TEXT,
    "interval": {"type": "string", "pattern": TIME},
    "scrapeTimeout": {"type": "string", "pattern": TIME},
    "scheme": {"enum": ["http", "https"]},
    "authorization": {**OBJECT, "properties": {"type": TEXT, "credentials": SECRET}},
}
NAMESPACES = {**OBJECT, "properties": {"any": {"type": "boolean"}, "matchNames": {"type": "array", "items": TEXT}}}
# Types, patterns and required fields of the structural schema of the Prometheus Operator 0.84.1, of the fields that a
# service can need; any other field is refused, as strict admission refuses unknown fields:
# example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml of prometheus-operator/prometheus-operator.
SERVICE_MONITOR = {
    **OBJECT,
    "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "monitoring.coreos.com/v1"},
        "kind": {"const": "ServiceMonitor"},
        "metadata": {**OBJECT, "required": ["name"], "properties": {"name": TEXT, "namespace": TEXT, "labels": LABELS}},
        "spec": {
            **OBJECT,
            "required": ["endpoints", "selector"],
            "properties": {
                "endpoints": {"type": "array", "items": {**OBJECT, "properties": ENDPOINT}},
                "selector": {**OBJECT, "properties": {"matchLabels": LABELS}},
                "namespaceSelector": NAMESPACES,
                "jobLabel": TEXT,
            },
        },
    },
}


@pytest.fixture(scope="module")
def documents():
    return make_manifests(DEPLOYED)


@pytest.mark.parametrize("version", ["1.30", "1.34"])
@pytest.mark.parametrize("deployed", [DEPLOYED, SHIPPING], ids=["alone", "shipping"])
def test_every_document_is_valid(version, deployed):
    documents = {name: one for name, one in make_manifests(deployed).items() if name not in FOREIGN}
    assert len(documents) == 5
    for document in documents.values():
        assert kubernetes_validate.validate(document, version, strict=True) == version


def test_an_invalid_document_is_detected(documents):
    """The validator is no decoration: a misspelt field fails."""
    wrong = {**documents["service"], "spec": {**documents["service"]["spec"], "sessionAfinity": "None"}}
    with pytest.raises(kubernetes_validate.ValidationError, match="sessionAfinity"):
        kubernetes_validate.validate(wrong, "1.34", strict=True)


def test_the_monitor_fits_the_operator_s_schema(documents):
    monitor = documents["service-monitor"]
    jsonschema.validate(monitor, SERVICE_MONITOR)
    (endpoint,) = monitor["spec"]["endpoints"]
    for wrong in ({"interval": "30 s"}, {"port": 80}, {"bearerToken": "x"}, {"authorization": {"credentials": {}}}):
        with pytest.raises(jsonschema.ValidationError):
            spec = {**monitor["spec"], "endpoints": [{**endpoint, **wrong}]}
            jsonschema.validate({**monitor, "spec": spec}, SERVICE_MONITOR)


def test_the_network_the_scaler_and_the_budget_agree_with_the_pods(documents):
    """Who is let in asks the port that is served, scaling begins where the deployment stands, and pods can be moved."""
    pods = documents["deployment"]["spec"]
    (container,) = pods["template"]["spec"]["containers"]
    (rule,) = documents["network-policy"]["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == [container["ports"][0]["containerPort"]]
    assert {"podSelector": {}} in rule["from"]
    assert documents["network-policy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    scaler = documents["autoscaler"]["spec"]
    assert scaler["minReplicas"] == pods["replicas"] <= scaler["maxReplicas"]
    assert scaler["metrics"][0]["resource"]["name"] in container["resources"]["requests"]  # or it has no share to go by
    assert documents["disruption-budget"]["spec"]["maxUnavailable"] >= 1


def test_the_pod_has_no_privileges(documents):
    pod = documents["deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    for context in (pod["securityContext"], container["securityContext"]):
        assert (context["runAsNonRoot"], context["runAsUser"]) == (True, 1034)
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert not container["securityContext"]["allowPrivilegeEscalation"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert documents["network-policy"]["spec"]["egress"] == []
    assert container["env"][0]["valueFrom"]["secretKeyRef"] == {"name": "churn-key", "key": "key"}


def test_a_model_with_pseudonyms_gets_their_key_from_a_secret():
    """As with the API key, a pod does not start without it, and no document has its value."""
    documents = make_manifests(replace(DEPLOYED, pseudonyms=True))
    (container,) = documents["deployment"]["spec"]["template"]["spec"]["containers"]
    secrets = {entry["name"]: entry["valueFrom"]["secretKeyRef"] for entry in container["env"]}
    assert secrets == {
        "MLNB_API_KEY": {"name": "churn-key", "key": "key"},
        "MLNB_PERSONAL_KEY": {"name": "churn-personal", "key": "key"},
    }
    assert kubernetes_validate.validate(documents["deployment"], "1.34", strict=True)


def test_limits_follow_from_measured_usage(documents):
    resources = documents["deployment"]["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"requests": {"cpu": "250m", "memory": "160Mi"}, "limits": {"memory": "256Mi"}}


def test_pods_that_ship_a_log_reach_the_store_and_nothing_else():
    documents = make_manifests(SHIPPING)
    names, store, other = documents["network-policy"]["spec"]["egress"]
    assert names == {"to": [{"namespaceSelector": {}}], "ports": [{"protocol": p, "port": 53} for p in ("UDP", "TCP")]}
    assert store == {"to": [{"ipBlock": {"cidr": "10.1.0.0/16"}}], "ports": [{"protocol": "TCP", "port": 9000}]}
    assert other["to"] == [{"ipBlock": {"cidr": "fd00::/8"}}]
    by_default = make_manifests(replace(SHIPPING, egress=()))["network-policy"]["spec"]["egress"]
    assert by_default == [names, {"ports": [{"protocol": "TCP", "port": 443}]}]
    pod = documents["deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    variables = {entry["name"]: entry.get("value") for entry in container["env"]}
    assert (variables["MLNB_LOG_TO"], variables["MLNB_LOG_MASK"]) == ("s3://bucket/log/churn", "name")
    assert container["envFrom"] == [{"secretRef": {"name": "churn-store", "optional": True}}]
    (mount,) = (mount for mount in container["volumeMounts"] if mount["mountPath"] == variables["MLNB_LOG"])
    assert {"name": mount["name"], "emptyDir": {"sizeLimit": "1Gi"}} in pod["volumes"]
    assert container["resources"] == {
        "requests": {"cpu": "250m", "memory": "416Mi"},
        "limits": {"memory": "512Mi"},
    }


def test_pods_without_log_shipping_have_only_configured_egress_and_no_log():
    documents = make_manifests(replace(DEPLOYED, egress=("8443",)))
    assert documents["network-policy"]["spec"]["egress"][1] == {"ports": [{"protocol": "TCP", "port": 8443}]}
    (container,) = documents["deployment"]["spec"]["template"]["spec"]["containers"]
    assert [entry["name"] for entry in container["env"]] == ["MLNB_API_KEY"]
    assert "envFrom" not in container and len(container["volumeMounts"]) == 1


@pytest.mark.parametrize("wrong", ["store.example:443", "https", "70000", "10.1.0.1/16:9000", "10.0.0.0/8:"])
def test_an_egress_target_that_a_policy_cannot_express_is_refused(wrong):
    with pytest.raises(UsageError, match="expected PORT or CIDR:PORT"):
        make_manifests(replace(DEPLOYED, egress=(wrong,)))


def test_all_documents_refer_to_the_same_pods_and_ports(documents):
    chosen = {"app.kubernetes.io/name": "churn"}
    template = documents["deployment"]["spec"]["template"]
    assert chosen.items() <= template["metadata"]["labels"].items()
    assert documents["service"]["spec"]["selector"] == chosen
    for name in ("deployment", "disruption-budget", "service-monitor"):
        assert documents[name]["spec"]["selector"] == {"matchLabels": chosen}
    assert documents["network-policy"]["spec"]["podSelector"] == {"matchLabels": chosen}
    assert documents["autoscaler"]["spec"]["scaleTargetRef"]["name"] == "churn"
    port = template["spec"]["containers"][0]["ports"][0]["name"]
    assert documents["service"]["spec"]["ports"][0]["targetPort"] == port
    (endpoint,) = documents["service-monitor"]["spec"]["endpoints"]
    assert endpoint["port"] == documents["service"]["spec"]["ports"][0]["name"]
    assert endpoint["authorization"]["credentials"]["name"] == "churn-key"
    monitored = documents["service-monitor"]["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= documents["service"]["metadata"]["labels"].items()
    assert {document["metadata"]["namespace"] for n, document in documents.items() if n != "kustomization"} == {"shop"}
    assert set(documents["kustomization"]["resources"]) == {f"{n}.yaml" for n in documents if n != "kustomization"}


@pytest.mark.parametrize(("name", "fits"), [("churn-7", True), ("Churn", False), ("7churn", False), ("a" * 60, False)])
def test_names_are_valid_in_kubernetes(name, fits):
    assert bool(NAME.fullmatch(name)) == fits
