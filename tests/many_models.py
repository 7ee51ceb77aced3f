"""Projects with many registered and monitored models, from the records of one run."""

import json

from mlnb.codec import replace, to_json
from mlnb.engine.files import make_folder
from mlnb.engine.formats import save_object
from mlnb.engine.run_records import ParameterValue, RunRecord, RunState, StageRecord, StageState
from mlnb.engine.runs import Run
from mlnb.methods.contracts.monitoring_records import (
    ColumnDrift,
    DriftReport,
    MonitoringVerdict,
    MonitoringWindow,
    Performance,
    Reason,
    ServiceBehavior,
)
from mlnb.registry.database import VERSIONS, writing
from mlnb.registry.registry import Registry

UNTIL = 1_773_500_000.0


def add_models(run: Run, names: list[str], outcome: str = "keep") -> None:
    """Register models with the metadata of a run, each with a run and a monitoring run."""
    registry = Registry(run.project, "ann")
    first = registry.register(run)
    for name in names:
        copy = _copy(run, f"{run.id}-{name}")
        tag = f"{name}:abc"
        metadata = replace(first.metadata, certificate=replace(first.metadata.certificate, model=tag))
        text = json.dumps(to_json(metadata))
        with writing(registry.engine) as connection:
            service = f"{name:0>64}"[:64]
            values = {"model": name, "number": 1, "service": service, "run": copy.id, "metadata": text}
            connection.execute(VERSIONS.insert().values(**values))
        add_check(run, tag, outcome)
    registry.engine.dispose()


def add_check(run: Run, version: str, outcome: str = "keep", text: str = "age has drifted") -> Run:
    """Return a finished monitoring run of a version."""
    project = run.project
    column = {"kind": "number", "test": "KS", "p": 0.0, "stability": 0.4, "missing_p": 1.0, "effect": 0.4}
    drift = [
        ColumnDrift(column=name, missing_before=0.0, missing_after=0.0, drifted=drifted, **column)
        for name, drifted in (("age", True), ("fare", False))
    ]
    metric = run.load("metrics")["deciding"]
    service = ServiceBehavior(rows_per_day=10.0, rows_per_day_before=None, refused=0.0)
    reasons = () if outcome == "keep" else (Reason(outcome=outcome, kind="drift", text=text),)
    window = MonitoringWindow(version=version, rows=100, until=UNTIL, days=7.0)
    artifacts = {
        "verdict": MonitoringVerdict(outcome=outcome, reasons=reasons, window=window),
        "performance": {**to_json(Performance(reference=_deciding(metric), service=service))},
        "drift": DriftReport(inputs=tuple(drift)),
    }
    outputs = {name: save_object(project.store, value, name) for name, value in artifacts.items()}
    values = {"version": ParameterValue(value=version, origin="-p")}
    stage = StageRecord(state=StageState.FINISHED, outputs=outputs, parameters=values)
    name = "20260315-091500-monitor-" + version.replace(":", "-")
    record = RunRecord(
        id=name,
        pid=1,
        pid_started=None,
        started="2026-03-15T09:15:00.000Z",
        finished="2026-03-15T09:16:00.000Z",
        pipeline="monitor",
        state=RunState.FINISHED,
        order=("monitor",),
        stages={"monitor": stage},
    )
    return _save(Run(project, project.runs / name, record))


def _deciding(values):
    from mlnb.codec import convert
    from mlnb.methods.contracts.evaluations import DecidingMetric

    return convert(values, DecidingMetric)


def _copy(run: Run, name: str) -> Run:
    return _save(Run(run.project, run.project.runs / name, replace(run.record, id=name)))


def _save(run: Run) -> Run:
    make_folder(run.folder)
    run.save()
    return run
