"""A run in Weights & Biases: one W&B run a pipeline run, one a trial, data and model as artifacts.

A child run costs 10 ms offline (measured with W&B 0.31, after 0.9 s for the import and the first `init`), so
every trial gets one, up to `CHILDREN`; the parent's trials table has all of them in any case. What is written
while the run goes on is flushed every second: of a killed run, `wandb sync` finds what was finished.
"""

import json
import math
import os
import re
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import wandb

from mlnb.engine.events import Event
from mlnb.engine.runs import Run
from mlnb.tracking import run_facts
from mlnb.tracking.notebook_plots import read_plots

CHILDREN = 300  # trials with a W&B run of their own: 3 s of writing in the background
PATIENCE = 20.0  # seconds to wait for W&B's own process

_open = 0
_lock = threading.Lock()


class WandbTracker:
    """Writes one pipeline run to the folder `<root>/wandb`, and sends it only when `mode` is online."""

    def __init__(self, folder: Path, project: str, mode: str, warn: Callable[[str], None]) -> None:
        global _open
        self.folder = folder
        self.project = os.environ.get("WANDB_PROJECT") or _name(project)
        self.mode = mode if mode == "offline" or _has_key(warn) else "offline"
        self.run: Any = None
        self.group: str | None = None
        for place in ("DATA", "CACHE", "CONFIG", "ARTIFACT"):  # W&B's own default is the home folder
            os.environ.setdefault(f"WANDB_{place}_DIR", str(folder / f".{place.lower()}"))
        with _lock:
            _open += 1

    def __call__(self, event: Event) -> None:
        """Write down what happened. Raises whatever W&B raises."""
        if self.run is None:
            self._start(event.run)
        if event.stage and event.kind in ("stage_finished", "stage_reused"):
            self._stage(event.run, event.stage, fresh=event.kind == "stage_finished")
        if event.kind == "run_finished":
            self._finish(event.run)

    def close(self) -> None:
        """End W&B's own process when no other run here needs it; a run left unfinished counts as failed."""
        global _open
        if self.run is not None:
            self.run.finish(exit_code=1)
            self.run = None
        with _lock:
            _open -= 1
            if _open == 0:
                wandb.teardown()

    def _start(self, run: Run) -> None:
        record = run.record
        self.group = record.get("group") or record["pipeline"]
        tags = [record["pipeline"], *([record["profile"]] if record.get("profile") else [])]
        self.run = self._init(run.id, job_type="pipeline", config=_config(record), tags=tags)
        self.run.define_metric("trial/*", step_metric="trial/number")

    def _init(self, name: str, **more: Any) -> Any:
        settings = wandb.Settings(
            mode=self.mode,  # type: ignore[arg-type]
            root_dir=str(self.folder.parent),
            console="off",
            silent=True,
            symlink=False,
            disable_git=True,
            disable_code=True,
            save_code=False,
            reinit="create_new",
            init_timeout=PATIENCE,
            x_service_wait=PATIENCE,
            x_disable_meta=True,
            x_disable_stats=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            x_transaction_log_flush_interval=1.0,
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        names: dict[str, Any] = {"project": self.project, "id": name, "name": name, "group": self.group}
        return wandb.init(settings=settings, **names, **more)

    def _stage(self, run: Run, stage: str, fresh: bool) -> None:
        stage_facts = run.record["stages"][stage]
        row: dict[str, Any] = {f"{stage}/{name}": value for name, value in (stage_facts.get("metrics") or {}).items()}
        if fresh and stage_facts.get("seconds") is not None:
            row[f"seconds/{stage}"] = stage_facts["seconds"]
        outputs = stage_facts.get("outputs") or {}
        if "findings" in outputs:
            row["findings"] = _table(run_facts.load(run, "findings") or [])
        self._plots(run, stage, row)
        if row:
            self.run.log(row)
        if "provenance" in outputs:
            self._data(run)
        if "trials" in outputs:
            self._trials(run, fresh)
        if "model" in outputs:
            self._model(run)

    def _plots(self, run: Run, stage: str, row: dict[str, Any]) -> None:
        notebook = run.record["stages"][stage].get("notebook")
        if not notebook:
            return
        with tempfile.TemporaryDirectory() as folder:
            for number, plot in enumerate(read_plots(run.folder / notebook)):
                path = Path(folder, f"{number}.png")
                path.write_bytes(plot.png)
                row[f"{stage}/{_name(plot.title)}"] = wandb.Image(str(path), caption=plot.title)
            if row:  # W&B copies a picture when it is logged, so the folder must still be there
                self.run.log(row.copy())
                row.clear()

    def _data(self, run: Run) -> None:
        provenance = run_facts.load(run, "provenance") or {}
        raw = run.output("raw") or {}
        metadata = {**_flat(provenance), "digest": raw.get("digest")}
        artifact = wandb.Artifact(_name(f"{self.project}-data"), "dataset", metadata=metadata)
        with artifact.new_file("provenance.json") as file:
            json.dump({"digest": raw.get("digest"), "provenance": provenance}, file, indent=1, sort_keys=True)
        if self.mode == "offline":
            # use_artifact() refuses to work offline, but this is all that it writes when it does: the
            # artifact, and that the run used it. `wandb sync` sends both.
            self.run._log_artifact(artifact, is_user_created=True, use_after_commit=True)
        else:
            self.run.use_artifact(artifact)

    def _model(self, run: Run) -> None:
        entry = run.output("model") or {}
        best = run_facts.load(run, "best") or {}
        metadata = {"digest": entry.get("digest"), "family": best.get("family"), "run": run.id}
        artifact = wandb.Artifact(_name(f"{self.project}-model"), "model", metadata=metadata)
        model = run_facts.load(run, "model")
        if isinstance(model, Path) and model.is_dir():
            artifact.add_dir(str(model))
        else:
            with artifact.new_file("model.json") as file:
                json.dump(metadata, file, sort_keys=True)
        self.run.log_artifact(artifact)

    def _trials(self, run: Run, fresh: bool) -> None:
        rows = run_facts.table(run, "trials")
        if not rows:
            return
        metric = (run_facts.load(run, "best") or {}).get("metric")
        self.run.log({"trials": _table(rows)})
        for row in rows:
            if run_facts.is_finite(row.get("score")) and str(row.get("state")).lower() == "complete":
                self.run.log({"trial/number": row.get("number"), "trial/score": row["score"]})
        if not fresh:  # a study that was reused wrote its trials down when it ran
            return
        for row in rows[:CHILDREN]:
            self._trial(run.id, row, metric)

    def _trial(self, parent: str, row: Mapping[str, Any], metric: str | None) -> None:
        config = {"parent": parent, "family": row.get("family"), **_parameters(row.get("params"))}
        child = self._init(f"{parent}-trial-{row.get('number')}", job_type="trial", config=config)
        state = str(row.get("state", "")).lower()
        numbers = {name: value for name, value in row.items() if run_facts.is_finite(value)}
        if metric and "score" in numbers:
            numbers[metric] = numbers["score"]
        child.log(numbers)
        child.summary["state"] = state
        child.finish(exit_code=1 if state.startswith("fail") else 0)

    def _finish(self, run: Run) -> None:
        record = run.record
        self.run.config.update(_config(record), allow_val_change=True)
        summary: dict[str, Any] = {"state": record["state"], "seconds": record.get("seconds")}
        summary |= {name: value for name, value in run_facts.verdict(run).items() if value is not None}
        if error := run_facts.failure(record):
            summary |= {f"failure/{name}": error.get(name) for name in ("stage", "kind", "title", "cause")}
        self.run.summary.update(summary)
        self.run.finish(exit_code=run_facts.exit_code(record))
        self.run = None


def _config(record: dict[str, Any]) -> dict[str, Any]:
    """Return the run's configuration: parameters by stage, and where each came from."""
    kept = ("pipeline", "profile", "mlnb", "python", "git")
    config: dict[str, Any] = {name: record.get(name) for name in kept}
    config["versions"] = run_facts.versions(record)
    config["origins"] = {}
    for name, entry in run_facts.parameters(record).items():
        stage, _, parameter = name.partition(".")
        config.setdefault(stage, {})[parameter] = entry["value"]
        config["origins"][name] = entry["from"]
    return config


def _table(rows: list[dict[str, Any]]) -> Any:
    columns: list[str | int] = list(dict.fromkeys(name for row in rows for name in row))
    data = [[_plain(row.get(str(name))) for name in columns] for row in rows]
    return wandb.Table(columns=columns, data=data, allow_mixed_types=True)


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | int | float):
        return value
    return json.dumps(value, sort_keys=True, default=str)


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if isinstance(value, str | int | float | bool)}


def _parameters(text: Any) -> dict[str, Any]:
    try:
        found = json.loads(text) if isinstance(text, str) else text
    except ValueError:
        return {}
    return dict(found) if isinstance(found, dict) else {}


def _name(text: str) -> str:
    """Return `text` with what W&B refuses in names (slashes, quotes, colons ...) replaced by dashes."""
    return re.sub(r"[^\w.\- ()]+", "-", text).strip("- ")[:100] or "unnamed"


def _has_key(warn: Callable[[str], None]) -> bool:
    """Return whether W&B can sign in without asking; warns when it cannot, as nobody could answer here."""
    from wandb.sdk.lib import wbauth

    if wbauth.authenticate_session(host=wandb.Settings().base_url, source="mlnb", prompt=False):
        return True
    warn("W&B is to be online but has no API key; the run is kept offline. `wandb login`, then `wandb sync`.")
    return False
