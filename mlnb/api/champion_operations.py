"""Monitoring and retraining of champions from Python, of one model or of several."""

from collections.abc import Mapping
from pathlib import Path

from mlnb.api.monitored_models import (
    MonitoredModel,
    MonitoredModels,
    MonitorOptions,
    marked_outcome,
    monitoring_request,
    run_outcome,
)
from mlnb.api.project_runs import count_workers, run_request
from mlnb.api.retraining import (
    POLICIES,
    Retraining,
    Retrainings,
    RetrainOptions,
    conclude_retraining,
    retraining_request,
)
from mlnb.api.several_models import ModelFilter, act_on, names_several, open_registry, select_models
from mlnb.engine.runs import open_run
from mlnb.registry.model_versions import ModelVersion


def monitor(
    version: str = "",
    *,
    all_models: bool = False,
    name: str = "",
    segment: str = "",
    days: float = MonitorOptions.days,
    label_delay: float = MonitorOptions.label_delay,
    tolerance: float = MonitorOptions.tolerance,
    workers: int | None = None,
    progress: bool = True,
    folder: Path | str | None = None,
) -> MonitoredModels:
    """Evaluate a model in production, and decide what to do, as `mlnb monitor` does.

    Args:
        version: such as "3" or "churn-classifier:3"; empty: the champion, or with `all_models`, `name` or `segment`
            that of each selected model.
        all_models: whether all models are selected.
        name: pattern of the names of selected models, such as "churn*".
        segment: pattern of the segments of selected models.
        days: length of the window.
        label_delay: days after which a label is usually available.
        tolerance: tolerated loss of the deciding metric, in its unit.
        workers: number of stages that run at once; None: the setting.
        progress: whether to print a line per stage.
        folder: the project's folder or one below it; None: the working directory.

    Returns:
        The verdict on each model: keep, watch, retrain or roll back, with its reasons. Of several, a failure leaves the
        others and is in `failed`; of one, it is raised.

    Raises:
        UsageError: no version or model is selected, or a model has no prediction log.
        StageError: a stage failed.
        KeyboardInterrupt: the run was interrupted.
    """
    options = MonitorOptions(days=days, label_delay=label_delay, tolerance=tolerance)
    several = names_several(version, all_models, name, segment)
    project, registry = open_registry(folder)
    number, local = count_workers(project, workers), project.with_settings(tracker="local")

    def evaluate(one: ModelVersion) -> MonitoredModel:
        marked = marked_outcome(registry, one, options)
        if marked is not None:
            return marked
        request = monitoring_request(project, registry, one, options)
        run = run_request(local, request, number, report=False, progress=progress)
        return run_outcome(open_run(project, run.id))

    if not several:
        champion = registry.find_or_champion(version)
        return MonitoredModels([champion], [evaluate(champion)])
    models = select_models(registry, ModelFilter(name, segment))
    return MonitoredModels(models, [act_on(project, one, evaluate) for one in models])


def retrain(
    version: str = "",
    *,
    all_models: bool = False,
    name: str = "",
    segment: str = "",
    policy: str = POLICIES[0],
    promote: bool = False,
    reason: str = "",
    profile: str | None = None,
    params: Mapping[str, object] | None = None,
    workers: int | None = None,
    report: bool = True,
    progress: bool = True,
    folder: Path | str | None = None,
) -> Retrainings:
    """Train a challenger on logged production data and compare it with the champion, as `mlnb retrain` does.

    Args:
        version: to replace, such as "3" or "churn-classifier:3"; empty: the champion, or with `all_models`, `name` or
            `segment` that of each selected model.
        all_models: whether all models are selected.
        name: pattern of the names of selected models, such as "churn*".
        segment: pattern of the segments of selected models.
        policy: rows that the challenger is trained on: "growing", "sliding" or "since_last".
        promote: whether a challenger that wins is promoted.
        reason: for the audit log; empty: the result of the evaluation.
        profile: name of a profile of settings.ini.
        params: values by name, as {"collect.window": 50_000}; others are those of the champion's run.
        workers: number of stages that run at once; None: the setting.
        report: whether to write the HTML report of each run.
        progress: whether to print a line per stage.
        folder: the project's folder or one below it; None: the working directory.

    Returns:
        What was done for each model. Of several, a failure leaves the others and is in `failed`; of one, it is raised.

    Raises:
        UsageError: no version or model is selected, a name or value is wrong, or a model has no labels.
        GateFailed: the challenger does not meet a requirement of its gate, or approvals are missing.
        StageError: a stage failed.
        KeyboardInterrupt: the run was interrupted; the same call continues it.
    """
    options = RetrainOptions(policy=policy, promote=promote, reason=reason, profile=profile, values=params or {})
    several = names_several(version, all_models, name, segment)
    project, registry = open_registry(folder)
    number = count_workers(project, workers)

    def train(champion: ModelVersion) -> Retraining:
        with retraining_request(project, champion, options, champion.name if several else version) as request:
            trained = run_request(project, request, number, report, progress)
        return conclude_retraining(registry, champion, open_run(project, trained.id), options)

    if not several:
        champion = registry.find_or_champion(version)
        return Retrainings([champion], [train(champion)])
    models = select_models(registry, ModelFilter(name, segment))
    return Retrainings(models, [act_on(project, one, train) for one in models])
