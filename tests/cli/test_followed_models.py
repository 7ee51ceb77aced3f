"""The catalog of a running service follows the champions of the registry."""

import itertools
from dataclasses import replace
from types import SimpleNamespace

import pytest

from mlnb.cli import followed_models as module
from mlnb.cli import selected_bento
from mlnb.cli.followed_models import FollowedModels
from mlnb.cli.selected_bento import SelectedModels
from mlnb.errors import RegistryError
from mlnb.serving.packaging.multi_model_bundles import PackagedModel
from mlnb.serving.runtime.model_catalog import read_catalog


@pytest.fixture
def entries(monkeypatch):
    """The last entry of the registry as it is read each time: another one, unless a test changes that."""
    numbers = itertools.count(1)
    monkeypatch.setattr(module, "Registry", lambda project: SimpleNamespace(engine=None))
    monkeypatch.setattr(module, "last_entry", lambda engine: next(numbers))


@pytest.fixture
def champions(monkeypatch, entries):
    """The tag of the champion of each model, which a test changes; an error instead of the tag is raised."""
    tags = {"a": "1", "b": "1"}

    def find(project, args):
        if isinstance(tags["a"], Exception):
            raise tags["a"]
        models = [PackagedModel(bundle(name, tag)) for name, tag in tags.items() if tag]
        return SelectedModels(models, tuple(f"{name} is left out" for name, tag in tags.items() if not tag), False)

    monkeypatch.setattr(module, "find_models", find)
    return tags


def options(**changes):
    values = {"follow": True, "canary": None, "shadow": None, "share": 0.1, **changes}
    return SimpleNamespace(fallback=False, **values)


def bundle(name, tag):
    folder = SimpleNamespace(absolute=lambda: f"/store/{name}-{tag}")
    return SimpleNamespace(name=name, model_tag=f"{name}:{tag}", folder=folder)


def test_the_catalog_is_written_when_a_champion_changes(champions, tmp_path, capsys):
    path = tmp_path / "models.json"
    followed = FollowedModels(SimpleNamespace(), path, options())
    followed.update()
    assert [model.folder for model in read_catalog(path).models] == ["/store/a-1", "/store/b-1"]
    assert not capsys.readouterr().out  # all models are new at the start
    written = path.stat().st_mtime_ns
    followed.update()
    assert path.stat().st_mtime_ns == written
    champions["a"] = "2"
    del champions["b"]
    followed.update()
    assert [model.folder for model in read_catalog(path).models] == ["/store/a-2"]
    assert capsys.readouterr().out == "serving a:2\nremoved b\n"


def test_an_error_is_printed_once_and_the_models_stay(champions, tmp_path, capsys):
    path = tmp_path / "models.json"
    followed = FollowedModels(SimpleNamespace(), path, options())
    followed.update()
    champions["a"] = RegistryError("the registry is locked")
    followed.update()
    followed.update()
    assert capsys.readouterr().err == "mlnb serve: the registry is locked\n" and read_catalog(path).models


def test_a_model_that_is_left_out_is_reported_once_and_the_others_stay(champions, tmp_path, capsys):
    path = tmp_path / "models.json"
    followed = FollowedModels(SimpleNamespace(), path, options())
    followed.update()
    champions["a"] = ""
    followed.update()
    followed.update()
    assert capsys.readouterr() == ("removed a\n", "a is left out\n")
    assert [model.name for model in read_catalog(path).models] == ["b"]


def test_canary_and_shadow_are_followed_whether_champions_are_or_not(champions, tmp_path, capsys, monkeypatch):
    canaries = {}

    def assign(project, models, aliases):
        assert aliases == {"canary": "next"}
        return [replace(one, canary=canaries.get(one.bundle.name)) for one in models], []

    monkeypatch.setattr(selected_bento, "assign_roles", assign)
    path = tmp_path / "models.json"
    followed = FollowedModels(SimpleNamespace(), path, options(follow=False, canary="@next", share=0.2))
    canaries["a"] = bundle("a", "2")
    followed.update()
    assert capsys.readouterr().out == "canary deployment of a:2\n"
    canaries["a"], champions["b"] = bundle("a", "3"), "2"
    followed.update()
    catalog = {model.name: model for model in read_catalog(path).models}
    assert (catalog["a"].folder, catalog["a"].canary, catalog["a"].share) == ("/store/a-1", "/store/a-3", 0.2)
    assert (catalog["b"].folder, catalog["b"].canary) == ("/store/b-1", "")  # without --follow it stays
    assert capsys.readouterr().out == "canary deployment of a:3\n"
    canaries.clear()
    followed.update()
    assert capsys.readouterr().out == "removed canary of a\n" and not read_catalog(path).models[0].canary


def test_models_are_read_again_when_the_registry_has_changed_or_after_a_while(champions, tmp_path, monkeypatch):
    times = iter([0.0, 1.0, 2.0, 3.0, 40.0])
    monkeypatch.setattr(module, "monotonic", lambda: next(times))
    monkeypatch.setattr(module, "last_entry", lambda engine: entry)
    path, entry = tmp_path / "models.json", 7
    followed = FollowedModels(SimpleNamespace(), path, options())

    def served():
        followed.update()
        return [model.folder for model in read_catalog(path).models if model.name == "a"]

    assert served() == ["/store/a-1"]
    champions["a"] = "2"
    assert served() == ["/store/a-1"]  # whatever changes a champion adds an entry
    entry = 8
    assert served() == ["/store/a-2"]
    champions["a"] = "3"
    assert served() == ["/store/a-2"] and served() == ["/store/a-3"]
