"""The manifest of a run: an in-toto Statement in a DSSE envelope, with the digests of all parts."""

import json
from base64 import b64decode
from pathlib import Path

import pytest
from example_run import Example

from mlnb.engine.digests import StatCache, digest_bytes, digest_file
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError
from mlnb.governance.run_environment import describe_environment
from mlnb.governance.run_manifest import manifest_path, read_manifest, write_manifest
from mlnb.signing.canonical_json import canonical_json
from mlnb.signing.envelopes import IN_TOTO, make_envelope


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, example: Example) -> Run:
    run = example.make_run(example.make_project(tmp_path_factory.mktemp("manifest")))
    write_manifest(run)
    return run


def test_it_is_an_in_toto_statement_about_files_and_artifacts(run: Run) -> None:
    envelope = json.loads(manifest_path(run).read_bytes())
    assert envelope["payloadType"] == "application/vnd.in-toto+json" and envelope["signatures"] == []
    statement = json.loads(b64decode(envelope["payload"]))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    subjects = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    assert subjects["run.json"] == digest_file(run.folder / "run.json")
    assert subjects["artifacts/card"] == run.require_output("card").digest
    assert {"notebooks/70_evaluate.ipynb", "artifacts/model", "artifacts/raw"} < subjects.keys()


def test_the_predicate_has_parameters_code_budgets_accesses_and_cells(run: Run) -> None:
    predicate = read_manifest(run)[1]["predicate"]
    tune = predicate["stages"]["tune"]
    assert tune["parameters"]["seconds"] == {"origin": "-p", "value": 0}
    assert predicate["budgets"]["limits"]["tune.seconds"] == 0 and predicate["budgets"]["cut_by_clock"] == {
        "tune": False
    }
    assert tune["key_inputs"]["code"] and "mlnb.methods.tuning.trials" in tune["key_inputs"]["modules"]
    access = predicate["test_set_accesses"]["evaluate"]
    assert access["held_out"] == {"test": run.require_output("test").digest} and access["test_rows_opened"] == 0
    notebook = json.loads((run.folder / "notebooks/50_tune.ipynb").read_bytes())
    codes = [index for index, cell in enumerate(notebook["cells"]) if cell["cell_type"] == "code"]
    assert [cell["cell"] for cell in tune["cells"]] == codes
    source = "".join(notebook["cells"][codes[0]]["source"])
    assert tune["cells"][0]["source"] == digest_bytes(source.encode())
    assert predicate["run"]["id"] == run.id and predicate["environment"]["packages"]["numpy"]["record"]


def test_the_same_run_has_the_same_manifest(run: Run) -> None:
    before = manifest_path(run).read_bytes()
    write_manifest(run)
    assert manifest_path(run).read_bytes() == before


def test_another_payload_is_refused(run: Run, tmp_path: Path) -> None:
    other = Run(run.project, tmp_path, run.record)
    for payload in (b"[]", b"{", canonical_json({"_type": "x", "subject": [], "predicateType": "y", "predicate": {}})):
        manifest_path(other).write_bytes(make_envelope(IN_TOTO, payload, None))
        with pytest.raises(SchemaError, match=r"manifest\.json"):
            read_manifest(other)
    manifest_path(other).write_bytes(make_envelope(IN_TOTO, b'{"_type": "' + 9999 * b"x" + b'\xff"}', None))
    with pytest.raises(SchemaError, match="codec can't decode byte 0xff in position") as raised:
        read_manifest(other)
    assert len(str(raised.value)) < 500  # not the whole file


@pytest.mark.parametrize("value", [None, 5, "text", [], ["run", "stages", "budgets", "test_set_accesses"]])
def test_parts_of_another_type_are_refused(run: Run, tmp_path: Path, value: object) -> None:
    other, statement = Run(run.project, tmp_path, run.record), read_manifest(run)[1]
    predicate = statement["predicate"]
    parts = [statement | {"predicate": predicate | {name: value}} for name in predicate]
    parts += [statement | {"predicate": value}, statement | {"subject": [{"name": 5, "digest": {"sha256": "a" * 64}}]}]
    for part in parts:
        manifest_path(other).write_bytes(make_envelope(IN_TOTO, canonical_json(part), None))
        with pytest.raises(SchemaError, match=r"manifest\.json"):
            read_manifest(other)


def test_the_environment_names_packages_processor_and_blas(tmp_path: Path) -> None:
    cache = StatCache(tmp_path / "cache.json")
    environment = describe_environment(cache)
    assert environment.packages["msgspec"].version and len(environment.packages["msgspec"].record or "") == 64
    assert environment.cores >= 1 and environment.machine and environment.python.startswith("3.")
    assert describe_environment(cache) == environment
    assert describe_environment(StatCache(tmp_path / "cache.json")) == environment  # another project of this user
