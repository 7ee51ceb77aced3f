"""A run in Weights & Biases (W&B), finished or failed as ours: one per pipeline run and per trial, with artifacts.

A child run takes 10 ms offline (measured with W&B 0.31, after 0.9 s for the import and the first `init`), so every
trial gets one, up to `CHILD_RUNS`; the parent's table has all trials. The file is flushed every second: `wandb sync`
finds what was finished of a killed run.
"""

import json
import logging
import math
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import wandb

from mlnb.codec import to_json
from mlnb.engine.events import Event, RunFinished, StageFinished, StageReused
from mlnb.engine.files import make_folder
from mlnb.engine.runs import Run
from mlnb.errors import StoreFull
from mlnb.methods.contracts.findings import Finding, FindingList
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import BestTrial, load_optional, load_record, load_view
from mlnb.tracking.notebook_plots import Plot, read_plots
from mlnb.tracking.wandb_settings import DEFAULTS

LEAST_SPACE = 8 << 20  # bytes on the disk without which W&B is not started: it waits, or fails in its threads
CHILD_RUNS = 300  # trials with a separate W&B run: 3 s of writing in the background

Scalar = str | int | float | bool | None
_open_trackers = 0  # W&B's own process is shared by all trackers of this process, and ended with the last one
_lock = threading.Lock()
_images = threading.Lock()


class WandbTracker:
    """Writes one pipeline run to the folder `<root>/wandb`; it is uploaded only when `mode` is online."""

    def __init__(self, folder: Path, project: str, mode: str, warn: Callable[[str], None]) -> None:
        global _open_trackers
        self.folder = folder
        make_folder(folder)
        if (free := shutil.disk_usage(folder).free) < LEAST_SPACE:
            raise StoreFull(f"W&B needs {LEAST_SPACE >> 20} MB in {folder}, {free / 2**20:.1f} MB are free")
        for directory in ("DATA", "CACHE", "ARTIFACT"):  # W&B's own default is the home folder
            os.environ.setdefault(f"WANDB_{directory}_DIR", str(folder / f".{directory.lower()}"))
        self.settings = wandb.setup().settings  # of the environment and of W&B's settings files
        self.project = self.settings.project or _name(project)
        self.mode = mode if mode == "offline" or _has_key(self.settings.base_url, warn) else "offline"
        self.run: Any = None
        self.group: str | None = None
        with _lock:
            _open_trackers += 1

    def __call__(self, event: Event) -> None:
        """Record an event. Raises the exceptions of W&B."""
        if self.run is None:
            self._start(event.run)
        if isinstance(event, StageFinished | StageReused):
            self._stage(event.run, event.stage, executed=isinstance(event, StageFinished))
        if isinstance(event, RunFinished):
            self._finish(event.run)

    def close(self) -> None:
        """Mark an unfinished run as failed, and end W&B's own process when no other tracker needs it."""
        global _open_trackers
        if self.run is not None:
            self.run.finish(exit_code=1)
            self.run = None
        with _lock:
            _open_trackers -= 1
            if _open_trackers == 0:
                wandb.teardown()

    def _start(self, run: Run) -> None:
        record = run.record
        self.group = self.settings.run_group or record.group or record.pipeline
        tags = [record.pipeline, *([record.profile] if record.profile else []), *(self.settings.run_tags or ())]
        title = f"{run.id} {record.segment}".rstrip()
        self.run = self._init(run.id, title, job_type="pipeline", config=_config(run), tags=tags)
        self.run.define_metric("trial/*", step_metric="trial/number")

    def _init(self, run: str, title: str = "", **more: Any) -> Any:
        chosen = self.settings.model_fields_set
        defaults = {"root_dir": str(self.folder.parent), **DEFAULTS}
        values = {name: value for name, value in defaults.items() if name not in chosen}
        settings = wandb.Settings(**values, mode=self.mode, reinit="create_new")  # type: ignore[arg-type]
        more |= {"project": self.project, "id": run, "name": title or run, "group": self.group}
        created = wandb.init(settings=settings, **more)
        for handler in logging.getLogger("wandb").handlers:  # a full disk prints a traceback for each line of its log
            handler.handleError = lambda record: None  # type: ignore[method-assign]
        return created

    def _stage(self, run: Run, stage: str, executed: bool) -> None:
        record = run.stages[stage]
        row: dict[str, Any] = {f"{stage}/{name}": value for name, value in record.metrics.items()}
        if executed and record.seconds is not None:
            row[f"seconds/{stage}"] = record.seconds
        if "findings" in record.outputs:
            row["findings"] = _findings(load_record(run, "findings", FindingList))
        self._plots(run, stage, row)
        if row:
            self.run.log(row)
        if "provenance" in record.outputs:
            self._data(run)
        if "trials" in record.outputs:
            self._trials(run, executed)
        if "model" in record.outputs:
            self._model(run)

    def _plots(self, run: Run, stage: str, row: dict[str, Any]) -> None:
        notebook = run.notebook_file(stage)
        if notebook is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            for number, plot in enumerate(read_plots(notebook)):
                if picture := to_media(plot, Path(folder, f"{number}.png")):
                    row[f"{stage}/{_name(plot.title)}"] = picture
            if row:  # W&B copies a picture when it is logged, so the folder must still exist
                self.run.log(row.copy())
                row.clear()

    def _data(self, run: Run) -> None:
        provenance = load_optional(run, "provenance") or {}
        raw = run.output("raw")
        digest = raw.digest if raw else None
        metadata = {**_scalars(provenance), "digest": digest}
        artifact = wandb.Artifact(_artifact_name(f"{self.project}-data"), "dataset", metadata=metadata)
        with artifact.new_file("provenance.json") as file:
            json.dump({"digest": digest, "provenance": provenance}, file, indent=1, sort_keys=True)
        # use_artifact() refuses to work offline and waits for the server online; this is all that it writes: the
        # artifact, and that the run used it. `wandb sync` uploads both.
        self.run._log_artifact(artifact, is_user_created=True, use_after_commit=True)

    def _model(self, run: Run) -> None:
        output = run.output("model")
        best = load_view(run, "best", BestTrial)
        metadata = {
            "digest": output.digest if output else None,
            "family": best.family if best else None,
            "run": run.id,
        }
        artifact = wandb.Artifact(_artifact_name(f"{self.project}-model"), "model", metadata=metadata)
        model = load_optional(run, "model")
        if isinstance(model, Path) and model.is_dir():
            artifact.add_dir(str(model))
        else:
            with artifact.new_file("model.json") as file:
                json.dump(metadata, file, sort_keys=True)
        self.run.log_artifact(artifact)

    def _trials(self, run: Run, executed: bool) -> None:
        table = run_results.read_table(run, "trials")
        if not table.rows:
            return
        best = load_view(run, "best", BestTrial)
        self.run.log({"trials": _table(table.columns, table.rows)})
        for trial in run_results.read_trials(run):
            if run_results.is_finite(trial.score) and trial.state.lower() == "complete":
                self.run.log({"trial/number": trial.number, "trial/score": trial.score})
        if not executed:  # a search that was reused has its trials in the run that executed it
            return
        for row in table.rows[:CHILD_RUNS]:
            self._trial(run.id, dict(zip(table.columns, row, strict=True)), best.metric if best else None)

    def _trial(self, parent: str, trial: Mapping[str, Scalar], metric: str | None) -> None:
        config = {"parent": parent, "family": trial.get("family"), **_hyperparameters(trial.get("params"))}
        child = self._init(f"{parent}-trial-{trial.get('number')}", job_type="trial", config=config)
        state = str(trial.get("state") or "").lower()
        numbers = {name: value for name, value in trial.items() if run_results.is_finite(value)}
        if metric and "score" in numbers:
            numbers[metric] = numbers["score"]
        child.log(numbers)
        child.summary["state"] = state
        child.finish(exit_code=1 if state.startswith("fail") else 0)

    def _finish(self, run: Run) -> None:
        record = run.record
        self.run.config.update(_config(run), allow_val_change=True)
        verdict = to_json(run_results.verdict(run))
        summary: dict[str, Scalar] = {"state": str(record.state), "seconds": record.seconds}
        summary |= {name: value for name, value in verdict.items() if value is not None}
        if failure := record.failure:
            summary |= {
                "failure/stage": failure.stage,
                "failure/error": failure.error,
                "failure/heading": failure.heading,
                "failure/message": failure.message,
            }
        self.run.summary.update(summary)
        self.run.finish(exit_code=run_results.exit_code(record))
        self.run = None


