"""Canary and shadow of each model: the versions with an alias, as far as they can be served."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from mlnb.api import traffic_roles as module
from mlnb.api.traffic_roles import assign_roles
from mlnb.errors import StoreCorrupted
from mlnb.serving.packaging.bundles import Bundle
from mlnb.serving.packaging.multi_model_bundles import PackagedModel


def version(model, number, *aliases):
    certificate = SimpleNamespace(model=f"{model}:{number}")
    metadata = SimpleNamespace(certificate=certificate)
    return SimpleNamespace(model=model, name=f"{model}:{number}", aliases=aliases, metadata=metadata)


def bundle(name, number):
    return Bundle(Path(f"/{name}-{number}"), name, "digest", str(number))


@pytest.fixture
def models(monkeypatch):
    """Two models at their first versions; there are newer ones with aliases, one of which was erased."""
    versions = [version("a", 1, "champion"), version("a", 2, "next"), version("b", 1, "champion", "next")]
    versions += [version("a", 3, "erased"), version("c", 2, "other")]
    monkeypatch.setattr(module, "Registry", lambda project: SimpleNamespace(versions=lambda: versions))

    def read(project, one):
        if "erased" in one.aliases:
            raise StoreCorrupted("was erased on 2026-05-03")
        name, _, number = one.name.partition(":")
        return bundle(name, number)

    monkeypatch.setattr(module, "_read_bundle", read)
    return [PackagedModel(bundle("a", 1)), PackagedModel(bundle("b", 1))]


def test_each_model_has_the_version_that_its_alias_points_to(models):
    (a, b), lines = assign_roles(SimpleNamespace(), models, {"canary": "next"})
    assert a.canary == bundle("a", 2) and a.shadow is None and not lines
    assert list(a.bundles) == ["a", "a@canary"]
    assert b.canary is None  # it is served at that version
    assert assign_roles(SimpleNamespace(), models, {}) == (models, [])


def test_a_version_that_cannot_be_served_leaves_the_others(models):
    (a, _), lines = assign_roles(SimpleNamespace(), models, {"canary": "next", "shadow": "erased"})
    assert a.canary is not None and a.shadow is None
    assert lines == ["a:3 is left out as shadow: was erased on 2026-05-03"]
    assert assign_roles(SimpleNamespace(), models, {"shadow": "other"})[1] == [
        "There is no shadow: no model has a version with the alias other."
    ]
