"""Operations on registered models from Python: monitoring, retraining, promotion and reports, of one or of several."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from mlnb.api.monitored_models import (
    MonitoredModel,
    MonitoredModels,
    MonitorOptions,
    marked_verdict,
    monitoring_request,
    outcome_of,
    read_verdict,
)
from mlnb.api.project_folders import find_project
from mlnb.api.project_runs import count_workers, run_request
from mlnb.api.retraining import (
    POLICIES,
    Retraining,
    Retrainings,
    RetrainOptions,
    conclude_retraining,
    retraining_request,
)
from mlnb.api.several_models import (
    ModelFilter,
    ModelOutcome,
    ModelOutcomes,
    act_on,
    check_promotion,
    move_alias,
    select_models,
)
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import UsageError
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION, Registry
from mlnb.reports.run_documents import write_documents
from mlnb.reports.run_index import write_index
from mlnb.reports.run_report import write_report


def promote(
    version: str = "",
    *,
    reason: str,
    all_models: bool = False,
    name: str = "",
    segment: str = "",
    alias: str = CHAMPION,
    force: bool = False,
    folder: Path | str | None = None,
) -> ModelOutcomes:
    """Point an alias to a version, or to the newest version of each selected model, as `mlnb promote` does.

    Args:
        version: such as "3" or "churn-classifier:3"; empty with `all_models`, `name` or `segment`.
        reason: for the audit log.
        all_models: whether all models are selected.
        name: pattern of the names of selected models, such as "churn*".
        segment: pattern of the segments of selected models.
        alias: champion, or another one.
        force: whether to promote although the gate failed or approvals are missing.
        folder: the project's folder or one below it; None: the working directory.

    Returns:
        What was done for each model. Of several, a failure leaves the others and is in `failed`; of one, it is raised.

    Raises:
        GateFailed: the gate of the version failed or approvals are missing, without `force`.
        UsageError: no version or model is selected, the version does not exist, or reason or alias are wrong.
    """
    _check_texts(reason=reason, alias=alias)
    several = _selects_several(version, all_models, name, segment)
    project, registry = _open(folder)
    if not several:
        if not version:
            raise UsageError("No version is named; expected one such as 'model:3', or all_models, name or segment.")
        one = registry.find(version)
        return ModelOutcomes([one], [move_alias(registry, one, alias, reason, force)])
    check_promotion(alias, reason)
    models = select_models(registry, ModelFilter(name, segment), alias="")
    action = partial(move_alias, registry, alias=alias, reason=reason, force=force, needed_change=False)
    return ModelOutcomes(models, [act_on(project, one, action, needs_run=False) for one in models])


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
        folder: as for `promote`.

    Returns:
        The verdict on each model: keep, watch, retrain or roll back, with its reasons. Of several, a failure leaves the
        others and is in `failed`; of one, it is raised.

    Raises:
        UsageError: no version or model is selected, or a model has no prediction log.
        StageError: a stage failed.
        KeyboardInterrupt: the run was interrupted.
    """
    options = MonitorOptions(days=days, label_delay=label_delay, tolerance=tolerance)
    several = _selects_several(version, all_models, name, segment)
    project, registry = _open(folder)
    number, local = count_workers(project, workers), project.with_settings(tracker="local")

    def evaluate(one: ModelVersion) -> MonitoredModel:
        verdict = marked_verdict(registry, one, options)
        if verdict is not None:
            return outcome_of(verdict)
        request = monitoring_request(project, registry, one, options)
        run = run_request(local, request, number, report=False, progress=progress)
        return outcome_of(read_verdict(open_run(project, run.id)), run.id)

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
        folder: as for `promote`.

    Returns:
        What was done for each model. Of several, a failure leaves the others and is in `failed`; of one, it is raised.

    Raises:
        UsageError: no version or model is selected, a name or value is wrong, or a model has no labels.
        GateFailed: the challenger does not meet a requirement of its gate, or approvals are missing.
        StageError: a stage failed.
        KeyboardInterrupt: the run was interrupted; the same call continues it.
    """
    options = RetrainOptions(policy=policy, promote=promote, reason=reason, profile=profile, values=params or {})
    several = _selects_several(version, all_models, name, segment)
    project, registry = _open(folder)
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


def write_reports(
    *, name: str = "", segment: str = "", all_models: bool = False, folder: Path | str | None = None
) -> ModelOutcomes:
    """Write the reports of the champions of selected models, else of their newest versions, and runs/index.html.

    Args:
        name: pattern of the names of selected models, such as "churn*".
        segment: pattern of the segments of selected models.
        all_models: whether all models are selected.
        folder: as for `promote`.

    Returns:
        What was done for each model; the note is the path of the report. A failure leaves the others.

    Raises:
        UsageError: no model is selected.
    """
    if not _selects_several("", all_models, name, segment):
        raise UsageError("No model is selected; expected all_models=True, name or segment.")
    project, registry = _open(folder)
    models = select_models(registry, ModelFilter(name, segment))
    outcomes = [act_on(project, one, partial(write_version_report, project)) for one in models]
    write_index(project)
    return ModelOutcomes(models, outcomes)


def write_version_report(project: Project, version: ModelVersion) -> ModelOutcome:
    """Write the report and the documents of a version's run; the note of the outcome is the path of the report."""
    run = open_run(project, version.run)
    write_documents(run)
    return ModelOutcome("written", note=str(write_report(run)))


def _selects_several(version: str, all_models: bool, name: str, segment: str) -> bool:
    """Return whether arguments select several models. Raises `UsageError` when one is no text, or two contradict."""
    _check_texts(version=version, name=name, segment=segment)
    several = all_models or bool(name) or bool(segment)
    if several and version:
        raise UsageError(f"{version!r} names one version, and all_models, name or segment select several; state one.")
    return several


def _check_texts(**arguments: object) -> None:
    """Raise `UsageError` for an argument that is no text."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise UsageError(f"{name} is of type {type(value).__name__}; expected a text.")


def _open(folder: Path | str | None) -> tuple[Project, Registry]:
    project = find_project(folder)
    registry = Registry(project)
    registry.sync()
    return project, registry
