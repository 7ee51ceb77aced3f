"""A service of several models: by path, by segment, loaded on demand, and with one that cannot be loaded."""

import asyncio
import json
import shutil

import pytest
from model_catalogs import copy_model, post, send, write_catalog
from small_models import make_model, make_rows

from mlnb.monitoring.prediction_table import read_log
from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.json_rows import SMALL
from mlnb.serving.runtime.multi_model_endpoint import MultiModelEndpoint
from mlnb.settings import ServiceSettings

ROWS = [{name: value for name, value in row.items() if name != "note"} for row in make_rows(12)]
STORES = ("berlin", "rome", "oslo")


@pytest.fixture(scope="module", autouse=True)
def lines_only():
    """Leave the segments of the logs as lines: a process for each conversion would take a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mlnb.serving.runtime.prediction_log.find_spec", lambda name: None)
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "linear", "linear")


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("models") / "other", "linear", decision="sigmoid")


def make_service(folder, source, other, fallback="", column="store", routes=None, **environment):
    """Return an endpoint with a model for each store, that of Rome with other predictions, and one of all rows.

    `routes` has canary, share and shadow by the name of the model.
    """
    folders = {
        f"churn.{store}": copy_model(other if store == "rome" else source, folder / store, f"churn.{store}:1")
        for store in STORES
    }
    folders["churn"] = copy_model(source, folder / "all", "churn:1")
    write_catalog(folder, folders, column, fallback, routes)
    return MultiModelEndpoint(folder, ServiceSettings(environment=environment))


@pytest.fixture(scope="module")
def service(tmp_path_factory, source, other):
    folder = tmp_path_factory.mktemp("service")
    created = make_service(folder / "models", source, other, "churn")
    yield created
    created.close()


def with_stores(stores=STORES):
    return [{**row, "store": stores[number % len(stores)]} for number, row in enumerate(ROWS)]


def test_a_path_gives_the_response_of_the_service_of_that_model(service, source, other):
    for store, folder in (("berlin", source), ("rome", other)):
        single = Endpoint(folder)
        expected = post(single, "/predict", ROWS, {"x-request-id": "a"})
        answer = post(service, f"/models/churn.{store}/predict", ROWS, {"x-request-id": "a"})
        assert answer.value == expected.value and answer.headers["x-model-version"] == f"churn.{store}:1"
        refused = post(service, f"/models/churn.{store}/predict", [{"age": "old"}])
        assert refused[:2] == post(single, "/predict", [{"age": "old"}])[:2] and refused.status == 422
        explained = post(service, f"/models/churn.{store}/predict", ROWS[:2], query="explain=true")
        assert explained.value == post(single, "/predict", ROWS[:2], query="explain=true").value
        direct = service.respond_directly(f"/models/churn.{store}/predict".encode(), {}, json.dumps(ROWS).encode())
        assert direct is not None and json.loads(direct[2]) == expected.value
        single.close()
    assert service.respond_directly(b"/models/nobody/predict", {}, b"[]") is None
    assert service.respond_directly(b"/predict", {}, b"[{") is None  # the response is that over ASGI


def test_rows_of_several_segments_are_split_and_joined_in_order(service):
    rows = with_stores()
    answer = post(service, "/predict", rows)
    assert answer.status == 200
    for number, (row, value) in enumerate(zip(ROWS, answer.value, strict=True)):
        store = STORES[number % len(STORES)]
        alone = post(service, f"/models/churn.{store}/predict", [row]).value[0]
        assert value == {**alone, "model": f"churn.{store}:1"}
    assert post(service, "/predict", rows[1:2]).value == answer.value[1:2]
    assert answer.headers["x-model-version"] == "churn.berlin:1, churn.rome:1, churn.oslo:1"
    direct = service.respond_directly(b"/predict", {}, json.dumps(rows).encode())
    assert direct is not None and json.loads(direct[2]) == answer.value
    large = [{**row, "town": "a long name " * 20} for row in rows for _ in range(6)]
    assert len(json.dumps(large)) > SMALL
    values = post(service, "/predict", large).value
    assert [value["model"] for value in values] == [f"churn.{row['store']}:1" for row in large]
    explained = post(service, "/predict", rows[:2], query="explain=true").value
    assert [set(value) >= {"explanation", "model"} for value in explained] == [True, True]
    assert post(service, "/predict", []).value == []


def test_a_segment_without_a_model_gets_the_fallback_or_404(service, tmp_path, source, other):
    rows = [{**ROWS[0], "store": "paris"}, {**ROWS[1], "store": "rome"}, {**ROWS[2], "store": None}, ROWS[3]]
    models = [value["model"] for value in post(service, "/predict", rows).value]
    assert models == ["churn:1", "churn.rome:1", "churn:1", "churn:1"]
    strict = make_service(tmp_path, source, other)
    answer = post(strict, "/predict", rows[:2])
    assert answer.status == 404 and answer.value["problems"] == [
        {"row": 0, "column": "store", "found": "'paris'", "expected": "one of berlin, oslo, rome"}
    ]
    missing = post(strict, "/predict", [rows[1], rows[3]])
    assert missing.status == 422 and missing.value["problems"][0]["row"] == 1
    unknown = post(strict, "/models/churn.paris/predict", rows)
    assert unknown.status == 404 and "churn.oslo, churn.rome" in unknown.value["error"]
    assert strict.pool.slots["churn.rome"].endpoint is None  # nothing is loaded for a request that is refused
    strict.close()


def test_a_service_without_a_column_names_the_models(tmp_path, source, other):
    service = make_service(tmp_path, source, other, column="")
    answer = post(service, "/predict", with_stores())
    assert answer.status == 404 and "POST /models/NAME/predict" in answer.value["error"]
    service.close()


def test_wrong_rows_are_refused_as_a_whole_with_their_numbers_in_the_request(service):
    rows = with_stores()
    rows[4] = {**rows[4], "age": "old"}
    rows[11] = {**rows[11], "ok": "perhaps"}
    answer = post(service, "/predict", rows, {"x-request-id": "refused"})
    assert answer.status == 422 and [each["row"] for each in answer.value["problems"]] == [4, 11]
    tables = post(service, "/predict", b"", {"content-type": "application/vnd.apache.arrow.stream"})
    assert tables.status == 415 and "/models/NAME/predict" in tables.value["error"]
    assert post(service, "/predict", b"[{").status == 400
    assert post(service, "/predict", with_stores(), query="explain=perhaps").status == 400


def test_each_model_has_a_log_with_the_row_numbers_of_the_request(tmp_path, source, other):
    service = make_service(tmp_path / "models", source, other, MLNB_LOG=str(tmp_path / "log"))
    post(service, "/predict", with_stores(), {"x-request-id": "one"})
    post(service, "/models/churn.rome/predict", ROWS[:2], {"x-request-id": "two"})
    service.close()
    log, damaged = read_log(tmp_path / "log" / "churn.rome")
    assert not damaged and set(log["model"]) == {"churn.rome:1"} and "in.store" not in log
    assert log[log["request"] == "one"]["row"].tolist() == [1, 4, 7, 10]
    assert log[log["request"] == "two"]["row"].tolist() == [0, 1]
    assert sorted(path.name for path in (tmp_path / "log").iterdir()) == sorted(f"churn.{store}" for store in STORES)


def test_a_model_that_cannot_be_loaded_leaves_the_others(tmp_path, source, other):
    service = make_service(tmp_path, source, other)
    golden = tmp_path / "oslo" / "golden.json"
    golden.write_text(golden.read_text().replace('"prediction": "no"', '"prediction": "yes"', 1))
    shutil.rmtree(tmp_path / "berlin" / "fitted")
    assert service.ready()  # by one of the others
    for store, reason in (("oslo", "predictions of its notebook"), ("berlin", "files or settings are wrong")):
        answer = post(service, f"/models/churn.{store}/predict", ROWS)
        assert answer.status == 503 and reason in answer.value["error"] and answer.headers["retry-after"] == "1"
    assert post(service, "/models/churn.rome/predict", ROWS).status == 200
    assert post(service, "/predict", with_stores()).status == 503
    assert post(service, "/predict", with_stores(("rome",))).status == 200
    states = {model["name"]: model["state"] for model in json.loads(service.describe("/models").body)["models"]}
    assert states["churn.oslo"] == states["churn.berlin"] == "failed" and states["churn.rome"] == "loaded"
    service.close()


def test_requests_at_a_time_load_a_model_once_and_none_is_lost(tmp_path, source, other):
    service = make_service(tmp_path, source, other)

    async def send_all():
        return await asyncio.gather(*(send(service, "/models/churn.oslo/predict", ROWS) for _ in range(20)))

    answers = asyncio.run(send_all())
    assert {answer.status for answer in answers} == {200}
    count = service.resources.metrics.loads.labels("loaded", "churn.oslo")._value.get()
    asyncio.run(send_all())
    assert service.resources.metrics.loads.labels("loaded", "churn.oslo")._value.get() == count
    assert not service.loading
    service.close()


def test_a_service_with_a_key_refuses_strangers_before_it_loads_a_model(tmp_path, source, other):
    service = make_service(tmp_path, source, other, MLNB_API_KEY="secret")
    for path in ("/predict", "/models/churn.oslo/predict", "/models/nobody/predict"):
        assert post(service, path, with_stores()).status == 401
    assert service.respond_directly(b"/predict", {}, b"[]") is None
    assert service.pool.slots["churn.oslo"].endpoint is None
    assert post(service, "/predict", with_stores(), {"x-api-key": "secret"}).status == 200
    service.close()


def test_models_are_described_without_being_loaded(tmp_path, source, other):
    service = make_service(tmp_path, source, other, "churn")
    listed = json.loads(service.describe("/models").body)
    assert listed["column"] == "store" and listed["fallback"] == "churn"
    assert [model["segment"] for model in listed["models"]] == [*STORES, None]
    described = json.loads(service.describe("/models/churn.rome").body)
    assert described["version"] == "churn.rome:1" and "age" in described["rows"]["items"]["properties"]
    document = json.loads(service.describe("/models/churn.rome/docs.json").body)
    assert [*document["paths"]] == ["/models/churn.rome/predict"]
    assert service.describe("/models/nobody").status == 404 and service.describe("/other") is None
    (tmp_path / "rome" / "schema.json").unlink()
    assert service.describe("/models/churn.rome").status == 503
    assert all(slot.endpoint is None for slot in service.pool.slots.values())
    service.close()


@pytest.fixture
def routed(tmp_path, source, other):
    """Return a service in which Oslo has a canary, and Berlin and Oslo have a shadow."""
    models = {f"{store}:{number}": tmp_path / f"{store}{number}" for store in ("oslo", "berlin") for number in (2, 3)}
    for name, folder in models.items():
        copy_model(other, folder, f"churn.{name}")
    routes = {
        "churn.oslo": {"canary": models["oslo:2"], "share": 0.3, "shadow": models["oslo:3"]},
        "churn.berlin": {"shadow": models["berlin:3"]},
    }
    service = make_service(tmp_path / "models", source, other, routes=routes, MLNB_LOG=str(tmp_path / "log"))
    yield service
    service.close()


def versions_by_key(service, path, rows, keys):
    """Return the versions that respond to each key in two rounds."""
    seen = {key: set() for key in keys}
    for number in range(2):
        for key in keys:
            answer = post(service, path, rows, {"x-routing-key": key, "x-request-id": f"{key}-{number}"})
            assert answer.status == 200
            seen[key].add(answer.headers["x-model-version"])
    return seen


def test_each_model_has_a_canary_for_its_share_of_the_keys(routed):
    keys = [f"customer {number}" for number in range(60)]
    seen = versions_by_key(routed, "/models/churn.oslo/predict", ROWS[:1], keys)
    assert set().union(*seen.values()) == {"churn.oslo:1", "churn.oslo:2"}
    assert all(len(versions) == 1 for versions in seen.values())  # a key always goes to the same model
    chosen = {key for key, versions in seen.items() if versions == {"churn.oslo:2"}}
    assert 0.15 < len(chosen) / len(keys) < 0.45
    rows = with_stores(("oslo", "rome"))[:4]
    for key in keys[:12]:
        models = [value["model"] for value in post(routed, "/predict", rows, {"x-routing-key": key}).value]
        assert models == [f"churn.oslo:{2 if key in chosen else 1}", "churn.rome:1"] * 2
    states = {model["name"]: model for model in json.loads(routed.describe("/models").body)["models"]}
    assert (states["churn.oslo"]["canary"], states["churn.oslo"]["shadow"]) == ("churn.oslo:2", "churn.oslo:3")
    assert states["churn.rome"]["canary"] is None and "churn.oslo@canary" not in states


def test_the_shadow_of_each_model_is_logged_with_the_row_numbers_and_never_returned(routed, tmp_path, other):
    rows = with_stores(("oslo", "berlin", "rome"))
    answer = post(routed, "/predict", rows, {"x-request-id": "one", "x-routing-key": "customer 1"})
    assert not {value["model"] for value in answer.value} & {"churn.oslo:3", "churn.berlin:3"}
    routed.close()
    single = Endpoint(other)
    expected = post(single, "/predict", ROWS).value
    single.close()
    for store, numbers in (("oslo", [0, 3, 6, 9]), ("berlin", [1, 4, 7, 10])):
        log, damaged = read_log(tmp_path / "log" / f"churn.{store}", shadows=True)
        shadow = log[log["shadow"].astype(bool)]
        assert not damaged and set(shadow["model"]) == {f"churn.{store}:3"} and shadow["row"].tolist() == numbers
        assert shadow["out.prediction"].tolist() == [expected[number]["prediction"] for number in numbers]
        returned, _ = read_log(tmp_path / "log" / f"churn.{store}")
        assert returned["row"].tolist() == numbers and not returned["shadow"].astype(bool).any()
    assert not (read_log(tmp_path / "log" / "churn.rome", shadows=True)[0]["shadow"]).astype(bool).any()


def test_a_failing_canary_or_shadow_of_one_model_affects_no_response(routed, monkeypatch):
    slot = routed.pool.slots["churn.oslo"]
    router = routed.pool.load(slot).router
    for one in (router.canary, router.shadow):
        monkeypatch.setattr(type(one.reloader.current.predictor.handler), "respond", respond_unless(slot))
    keys = [f"customer {number}" for number in range(30)]
    seen = versions_by_key(routed, "/models/churn.oslo/predict", ROWS[:1], keys)
    assert set().union(*seen.values()) == {"churn.oslo:1"}
    assert router.canary.own.count and all(router.canary.own.failed)


def respond_unless(slot):
    """Return a method of a handler that fails unless the handler is that of the model in use."""
    handler = slot.endpoint.reloader.current.predictor.handler
    original = type(handler).respond

    def respond(self, rows):
        if self is not handler:
            raise RuntimeError("broken")
        return original(self, rows)

    return respond
