"""The catalog of a service of several models."""

import pytest
from model_catalogs import write_catalog

from mlnb.codec import encode
from mlnb.errors import SchemaError
from mlnb.serving.runtime.model_catalog import ModelCatalog, ServedModel, read_catalog, segment_of


def test_a_catalog_is_read_as_it_was_written(tmp_path):
    path = write_catalog(tmp_path, {"churn.rome": tmp_path / "r", "churn": tmp_path / "all"}, fallback="churn")
    catalog = read_catalog(path)
    assert catalog.column == "store" and catalog.segments() == {"rome": "churn.rome"}


@pytest.mark.parametrize(
    ("names", "fallback", "message"),
    [("ab ab", "", "name 'ab' twice"), ("a.x b.x", "", "segment 'x' twice"), ("a", "c", "fallback 'c', expected one")],
)
def test_a_catalog_that_contradicts_itself_is_refused(tmp_path, names, fallback, message):
    models = tuple(ServedModel(name=name, folder=name, segment=name.partition(".")[2]) for name in names.split())
    path = tmp_path / "models.json"
    path.write_bytes(encode(ModelCatalog(models=models, column="store", fallback=fallback)))
    with pytest.raises(ValueError, match=message):
        read_catalog(path)
    path.write_bytes(encode(ModelCatalog(models=(ServedModel(name="a", folder="a", canary="b", share=0.6),))))
    with pytest.raises(ValueError, match=r"share of a is 0\.6; expected above 0 and at most 0\.5"):
        read_catalog(path)
    path.write_text("[]")
    with pytest.raises(SchemaError):
        read_catalog(path)


def test_values_name_segments_as_in_training():
    values = ["Berlin", " Berlin ", 7, 7.0, 7.5, True, None, ""]
    assert [segment_of(value) for value in values] == ["Berlin", "Berlin", "7", "7", "7.5", "True", "", ""]
