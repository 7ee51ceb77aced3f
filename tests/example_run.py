"""A run folder as the engine leaves it, made in a moment: for the tests of those who read runs."""

import base64
import io
import json
import os
from pathlib import Path

from mlnb.engine.formats import save_object
from mlnb.engine.project import DEFAULTS, Project
from mlnb.engine.runs import Run, point_latest, process_start
from mlnb.methods.contracts.problems import ProblemContract

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
STAGES = {  # name: (number, title, promise, reads, writes, seconds)
    "problem": (5, "Problem", "What is predicted, for whom, and what counts as good.", [], ["problem"], 0.7),
    "ingest": (
        10,
        "Ingest",
        "The data set as one table, with where it came from.",
        [],
        ["raw", "provenance"],
        1.3,
    ),
    "validate": (
        20,
        "Validate",
        "A schema, a contract and a list of findings.",
        ["problem", "raw", "provenance"],
        ["contract", "schema", "table", "findings"],
        1.9,
    ),
    "explore": (
        25,
        "Explore",
        "What a person wants to see first.",
        ["contract", "schema", "table"],
        ["exploration"],
        3.2,
    ),
    "split": (
        30,
        "Split",
        "Training rows, folds and a sealed test set.",
        ["contract", "schema", "table"],
        ["training", "test", "folds"],
        1.4,
    ),
    "features": (
        40,
        "Features",
        "Encoders learned on training rows alone.",
        ["contract", "schema", "training"],
        ["encoder", "encoded"],
        1.6,
    ),
    "tune": (
        50,
        "Tune",
        "The best family and settings by cross-validation.",
        ["contract", "schema", "training", "folds", "encoder"],
        ["trials", "best"],
        41.8,
    ),
    "train": (
        60,
        "Train",
        "The winner, refitted on all training rows.",
        ["contract", "schema", "training", "encoder", "best"],
        ["model"],
        2.2,
    ),
    "evaluate": (
        70,
        "Evaluate",
        "The sealed test set, once.",
        ["contract", "schema", "encoder", "model", "best", "training", "test"],
        ["metrics", "gate", "predictions", "golden"],
        4.5,
    ),
    "package": (
        80,
        "Package",
        "A service that is proven to answer as the notebook does.",
        ["contract", "schema", "encoder", "model", "golden", "gate"],
        ["service", "certificate"],
        9.4,
    ),
    "document": (
        85,
        "Document",
        "A model card that says what is known and what is not.",
        [
            "provenance",
            "contract",
            "schema",
            "findings",
            "exploration",
            "trials",
            "best",
            "metrics",
            "gate",
            "certificate",
        ],
        ["card"],
        0.9,
    ),
}
PARAMETERS = {
    "problem": ProblemContract(
        target=("survived", "-p"), task=("auto", "cell"), bound=(None, "cell"), owner=("", "cell")
    ),
    "ingest": {"data": ("titanic.csv", "-p"), "separator": ("auto", "cell"), "header": ("auto", "cell")},
    "validate": {"leakage": ("drop", "cell")},
    "split": {
        "test_share": (0.2, "cell"),
        "kind": ("auto", "cell"),
        "folds": (5, "cell"),
        "seed": (0, "cell"),
    },
    "tune": {
        "trials": (24, "profile smoke"),
        "seconds": (60.0, "cell"),
        "seed": (0, "cell"),
        "families": (["lightgbm", "random_forest", "linear", "hist_boosting"], "cell"),
        "sampler": ("random", "-g"),
    },
    "evaluate": {"resamples": (1000, "cell"), "seed": (0, "cell")},
}
METRICS = {
    "ingest": {"rows": 891, "columns": 12},
    "validate": {"errors": 0, "warnings": 3},
    "split": {"training_rows": 712, "test_rows": 179},
    "tune": {"score": 0.8751, "trials": 24},
    "evaluate": {"roc_auc": 0.8623, "accuracy": 0.8268, "test_looks": 3.0},
}
PLOTS = {
    "explore": ["Target", "Missing values", "Target against features", "Target against features"],
    "split": ["Share of each class"],
    "tune": ["History of the study", "Importance of the settings"],
    "evaluate": ["ROC and precision–recall", "Calibration", "Confusion"],
}


def make_project(root: Path) -> Project:
    """Return a project without notebooks of its own."""
    root.mkdir(parents=True, exist_ok=True)
    return Project(root, root, dict(DEFAULTS), {"train": tuple(STAGES)})


