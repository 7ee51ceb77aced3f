"""What differs between two revisions of a project: notebooks, stages, and the results of their runs."""

from mlnb.api.revision_runs import InvalidatedStage, RevisionRuns, changed_between, changed_notebook_code
from mlnb.codec import Record
from mlnb.engine.git_repository import GitRepository, Revision
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import GateFailed, UnknownRun
from mlnb.methods.contracts.evaluations import UNLABELED_METRIC
from mlnb.reports.run_changes import RunChanges, compare_results, gate_result
from mlnb.tracking.notebook_changes import NotebookChanges, changed_notebooks
from mlnb.tracking.run_results import Verdict, verdict


class ComparedRevision(Record, frozen=True, kw_only=True):
    """A revision and its run.

    Args:
        name: as the user named it, with the short id of the commit.
        commit: its commit; that of the checkout for the working tree.
        run: id of its run; None without one.
        verdict: result of the run.
        make_run: the commands that make a run; empty where there is one.
    """

    name: str
    commit: str
    run: str | None = None
    verdict: Verdict | None = None
    make_run: str = ""


class RevisionDiff(Record, frozen=True, kw_only=True):
    """What differs between two revisions.

    Args:
        base, head: the revisions.
        gate: result of the second revision's run: "passed", "failed", "unlabeled" where no row has a label, "none"
            in its pipeline, "unknown" without a run.
        results: what differs between the results of the runs; None unless each revision has its own.
        stages: the stages that the second revision invalidates.
        stages_by: what that is known by: "runs", "plan", "notebooks", or empty when it is not known.
        notebooks: the notebooks with code cells that differ.
        files: the other tracked files that differ.
    """

    base: ComparedRevision
    head: ComparedRevision
    gate: str
    results: RunChanges | None
    stages: list[InvalidatedStage]
    stages_by: str
    notebooks: list[NotebookChanges]
    files: list[str]

    @property
    def exit_code(self) -> int:
        """0 when the gate passed or the pipeline has none, else that of a failed gate or of a missing run."""
        return {"failed": GateFailed.exit_code, "unknown": UnknownRun.exit_code}.get(self.gate, 0)


def compare_revisions(project: Project, text: str, pipeline: str | None = None) -> RevisionDiff:
    """Return what differs between two revisions.

    Args:
        project: the project; its folder is in a git repository.
        text: the revisions, as in `GitRepository.revisions`.
        pipeline: of the runs; None: the default one.

    Raises:
        ProjectError: there is no git repository, or no such pipeline.
        UsageError: there is no such revision.
    """
    project.pipeline(pipeline)
    repository = GitRepository(project.root)
    revisions = repository.revisions(text)
    before, after = (repository.notebooks(revision) for revision in revisions)
    finder = RevisionRuns(project, repository, pipeline)
    base, head = (finder.find(revision) for revision in revisions)
    stages, stages_by = None, ""
    if base is not None:
        stages_by = "runs" if head is not None else "plan"
        stages = changed_between(base, head) if head is not None else finder.invalidated(base, revisions[1])
    if stages is None:
        stages = changed_notebook_code(project, before, after)
        stages_by = "notebooks" if stages is not None else ""
    return RevisionDiff(
        base=_describe(revisions[0], base, finder.pipeline),
        head=_describe(revisions[1], head, finder.pipeline),
        gate=_gate(head),
        results=compare_results(base, head) if base and head and base.id != head.id else None,
        stages=stages or [],
        stages_by=stages_by,
        notebooks=changed_notebooks(before, after),
        files=[name for name in repository.changed_files(*revisions) if not name.endswith(".ipynb")],
    )


def _describe(revision: Revision, run: Run | None, pipeline: str) -> ComparedRevision:
    command = f"mlnb run {pipeline}"
    if not revision.is_working_tree:
        command = f"git checkout {revision.commit[:8]} && {command} && git checkout -"
    return ComparedRevision(
        name=str(revision),
        commit=revision.commit,
        run=run.id if run else None,
        verdict=verdict(run) if run else None,
        make_run="" if run else command,
    )


def _gate(head: Run | None) -> str:
    """Return the result of the gate of the second revision's run."""
    if head is None:
        return "unknown"
    passed = gate_result(head)
    if passed and verdict(head).metric == UNLABELED_METRIC:
        return "unlabeled"
    return {True: "passed", False: "failed", None: "none"}[passed]