def to_media(plot: Plot, path: Path) -> wandb.Image | wandb.Html | None:
    """Return a plot as W&B shows it: SVG as HTML, PNG as an image with its bytes at `path`; None when damaged.

    One thread at a time: Pillow knows no format while another thread loads the first.
    """
    if plot.is_svg:
        return wandb.Html(plot.image.decode(errors="replace"), inject=False)
    path.write_bytes(plot.image)
    with _images, suppress(OSError, SyntaxError):
        return wandb.Image(str(path), caption=plot.title)
    return None


def _config(run: Run) -> dict[str, Any]:
    """Return the configuration of the W&B run: parameters by stage, and the origin of each."""
    record = run.record
    config: dict[str, Any] = {
        "pipeline": record.pipeline,
        "profile": record.profile,
        "mlnb": record.mlnb_version,
        "python": record.python_version,
        "git": to_json(record.git) if record.git else None,
        "versions": run_results.versions(run),
        "origins": {name: value.origin for name, value in run_results.parameters(run).items()},
    }
    for stage, item in run.stages.items():
        config[stage] = {name: value.value for name, value in item.parameters.items()}
    return config


def _findings(findings: FindingList | None) -> Any:
    """Return the findings of the data validation as a W&B table."""
    columns = Finding.__struct_fields__
    rows = findings.findings if findings else ()
    return _table(columns, [[getattr(row, name) for name in columns] for row in rows])


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Any:
    data = [[_cell(value) for value in row] for row in rows]
    return wandb.Table(columns=list(columns), data=data, allow_mixed_types=True)


def _cell(value: Any) -> Scalar:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _scalars(values: Mapping[str, Any]) -> dict[str, Scalar]:
    return {name: value for name, value in values.items() if isinstance(value, str | int | float | bool)}


def _hyperparameters(text: Any) -> dict[str, Scalar]:
    try:
        values = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return dict(values) if isinstance(values, dict) else {}


def _name(text: str) -> str:
    """Return `text` with the characters that W&B refuses in names (slashes, quotes, colons ...) replaced by dashes."""
    return re.sub(r"[^\w.\- ()]+", "-", text).strip("- ")[:100] or "unnamed"


def _artifact_name(text: str) -> str:
    """Return `text` as W&B allows it for artifacts: ASCII letters, digits, dots, dashes and underscores."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^\w.\-]+", "-", plain, flags=re.ASCII).strip("-")[:100] or "unnamed"


def _has_key(server: str, warn: Callable[[str], None]) -> bool:
    """Return whether W&B has an API key for a server; warn when it has none: a prompt could not be answered here."""
    from wandb.sdk.lib import wbauth

    if wbauth.authenticate_session(host=server, source="mlnb", prompt=False):
        return True
    warn(
        f"W&B is online but has no API key for {server}; the run is kept offline. Run `wandb login`, then `wandb sync`."
    )
    return False