def make_run(
    project: Project,
    run_id: str = "20260314-091500-train-a1b2",
    *,
    upto: str = "document",
    failed: str | None = None,
    reused: tuple[str, ...] = ("problem", "ingest"),
    task: str = "binary",
    feature: str = "fare",
    minute: int = 15,
    pictures: bool = False,
    score: float = 0.8623,
) -> Run:
    """Return a finished run, or one whose stage `failed` raised; `feature` names a column."""
    names = list(STAGES)[: list(STAGES).index(upto) + 1]
    folder = project.runs / run_id
    (folder / "notebooks").mkdir(parents=True)
    values = artifacts(task, feature, score)
    producers: dict[str, str] = {}
    stages = {}
    for name in names:
        number, title, promise, reads, writes, seconds = STAGES[name]
        broken = failed is not None and names.index(name) >= names.index(failed)
        state = "failed" if name == failed else "skipped" if broken else "reused" if name in reused else "finished"
        notebook = None
        if state != "skipped":
            notebook = f"notebooks/{number}_{name}.ipynb"
            (folder / notebook).write_text(json.dumps(executed(name, state, feature, pictures)))
        producers.update(dict.fromkeys(writes, name))
        outputs = {}
        for artifact in writes if not broken else ():
            kind, digest, size = save_object(project.store, values[artifact])
            description = f"what {name} says about {artifact}"
            outputs[artifact] = {"digest": digest, "format": kind, "bytes": size, "description": description}
        cause = f"ValueError: found 'n/a' in {feature}, expected a number"
        error = {
            "kind": "CellFailed",
            "stage": name,
            "cell": 7,
            "title": "Search",
            "cause": cause,
            "notebook": notebook,
        }
        metrics = dict(METRICS.get(name, {})) if not broken else {}
        if "roc_auc" in metrics:
            metrics["roc_auc"] = score
        stages[name] = {
            "state": state,
            "why": "nothing changed" if state == "reused" else "first run",
            "key": "ab" * 16,
            "title": title,
            "promise": promise,
            "notebook": notebook,
            "seconds": None if broken else seconds,
            "started": f"2026-03-14T09:{minute}:02Z",
            "finished": f"2026-03-14T09:{minute}:03Z",
            "parameters": {
                key: {"value": value, "from": origin}
                for key, (value, origin) in {"run": (run_id, "-p"), **PARAMETERS.get(name, {})}.items()
            },
            "reads": {
                read: stages[producers[read]]["outputs"].get(read, {}).get("digest")
                for read in reads
                if read in producers
            },
            "producers": {read: producers[read] for read in reads if read in producers},
            "outputs": outputs,
            "metrics": metrics,
            "versions": {"pandas": "3.0.6", "lightgbm": "4.7.0"},
            "from_run": "20260314-080000-train-0000" if state == "reused" else None,
            "error": error if name == failed else None,
        }
    record = {
        "id": run_id,
        "pipeline": "train",
        "state": "failed" if failed else "finished",
        "started": f"2026-03-14T09:{minute}:00.000Z",
        "finished": f"2026-03-14T09:{minute + 1}:10.000Z",
        "seconds": 66.4,
        "command": ["mlnb", "run", "--data", "titanic.csv", "--target", "survived"],
        "group": None,
        "profile": "smoke",
        "mlnb": "0.1.0",
        "python": "3.12.4",
        "platform": "Linux",
        "git": {"commit": "4cf0cc7f" * 5, "dirty": True},
        "pid": os.getpid(),
        "pid_started": process_start(os.getpid()),
        "order": names,
        "stages": stages,
    }
    run = Run(project, folder, record)
    run.save()
    point_latest(run)
    return run


