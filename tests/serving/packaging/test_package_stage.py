"""Stage `package` after a fitted model: the verified bento, and the reasons for none."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlnb.codec import encode
from mlnb.engine import runs
from mlnb.engine.project import Project, builtin_folder
from mlnb.methods.contracts.certificates import ParityCertificate
from mlnb.methods.contracts.gates import Gate, GateLine
from mlnb.serving.packaging.bento_stores import bentoml_environment, bentoml_home

SETTINGS = "[mlnb]\ntracker = local\n\n[pipeline train]\nstages = fitted package\n"
RUN = """#| stage
import json
from pathlib import Path
from mlnb import open_stage
names = ["contract", "schema", "encoder", "golden", "gate"]
stage = open_stage("fitted", run, reads=[], writes={writes})
given = Path(stage.resolve(folder))
for name in names:
    stage.save(name, json.loads((given / f"{{name}}.json").read_text()))
stage.save("model", given / "model")
stage.save("recommender", None)
stage.close()"""
WRITES = dict.fromkeys(["contract", "schema", "encoder", "golden", "gate", "model", "recommender"], "as it was given")
GATE = Gate.of([GateLine(check="roc_auc", found="0.9", required="0.8", passed=True)])
FAILED = Gate.of([GateLine(check="roc_auc", found="0.7", required="0.8", passed=False)])


def code(source: str, *tags: str) -> dict[str, object]:
    metadata = {"tags": list(tags)} if tags else {}
    return {"cell_type": "code", "metadata": metadata, "source": source, "outputs": [], "execution_count": None}


@pytest.fixture
def project(material, toy_root) -> Path:
    """A project whose one stage before `package` hands over a linear model."""
    given = material("linear")
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": "# Fitted\n\n> A model that was fitted elsewhere."},
        code("#| default_exp stages.fitted"),
        code('run: str = "draft"\nfolder: str = "given"  # what to hand over [file]', "parameters"),
        code(RUN.format(writes=WRITES)),
    ]
    kernel = {"kernelspec": {"display_name": "python3", "language": "python", "name": "python3"}}
    for number, cell in enumerate(cells):
        cell["id"] = f"c{number}"
    stages = toy_root / "nbs" / "stages"
    stages.mkdir(parents=True)
    notebook = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    (stages / "10_fitted.ipynb").write_text(json.dumps(notebook))
    shutil.copy(builtin_folder() / "nbs" / "stages" / "80_package.ipynb", stages)
    (toy_root / "settings.ini").write_text(SETTINGS)
    shutil.copytree(given.model, toy_root / "given" / "model")
    for name in ("schema", "encoder"):
        (toy_root / "given" / f"{name}.json").write_text(json.dumps(getattr(given, name)))
    for name, record in (("contract", given.contract), ("golden", given.golden), ("gate", GATE)):
        (toy_root / "given" / f"{name}.json").write_bytes(encode(record))
    return toy_root


def mlnb(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mlnb.cli.main", *arguments]
    environment = {**bentoml_environment(), "MLNB_ROOT": str(root)}
    environment["PYTHONDONTWRITEBYTECODE"] = ""
    return subprocess.run(command, cwd=root, env=environment, text=True, capture_output=True, timeout=120)


def newest(root: Path) -> runs.Run:
    return runs.list_runs(Project.find(root))[0]


def test_a_model_becomes_a_verified_bento(project):
    done = mlnb(project, "run", "-p", "golden_rows", "5")
    assert done.returncode == 0, done.stderr
    run = newest(project)
    certificate = run.load("certificate", ParityCertificate)
    assert (certificate.rows, certificate.identical) == (5, True)
    name, _, version = certificate.bento.partition(":")
    assert name == "survived-classifier"
    assert (bentoml_home() / "bentos" / name / version / "bento.yaml").is_file()
    record = run.stages["package"]
    assert record.metrics["golden_rows"] == 5
    assert 0 < record.metrics["request_ms"] < 1000
    text = (run.folder / record.notebook).read_text()
    assert "every number identical to the last bit" in text
    assert "the fitted model" in text

    shutil.rmtree(bentoml_home() / "bentos" / name / version)
    assert f"{certificate.bento}  (built, " in mlnb(project, "build").stdout

    first = record.outputs
    done = mlnb(project, "run", "-p", "golden_rows", "5", "--force", "package")
    assert done.returncode == 0, done.stderr
    assert newest(project).stages["package"].outputs == first


def test_a_failed_gate_stops_it(project):
    (project / "given" / "gate.json").write_bytes(encode(FAILED))
    done = mlnb(project, "run")
    assert done.returncode == 4
    output = done.stdout + done.stderr
    assert "roc_auc: found 0.7, required 0.8" in output
    assert "-p package.require_gate false" in output
    assert not newest(project).has("certificate")


def test_a_model_with_other_predictions_is_not_packaged_whatever_the_gate(project):
    (project / "given" / "gate.json").write_bytes(encode(FAILED))
    golden = json.loads((project / "given" / "golden.json").read_text())
    golden["predictions"][2]["probabilities"]["yes"] += 1e-9
    (project / "given" / "golden.json").write_text(json.dumps(golden))
    done = mlnb(project, "run", "-p", "package.require_gate", "false", "-p", "golden_rows", "4")
    assert done.returncode == 3
    assert "row 2, probabilities.yes: found" in done.stdout + done.stderr
    assert not newest(project).has("service")
