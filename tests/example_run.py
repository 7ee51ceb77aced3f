"""Run folders for tests of commands and modules that read runs: runs of the stage notebooks on small tables.

Each kind of run is made once a session, in the process of whichever test needs it first; a test gets a copy with an id
and times of its choice.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from in_process import mlnb_in_process
from shared import make_once

from mlnb.codec import replace
from mlnb.engine.formats import load_object, save_object
from mlnb.engine.project import Project
from mlnb.engine.run_processes import process_start
from mlnb.engine.run_records import GitState, StageRecord, StageState
from mlnb.engine.runs import Run, open_run, read_run, set_latest
from mlnb.methods.documentation.open_questions import QUESTIONS

RUN = "20260314-091500-train-a1b2"
EARLIER = "20260314-080000-train-0000"
FAILURE = "found 'n/a' in the table, expected a number"
FILES = {"binary": ("titanic.csv", "survived"), "regression": ("cars.csv", "mpg")}
BUDGET = {
    "explore.most": "3",
    "split.folds": "3",
    "tune.families": '["lightgbm", "linear"]',
    "tune.sampler": "random",
    "tune.seconds": "0",
    "evaluate.resamples": "50",
    "evaluate.repeats": "1",
}


def passengers(feature: str, rows: int = 240) -> pd.DataFrame:
    """Return a table with missing values, a text, an identifier and a column that is known only with the target."""
    random = np.random.default_rng(0)
    fare = random.exponential(30, rows).round(2)
    sex = random.choice(["female", "male"], rows)
    survived = (random.random(rows) < 0.15 + 0.5 * (sex == "female") + 0.004 * np.clip(fare, 0, 60)).astype(int)
    return pd.DataFrame(
        {
            "name": [f"passenger {number}" for number in range(rows)],
            feature: fare,
            "sex": sex,
            "age": np.where(random.random(rows) < 0.2, np.nan, random.integers(1, 80, rows)),
            "cabin": np.where(random.random(rows) < 0.77, None, "C" + pd.Series(fare.astype(int)).astype(str)),
            "alive": np.where(survived, "yes", "no"),
            "survived": survived,
        }
    )


def cars(feature: str, rows: int = 240) -> pd.DataFrame:
    """Return a table whose target is a number."""
    random = np.random.default_rng(0)
    weight, power = random.uniform(1600, 5000, rows), random.uniform(50, 220, rows)
    mpg = 45 - 0.006 * weight - 0.03 * power + random.normal(0, 1.5, rows)
    origin = random.choice(["europe", "japan", "usa"], rows)
    return pd.DataFrame({feature: weight.round(), "power": power.round(), "origin": origin, "mpg": mpg.round(1)})


TABLES = {"binary": passengers, "regression": cars}


class Example:
    """Makes runs; `folder` is shared by the session's processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make_project(self, root: Path) -> Project:
        """Return a project without notebooks; it uses the built-in stages."""
        root.mkdir(parents=True, exist_ok=True)
        return replace(Project.find(root), home=root)

    def make_run(
        self,
        project: Project,
        run_id: str = RUN,
        *,
        upto: str = "document",
        failed: str | None = None,
        reused: tuple[str, ...] = ("problem", "ingest"),
        task: str = "binary",
        feature: str = "fare",
        minute: int = 15,
        score: float | None = None,
        change: Mapping[str, Callable[[Any], Any]] | None = None,
    ) -> Run:
        """Return a finished run, or one whose stage failed, as the latest of a project.

        Args:
            project: Where it is to be.
            run_id: Its id.
            upto: Its last stage.
            failed: A stage that raised `ValueError`; those before it are reused.
            reused: Stages that were taken from an earlier run.
            task: binary or regression.
            feature: Name of a column.
            minute: When it started, after 9 o'clock UTC on 14 March 2026.
            score: Value of the deciding metric on the test set; None: as it is.
            change: Artifacts that are replaced by what a function makes of them.
        """
        source = self._made(task, feature, failed)
        record = read_run(project, source).record
        shutil.copytree(source.parent.parent / ".mlnb" / "objects", project.store_root / "objects", dirs_exist_ok=True)
        order = record.order[: record.order.index(upto) + 1]
        stages = {name: record.stages[name] for name in order}
        for name in reused if not failed else ():
            if name in stages:
                stages[name] = replace(stages[name], state=StageState.REUSED, from_run=EARLIER)
        changes = dict(change or {})
        if score is not None and "evaluate" in stages and not failed:
            changes["metrics"] = partial(scored, score=score)
            metrics = {**stages["evaluate"].metrics, f"test_{_metric(task)}": score}
            stages["evaluate"] = replace(stages["evaluate"], metrics=metrics)
        for artifact, function in changes.items():
            _replace(project, stages, artifact, function)
        record = replace(
            record,
            id=run_id,
            order=order,
            stages=stages,
            started=f"2026-03-14T09:{minute:02}:00.000Z",
            finished=f"2026-03-14T09:{minute + 1:02}:06.000Z",
            seconds=66.4,
            git=GitState(commit="4cf0cc7f" * 5, dirty=True),
            pid=os.getpid(),
            pid_started=process_start(os.getpid()),
        )
        run = Run(project, project.runs / run_id, record)
        shutil.copytree(source, run.folder)
        for path in (run.folder / "notebooks").iterdir():
            if not any(stage.notebook == f"notebooks/{path.name}" for stage in stages.values()):
                path.unlink()
        run.save()
        set_latest(run)
        return open_run(project, run_id)

    def _made(self, task: str, feature: str, failed: str | None) -> Path:
        """Return the folder of the run that is copied."""
        key = hashlib.sha256(feature.encode()).hexdigest()[:8]
        whole = make_once(self.folder / f"{task}-{key}", partial(_make, task=task, feature=feature))
        if failed is not None:
            start = partial(_make_failed, whole=whole, task=task, failed=failed)
            whole = make_once(self.folder / f"{task}-{key}-{failed}", start)
        return whole / "runs" / json.loads((whole / "runs" / "latest.json").read_text())["id"]


