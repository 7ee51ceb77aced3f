"""Prefetching: the notebook of the next stage is executed up to the cell that opens it, while its inputs are made.

Imports, definitions and assertions depend on no artifact; the kernel that has executed them waits for the inputs.
"""

import secrets
from collections import Counter
from collections.abc import Collection
from contextlib import suppress

from mlnb.engine.artifacts import RunArtifacts
from mlnb.engine.job_factory import JobFactory
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Step, StepAction
from mlnb.engine.stage_orders import AnyExecutor
from mlnb.errors import NotebookError

MOST_TRIES = 10  # in as many polls: the executor refuses a job until the stage prepared before has taken its worker
CodeVersion = tuple[str, dict[str, str], dict[str, str]]


class Prefetcher:
    """Prepares at most one notebook of a run at a time, and none twice; it uses no worker of a stage."""

    def __init__(self, executor: AnyExecutor, jobs: JobFactory, planner: Planner) -> None:
        self.executor = executor
        self.jobs = jobs
        self.planner = planner
        self.graph = planner.graph
        self._stage: str | None = None
        self._attempt = ""
        self._code: CodeVersion | None = None
        self._tried: Counter[str] = Counter()  # times that each stage was chosen

    def choose(self, pending: Collection[str], running: Collection[str], artifacts: RunArtifacts) -> None:
        """Prepare the stage of the highest priority whose last inputs are being made.

        Args:
            pending: Stages that have not started.
            running: Stages that are running.
            artifacts: What they have made so far.
        """
        if self._stage is not None or len(pending) + len(running) == len(self.graph.stages):
            return  # the first stages need the processors
        if artifacts.any_large:
            self.executor.trim()
            return
        if not all(self.graph.stages[name].reads for name in running):
            return  # a stage that reads data may need all memory
        candidates = {name for name in self.planner.selection.selected if self._tried[name] < MOST_TRIES}
        for name in self.graph.by_priority(candidates.intersection(pending)):
            parents = set(self.graph.parents(name))
            if not parents.intersection(running) or parents.intersection(pending):
                continue
            self._tried[name] += 1
            with suppress(NotebookError):  # reported when the stage is to run
                self.planner.refresh(name)
                step = self.planner.step(name, artifacts.parent_outputs(name))
                if step.action in (StepAction.RUN, StepAction.PENDING):
                    self._prepare(name, _code_version(step))
                    return
            self._tried[name] = MOST_TRIES

    def _prepare(self, name: str, code: CodeVersion | None) -> None:
        attempt = secrets.token_hex(8)
        if self.executor.prepare(self.jobs.job(self.graph.stages[name], attempt)):
            self._tried[name] = MOST_TRIES
            self._stage, self._attempt, self._code = name, attempt, code

    def take(self, step: Step) -> str:
        """Return the attempt id of a stage that is to run: that of the prepared kernel, or a new one."""
        if step.name == self._stage:
            usable = step.action == StepAction.RUN and step.restore_cell is None
            if usable and self._code == _code_version(step):
                self._stage = None
                return self._attempt
            self.drop()
        return secrets.token_hex(8)

    def drop(self) -> None:
        """End the prepared kernel."""
        if self._stage is not None:
            self.executor.discard(self.jobs.target(self.graph.stages[self._stage]))
            self._stage = None


def _code_version(step: Step) -> CodeVersion | None:
    """Return the code that a prepared kernel has executed; after an edit it has to be prepared again."""
    inputs = step.key_inputs
    return None if inputs is None else (inputs.code, inputs.modules, inputs.libraries)
