"""POST /recommend: users of the log, unknown users, refusals, pseudonyms, and the golden users."""

import asyncio
import importlib
import json
import shutil
import sys

import pytest
from model_catalogs import write_catalog
from small_models import make_model
from small_recommenders import make_log, make_recommender_bundle

from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.tables.pseudonyms import pseudonym
from mlnb.serving.runtime.endpoint import Endpoint
from mlnb.serving.runtime.model_reloader import check_successor
from mlnb.serving.runtime.multi_model_endpoint import MultiModelEndpoint
from mlnb.serving.runtime.predictor import Predictor
from mlnb.serving.runtime.recommendation_handler import FOLDER, GOLDEN, MOST_REQUESTS
from mlnb.settings import ServiceSettings

KEY = "a key that is long enough"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return make_recommender_bundle(tmp_path_factory.mktemp("recommender") / "service")


@pytest.fixture(scope="module")
def endpoint(bundle):
    created = Endpoint(bundle.folder / "model")
    yield created
    created.close()


def recommend(endpoint, requests, path="/recommend", method="POST", headers=()):
    """Return status and value of one request."""
    body = requests if isinstance(requests, bytes) else json.dumps(requests).encode()
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": list(headers)}
    asyncio.run(endpoint(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_users_get_items_that_they_do_not_have(endpoint):
    users = [f"customer {number}" for number in range(30)]
    status, responses = recommend(endpoint, [{"user": user, "k": 3} for user in users])
    taken = make_log().groupby("customer")["product"].agg(lambda items: set(map(str, items)))
    assert status == 200 and len(responses) == 30
    for user, response in zip(users, responses, strict=True):
        items = [one["item"] for one in response["items"]]
        scores = [one["score"] for one in response["items"]]
        assert not response["fallback"] and len(items) == 3 and not set(items) & taken[user]
        assert scores == sorted(scores, reverse=True)
    assert recommend(endpoint, [{"user": users[7], "k": 3}])[1] == responses[7:8]  # alone as together
    first = responses[7]["items"][0]["item"]
    others = recommend(endpoint, [{"user": users[7], "k": 3, "exclude": [int(first)]}])[1][0]["items"]
    assert len(others) == 3 and first not in [one["item"] for one in others]


def test_the_example_of_the_bundle_recommends_first(bundle, endpoint):
    requests = bundle.example_requests()
    assert next(iter(requests)) == "/recommend" and recommend(endpoint, requests["/recommend"].rows)[0] == 200


def test_an_unknown_user_gets_popular_items_and_is_marked(endpoint):
    status, (response,) = recommend(endpoint, [{"user": "nobody"}])
    newest = make_log()["product"].tail(round(len(make_log()) * 0.25))
    best = newest.value_counts(normalize=True).max()
    assert status == 200 and response["fallback"] is True and len(response["items"]) == 10
    assert response["items"][0]["score"] == pytest.approx(best, rel=0.02)
    assert recommend(endpoint, [])[1] == []


@pytest.mark.parametrize(
    ("requests", "status", "message"),
    [
        ([{"user": "a", "k": 0}], 422, "row 0, column 'k': found the number 0"),
        ([{"user": "a", "k": "2"}], 422, "column 'k': found the text \"2\", expected a whole number"),
        ([{"user": True}], 422, "column 'user': found the boolean true, expected the name of a user"),
        ({"users": ["a"]}, 400, 'found an object, expected a JSON list of users, such as [{"user": "u7", "k": 10}]'),
        ([{"user": "a"}, {}], 422, "row 1, column 'user': found nothing"),
        ([{"user": "a", "until": 3}], 422, "column 'until'"),
        ([{"user": {"id": 3}}], 422, "column 'user': found an object"),
        ([{"user": "a", "exclude": [None]}], 422, "column 'exclude'"),
        ([{"user": "a"}] * (MOST_REQUESTS + 1), 413, "at most 100"),
        ({"user": "a"}, 400, "expected a JSON list"),
        (b"[", 400, "no JSON"),
    ],
)
def test_wrong_requests_name_row_and_field(endpoint, requests, status, message):
    returned, refusal = recommend(endpoint, requests)
    assert returned == status and message in refusal["error"]


def test_other_methods_and_bodies_are_refused(endpoint):
    assert recommend(endpoint, [], method="GET")[0] == 405
    kind = [(b"content-type", b"application/vnd.apache.arrow.stream")]
    assert recommend(endpoint, [], headers=kind)[0] == 415
    assert recommend(endpoint, [], headers=[(b"content-encoding", b"gzip")])[0] == 415


def test_a_model_of_no_log_recommends_nothing(tmp_path):
    endpoint = Endpoint(make_model(tmp_path / "model", "linear"))
    try:
        assert endpoint.recommender is None and Endpoint.handles("/recommend")
        status, refusal = recommend(endpoint, [{"user": "a"}])
        assert status == 404 and "expected POST /predict" in refusal["error"]
    finally:
        endpoint.close()


def test_golden_users_are_replayed(bundle, tmp_path):
    predictor = Predictor.load(bundle.folder / "model")
    golden = predictor.recommendations.golden
    assert len(golden.rows) == 4 and [one["fallback"] for one in golden.predictions] == [False, False, False, True]
    assert predictor.replay() is None
    changed = shutil.copytree(bundle.folder / "model", tmp_path / "model")
    text = (changed / GOLDEN).read_text()
    score = golden.predictions[1]["items"][0]["score"]
    (changed / GOLDEN).write_text(text.replace(f"{score}", f"{score + 1e-9}", 1))
    difference = Predictor.load(changed).replay()
    assert difference.row == 1 and difference.field == "items[0].score"
    (changed / FOLDER / "users.npy").unlink()
    with pytest.raises(FileNotFoundError):
        Predictor.load(changed)


def test_users_are_pseudonymized_as_in_training(tmp_path, monkeypatch):
    log = make_log()
    log["customer"] = [pseudonym(name, KEY.encode()) for name in log["customer"]]
    declared = ColumnDeclaration(personal="pseudonymize")
    bundle = make_recommender_bundle(tmp_path / "service", log, declared, users=1)
    assert "have\npseudonyms" in (bundle.folder / "README.md").read_text()
    monkeypatch.setenv("MLNB_PERSONAL_KEY", KEY)
    endpoint = Endpoint(bundle.folder / "model")
    assert not recommend(endpoint, [{"user": "customer 3"}])[1][0]["fallback"]
    endpoint.close()
    monkeypatch.delenv("MLNB_PERSONAL_KEY")
    endpoint = Endpoint(bundle.folder / "model")
    status, refusal = recommend(endpoint, [{"user": "customer 3"}])
    assert status == 422 and "customer 3" not in refusal["error"] and "expected a pseudonym" in refusal["error"]
    assert not recommend(endpoint, [{"user": str(log["customer"][0])}])[1][0]["fallback"]  # it is a pseudonym already
    endpoint.close()


def test_a_service_of_several_models_recommends_with_each(bundle, tmp_path):
    folders = {"products": bundle.folder / "model", "other": make_model(tmp_path / "other", "linear")}
    write_catalog(tmp_path, folders, "", "")
    service = MultiModelEndpoint(tmp_path, ServiceSettings(environment={}))
    try:
        path = "/models/products/recommend"
        assert service.handles(path) and not service.handles("/recommend") and service.recommender is None
        assert not recommend(service, [{"user": "customer 1"}], path)[1][0]["fallback"]
        assert service.respond_directly(path.encode(), {}, b'[{"user": "customer 1"}]') is None  # it is no row
        assert recommend(service, [{"user": "a"}], "/models/none/recommend")[0] == 404
        assert recommend(service, [{"user": "a"}], "/models/other/recommend")[0] == 404
        paths = json.loads(service.describe("/models/products/docs.json").body)["paths"]
        assert set(paths) == {"/models/products/predict", path}
    finally:
        service.close()


def test_a_model_that_recommends_nothing_is_no_successor(bundle, tmp_path):
    ranker = shutil.copytree(bundle.folder / "model", tmp_path / "model")
    shutil.rmtree(ranker / FOLDER)
    both, alone = Predictor.load(bundle.folder / "model"), Predictor.load(ranker)
    check_successor(alone, both)
    with pytest.raises(ValueError, match="expected one that recommends items"):
        check_successor(both, alone)


def test_a_lambda_function_recommends(bundle, monkeypatch):
    name = "mlnb.serving.deploy.lambda_handler"
    monkeypatch.setenv("MLNB_MODEL", str(bundle.folder / "model"))
    handle = importlib.import_module(name).handle
    sys.modules.pop(name)
    http = {"requestContext": {"http": {"method": "POST"}}, "body": json.dumps([{"user": "customer 3", "k": 2}])}
    answer = handle({**http, "rawPath": "/recommend"}, None)
    assert answer["statusCode"] == 200 and len(json.loads(answer["body"])[0]["items"]) == 2
    assert handle({**http, "rawPath": "/recommend", "body": "[{}]"}, None)["statusCode"] == 422
    assert handle({**http, "rawPath": "/suggest"}, None)["statusCode"] == 404
