"""A finished run and its model in a tracking store of MLflow: parameters, metrics, tags, artifacts, and a pyfunc."""

import importlib
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

import mlnb
from mlnb.api.mlflow_store import EXPECTED, check_store
from mlnb.api.packaged_model import PackagedModel
from mlnb.codec import Record
from mlnb.engine.runs import Run
from mlnb.errors import MissingExtra, ServingError, UsageError
from mlnb.reports import formatting
from mlnb.serving.packaging.bundles import Bundle
from mlnb.tracking.artifact_views import load_optional
from mlnb.tracking.run_comparison import all_metrics
from mlnb.tracking.run_results import is_finite, parameter_values, verdict
from mlnb.url_passwords import mask_passwords

LOADER = "mlnb.api.mlflow_model"
TAG = "mlnb.run"  # by which a run is logged once in an experiment
BATCH = 100  # parameters or metrics of a request, the limit of MLflow
LONGEST = 6000  # characters of a parameter
REFUSED = re.compile(r"[^\w\-. /]")  # characters that names of MLflow cannot have
PINNED = re.compile(r"[A-Za-z0-9][\w.\[\]-]*==[\w.+!]+")  # a line of requirements.txt
TYPES = {"category": "string", "text": "string"}  # of others any value is accepted: MLflow refuses int64 for a double


class MlflowExport(Record, frozen=True, kw_only=True):
    """A run that was logged.

    Args:
        run: id of the run.
        uri: the tracking store, without passwords.
        experiment: name of the experiment.
        mlflow_run: id of the run of MLflow.
        model: URI of the model, for `mlflow.pyfunc.load_model`.
        rows: golden rows whose predictions by MLflow equal those of the service; 0 where a request is no single row.
    """

    run: str
    uri: str
    experiment: str
    mlflow_run: str
    model: str
    rows: int


def export_to_mlflow(run: Run, uri: str, experiment: str = "") -> MlflowExport:
    """Log a run and its model, then load the model by MLflow and compare its predictions with those of the service.

    Args:
        run: A run with a verified bento.
        uri: Tracking URI, such as sqlite:///mlflow.db or http://127.0.0.1:5000.
        experiment: Name of the experiment, which is created when there is none; empty: that of the project.

    Raises:
        MissingExtra: MLflow is not installed.
        UsageError: The experiment has the run already, or the store cannot be used.
        ServingError: The model does not return the notebook's predictions.
    """
    check_store(uri)
    mlflow = _library()
    experiment = experiment or run.project.name
    with _tracking(mlflow, uri):
        try:
            client = mlflow.MlflowClient()
            existing = client.get_experiment_by_name(experiment)
            number = existing.experiment_id if existing else client.create_experiment(experiment)
            which = f"tags.`{TAG}` = '{run.id}' and attributes.status != 'FAILED'"
            logged = client.search_runs([number], which, max_results=1)
        except mlflow.exceptions.MlflowException as error:
            raise UsageError(f"The tracking store cannot be used: {error}; expected {EXPECTED}.") from error
        if logged:
            raise UsageError(
                f"Experiment {experiment!r} has run {run.id} already, as {logged[0].info.run_id}; delete that run, or "
                "name another experiment: --experiment NAME"
            )
        created = client.create_run(number, _milliseconds(run.record.started), _tags(run), run.id)
        name = created.info.run_id
        try:
            _log(mlflow, client, name, run)
            model, rows = _log_model(mlflow, name, run)
        except BaseException:
            client.set_terminated(name, "FAILED")
            raise
        client.set_terminated(name, "FINISHED", _milliseconds(run.record.finished))
    return MlflowExport(
        run=run.id, uri=mask_passwords(uri), experiment=experiment, mlflow_run=name, model=model, rows=rows
    )


