"""What GET returns about the models; `test_multi_model_endpoint` has those of whole folders."""

from pathlib import Path

import pytest

from mlnb.serving.runtime.model_catalog import ModelCatalog, ServedModel
from mlnb.serving.runtime.model_descriptions import describe_slot, list_slots
from mlnb.serving.runtime.model_pool import ModelSlot


def test_the_list_has_state_and_reason_of_each_model():
    models = (ServedModel(name="a", folder="a", segment="x"), ServedModel(name="b", folder="b"))
    slots = {model.name: ModelSlot(model, Path(model.folder)) for model in models}
    slots["b"].failure = "its files are wrong"
    listed = list_slots(ModelCatalog(models=models, column="store", fallback="b"), slots)
    assert listed["column"] == "store" and listed["fallback"] == "b"
    assert [(each["segment"], each["state"], each["failure"]) for each in listed["models"]] == [
        ("x", "not loaded", None),
        (None, "failed", "its files are wrong"),
    ]


def test_a_model_whose_folder_is_missing_is_not_described(tmp_path):
    with pytest.raises(FileNotFoundError):
        describe_slot(ModelSlot(ServedModel(name="a", folder="a"), tmp_path / "a"), "/models/a/predict")
