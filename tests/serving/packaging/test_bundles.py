import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import yaml
from custom_encoders import moments
from custom_families import CODE
from small_sentence_models import write_sentence_model

from mlnb.codec import replace
from mlnb.engine.project import Project
from mlnb.errors import EmbeddingError, ServingError
from mlnb.methods.contracts.responses import Golden
from mlnb.methods.encoding.embedding_sources import locate, read_source
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.models.custom_families import fit_custom, load_family
from mlnb.methods.models.family_interface import FitSpec
from mlnb.methods.models.fitted_models import Model, save_model
from mlnb.methods.tables.columns import Column, Schema, to_arrays
from mlnb.serving.packaging.bundles import (
    Bundle,
    curl,
    digest_tree,
    find_service,
    tree_files,
)
from mlnb.serving.packaging.library_requirements import imported_versions


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in tree_files(folder)}


def test_the_same_inputs_give_the_same_bytes(material, bundle, tmp_path):
    again = material().bundle(tmp_path / "again")
    assert contents(again.folder) == contents(bundle.folder)
    assert (again.tag, again.model_tag) == (bundle.tag, bundle.model_tag)
    assert material().bundle(tmp_path / "again").version == bundle.version  # over what was there


def test_no_file_contains_machine_details(bundle):
    for name, data in contents(bundle.folder).items():
        assert b"/tmp/" not in data and b"/home/" not in data, name
        assert str(bundle.folder.parent).encode() not in data, name


def test_a_change_of_anything_changes_the_version(material, bundle, tmp_path):
    other = material().bundle(
        tmp_path / "other", contract=replace(material().contract, target="other"), name=bundle.name
    )
    assert other.model_version != bundle.model_version
    assert other.version != bundle.version
    service = tmp_path / "own"
    for path in tree_files(find_service("tabular", Project.find())):
        service.mkdir(exist_ok=True)
        (service / path.name).write_bytes(path.read_bytes())
    (service / "service.py").write_text((service / "service.py").read_text() + "\nEXTRA = 1\n")
    changed = material().bundle(tmp_path / "changed", service=service)
    assert changed.model_version == bundle.model_version
    assert changed.version != bundle.version


def test_the_parts_are_there(bundle, material):
    settings = yaml.safe_load((bundle.folder / "bentofile.yaml").read_text())
    assert settings["name"] == "survived-classifier"
    assert settings["labels"] == {"model": bundle.model_tag}
    assert settings["python"]["lock_packages"] is False
    assert settings["python"]["packages"][0].startswith("bentoml==")
    assert settings["docker"]["system_packages"] == ["libgomp1"]
    assert bundle.read_golden() == material().golden
    assert "lightgbm==" in (bundle.folder / "requirements.txt").read_text()
    assert bundle.read_example() == material().example
    assert curl(material().example) in (bundle.folder / "README.md").read_text()
    assert (bundle.folder / "mlnb" / "methods" / "models" / "fitted_models.py").is_file()


def test_a_curl_command_is_quoted_for_the_shell():
    golden = Golden(rows=[{"who's": 'a "b" $HOME', "ä": None}], predictions=[{}])
    command = curl(golden).replace("curl -s http://127.0.0.1:3000/predict -d", "printf %s")
    output = subprocess.run(command, shell=True, capture_output=True, text=True).stdout
    assert json.loads(output) == golden.rows


def test_a_projects_own_service_comes_before_the_built_in(tmp_path, monkeypatch):
    monkeypatch.delenv("MLNB_ROOT", raising=False)
    (tmp_path / "settings.ini").write_text("[mlnb]\n")
    project = Project.find(tmp_path)
    assert find_service("tabular", project).parent.parent != tmp_path
    assert find_service("bentos/tabular", project).name == "tabular"
    own = tmp_path / "bentos" / "tabular"
    own.mkdir(parents=True)
    (own / "service.py").touch()
    assert find_service("tabular", project) == find_service("bentos/tabular", project) == own
    with pytest.raises(
        ServingError, match=r"No service 'tabulr': found models, tabular in .*expected a folder with service\.py"
    ):
        find_service("tabulr", project)


def test_a_folder_that_is_no_bundle_is_refused(tmp_path):
    with pytest.raises(ServingError, match="no service bundle"):
        Bundle.read(tmp_path)


def test_byte_code_does_not_count(bundle):
    before = digest_tree(bundle.folder)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(bundle.folder / "mlnb")], check=True)
    assert digest_tree(bundle.folder) == before


