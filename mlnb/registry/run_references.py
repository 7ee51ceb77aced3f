"""References to runs: the id of a run, or any id of the version that a run made."""

import re
from typing import TYPE_CHECKING

from mlnb.engine.finished_runs import pull_run
from mlnb.engine.project import Project
from mlnb.engine.runs import SHORTEST, Run, open_run
from mlnb.errors import UnknownRun
from mlnb.registry.model_versions import SHORTEST_DIGEST

if TYPE_CHECKING:
    from mlnb.engine.active_runs import ActiveRun

DIGEST = re.compile(rf"[0-9a-f]{{{SHORTEST_DIGEST},}}")


def names_version(reference: str) -> bool:
    """Return whether a reference is one of a version, and not of a run.

    A version is written as model:3, model@champion, @champion, 3, the tag of a model or bento, or the digest of a
    service; a run as its id, or a start or end of it, which contain neither : nor @.
    """
    number = reference.isdecimal() and len(reference) < SHORTEST
    return number or bool({":", "@"}.intersection(reference)) or DIGEST.fullmatch(reference) is not None


def run_reference(project: Project, reference: str) -> str:
    """Return the id of the run that made a version; a reference to a run as it is.

    Raises:
        UnknownRun: There is no such version.
        UsageError: There are several models.
    """
    if not names_version(reference):
        return reference
    from mlnb.registry.registry import Registry  # a database, which a reference to a run does not need

    return Registry(project).find(reference).run


def open_referenced(project: Project, reference: str = "latest") -> Run:
    """Return the run of a reference to a run or version, pulled from the remote store when it is there alone.

    Raises as `open_run` and `run_reference`.
    """
    name = run_reference(project, reference)
    try:
        return open_run(project, name)
    except UnknownRun:
        if name == "latest" or (run := pull_run(project, name)) is None:
            raise
        return run


def active_elsewhere(project: Project, reference: str = "") -> "list[ActiveRun]":
    """Return the runs of other machines that have not finished; none without a shared database.

    Args:
        project: The project.
        reference: An id, or a start or end of one with at least SHORTEST characters; empty: all.
    """
    if project.database is None or 0 < len(reference) < SHORTEST:
        return []
    from mlnb.engine.active_runs import list_active  # most projects share no database

    active = list_active(project, project.database)
    return [each for each in active if each.run.id.startswith(reference) or each.run.id.endswith(reference)]
