"""Monitoring: the run of the pipeline `monitor` for a version, and its verdict."""

import time
import warnings
from dataclasses import dataclass

from mlnb.api.run_request import RunRequest
from mlnb.api.several_models import ModelOutcome, ModelOutcomes
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import RegistryError, UsageError
from mlnb.methods.contracts.monitoring_records import MonitoringVerdict, MonitoringWindow, Reason
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.prediction_table import convert_finished
from mlnb.monitoring.production_heads import record_heads
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import Registry
from mlnb.registry.retraining_marks import describe_mark, retraining_marks
from mlnb.reports.monitoring_results import PIPELINE


@dataclass(frozen=True, kw_only=True)
class MonitorOptions:
    """What is evaluated.

    Attributes:
        days: length of the window.
        label_delay: days after which a label is usually available.
        tolerance: tolerated loss of the deciding metric, in its unit.
    """

    days: float = 7.0
    label_delay: float = 0.0
    tolerance: float = 0.0


@dataclass(frozen=True, kw_only=True)
class MonitoredModel(ModelOutcome):
    """The verdict on a model in production; the result is its outcome, and the note has its reasons.

    Attributes:
        verdict: of the run.
        run: id of the run; empty: none was needed.
    """

    verdict: MonitoringVerdict
    run: str = ""


class MonitoredModels(ModelOutcomes):
    """The outcomes of monitoring, by position, with the version that each is of."""

    @property
    def verdicts(self) -> dict[str, MonitoringVerdict]:
        """The verdict on each version, by its name; failed and skipped ones have none."""
        pairs = zip(self.versions, self, strict=True)
        return {name: one.verdict for name, one in pairs if isinstance(one, MonitoredModel)}


def marked_outcome(registry: Registry, version: ModelVersion, options: MonitorOptions) -> MonitoredModel | None:
    """Return the outcome of a version whose data was erased in part: nothing can be compared with it; None: it was not.

    Args:
        registry: The registry.
        version: The version.
        options: Length of the window.
    """
    mark = retraining_marks(registry.log()).get(version.name)
    if mark is None:
        return None
    reason = Reason(outcome="retrain", kind="erased rows", text=describe_mark(mark))
    model = version.metadata.certificate.model
    window = MonitoringWindow(version=model, rows=0, until=time.time(), days=options.days)
    return _outcome_of(MonitoringVerdict(outcome="retrain", reasons=(reason,), window=window))


def monitoring_request(
    project: Project, registry: Registry, version: ModelVersion, options: MonitorOptions
) -> RunRequest:
    """Return what the monitoring run of a version is to do; the heads of its log and labels are recorded.

    Args:
        project: The project.
        registry: The registry; there is a warning when it cannot record the heads.
        version: The version.
        options: What is evaluated.

    Raises:
        UsageError: The model has no prediction log.
    """
    log = log_folder(project, version.model)
    if not log.is_dir():
        raise UsageError(f"{version.model} has no prediction log in {log}; `mlnb serve` writes one.")
    convert_finished(log)
    try:
        record_heads(project, registry, version, log)
    except RegistryError as error:  # what is in production is to be monitored all the same
        message = f"the heads of log and labels are not recorded: {error}"
        warnings.warn(message, RuntimeWarning, stacklevel=2)
    labels = label_database(project, version.model)
    values = {
        "log": log,
        "labels": labels if labels.exists() else "",
        "version": version.metadata.certificate.model,
        "days": options.days,
        "label_delay": options.label_delay,
        "tolerance": options.tolerance,
    }
    pairs = [(f"{PIPELINE}.{name}", str(value)) for name, value in values.items()]
    return RunRequest(pipeline=PIPELINE, inputs_from=version.run, pairs=pairs)


def run_outcome(run: Run) -> MonitoredModel:
    """Return the outcome of a finished monitoring run."""
    return _outcome_of(run.load("verdict", MonitoringVerdict), run.id)


def _outcome_of(verdict: MonitoringVerdict, run: str = "") -> MonitoredModel:
    note = "; ".join(reason.text for reason in verdict.reasons)
    return MonitoredModel(verdict.outcome, CODES[verdict.outcome], note, verdict=verdict, run=run)
