"""A project whose winner is half custom: LightGBM and a pickled estimator of scikit-learn in one ensemble.

It does what people do who bring a custom model: `mlnb new`, one cell of the train notebook, `mlnb run`. Its
image needs scikit-learn and LightGBM, which no family of the project does.
"""

import json
import subprocess
import sys
from pathlib import Path

MARK = "model = fit_best("
OWN = """
from mlnb.methods.models.fitted_models import Model
from sklearn.ensemble import HistGradientBoostingClassifier

own = Model("own", model.task, model.classes, model.features, HistGradientBoostingClassifier(random_state=0).fit(X, y))
model = Model("ensemble", model.task, model.classes, model.features, {"members": [model, own], "weights": [0.5, 0.5]})
"""
SETTINGS = ("tune.trials=2", 'tune.families=["lightgbm"]', "evaluate.resamples=50", "package.require_gate=false")


def make_project(folder: Path, program: Path) -> Path:
    """Return a new project in `folder` with a finished run; raises `RuntimeError` with the last output of a command."""
    _call(folder, [str(program), "new", "own"])
    notebook = folder / "own" / "nbs" / "stages" / "60_train.ipynb"
    pages = json.loads(notebook.read_text("utf-8"))
    (cell,) = (cell for cell in pages["cells"] if MARK in "".join(cell["source"]) and cell["source"][0] == "#| stage\n")
    head, _, rest = "".join(cell["source"]).partition(MARK)
    line, _, rest = rest.partition("\n")
    cell["source"] = f"{head}{MARK}{line}{OWN}{rest}"
    notebook.write_text(json.dumps(pages), "utf-8")
    stated = [word for setting in SETTINGS for word in ("-p", *setting.split("=", 1))]
    data = ("--data", "sklearn:breast_cancer", "--target", "target")
    _call(folder / "own", [str(program), "run", *data, *stated, "--no-report"])
    return folder / "own"


def _call(folder: Path, command: list[str]) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise RuntimeError("\n".join((done.stdout + done.stderr).strip().splitlines()[-15:]))


if __name__ == "__main__":
    print(make_project(Path(sys.argv[1]), Path(sys.executable).parent / "mlnb"))