def _make(root: Path, task: str, feature: str) -> None:
    """Run the pipeline on a small table."""
    file, _ = FILES[task]
    TABLES[task](feature).to_csv(root / file, index=False)
    answered = "".join(f"{question}: People of the team have answered it.\n" for question in QUESTIONS)
    (root / "answers.yaml").write_text(answered)
    mlnb_in_process(root, *_command(task))


def _make_failed(root: Path, whole: Path, task: str, failed: str) -> None:
    """Run the pipeline again where it has run already; the stage is forced to run, and fails."""
    shutil.copytree(whole, root, dirs_exist_ok=True)
    mlnb_in_process(root, *_command(task), "--force", failed, code=3, fail={failed: FAILURE})


def _command(task: str) -> list[str]:
    file, target = FILES[task]
    values = [text for name, value in BUDGET.items() for text in ("-p", name, value)]
    options = ["--profile", "smoke", "--tracker", "local", "--no-report"]
    return ["run", "--data", file, "--target", target, *options, *values]


def _metric(task: str) -> str:
    return {"binary": "roc_auc", "regression": "rmse"}[task]


def scored(metrics: dict[str, Any], score: float) -> dict[str, Any]:
    """Return the metrics of a test set on which the deciding metric has another value."""
    deciding = metrics["deciding"]
    moved = score - deciding["value"]
    deciding |= {name: deciding[name] + moved for name in ("value", "low", "high")}
    metrics["scores"][deciding["name"]] |= {name: deciding[name] for name in ("value", "low", "high")}
    return metrics


def _replace(project: Project, stages: dict[str, StageRecord], artifact: str, function: Callable[[Any], Any]) -> None:
    """Store what a function makes of an artifact, and change the records of its producer and its readers."""
    producer = next(name for name, stage in stages.items() if artifact in stage.outputs)
    before = stages[producer].outputs[artifact]
    value = function(load_object(project.store, before.format, before.digest))
    after = save_object(project.store, value, before.description)
    for name, stage in stages.items():
        reads = {read: after.digest if read == artifact else digest for read, digest in stage.reads.items()}
        outputs = {**stage.outputs, artifact: after} if name == producer else stage.outputs
        stages[name] = replace(stage, reads=reads, outputs=outputs)