def test_an_encoder_of_the_project_brings_its_modules_and_libraries(material, tmp_path):
    code = moments(**{"import math\n": "import math\nimport yaml\nfrom mlnb.methods.metrics import decision_metrics\n"})
    arrays = {"note": np.array(["a", "bc"], dtype=object)}
    schema = Schema((Column("note", "text"),))
    encoder = Encoder.fit(arrays, schema, encoders={"note": replace(code, libraries=("PyYAML",))})
    bundle = material().bundle(tmp_path / "bundle", encoder=encoder.to_json(), schema=schema.to_json())
    requirements = (bundle.folder / "requirements.txt").read_text()
    assert "pyyaml" in imported_versions(requirements)  # an image keeps such libraries whole
    assert (bundle.folder / "mlnb" / "methods" / "metrics" / "decision_metrics.py").is_file()
    load = "from mlnb.methods.encoding.table_encoder import Encoder; import json, sys; import mlnb; "
    load += "print(mlnb.__file__, Encoder.from_json(json.load(open('model/encoder.json'))).codecs[0].source.name)"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(bundle.folder)}
    done = subprocess.run(
        [sys.executable, "-c", load], cwd=bundle.folder, env=environment, capture_output=True, text=True
    )
    assert done.stdout.split() == [str(bundle.folder / "mlnb" / "__init__.py"), "moments"], done.stderr


def test_a_custom_family_brings_its_code_and_libraries(material, tmp_path):
    """The model is loaded from the bundle alone, without the project and without mlnb next to it."""
    code = CODE.replace(
        "import json\n", "import json\nfrom mlnb.methods.metrics import decision_metrics\nimport yaml\n", 1
    )
    family = load_family(code, "nbs/models/halves.ipynb")
    features = json.loads((material().model / "model.json").read_text())["features"]
    X, y = np.random.default_rng(0).normal(size=(40, features)), np.arange(40) % 2
    native = fit_custom(family, {"quantile": 0.5}, X, y, None, FitSpec("binary", 2))
    folder = save_model(Model("halves", "binary", 2, features, native), tmp_path / "model")
    bundle = material().bundle(tmp_path / "bundle", model=folder)
    requirements = (bundle.folder / "requirements.txt").read_text()
    assert "pyyaml==" in requirements and "lightgbm" not in requirements
    assert (bundle.folder / "mlnb" / "methods" / "metrics" / "decision_metrics.py").is_file()
    load = "from mlnb.methods.models.fitted_models import load_model; from pathlib import Path; import mlnb; "
    load += "print(mlnb.__file__, load_model(Path('model/fitted')).native.source.name)"
    command = [sys.executable, "-c", load]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(bundle.folder)}
    done = subprocess.run(command, cwd=bundle.folder, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(bundle.folder / "mlnb" / "__init__.py"), "halves"], done.stderr


def test_a_sentence_model_is_stored_with_the_bundle_or_read_where_it_is_mounted(material, tmp_path, monkeypatch):
    write_sentence_model(tmp_path / "project" / "tiny")
    schema, rows = Schema((Column("note", "text"),)), [{"note": "first class"}, {"note": "good film"}]
    for stored in (True, False):
        monkeypatch.setenv("MLNB_FILES", str(tmp_path / "project"))
        source = read_source("tiny", tmp_path / "project", schema, stored=stored, components=1)
        encoder = Encoder.fit(to_arrays(rows, schema), schema, embeddings=source)
        expected = encoder.transform(to_arrays(rows, schema))
        bundle = material().bundle(tmp_path / str(stored), encoder=encoder.to_json(), schema=schema.to_json())
        assert {"onnxruntime", "tokenizers"} <= imported_versions(
            (bundle.folder / "requirements.txt").read_text()
        ).keys()
        assert (bundle.folder / "model/embeddings/onnx/model.onnx").is_file() == stored
        recorded = json.loads((bundle.folder / "model/embeddings/vectors.json").read_text())
        assert set(recorded) == {row["note"] for row in [*material().golden.rows, *material().example.rows]}
        located = locate(json.loads((bundle.folder / "model/encoder.json").read_text()), bundle.folder / "model")
        monkeypatch.setenv("MLNB_FILES", str(tmp_path / "away"))
        if not stored:
            with pytest.raises(EmbeddingError, match=r"away/tiny of the sentence model does not exist; mount"):
                Encoder.from_json(located)
            shutil.copytree(tmp_path / "project" / "tiny", tmp_path / "away" / "tiny")
        assert Encoder.from_json(located).transform(to_arrays(rows, schema)).tobytes() == expected.tobytes()
