"""The catalog of a running service follows the champions of the registry."""

from types import SimpleNamespace

import pytest

from mlnb.cli import followed_models as module
from mlnb.cli.followed_models import FollowedModels
from mlnb.cli.selected_bento import SelectedModels
from mlnb.errors import RegistryError
from mlnb.serving.packaging.multi_model_bundles import PackagedModel
from mlnb.serving.runtime.model_catalog import read_catalog


@pytest.fixture
def champions(monkeypatch):
    """The tag of the champion of each model, which a test changes; an error instead of the tag is raised."""
    tags = {"a": "1", "b": "1"}

    def find(project, args):
        if isinstance(tags["a"], Exception):
            raise tags["a"]
        models = [PackagedModel(bundle(name, tag)) for name, tag in tags.items() if tag]
        return SelectedModels(models, tuple(f"{name} is left out" for name, tag in tags.items() if not tag), False)

    monkeypatch.setattr(module, "find_models", find)
    return tags


def bundle(name, tag):
    folder = SimpleNamespace(absolute=lambda: f"/store/{name}-{tag}")
    return SimpleNamespace(name=name, model_tag=f"{name}:{tag}", folder=folder)


def test_the_catalog_is_written_when_a_champion_changes(champions, tmp_path, capsys):
    path = tmp_path / "models.json"
    followed = FollowedModels(SimpleNamespace(), path, SimpleNamespace(fallback=False))
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
    followed = FollowedModels(SimpleNamespace(), path, SimpleNamespace(fallback=False))
    followed.update()
    champions["a"] = RegistryError("the registry is locked")
    followed.update()
    followed.update()
    assert capsys.readouterr().err == "mlnb serve: the registry is locked\n" and read_catalog(path).models


def test_a_model_that_is_left_out_is_reported_once_and_the_others_stay(champions, tmp_path, capsys):
    path = tmp_path / "models.json"
    followed = FollowedModels(SimpleNamespace(), path, SimpleNamespace(fallback=False))
    followed.update()
    champions["a"] = ""
    followed.update()
    followed.update()
    assert capsys.readouterr() == ("removed a\n", "a is left out\n")
    assert [model.name for model in read_catalog(path).models] == ["b"]
