"""The Lambda package: invoked through the runtime client of AWS, with its files only."""

import base64
import json
import time
import zipfile

import pytest
from lambda_runtime import running
from small_models import make_model

from mlnb.errors import ServingError
from mlnb.serving.deploy.lambda_package import MOST_UNZIPPED, build_lambda_package
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.library_requirements import pin, required_libraries


def make_small(folder, *kind, **more):
    """Return the bundle of a small model, as far as a package reads it."""
    fitted = make_model(folder / "model", *kind, **more) / "fitted"
    (folder / "requirements.txt").write_text(pin(required_libraries(fitted)))
    return Bundle(folder, "small", "1", "2")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lambda")
    return build_lambda_package(
        make_small(folder, "lightgbm", "binary", "sigmoid", text=True), folder / "small.zip"
    ), folder


@pytest.fixture(scope="module")
def unpacked(package):
    built, folder = package
    with zipfile.ZipFile(built.file) as archive:
        archive.extractall(folder / "task")
    return folder / "task"


@pytest.fixture(scope="module")
def function(unpacked):
    began = time.monotonic()
    with running(unpacked, "handler.handle", MLNB_API_KEY="secret") as runtime:
        assert runtime.invoke([]) == []
        runtime.cold = time.monotonic() - began
        yield runtime


@pytest.fixture(scope="module")
def golden(unpacked):
    return json.loads((unpacked / "model" / "golden.json").read_text())


def url(body, method="POST", path="/predict", key="secret", **more):
    headers = {"authorization": f"Bearer {key}"}
    context = {"http": {"method": method, "path": path}, "stage": "$default"}
    return {"version": "2.0", "rawPath": path, "headers": headers, "requestContext": context, "body": body, **more}


def test_the_package_is_small_and_predicts_with_its_files_only(package):
    built, _ = package
    assert built.unzipped < MOST_UNZIPPED / 2
    assert built.rows == 40
    with zipfile.ZipFile(built.file) as archive:
        names = archive.namelist()
    assert {"handler.py", "lib/libgomp.so.1", "model/fitted/model.txt", "mlnb/serving/runtime/predictor.py"} <= set(
        names
    )
    tops = {name.partition("/")[0] for name in names}
    assert not tops & {"bentoml", "pandas", "sklearn", "starlette", "pyarrow"}


def test_every_kind_of_event_gets_the_notebooks_predictions(function, golden):
    body = json.dumps(golden["rows"])
    gateway = {"httpMethod": "POST", "path": "/predict", "headers": {"X-Api-Key": "secret"}, "body": body}
    staged = url(body, path="/prod/predict")
    staged["requestContext"]["stage"] = "prod"
    packed = url(base64.b64encode(body.encode()).decode(), isBase64Encoded=True)
    for event in (url(body), gateway, staged, packed):
        response = function.invoke(event)
        assert (response["statusCode"], json.loads(response["body"])) == (200, golden["predictions"])
        assert response["headers"]["X-Model-Version"] == "small:0123456789ab"
    assert function.invoke(golden["rows"][:2]) == golden["predictions"][:2]
    assert function.cold < 20


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        (url("[{}", key="secret"), 400, "the body"),
        (url('[{"shoe size": 44}]'), 422, "shoe size"),
        (url("[]", key="wrong"), 401, "API key"),
        (url("[]", method="GET"), 405, "expected POST"),
        (url("[]", path="/elsewhere"), 404, "/elsewhere"),
        (url("%", isBase64Encoded=True), 400, "base64"),
        (url(None), 400, "no JSON"),
        (url("", method="GET", path="/readyz"), 200, "true"),
    ],
)
def test_a_bad_event_gets_an_error(function, event, status, message):
    response = function.invoke(event)
    assert response["statusCode"] == status, response
    assert message in response["body"]


def test_a_package_that_differs_from_the_notebook_is_not_written(tmp_path):
    bundle, file = make_small(tmp_path, "linear"), tmp_path / "model" / "golden.json"
    golden = json.loads(file.read_text())
    golden["predictions"][0]["prediction"] = "perhaps"
    file.write_text(json.dumps(golden))
    with pytest.raises(ServingError, match="differ on the golden rows"):
        build_lambda_package(bundle, tmp_path / "small.zip")
    assert not (tmp_path / "small.zip").exists()


def test_the_same_bundle_gives_the_same_bytes(package, tmp_path):
    built, folder = package
    again = build_lambda_package(Bundle(folder, "small", "1", "2"), tmp_path / "again.zip")
    assert again.file.read_bytes() == built.file.read_bytes()