def artifacts(task: str, feature: str, score: float) -> dict:
    """Return an object for every artifact of pipeline train."""
    import numpy as np
    import pandas as pd

    from mlnb.methods.documentation.model_card import model_card
    from mlnb.methods.documentation.open_questions import answer_questions

    target = "mpg" if task == "regression" else "survived"
    metric = "rmse" if task == "regression" else "roc_auc"
    classes = None if task == "regression" else ["0", "1"]
    table = pd.DataFrame({feature: [7.25, 71.3, 8.05, None], target: [0.0, 1.0, 1.0, 0.0]})
    random = np.random.default_rng(0)
    rows = [
        {
            "number": n,
            "state": ["complete", "complete", "pruned"][n % 3],
            "family": ["lightgbm", "random_forest", "linear", "hist_boosting"][n % 4],
            "score": float(0.8 + 0.075 * (1 - np.exp(-n / 5)) + random.normal(0, 0.008)) if n % 3 < 2 else None,
            "params": json.dumps({"learning_rate": round(0.01 * (n + 1), 4), "num_leaves": 2 ** (n % 6 + 2)}),
        }
        for n in range(24)
    ]
    interval = {"value": score, "low": score - 0.041, "high": score + 0.037}
    if task == "regression":
        standard = {
            "rmse": interval,
            "mae": {"value": 1.92, "low": 1.7, "high": 2.2},
            "r2": {"value": 0.87, "low": 0.81, "high": 0.92},
        }
        dummy, linear = {"rmse": 7.91, "mae": 6.6, "r2": 0.0}, {"rmse": 3.4, "mae": 2.6, "r2": 0.81}
    else:
        standard = {
            "roc_auc": interval,
            "average_precision": {"value": 0.841, "low": 0.77, "high": 0.9},
            "log_loss": {"value": 0.431, "low": 0.35, "high": 0.52},
            "brier_score": {"value": 0.134, "low": 0.11, "high": 0.16},
            "accuracy": {"value": 0.8268, "low": 0.77, "high": 0.88},
            "f1": {"value": 0.766, "low": 0.68, "high": 0.84},
        }
        dummy = {
            "roc_auc": 0.5,
            "average_precision": 0.384,
            "log_loss": 0.666,
            "brier_score": 0.236,
            "accuracy": 0.615,
            "f1": 0.0,
        }
        linear = {
            "roc_auc": 0.8341,
            "average_precision": 0.8,
            "log_loss": 0.461,
            "brier_score": 0.147,
            "accuracy": 0.793,
            "f1": 0.726,
        }
    contract = ProblemContract(
        task=task,
        target=target,
        classes=classes,
        positive="1" if classes else None,
        metric=metric,
        direction="minimize" if metric == "rmse" else "maximize",
        bound=None,
        owner="",
        intended_use="",
        excluded_uses="",
        risk="",
        unit="one row",
        prediction=f"the {target} of one row",
        sources=ProblemContract(
            task="inferred: two values in the target",
            target="stated",
            metric="default: usual for binary",
            owner="default: not stated",
        ),
    )
    columns = [
        {
            "name": feature,
            "kind": "number",
            "role": "feature",
            "nullable": True,
            "integer": False,
            "minimum": 0.0,
            "maximum": 512.3,
            "categories": None,
            "missing": 0.01,
            "example": 7.25,
            "reason": "",
        },
        {
            "name": "cabin",
            "kind": "text",
            "role": "dropped",
            "nullable": True,
            "integer": False,
            "minimum": None,
            "maximum": None,
            "categories": None,
            "missing": 0.77,
            "example": "C85",
            "reason": "77 % missing",
        },
        {
            "name": target,
            "kind": "category",
            "role": "target",
            "nullable": False,
            "integer": False,
            "minimum": None,
            "maximum": None,
            "categories": classes,
            "missing": 0.0,
            "example": "1",
            "reason": "",
        },
    ]
    findings = [
        {
            "check": "missing",
            "severity": "warning",
            "column": "cabin",
            "rows": 687,
            "message": "77 % of the values are missing",
            "action": "the column is dropped",
        },
        {
            "check": "leakage",
            "severity": "warning",
            "column": "alive",
            "rows": None,
            "message": "gives the target away: one value for each class",
            "action": "dropped (validate.leakage = drop)",
        },
        {
            "check": "cardinality",
            "severity": "info",
            "column": "name",
            "rows": None,
            "message": "every value is different",
            "action": "treated as an identifier",
        },
        {
            "check": "missing",
            "severity": "warning",
            "column": feature,
            "rows": 9,
            "message": "1 % of the values are missing",
            "action": "encoders learn a value for missing",
        },
    ]
    gate = {
        "passed": True,
        "lines": [
            {
                "check": f"{metric} better than the dummy",
                "found": "difference 0.362 [0.29, 0.43]",
                "required": "interval above 0",
                "passed": True,
            },
            {
                "check": f"{metric} against the linear model",
                "found": "difference 0.028 [−0.01, 0.07]",
                "required": "shown, not required",
                "passed": True,
            },
        ],
    }
    values = {
        "problem": {"target": target},
        "raw": table,
        "table": table,
        "training": table,
        "test": table,
        "encoded": table,
        "predictions": pd.DataFrame({"truth": [1.0, 3.0], "prediction": [1.5, 2.5]})
        if task == "regression"
        else pd.DataFrame({"truth": ["0", "1"], "prediction": ["0", "1"], "p 0": [0.8, 0.3], "p 1": [0.2, 0.7]}),
        "folds": np.zeros(4, dtype="int8"),
        "encoder": {"names": [feature]},
        "provenance": {
            "source": "titanic.csv",
            "rows": 891,
            "columns": 12,
            "digest": "c0ffee" * 10,
            "licence": None,
        },
        "contract": contract,
        "schema": {"columns": columns, "rows": 891},
        "findings": findings,
        "exploration": {"associations": {feature: 0.31}},
        "trials": pd.DataFrame(rows),
        "best": {
            "family": "lightgbm",
            "params": {"learning_rate": 0.05, "num_leaves": 15},
            "score": 0.8751,
            "fold_scores": [0.86, 0.88, 0.87, 0.89, 0.87],
            "metric": metric,
            "trials": 24,
        },
        "model": Path(__file__).parent / "example_model",
        "metrics": {
            "rows": 179,
            "deciding": {"name": metric, **interval},
            "standard": standard,
            "dummy": dummy,
            "linear": linear,
            "difference_to_dummy": {"value": 0.362, "low": 0.29, "high": 0.43},
        },
        "gate": gate,
        "golden": {"rows": [{feature: 7.25}], "predictions": [{"prediction": "1"}]},
        "service": Path(__file__).parent / "example_model",
        "certificate": {
            "bento": "survived:5f3a",
            "model": "survived:77aa",
            "rows": 20,
            "identical": True,
            "service": "ab" * 32,
        },
    }
    card = model_card({**values, "trials": rows}, answer_questions(contract, {"owner": "Risk team"}))
    return {**values, "card": card}