def _library() -> Any:
    """Return the module `mlflow`, which sends no usage data. Raises `MissingExtra`."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        return importlib.import_module("mlflow")
    except ImportError as error:
        raise MissingExtra(f"MLflow is not installed ({error}): pip install 'mlnb[mlflow]'") from error


@contextmanager
def _tracking(mlflow: Any, uri: str) -> Iterator[None]:
    """Use a tracking store for a while."""
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _milliseconds(moment: str | None) -> int | None:
    return None if moment is None else int(datetime.fromisoformat(moment).timestamp() * 1000)


def _tags(run: Run) -> dict[str, str]:
    """Return what a run is found by: its id, pipeline, segment, commit, data version, winner and gate."""
    record, result = run.record, verdict(run)
    provenance = load_optional(run, "provenance") or {}
    tags: dict[str, object] = {
        TAG: run.id,
        "mlnb.version": record.mlnb_version,
        "mlnb.pipeline": record.pipeline,
        "mlnb.profile": record.profile,
        "mlnb.segment": record.segment or None,
        "mlnb.data": provenance.get("digest"),
        "mlnb.winner": result.winner,
        "mlnb.gate": formatting.gate(result.gate, result.metric) or None,
        "mlflow.source.git.commit": record.git.commit if record.git else None,
    }
    return {name: str(value) for name, value in tags.items() if value is not None}


def _log(mlflow: Any, client: Any, name: str, run: Run) -> None:
    """Log parameters, metrics, the record, the report and the executed notebooks."""
    entities, moment = mlflow.entities, _milliseconds(run.record.finished) or 0
    params = [
        entities.Param(REFUSED.sub("_", key), str(value)[:LONGEST]) for key, value in parameter_values(run).items()
    ]
    metrics = [
        entities.Metric(REFUSED.sub("_", key), float(value), moment, 0)
        for key, value in all_metrics(run).items()
        if value is not None and is_finite(value)
    ]
    for first in range(0, max(len(params), len(metrics)), BATCH):
        client.log_batch(name, metrics=metrics[first : first + BATCH], params=params[first : first + BATCH])
    for file in ("run.json", "report.html"):
        if (run.folder / file).is_file():
            client.log_artifact(name, str(run.folder / file))
    if (run.folder / "notebooks").is_dir():
        client.log_artifacts(name, str(run.folder / "notebooks"), "notebooks")


def _log_model(mlflow: Any, name: str, run: Run) -> tuple[str, int]:
    """Log the model with its signature; return its URI, and the number of golden rows that MLflow predicts equally."""
    pyfunc = importlib.import_module("mlflow.pyfunc")
    bundle = Bundle.read(run.load("service"))
    folder = bundle.folder / "model"
    model = PackagedModel(folder)
    expected = model.predict_table(model.golden_rows) if model.responds_to_rows else None
    requirements = [f"mlnb=={mlnb.__version__}", *_requirements(bundle.folder / "requirements.txt")]
    with mlflow.start_run(run_id=name), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*input example")  # it would be a row of a person
        logged = pyfunc.log_model(
            name="model",
            loader_module=LOADER,
            data_path=str(folder),
            signature=_signature(model, expected),
            pip_requirements=requirements,
            metadata={"mlnb.model": bundle.model_tag, TAG: run.id, "mlnb.columns": dict(model.features)},
        )
    loaded = pyfunc.load_model(logged.model_uri)  # replays the golden rows, too
    if expected is None:
        return str(logged.model_uri), 0
    rows = pd.DataFrame(model.golden_rows, columns=list(model.features))  # with int64 where all numbers are whole
    answered = loaded.predict(rows)
    if not answered.reset_index(drop=True).equals(expected.reset_index(drop=True)):
        raise ServingError(f"The model of run {run.id} predicts otherwise when MLflow loads it; use `mlnb serve`.")
    return str(logged.model_uri), len(expected)


def _requirements(path: Path) -> list[str]:
    """Return the pinned libraries of a bundle."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    return [match[0] for line in lines if (match := PINNED.match(line))]


def _signature(model: PackagedModel, expected: pd.DataFrame | None) -> Any:
    """Return the columns that the model reads and returns; None where a request is no single row."""
    if expected is None:
        return None
    types = importlib.import_module("mlflow.types")
    schema = importlib.import_module("mlflow.types.schema")
    models = importlib.import_module("mlflow.models")
    columns = [
        types.ColSpec(TYPES[kind] if kind in TYPES else schema.AnyType(), name, required=False)
        for name, kind in model.features.items()
    ]
    outputs = models.infer_signature(expected, expected).outputs
    return models.ModelSignature(inputs=types.Schema(columns), outputs=outputs)
