"""The run of a git revision, and the stages that a revision invalidates, each with its reason."""

import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from mlnb.api.run_request import RunRequest, pipeline_name, plan_request
from mlnb.codec import Record
from mlnb.engine.git_repository import GitRepository, Revision
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import DEFAULT
from mlnb.engine.plan import Planner
from mlnb.engine.plan_reasons import explain
from mlnb.engine.plan_steps import Step
from mlnb.engine.project import Project
from mlnb.engine.run_records import KeyInputs, RunState
from mlnb.engine.runs import Run, list_runs
from mlnb.errors import UsageError
from mlnb.tracking.notebook_changes import code_differs

NO_EFFECT = (".md", ".txt", ".rst")  # suffixes of prose, which no stage key depends on
NO_EFFECT_FOLDERS = (".github/", "tests/", "docs/")
MOST_PLANS = 5  # runs whose parameters are planned with
MOST_COMMITS = 50  # the newest with runs, whose files are compared with those of a revision
REGISTRY = "registry"  # origin of values that a plan finds itself


class InvalidatedStage(Record, frozen=True, kw_only=True):
    """A stage whose stored result does not hold for the second revision, and why."""

    stage: str
    reason: str


class RevisionRuns:
    """Finds runs of revisions among those of a pipeline that finished, or ended with a failed gate.

    Runs of one segment are left out: two revisions are compared by models of the same rows.
    """

    def __init__(self, project: Project, repository: GitRepository, pipeline: str | None) -> None:
        self.project = project
        self.repository = repository
        self.pipeline = pipeline_name(project, RunRequest(pipeline=pipeline))
        self.runs = [
            run
            for run in list_runs(project)
            if run.record.pipeline == self.pipeline and not run.record.segment and is_complete(run)
        ]

    def find(self, revision: Revision) -> Run | None:
        """Return the newest run of a revision; None without one.

        The run of what is checked out has the stage keys of the plan, with the run's own parameters. The run of another
        commit was started in a clean checkout of it, or of a commit that differs from it in prose only.
        """
        if self._is_checked_out(revision) and (run := self._planned_run()) is not None:
            return run
        return None if revision.is_working_tree else self._committed_run(revision)

    def invalidated(self, base: Run, revision: Revision) -> list[InvalidatedStage] | None:
        """Return the stages that a run at a revision would make anew, by a plan with the parameters of an earlier run.

        Returns:
            None where the revision is not checked out, or cannot be planned.
        """
        plan = self._plan(base) if self._is_checked_out(revision) else None
        if plan is None:
            return None
        steps = {step.name: step.key_inputs for step in plan[1]}
        return invalidated_stages(_key_inputs(base), steps, _parents(plan[0].graph.stages))

    def _is_checked_out(self, revision: Revision) -> bool:
        return revision.is_working_tree or (revision.commit == self.repository.head() and self.repository.is_clean())

    def _notebooks(self) -> dict[str, StageNotebook]:
        """Return the stages of the project as it is now; none when a notebook breaks their contract."""
        try:
            return read_notebooks(self.project.notebooks, self.project.source_cache)
        except UsageError:
            return {}

    def _planned_run(self) -> Run | None:
        notebooks = self._notebooks()
        for run in [run for run in self.runs if _same_code(run, notebooks)][:MOST_PLANS]:
            plan = self._plan(run)
            if plan and {step.name: step.key for step in plan[1]} == {n: s.key for n, s in run.stages.items()}:
                return run
        return None

    def _committed_run(self, revision: Revision) -> Run | None:
        clean = [(run, run.record.git.commit) for run in self.runs if run.record.git and not run.record.git.dirty]
        for run, commit in clean:
            if commit == revision.commit:
                return run
        for commit in list(dict.fromkeys(commit for _, commit in clean))[:MOST_COMMITS]:
            if self._has_same_code(commit, revision):
                return next(run for run, of in clean if of == commit)
        return None

    def _has_same_code(self, commit: str, revision: Revision) -> bool:
        """Return whether a commit differs from a revision only in what no stage key depends on."""
        try:
            other = Revision(commit, self.repository.resolve(commit))
        except UsageError:  # of a branch that was deleted
            return False
        names = [
            name
            for name in self.repository.changed_files(other, revision)
            if not name.endswith(NO_EFFECT) and not name.startswith(NO_EFFECT_FOLDERS)
        ]
        if not all(name.endswith(".ipynb") for name in names):
            return False
        old, new = (self.repository.notebooks(one) if names else {} for one in (other, revision))
        return all(name in old and name in new and not code_differs(old[name], new[name]) for name in names)

    def _plan(self, run: Run) -> tuple[Planner, list[Step]] | None:
        """Return the plan of the project as it is now, with the values that a run was started with; None without one.

        Values of the parameters cells are those of now.
        """
        notebooks = self._notebooks()
        values = {
            f"{stage}.{name}": value.value
            for stage, record in run.stages.items()
            for name, value in record.parameters.items()
            if value.origin not in (DEFAULT, REGISTRY) and stage in notebooks and notebooks[stage].parameter(name)
        }
        try:
            planner = plan_request(self.project, RunRequest(pipeline=self.pipeline, values=values))[0].planner
            return planner, planner.plan()
        except UsageError:  # a value that is no longer accepted, a missing file or secret
            return None


