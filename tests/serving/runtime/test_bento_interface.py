"""The built bento, over HTTP as a client uses it."""

import base64
import hashlib
import http.client
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from openapi_spec_validator import validate

from mlnb.serving.packaging.bento_server import send_request
from mlnb.serving.packaging.bento_stores import bentoml_environment
from mlnb.serving.runtime.request_bodies import MAX_ROWS

CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "response_headers_conformance,negative_data_rejection,positive_data_acceptance,unsupported_method"
)
GOOD = {"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}


def post(server, body: bytes, kind: str = "application/json"):
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    try:
        connection.request("POST", "/predict", body, {"Content-Type": kind})
        response = connection.getresponse()
        return response.status, json.loads(response.read()), dict(response.getheaders())
    finally:
        connection.close()


def test_rows_are_answered_by_the_bentos_own_code(server, bundle, material):
    status, body, headers = send_request(server.host, server.port, "POST", "/predict", material().golden.rows)
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == material().golden.predictions
    assert headers["x-model-version"] == bundle.model_tag
    assert headers["x-code"] == "bento"


def test_curl_without_a_content_type_is_understood(server):
    status, answer, _ = post(server, json.dumps([GOOD]).encode(), "application/x-www-form-urlencoded")
    assert status == 200
    assert answer[0]["prediction"] in ("no", "yes")


@pytest.mark.parametrize(
    ("body", "status", "column", "value"),
    [
        (b"[]", 200, None, None),
        (b"not json", 400, None, "no JSON"),
        (b"", 400, None, "no JSON"),
        (b'{"rows": []}', 400, None, "an object"),
        (b"[1]", 400, None, "a number as row 0"),
        (b'[{"age": NaN, "fare paid \xe2\x82\xac": 1, "sex": "f"}]', 400, None, "NaN"),
        (b'[{"age": "old", "fare paid \xe2\x82\xac": 1, "sex": "f"}]', 422, "age", "'old'"),
        (b'[{"age": 1e999, "fare paid \xe2\x82\xac": 1, "sex": "f"}]', 422, "age", "inf"),
        (b'[{"sex": "f"}]', 422, "fare paid €", "nothing"),
        (b'[{"fare paid \xe2\x82\xac": 1, "sex": "f", "x": 1}]', 422, "x", "unknown"),
        (b'[{"fare paid \xe2\x82\xac": 1, "sex": {"is": "f"}}]', 422, "sex", "an object"),
        (b'[{"fare paid \xe2\x82\xac": 1, "sex": "f", "\\ud800": 1}]', 422, "\ud800", "unknown"),
        (json.dumps([GOOD] * (MAX_ROWS + 1)).encode(), 413, None, "more than 10,000 rows"),
    ],
)
def test_refusals_state_what_to_change(server, bundle, body, status, column, value):
    got, answer, headers = post(server, body)
    assert got == status
    if status != 200:
        assert set(answer) == {"error", "problems"}
        assert answer["problems"][0]["column"] == column
        assert value in answer["problems"][0]["found"]
        assert answer["problems"][0]["expected"]
    assert {name.lower(): text for name, text in headers.items()}["x-model-version"] == bundle.model_tag


def test_pickles_are_refused(server):
    assert post(server, b"x", "application/vnd.bentoml+pickle")[0] == 415


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/docs.json", "/"])
def test_health_and_metrics_endpoints_respond(server, path):
    assert send_request(server.host, server.port, "GET", path)[0] == 200


def test_openapi_describes_this_very_model(server):
    _, body, _ = send_request(server.host, server.port, "GET", "/docs.json")
    post = json.loads(body)["paths"]["/predict"]["post"]
    row = post["requestBody"]["content"]["application/json"]["schema"]["items"]
    assert set(row["properties"]) == set(GOOD)
    assert row["required"] == ["fare paid €", "sex"]
    assert row["properties"]["fare paid €"]["description"] == "about 0 to 300 in training"
    answer = post["responses"]["200"]["content"]["application/json"]["schema"]["items"]
    assert answer["properties"]["prediction"]["enum"] == ["no", "yes"]


def test_the_description_is_valid_and_lists_all_that_is_accepted(server):
    document = json.loads(send_request(server.host, server.port, "GET", "/docs.json")[1])
    validate(document)
    operation = document["paths"]["/predict"]["post"]
    rows = operation["requestBody"]["content"]["application/json"]["schema"]
    assert rows["items"]["additionalProperties"] is False and "root_input" not in rows
    assert "anyOf" in rows["items"]["properties"]["ok"]


def test_schemathesis_finds_nothing(server, tmp_path):
    url = server.address
    command = [str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/docs.json", "--url", url]
    command += ["--max-examples", "20", "--seed", "1", "--phases", "examples,coverage,fuzzing"]
    command += ["--generation-database", "none", "--checks", CHECKS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=tmp_path)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_unknown_paths_do_not_reach_the_metrics(server):
    for number in range(200):
        assert send_request(server.host, server.port, "GET", f"/path-{number}")[0] == 404
        assert send_request(server.host, server.port, "POST", f"/path-{number}", [1])[0] == 404
    assert send_request(server.host, server.port, "POST", "/metrics", [1])[0] == 405
    metrics = send_request(server.host, server.port, "GET", "/metrics")[1]
    assert b"path-1" not in metrics and len(metrics) < 100_000
    for path in ("//predict", "/static_content/index.css", "/assets/x", "/predict/", "/tasks/submit"):
        assert send_request(server.host, server.port, "GET", path)[0] == 404


def test_the_page_has_columns_and_a_form_and_loads_nothing(server):
    _, body, headers = send_request(server.host, server.port, "GET", "/")
    page = body.decode()
    assert all(f"<td>{name}</td>" in page for name in GOOD) and "Predicts <code>survived</code>" in page
    assert "<form" in page and "location.origin" in page
    assert not re.search(r"""(src|href)=["']?(https?:)?//|@import|url\(""", page)
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "connect-src 'self'" in policy and "http" not in policy
    for element in ("script", "style"):
        text = re.search(rf"<{element}>(.*?)</{element}>", page, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


CLIENT = """
import json, sys, bentoml
with bentoml.SyncHTTPClient(sys.argv[1]) as client:
    print(json.dumps(client.predict(json.loads(sys.argv[2]))))
"""


def test_bentomls_own_client_is_understood(server, material):
    rows = json.dumps(material().golden.rows[:2])
    command = [sys.executable, "-P", "-c", CLIENT, server.address, rows]
    done = subprocess.run(command, env=bentoml_environment(), capture_output=True, text=True)
    assert json.loads(done.stdout) == material().golden.predictions[:2], done.stderr
