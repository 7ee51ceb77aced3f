"""The parts of a model are read from its folder; a missing or damaged file is named."""

import json
import shutil

import pytest
from small_models import DECISIONS, make_model

from mlnb.errors import SchemaError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.serving.runtime.model_parts import ModelParts, read_record


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_model(tmp_path_factory.mktemp("parts") / "model", "linear", decision="isotonic")


def test_a_folder_has_contract_schema_encoder_model_and_decision(folder):
    parts = ModelParts.load(folder)
    assert (parts.contract.task, parts.contract.classes) == ("binary", ("no", "yes"))
    assert parts.decision == DECISIONS["isotonic"] and parts.model.family == "linear"
    assert parts.schema.column("age").sentinels == (-999.0,) and parts.encoder["columns"]


@pytest.mark.parametrize("name", ["contract.json", "schema.json", "encoder.json", "fitted/model.json"])
def test_a_missing_file_is_named(folder, tmp_path, name):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / name).unlink()
    with pytest.raises((OSError, ValueError), match=name.rpartition("/")[2].partition(".")[0]):
        ModelParts.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "problem-contract/99"}, "version 99"),
        ({"schema": "golden/1"}, "golden"),
        ({"tusk": "binary"}, "tusk"),
        ({"task": "guessing"}, "guessing"),
        ({"classes": "no"}, "classes"),
    ],
)
def test_a_record_of_another_kind_is_refused_by_name(folder, tmp_path, change, message):
    path = tmp_path / "contract.json"
    path.write_text(json.dumps(json.loads((folder / "contract.json").read_text()) | change))
    with pytest.raises(SchemaError, match=message) as caught:
        read_record(ProblemContract, path)
    assert str(path) in str(caught.value)