def executed(stage: str, state: str, feature: str, pictures: bool) -> dict:
    """Return an executed stage notebook as papermill leaves it."""
    cells = [
        _markdown(f"# {STAGES[stage][1]}\n\n> {STAGES[stage][2]}\n\nThe median is $\\tilde x$; see `mlnb.stages`."),
        _code("#| default_exp stages." + stage),
        _code('run: str = "draft"  # id of the run, or draft', tags=["parameters"]),
        _code(
            f'# Parameters\nrun = "20260314-091500-train-a1b2"\ncolumn = {feature!r}\n',
            tags=["injected-parameters"],
        ),
        _markdown("## Run the stage"),
        _code(f'#| stage\nfrom mlnb import open_stage\nstage = open_stage("{stage}", run, [], {{}})'),
    ]
    head = f"<thead><tr><th></th><th>{_escaped(feature)}</th></tr></thead>"
    table = f"<table>{head}<tbody><tr><th>0</th><td>7.25</td></tr></tbody></table>"
    cells.append(
        _code(
            "#| stage\ntable.head()",
            [
                {
                    "output_type": "execute_result",
                    "execution_count": 1,
                    "metadata": {},
                    "data": {"text/html": table, "text/plain": "fare"},
                }
            ],
        )
    )
    for number, title in enumerate(PLOTS.get(stage, ())):
        png = base64.b64encode(_picture(stage, number) if pictures else PIXEL).decode()
        output = {
            "output_type": "display_data",
            "metadata": {},
            "data": {"image/png": png, "text/plain": "<Figure>"},
        }
        cells += [
            _markdown(f"### {title}\nWhat the reader should see."),
            _code("#| stage\nplot(table)", [output]),
        ]
    if state == "failed":
        cells.append(
            _code(
                "#| stage\nsearch(training)",
                [
                    {
                        "output_type": "error",
                        "ename": "ValueError",
                        "evalue": "found 'n/a'",
                        "traceback": ["\x1b[0;31mValueError\x1b[0m: found 'n/a' in " + feature],
                    }
                ],
            )
        )
    cells.append(_code("#| stage\nstage.close()", [{"output_type": "stream", "name": "stdout", "text": ["saved\n"]}]))
    kernel = {"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": kernel, "cells": cells}


def _markdown(source: str) -> dict:
    return {"cell_type": "markdown", "id": "m", "metadata": {}, "source": source}


def _code(source: str, outputs: list | None = None, tags: list | None = None) -> dict:
    return {
        "cell_type": "code",
        "id": "c",
        "metadata": {"tags": tags} if tags else {},
        "source": source,
        "execution_count": 1,
        "outputs": outputs or [],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _picture(stage: str, number: int) -> bytes:
    import numpy as np
    from matplotlib.figure import Figure

    from mlnb.methods.tables.plot_style import use_style

    use_style()
    figure = Figure(figsize=(6, 3.6) if number % 2 == 0 else (4.4, 3.6))
    axes = figure.subplots()
    x = np.linspace(0, 1, 80)
    axes.plot(x, x ** (0.4 + number * 0.2), label=stage)
    axes.plot(x, x, "--", color="#7b8794", label="reference")
    axes.set(title=PLOTS[stage][number], xlabel="false positive rate", ylabel="true positive rate")
    axes.legend()
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