def is_complete(run: Run) -> bool:
    """Return whether a run went to its end: it finished, or its gate failed."""
    return run.state == RunState.FINISHED or (run.state == RunState.FAILED and run.record.failed_gate)


def changed_between(base: Run, head: Run) -> list[InvalidatedStage]:
    """Return the stages that two runs made from different inputs."""
    parents = {name: list(dict.fromkeys(record.producers.values())) for name, record in head.stages.items()}
    return invalidated_stages(_key_inputs(base), _key_inputs(head), parents)


def invalidated_stages(
    base: Mapping[str, KeyInputs | None], head: Mapping[str, KeyInputs | None], parents: Mapping[str, list[str]]
) -> list[InvalidatedStage]:
    """Return the stages whose key differs, in the order of `head`.

    Args:
        base, head: What each stage's key is the digest of; None where it is not known. While inputs are missing, a
            stage waits for those before it; with all inputs and the same key, its stored result holds.
        parents: The stages whose artifacts each stage reads.
    """
    invalid: dict[str, str] = {}
    for stage, inputs in head.items():
        before = base.get(stage)
        waiting = [parent for parent in parents.get(stage, ()) if parent in invalid]
        if inputs is not None and before is not None and (reason := explain(before, inputs)):
            invalid[stage] = reason
        elif stage not in base:
            invalid[stage] = "new stage"
        elif waiting and (inputs is None or before is None or inputs.inputs.keys() != before.inputs.keys()):
            invalid[stage] = f"after {', '.join(waiting)}"
    invalid |= {stage: "removed" for stage in base if stage not in head}
    return [InvalidatedStage(stage=stage, reason=reason) for stage, reason in invalid.items()]


def changed_notebook_code(
    project: Project, base: Mapping[str, bytes], head: Mapping[str, bytes]
) -> list[InvalidatedStage] | None:
    """Return the stages whose notebook has other code, parameters, reads or writes, and those after them.

    Args:
        project: Names the folder of the stage notebooks.
        base, head: Bytes of the notebooks of two revisions, by path.

    Returns:
        None where a notebook breaks the contract of stage notebooks.
    """
    try:
        old, new = (_read_stages(project, files) for files in (base, head))
    except UsageError:
        return None
    parents = _parents(new)
    invalid: dict[str, str] = {}
    for name, stage in new.items():
        before = old.get(name)
        reasons = ["new stage"] if before is None else _differences(before, stage)
        waiting = [parent for parent in parents[name] if parent in invalid]
        reasons = reasons or ([f"after {', '.join(waiting)}"] if waiting else [])
        if reasons:
            invalid[name] = "; ".join(reasons)
    invalid |= {name: "removed" for name in old if name not in new}
    return [InvalidatedStage(stage=name, reason=reason) for name, reason in invalid.items()]


def _read_stages(project: Project, files: Mapping[str, bytes]) -> dict[str, StageNotebook]:
    """Return the stages of notebooks that are not in a folder."""
    with tempfile.TemporaryDirectory() as folder:
        for path, data in files.items():
            if PurePosixPath(path).parent == PurePosixPath(project.settings.notebooks):
                Path(folder, PurePosixPath(path).name).write_bytes(data)
        return read_notebooks(Path(folder)) if any(Path(folder).iterdir()) else {}


def _differences(old: StageNotebook, new: StageNotebook) -> list[str]:
    reasons = []
    before = {parameter.name: parameter.default for parameter in old.parameters}
    for parameter in new.parameters:
        if parameter.name not in before:
            reasons.append(f"parameter {parameter.name} is new")
        elif before[parameter.name] != parameter.default:
            reasons.append(f"{parameter.name} changed: {before[parameter.name]!r} -> {parameter.default!r}")
    reasons += ["its code changed"] if old.code_digest != new.code_digest else []
    return reasons + (["its reads or writes changed"] if old.contract_digest != new.contract_digest else [])


def _same_code(run: Run, notebooks: Mapping[str, StageNotebook]) -> bool:
    return all(
        record.key_inputs is None or (name in notebooks and record.key_inputs.code == notebooks[name].code_digest)
        for name, record in run.stages.items()
    )


def _key_inputs(run: Run) -> dict[str, KeyInputs | None]:
    return {name: record.key_inputs for name, record in run.stages.items()}


def _parents(notebooks: Mapping[str, StageNotebook]) -> dict[str, list[str]]:
    """Return the stages whose artifacts each stage reads."""
    producers = {artifact: name for name, notebook in notebooks.items() for artifact in notebook.writes}
    return {
        name: list(dict.fromkeys(producers[artifact] for artifact in notebook.reads if artifact in producers))
        for name, notebook in notebooks.items()
    }
