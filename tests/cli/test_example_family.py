"""The example of `mlnb new --with-model`, with a metric and an encoder: it wins, is stored, and reruns two stages."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from custom_encoders import write_encoder
from custom_families import CODE, write_family
from custom_metrics import write_metric
from example_run import cars
from in_process import mlnb_in_process

from mlnb.cli.example_family import FILE
from mlnb.cli.example_notebooks import EXAMPLES
from mlnb.cli.main import main
from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.exported_code import read_exported_code
from mlnb.methods.metrics.custom_metrics import use_metrics
from mlnb.methods.models.fitted_models import load_model
from mlnb.methods.models.search_spaces import set_families
from mlnb.testing import check_model_family

WITHIN = """#| export
import numpy as np
from mlnb.methods.metrics.metric_interface import CustomMetric


class Within(CustomMetric):
    name, tasks, direction, needs = "within", ("regression",), "maximize", "value"

    def score(self, y, prediction, weights):
        return np.average(np.abs(y - prediction) <= 3.0, weights=weights)
"""
OTHERS = ("-p", "problem.metric", "within", "-p", "features.encoders", '{"origin": "moments"}')
RUN = ("run", "--data", "cars.csv", "--target", "mpg", "--upto", "train", "--tracker", "local", "--no-report")
VALUES = ("-p", "explore.most", "2", "-p", "split.folds", "2", "-p", "tune.trials", "1", "-p", "tune.seconds", "0")


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """Forget the families that stages registered in this process."""
    yield
    set_families([])
    use_metrics([])


def test_the_example_passes_its_own_checks(tmp_path: Path) -> None:
    path = tmp_path / FILE
    path.parent.mkdir(parents=True)
    path.write_bytes(EXAMPLES["model"].notebook_bytes())
    assert "pickled = True" in read_exported_code(path, FILE)
    check_model_family(path, tasks=["binary"], params={"n_estimators": 10})


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
    write_encoder(root)
    write_metric(root, code=WITHIN)
    mlnb_in_process(root, *RUN, *VALUES, *OTHERS, "-p", "tune.families", "gradient_boosting")
    run = runs.list_runs(Project.find(root))[0]
    assert run.load("best")["family"] == "gradient_boosting"
    assert load_model(run.load("model")).family == "gradient_boosting"
    assert (run.load("model") / "family.py").read_text() == read_exported_code(root / FILE, FILE)
    assert run.load("contract")["metric"] == "within" and run.load("contract")["direction"] == "maximize"
    assert run.load("encoder")["options"]["encoders"]["origin"]["name"] == "moments"
    assert {line.split()[1] for line in plan(root, capsys).values()} == {"reuse", "-"}
    (root / FILE).write_text((root / FILE).read_text().replace('max_depth\\": Range(1', 'max_depth\\": Range(2'))
    steps = plan(root, capsys)
    assert {name for name, line in steps.items() if line.split()[1] == "run"} == {"tune", "train"}
    assert f"{FILE} changed" in steps["tune"] and f"{FILE} changed" in steps["train"]
    write_family(root, code=CODE.replace("p[:, 0]", "p[:, 0] * np.nan", 1))
    output = mlnb_in_process(root, *RUN[:6], "tune", *RUN[7:], *VALUES, code=None)
    assert "nbs/models/halves.ipynb: model family 'halves'" in output and "NaN" in output, output
    assert "Traceback" not in output, output


def plan(root: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the line of each stage in the plan of the run."""
    capsys.readouterr()
    assert main(["plan", *RUN[1:7], *VALUES, *OTHERS, "-p", "tune.families", "gradient_boosting"]) == 0
    lines = [line for line in capsys.readouterr().out.split("values that")[0].splitlines() if line.startswith("  ")]
    return {line.split()[0]: line for line in lines}
