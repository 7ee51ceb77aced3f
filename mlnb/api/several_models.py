"""Several models of a project: which ones filters select, and what an action does for each; failures are isolated."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, overload

from mlnb.api.project_folders import find_project
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, UsageError
from mlnb.registry.model_versions import ModelVersion, check_alias
from mlnb.registry.registry import CHAMPION, Registry, check_reason
from mlnb.suggestions import list_names

if TYPE_CHECKING:
    import pandas as pd

FIRST_RESULT = 10  # exit codes from here on are results, such as `retrain`; those below are failures


@dataclass(frozen=True)
class ModelFilter:
    """Which models are selected; empty patterns, as those of a shell, select all.

    Attributes:
        name: pattern of their names.
        segment: pattern of their segments.
    """

    name: str = ""
    segment: str = ""

    def select(self, versions: Sequence[ModelVersion]) -> list[ModelVersion]:
        """Return the versions of the selected models."""
        return [
            version
            for version in versions
            if (not self.name or fnmatchcase(version.model, self.name))
            and (not self.segment or fnmatchcase(version.metadata.segment, self.segment))
        ]


@dataclass(frozen=True)
class ModelOutcome:
    """What an action did for one model.

    Attributes:
        result: in a word or two.
        code: exit code.
        note: more about it, such as the message of an error.
    """

    result: str
    code: int = 0
    note: str = ""

    @property
    def failed(self) -> bool:
        """Whether the code is that of a failure rather than of a result."""
        return 0 < self.code < FIRST_RESULT


class ModelOutcomes(Sequence[ModelOutcome]):
    """The outcomes of an action, by position, with the version that each is of.

    Attributes:
        versions: names of the versions, as model:number.
    """

    def __init__(self, versions: Sequence[ModelVersion], outcomes: Sequence[ModelOutcome]) -> None:
        self.versions = tuple(version.name for version in versions)
        self._segments = tuple(version.metadata.segment for version in versions)
        self._outcomes = tuple(outcomes)

    @overload
    def __getitem__(self, position: int) -> ModelOutcome: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[ModelOutcome]: ...

    def __getitem__(self, position: int | slice) -> ModelOutcome | Sequence[ModelOutcome]:
        """Return an outcome, or some of them."""
        return self._outcomes[position]

    def __len__(self) -> int:
        """Return their number."""
        return len(self._outcomes)

    def __iter__(self) -> Iterator[ModelOutcome]:
        """Return an iterator over the outcomes."""
        return iter(self._outcomes)

    @property
    def failed(self) -> dict[str, str]:
        """The error of each version that has failed."""
        return {name: one.note for name, one in zip(self.versions, self._outcomes, strict=True) if one.failed}

    def frame(self) -> "pd.DataFrame":
        """Return a row per version, indexed by its name: segment, result, exit code and note."""
        import pandas as pd

        rows = [
            [segment, one.result, one.code, one.note]
            for segment, one in zip(self._segments, self._outcomes, strict=True)
        ]
        return pd.DataFrame(rows, pd.Index(self.versions, name="version"), ["segment", "result", "code", "note"])

    def __repr__(self) -> str:
        """Return a line per version."""
        pairs = zip(self.versions, self._outcomes, strict=True)
        return "\n".join(f"{name}: {one.result}{f' ({one.note})' if one.note else ''}" for name, one in pairs)


def open_registry(folder: Path | str | None) -> tuple[Project, Registry]:
    """Return the project of a folder, and its registry with the versions of all packaged runs.

    Args:
        folder: The project's folder or one below it; None: the working directory.

    Raises:
        ProjectError: The folder does not exist, or the settings of the project cannot be read.
    """
    project = find_project(folder)
    registry = Registry(project)
    registry.sync()
    return project, registry


def names_several(version: str, all_models: bool, name: str, segment: str) -> bool:
    """Return whether arguments select several models. Raises `UsageError` when one is no text, or two contradict."""
    check_texts(version=version, name=name, segment=segment)
    several = all_models or bool(name) or bool(segment)
    if several and version:
        raise UsageError(f"{version!r} names one version, and all_models, name or segment select several; state one.")
    return several


def check_texts(**arguments: object) -> None:
    """Raise `UsageError` for an argument that is no text."""
    for name, value in arguments.items():
        if not isinstance(value, str):
            raise UsageError(f"{name} is of type {type(value).__name__}; expected a text.")


def select_models(registry: Registry, filters: ModelFilter, alias: str = CHAMPION) -> list[ModelVersion]:
    """Return one version of each selected model: the one with the alias, or the newest.

    Args:
        registry: The registry.
        filters: What selects the models.
        alias: The alias; empty: the newest version in any case.

    Raises:
        UsageError: No model is selected.
    """
    versions = registry.versions()
    chosen: dict[str, ModelVersion] = {}
    for version in filters.select(versions):
        before = chosen.get(version.model)
        if before is None or alias not in before.aliases:
            chosen[version.model] = version
    if not chosen:
        names = {version.model for version in versions}
        segments = {version.metadata.segment for version in versions} - {""} if filters.segment else set()
        shown = f"the segments are {list_names(segments)}" if segments else f"there is {list_names(names)}"
        raise UsageError(f"No model is selected; {shown}. `mlnb models` lists all.")
    return list(chosen.values())


def act_on(
    project: Project, version: ModelVersion, action: Callable[[ModelVersion], ModelOutcome], needs_run: bool = True
) -> ModelOutcome:
    """Return what an action did for a model; an error is an outcome, so that the others follow.

    Args:
        project: The project.
        version: Of the model.
        action: Returns what it did.
        needs_run: Whether a model whose run is not in this project is skipped: a registry may be shared.
    """
    if needs_run and not (project.runs / version.run).is_dir():
        return ModelOutcome("skipped", note=f"its run {version.run} is not in this project")
    try:
        return action(version)
    except MlnbError as error:
        return ModelOutcome("failed", error.exit_code, str(error))
    except Exception as error:  # noqa: BLE001 -- one model must not stop those after it
        warnings.warn(f"{version.name}: {error!r}", RuntimeWarning, stacklevel=2)
        return ModelOutcome("failed", 1, repr(error))


def check_promotion(alias: str, reason: str) -> None:
    """Raise `UsageError` for an alias or a reason that is wrong for each model, before the first one is changed."""
    check_alias(alias)
    check_reason(reason, "better on new rows")


def move_alias(
    registry: Registry, version: ModelVersion, alias: str, reason: str, force: bool, needed_change: bool = True
) -> ModelOutcome:
    """Point an alias to a version.

    Args:
        registry: The registry.
        version: That gets the alias.
        alias: champion, or another one.
        reason: For the audit log.
        force: Promote even when the gate failed or approvals are missing.
        needed_change: Whether it is an error that the alias points there already.

    Raises:
        GateFailed: The gate failed or approvals are missing, without `force`.
        UsageError: There is no reason, or the alias points there already.
        AccessDenied: This user may not promote.
    """
    if alias in version.aliases and not needed_change:
        return ModelOutcome("unchanged", note=f"{alias} already")
    entry = registry.promote(version.name, alias, reason, force)
    return ModelOutcome("promoted", note=entry.describe())
