"""The example of `mlnb new --with-model`: it wins a search, is stored with the model, and reruns two stages alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from custom_families import CODE, write_family
from example_run import cars
from in_process import mlnb_in_process

from mlnb.cli.example_family import FILE, notebook_bytes
from mlnb.cli.main import main
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.exported_code import read_exported_code
from mlnb.methods.models.fitted_models import load_model, predict
from mlnb.methods.models.search_spaces import set_families
from mlnb.testing import check_model_family

RUN = ("run", "--data", "cars.csv", "--target", "mpg", "--upto", "train", "--tracker", "local", "--no-report")
VALUES = ("-p", "explore.most", "2", "-p", "split.folds", "2", "-p", "tune.trials", "1", "-p", "tune.seconds", "0")
LOAD = """
import sys
from collections.abc import Iterator
from pathlib import Path
import numpy as np
from mlnb.methods.models.fitted_models import load_model, predict
model = load_model(Path(sys.argv[1]))
print(predict(model, np.ones((3, model.features))).tobytes().hex())
"""


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Forget the families that stages registered in this process."""
    yield
    set_families([])


def test_the_example_passes_its_own_checks(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(notebook_bytes())
    assert notebook_bytes() == notebook_bytes() and "pickled = True" in read_exported_code(path, FILE)
    check_model_family(path, tasks=["regression"], params={"n_estimators": 10})


def test_a_family_wins_and_reruns_tuning_and_training_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["new", "shop", "--with-model"]) == 0
    assert f"shop/{FILE} is the example of a model family" in capsys.readouterr().out
    root = tmp_path / "shop"
    cars("weight", 80).to_csv(root / "cars.csv", index=False)
    monkeypatch.chdir(root)
    assert main(["check"]) == 0
    mlnb_in_process(root, *RUN, *VALUES, "-p", "tune.families", "gradient_boosting")
    run = runs.list_runs(Project.find(root))[0]
    assert run.load("best")["family"] == "gradient_boosting"
    model, stored = load_model(run.load("model")), next(run.load("model").rglob("family.py"))
    assert stored.read_text() == read_exported_code(root / FILE, FILE)
    expected = predict(model, np.ones((3, model.features))).tobytes().hex()
    (root / FILE).rename(root / "gone.ipynb")  # the model needs no project
    command = [sys.executable, "-c", LOAD, str(run.load("model"))]
    assert subprocess.run(command, capture_output=True, text=True, cwd=tmp_path).stdout.strip() == expected
    (root / "gone.ipynb").rename(root / FILE)
    assert {line.split()[1] for line in plan(root, capsys).values()} == {"reuse", "-"}
    (root / FILE).write_text((root / FILE).read_text().replace('max_depth\\": Range(1', 'max_depth\\": Range(2'))
    steps = plan(root, capsys)
    assert {name for name, line in steps.items() if line.split()[1] == "run"} == {"tune", "train"}
    assert f"{FILE} changed" in steps["tune"] and f"{FILE} changed" in steps["train"]


def plan(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the line of each stage in the plan of the run."""
    capsys.readouterr()
    assert main(["plan", *RUN[1:7], *VALUES, "-p", "tune.families", "gradient_boosting"]) == 0
    lines = [line for line in capsys.readouterr().out.split("values that")[0].splitlines() if line.startswith("  ")]
    return {line.split()[0]: line for line in lines}


def test_a_broken_family_ends_the_run_with_its_file(tmp_path: Path) -> None:
    assert main(["new", str(tmp_path / "shop")]) == 0
    root = tmp_path / "shop"
    cars("weight", 60).to_csv(root / "cars.csv", index=False)
    path = write_family(root, code=CODE.replace("p[:, 0]", "p[:, 0] * np.nan", 1))
    output = mlnb_in_process(root, *RUN[:6], "tune", *RUN[7:], *VALUES, code=None)
    assert f"nbs/models/{path.name}" in output and "Traceback" not in output, output
