"""The endpoint as an ASGI application, called without a server."""

import asyncio
import gzip
import json
import logging

import pytest
from custom_encoders import moments
from small_models import make_model
from small_sentence_models import run_endpoint

from mlnb.methods.encoding.embedding_sources import EmbeddingSource
from mlnb.serving.runtime import endpoint as module
from mlnb.serving.runtime import endpoint_resources, http_messages
from mlnb.serving.runtime.endpoint import DEFAULTS, Endpoint
from mlnb.serving.runtime.json_rows import SMALL
from mlnb.serving.runtime.table_decoder import ARROW, PARQUET

GOOD = {"age": 31, "fare paid €": 7.25, "sex": "f", "note": "crew", "ok": True, "day": "2020-05-01"}


@pytest.fixture(scope="module")
def endpoint(material, tmp_path_factory):
    folder = material().bundle(tmp_path_factory.mktemp("endpoint") / "service").folder / "model"
    created = Endpoint(folder)
    yield created
    created.close()


def ask(endpoint, body=b"", headers=(), method="POST", query=b"", parts=1):
    """Return status, value and headers of one request, its body sent in some parts."""
    given = [(name.encode(), value.encode()) for name, value in headers]
    size = -(-len(body) // parts) or 1
    pieces = [body[at : at + size] for at in range(0, len(body), size)] or [b""]
    waiting = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    waiting[-1]["more_body"] = False
    sent = []

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": "/predict", "query_string": query, "headers": given}
    asyncio.run(endpoint(scope, receive, send))
    start, content = sent
    if start["status"] == 401:
        assert not waiting  # a client who is still sending would not get to read the refusal
    names = {name.decode(): value.decode() for name, value in start["headers"]}
    assert int(names["content-length"]) == len(content["body"])
    kind = names["content-type"]
    return start["status"], json.loads(content["body"]) if kind == "application/json" else content["body"], names


def body(rows):
    return json.dumps(rows).encode()


def test_an_answer_names_the_model_and_the_request(endpoint):
    status, answers, headers = ask(endpoint, body([GOOD]), [("x-request-id", "order-66")], parts=3)
    assert status == 200 and set(answers[0]) == {"prediction", "probabilities"}
    assert headers["x-request-id"] == "order-66"
    assert headers["x-model-version"] == endpoint.reloader.current.version


@pytest.mark.parametrize("given", ["", "x" * 129, "two\nlines", "tab\there", "ünïcödé"])
def test_an_id_that_cannot_be_passed_on_is_replaced(endpoint, given):
    one, other = (ask(endpoint, body([GOOD]), [("x-request-id", given)])[2]["x-request-id"] for _ in range(2))
    assert one != given and one != other


def test_batches_are_predicted_in_threads_with_equal_results(endpoint):
    rows = [GOOD] * 400
    assert len(body(rows)) > SMALL
    assert ask(endpoint, body(rows))[1] == ask(endpoint, body([GOOD]))[1] * 400


def test_a_prediction_is_explained(endpoint):
    _, plain, _ = ask(endpoint, body([GOOD]))
    status, explained, _ = ask(endpoint, body([GOOD]), query=b"x=1&explain=true")
    why = explained[0].pop("explanation")
    assert (status, explained) == (200, plain)
    assert why["class"] == "yes" and set(why["columns"]) == set(GOOD)
    assert why["score"] == pytest.approx(why["base"] + sum(why["columns"].values()))
    assert ask(endpoint, body([{"sex": 1}]), query=b"explain=true")[0] == 422


@pytest.mark.parametrize(
    ("content", "headers", "method", "status", "message"),
    [
        (b"", [], "GET", 405, "POST"),
        (b"x", [("content-type", "image/png")], "POST", 415, "image/png"),
        (b"x", [("content-type", "multipart/form-data; boundary=x")], "POST", 415, "multipart"),
        (b"[", [], "POST", 400, "no JSON"),
        (b"\xff\xfe", [], "POST", 400, "no JSON"),
        (gzip.compress(b"[]", mtime=0), [("content-encoding", "gzip")], "POST", 415, "encoding 'gzip'"),
        (b"[]", [("content-length", str(10**12))], "POST", 413, "1,000,000,000,000 bytes"),
        (b"no table", [("content-type", ARROW)], "POST", 400, "no Arrow stream"),
        (b"no table", [("content-type", PARQUET)], "POST", 400, "no Parquet file"),
    ],
)
def test_an_invalid_request_gets_a_reason(endpoint, content, headers, method, status, message):
    got, answer, names = ask(endpoint, content, headers, method)
    assert got == status
    assert message in answer["error"] + str(answer["problems"])
    assert names["x-model-version"] and names["x-request-id"]


def test_a_stream_that_does_not_end_is_cut_off(endpoint, monkeypatch):
    monkeypatch.setattr(http_messages, "MAX_BYTES", 100)
    status, answer, _ = ask(endpoint, b" " * 150, parts=3)
    assert (status, "more than 100 bytes" in answer["error"]) == (413, True)


def test_a_key_is_required(material, tmp_path, monkeypatch):
    monkeypatch.setenv("MLNB_API_KEY", "secret")
    locked = Endpoint(material("linear").bundle(tmp_path / "service").folder / "model")
    status, answer, headers = ask(locked, body([GOOD]), parts=3)
    assert (status, headers["www-authenticate"]) == (401, "Bearer") and "X-API-Key" in answer["error"]
    assert "secret" not in json.dumps(answer)
    assert ask(locked, body([GOOD]), [("authorization", "Bearer secret")])[0] == 200
    locked.close()


def test_too_many_batches_get_503_with_retry_after(endpoint, monkeypatch):
    monkeypatch.setattr(endpoint.resources, "pending", endpoint_resources.WAITING + endpoint_resources.THREADS)
    status, _, headers = ask(endpoint, body([GOOD] * 400))
    assert (status, headers["retry-after"]) == (503, "1")


def test_a_batch_that_takes_too_long_gets_504(endpoint, monkeypatch):
    monkeypatch.setattr(endpoint_resources, "SECONDS", 0.0)
    assert ask(endpoint, body([GOOD] * 400))[0] == 504


def test_an_internal_error_is_logged_and_not_exposed(endpoint, monkeypatch, caplog):
    def broken(*_):
        raise RuntimeError("inner words")

    monkeypatch.setattr(module, "_predict", broken)
    with caplog.at_level(logging.ERROR, "mlnb.serving"):
        status, answer, _ = ask(endpoint, body([GOOD]))
    assert status == 500 and "inner words" not in json.dumps(answer)
    assert "inner words" in str(caplog.records[0].exc_info)


def test_requests_are_counted(endpoint):
    def value(counter, **labels):
        return counter.labels(**labels)._value.get()

    version, metrics = endpoint.reloader.current.version, endpoint.metrics
    rows = {"column": "age", "model_version": version}, {"column": "(unknown)", "model_version": version}
    before = [value(metrics.rejected, **labels) for labels in rows]
    answered = value(metrics.requests, status="422", model_version=version)
    ask(endpoint, body([{**GOOD, "age": "x"}, {**GOOD, "age": []}, {**GOOD, "not a column": 1}]))
    assert [value(metrics.rejected, **labels) for labels in rows] == [before[0] + 2, before[1] + 1]
    assert value(metrics.requests, status="422", model_version=version) == answered + 1
    name = ask(endpoint, body([GOOD] * 3))[1][0]["prediction"]
    assert value(metrics.predictions, prediction=name, model_version=version) >= 3
    assert value(metrics.loaded, model_version=version) == 1


def test_refusals_are_logged_as_json_lines_without_values(endpoint, capsys, monkeypatch):
    from mlnb.serving.runtime.structured_logs import LOG, JsonFormatter

    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    LOG.addHandler(handler)
    try:
        answered = ask(endpoint, body([{**GOOD, "age": "sixty-four"}]), [("x-request-id", "abc")])[1]
        for wrong in (b'"sixty-four"', b"sixty-four", body({"sixty-four": 1}), body([["sixty-four"]])):
            assert ask(endpoint, wrong)[0] == 400

        def broken(*_):
            raise RuntimeError(json.dumps(answered))

        monkeypatch.setattr(module, "_predict", broken)
        assert ask(endpoint, body([GOOD]))[0] == 500
    finally:
        LOG.removeHandler(handler)
    printed = capsys.readouterr().err
    assert "sixty-four" in str(answered) and "sixty-four" not in printed
    lines = [json.loads(each) for each in printed.splitlines()]
    (failed,) = [each for each in lines if each["event"] == "request failed"]
    assert "in broken" in failed["error"] and failed["error"].endswith("RuntimeError")
    line = next(each for each in lines if each["event"] == "request refused")
    assert json.loads(line["response"])["problems"][0]["found"] == "masked"
    assert (line["event"], line["status"], line["request_id"]) == ("request refused", 422, "abc")
    assert '"age"' in line["response"] and line["level"] == "warning" and line["time"].endswith("+00:00")


def test_a_value_that_an_encoder_of_the_project_cannot_read_is_refused(tmp_path):
    created = Endpoint(make_model(tmp_path / "model", text=True, encoders={"note": moments(), "age": moments()}))
    try:
        rows = [{"age": 31.0, "note": "first class"}, {"age": None, "note": None}]
        status, answers, _ = ask(created, body(rows))
        assert (status, len(answers)) == (200, 2) and created.ready()
        assert ask(created, body(rows[:1]))[1] == answers[:1]
        for bad in ([{"note": "unusable"}], [*rows * 20, {"note": "unusable"}]):
            status, refusal, _ = ask(created, body(bad))
            assert status == 422
            problem = {"row": None, "column": "note", "found": "an unusable text", "expected": "another one"}
            assert refusal["problems"] == [problem]
        created.reloader.current.predictor.golden.rows[0]["note"] = "unusable"
        created.checked = None
        assert not created.ready()  # the log has the column
    finally:
        created.close()


def test_a_service_with_embeddings_responds_from_a_thread_and_survives_a_failing_endpoint(tmp_path, monkeypatch):
    with run_endpoint() as server:
        monkeypatch.setenv("MLNB_EMBEDDINGS_URL", server.url)
        source = EmbeddingSource(model="small", endpoint=True, components=1)
        created = Endpoint(make_model(tmp_path / "model", text=True, embeddings=source))
        try:
            status, answers, _ = ask(created, body([{"age": 31.0, "note": "a good film"}]))
            assert (status, len(answers)) == (200, 1) and created.ready()
            explained = ask(created, body([{"note": "a good film"}]), query=b"explain=true")[1][0]["explanation"]
            assert {"note", "note: embedding"} <= explained["columns"].keys() and "good" not in explained["columns"]
            assert not created.is_small(b"[{}]", DEFAULTS)  # the event loop goes on
            sent = len(server.requests)
            created.checked = None
            assert created.ready() and len(server.requests) == sent  # the golden rows' vectors are in the bundle
            server.statuses = [400]
            status, refusal, head = ask(created, body([{"note": "a text of a request"}]))
            assert status == 503 and "embedding" in refusal["error"] and head["retry-after"] == "1"
            assert ask(created, body([{"note": "a text of a request"}]))[0] == 200
        finally:
            created.close()
