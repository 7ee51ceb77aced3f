"""Operations on registered models from Python: promotion and reports, of one model or of several."""

from functools import partial
from pathlib import Path

from mlnb.api.several_models import (
    ModelFilter,
    ModelOutcome,
    ModelOutcomes,
    act_on,
    check_promotion,
    check_texts,
    move_alias,
    names_several,
    open_registry,
    select_models,
)
from mlnb.engine.project import Project
from mlnb.engine.runs import open_run
from mlnb.errors import UsageError
from mlnb.registry.model_versions import ModelVersion
from mlnb.registry.registry import CHAMPION
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
    check_texts(reason=reason, alias=alias)
    several = names_several(version, all_models, name, segment)
    project, registry = open_registry(folder)
    if not several:
        if not version:
            raise UsageError("No version is named; expected one such as 'model:3', or all_models, name or segment.")
        one = registry.find(version)
        return ModelOutcomes([one], [move_alias(registry, one, alias, reason, force)])
    check_promotion(alias, reason)
    models = select_models(registry, ModelFilter(name, segment), alias="")
    action = partial(move_alias, registry, alias=alias, reason=reason, force=force, needed_change=False)
    return ModelOutcomes(models, [act_on(project, one, action, needs_run=False) for one in models])


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
    if not names_several("", all_models, name, segment):
        raise UsageError("No model is selected; expected all_models=True, name or segment.")
    project, registry = open_registry(folder)
    models = select_models(registry, ModelFilter(name, segment))
    outcomes = [act_on(project, one, partial(write_version_report, project)) for one in models]
    write_index(project)
    return ModelOutcomes(models, outcomes)


def write_version_report(project: Project, version: ModelVersion) -> ModelOutcome:
    """Write the report and the documents of a version's run; the note of the outcome is the path of the report."""
    run = open_run(project, version.run)
    write_documents(run)
    return ModelOutcome("written", note=str(write_report(run)))
