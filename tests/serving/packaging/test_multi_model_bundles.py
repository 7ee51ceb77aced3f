"""The bundle of several models, and the service that BentoML makes of it."""

import json
import shutil
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mlnb import codec
from mlnb.codec import encode
from mlnb.engine.project import Project
from mlnb.errors import ServingError
from mlnb.serving.packaging.bento_server import send_request, serving
from mlnb.serving.packaging.bento_stores import build_bento, find_bento
from mlnb.serving.packaging.multi_model_bundles import (
    PackagedModel,
    join_requirements,
    make_catalog,
    make_multi_model_bundle,
    stored_tags,
)
from mlnb.serving.runtime.model_catalog import read_catalog


@pytest.fixture(scope="module")
def models(material, tmp_path_factory):
    """A model of all rows, and those of two segments."""
    folder = tmp_path_factory.mktemp("bundles")
    return [
        PackagedModel(material("linear").bundle(folder / str(number), name="quick", segment=segment), segment, "store")
        for number, segment in enumerate(("", "Rome", "Köln/Ost"))
    ]


@pytest.fixture(scope="module")
def source(models, tmp_path_factory):
    return make_multi_model_bundle(tmp_path_factory.mktemp("several"), models, Project.find(), fallback=True)


def renamed(model, name, **changes):
    return replace(model, bundle=replace(model.bundle, name=name), **changes)


def test_rows_are_routed_by_segment_where_that_is_unambiguous(models):
    catalog = make_catalog(models, fallback=True)
    assert catalog.column == "store" and catalog.fallback == "quick" and len(catalog.segments()) == 2
    two = [*models, renamed(models[1], "prices.rome")]  # another model of the same segment
    assert make_catalog(two, fallback=False).column == ""
    assert make_catalog([*models, renamed(models[1], "x", segment="Oslo", column="city")], fallback=False).column == ""
    with pytest.raises(ServingError, match="found 0 models of all rows"):
        make_catalog(models[1:], fallback=True)
    with pytest.raises(ServingError, match="no column"):
        make_catalog(two, fallback=True)
    with pytest.raises(ServingError, match="two models named quick"):
        make_catalog([*models, models[0]], fallback=False)


def test_the_column_of_the_segments_is_that_of_the_run(models):
    parameters = {"each": SimpleNamespace(value="store"), "seed": SimpleNamespace(value=1)}
    run = SimpleNamespace(
        stages={"split": SimpleNamespace(parameters=parameters), "train": SimpleNamespace(parameters={})},
        record=SimpleNamespace(segment="Rome"),
        load=lambda name: models[1].bundle.folder,
    )
    model = PackagedModel.of(run)
    assert (model.bundle, model.segment, model.column) == (models[1].bundle, "Rome", "store")


def test_models_that_need_different_versions_are_not_in_one_bundle(tmp_path):
    texts = {"a": "numpy==1.0\n# dependencies of these\nscipy==1.0\n", "b": "scipy==1.0\n# dependencies of these\n"}
    files = {}
    for name, text in texts.items():
        files[name] = tmp_path / name
        files[name].write_text(f"# imported by the service\n{text}")
    lines = join_requirements(files).splitlines()
    assert lines[:4] == ["# imported by the service", "numpy==1.0", "scipy==1.0", "# dependencies of these"]
    files["b"].write_text("# imported by the service\nnumpy==2.0\n")
    with pytest.raises(ServingError, match=r"a with numpy 1\.0 and b with numpy 2\.0"):
        join_requirements(files)


def test_canary_and_shadow_are_in_the_bundle_and_no_model_of_their_own(models, tmp_path, monkeypatch):
    routed = replace(models[1], canary=models[0].bundle, shadow=models[2].bundle)
    name = routed.bundle.name
    source = make_multi_model_bundle(tmp_path, [routed], Project.find(), share=0.2)
    (served,) = read_catalog(source.folder / "models" / "models.json").models
    assert (served.folder, served.canary, served.shadow) == (name, f"{name}@canary", f"{name}@shadow")
    assert served.share == 0.2 and list(source.model_folders) == [name] and len(source.protections()) == 3
    for folder, bundle in ((served.canary, models[0].bundle), (served.shadow, models[2].bundle)):
        assert (source.folder / "models" / folder / "version.txt").read_text().strip() == bundle.model_tag
    assert f"- `{models[0].bundle.model_tag}` (canary)" in (source.folder / "README.md").read_text()


def test_a_bundle_has_the_models_the_catalog_and_the_routes(source, models):
    assert sorted(source.model_folders) == sorted(model.bundle.name for model in models)
    assert source.route_of("quick") == "/models/quick/predict" and source.model_tag == source.tag
    assert read_catalog(source.folder / "models" / "models.json").fallback == "quick"
    assert not source.pseudonymized and source.read_example().rows
    assert (source.folder / "mlnb" / "serving" / "runtime" / "multi_model_endpoint.py").is_file()


def test_one_service_predicts_with_all_models_and_replaces_them(source, models, material, tmp_path):
    built = build_bento(source)
    assert find_bento(source) is not None
    assert source.tag in stored_tags(Project.find())  # `mlnb erase` searches it, too
    catalog = make_catalog(models, fallback=True)
    path = tmp_path / "models.json"
    path.write_bytes(encode(catalog))
    environment = {"MLNB_MODELS": str(path), "MLNB_MODELS_MEMORY": "100"}
    rows = models[0].bundle.read_golden().rows[:4]
    routed = [{**row, "store": store} for row, store in zip(rows, ("Rome", "Oslo", "Köln/Ost", "Rome"), strict=True)]
    with serving(built.path, tmp_path / "log", environment=environment) as server:
        server.wait()
        status, body, headers = send_request(server.host, server.port, "POST", "/predict", routed)
        answered = [value["model"].partition(":")[0] for value in json.loads(body)]
        names = catalog.segments()
        assert status == 200 and answered == [names["Rome"], "quick", names["Köln/Ost"], names["Rome"]]
        route = f"/models/{names['Rome']}/predict"
        status, body, headers = send_request(server.host, server.port, "POST", route, rows)
        assert json.loads(body) == models[0].bundle.read_golden().predictions[:4]
        assert headers["x-model-version"] == models[1].bundle.model_tag
        assert send_request(server.host, server.port, "GET", "/models/nobody")[0] == 404
        assert send_request(server.host, server.port, "POST", "/models")[0] == 405
        new = shutil.copytree(models[1].bundle.folder, tmp_path / "new")
        (new / "model" / "version.txt").write_text(f"{names['Rome']}:new\n")
        entries = [one if one.segment != "Rome" else codec.replace(one, folder=str(new)) for one in catalog.models]
        path.with_suffix(".part").write_bytes(encode(codec.replace(catalog, models=tuple(entries))))
        path.with_suffix(".part").replace(path)
        deadline = time.monotonic() + 20
        version = ""
        while not version.endswith(":new") and time.monotonic() < deadline:  # no request is lost meanwhile
            status, _, headers = send_request(server.host, server.port, "POST", route, rows)
            version = headers["x-model-version"]
            assert status == 200
        assert version.endswith(":new")
        metrics = send_request(server.host, server.port, "GET", "/metrics")[1].decode()
        assert f'mlnb_model_loads_total{{model="{names["Rome"]}",result="loaded"}} 1.0' in metrics
