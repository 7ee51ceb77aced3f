"""The tasks that an orchestrator runs for a pipeline: groups of stages, or single ones, with what they wait for."""

from collections.abc import Mapping, Sequence
from enum import StrEnum

from mlnb.codec import Record
from mlnb.engine.graph import Graph

# The first stages of groups that need other machines: a search many cores, packaging a little of everything.
GROUP_STARTS = ("tune", "train", "package")
FIRST_GROUP = "prepare"
PROJECT = "/project"  # folder of the project in a pod
CLAIM = "mlnb-project"  # volume claim with that folder
SECRET = "mlnb-secrets"  # secret of Kubernetes with environment variables
ACTIONS_FOLDER = "/tmp/actions"  # in the pod of the plan: a file for each task, "run" or "reuse"
PLAN, FINISH = "plan", "finish"  # names of the tasks before and after those of the stages


class Granularity(StrEnum):
    """What a task is."""

    GROUP = "group"  # prepare, tune, train and evaluate, package and document: one after the other
    STAGE = "stage"  # parallel where the artifacts allow it


class Task(Record, frozen=True, kw_only=True):
    """A task of an orchestrator.

    Args:
        name: Lower-case letters, digits and hyphens.
        stages: The stages that it runs.
        upstream: Names of the tasks that it waits for.
    """

    name: str
    stages: tuple[str, ...]
    upstream: tuple[str, ...]


class TaskGraph(Record, frozen=True, kw_only=True):
    """The tasks of a pipeline, in an order in which they can run.

    Args:
        pipeline: Name of the pipeline.
        tasks: The tasks that run stages.
        options: Options of `mlnb run`, the same for all tasks.
    """

    pipeline: str
    tasks: tuple[Task, ...]
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name of the graph in an orchestrator."""
        return f"mlnb-{task_name(self.pipeline)}"

    @property
    def plan_command(self) -> tuple[str, ...]:
        """The command that prints which tasks can be left out, as their stages have not changed."""
        groups = (f"{task.name}={','.join(task.stages)}" for task in self.tasks)
        options = [word for group in groups for word in ("--group", group)]
        return ("mlnb", "plan", self.pipeline, *self.options, *options)

    @property
    def finish_command(self) -> tuple[str, ...]:
        """The command that reuses what the tasks have stored, records the run, and has its exit code."""
        return ("mlnb", "run", self.pipeline, *self.options)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Names of the tasks that no other task waits for."""
        awaited = {name for task in self.tasks for name in task.upstream}
        return tuple(task.name for task in self.tasks if task.name not in awaited)

    def command(self, task: Task) -> tuple[str, ...]:
        """Return the command of a task."""
        return ("mlnb", "run", self.pipeline, *self.options, "--only", *task.stages)


def make_task_graph(pipeline: str, graph: Graph, granularity: Granularity, options: Sequence[str] = ()) -> TaskGraph:
    """Return the tasks of a pipeline.

    Args:
        pipeline: Its name.
        graph: Its stages.
        granularity: Whether a task is a group of stages or one stage.
        options: Options of `mlnb run` for all tasks.
    """
    tasks = _stage_tasks(graph) if granularity == Granularity.STAGE else _group_tasks(pipeline, list(graph.stages))
    return TaskGraph(pipeline=pipeline, tasks=tasks, options=tuple(options))


def task_name(stage: str) -> str:
    """Return the name of a stage or pipeline in an orchestrator, whose names have no underscores."""
    return stage.lower().replace("_", "-")


def task_actions(groups: Mapping[str, Sequence[str]], reused: Sequence[str]) -> dict[str, str]:
    """Return for each group of stages "reuse" when all of them are reused, else "run".

    Args:
        groups: Stages by the name of the group.
        reused: The stages that a plan reuses.
    """
    return {name: "reuse" if {*stages} <= {*reused} else "run" for name, stages in groups.items()}


def _stage_tasks(graph: Graph) -> tuple[Task, ...]:
    return tuple(
        Task(name=task_name(name), stages=(name,), upstream=tuple(task_name(parent) for parent in graph.parents(name)))
        for name in graph.stages
    )


def _group_tasks(pipeline: str, stages: Sequence[str]) -> tuple[Task, ...]:
    starts = [0, *(number for number, name in enumerate(stages) if name in GROUP_STARTS and number)]
    tasks: list[Task] = []
    for start, end in zip(starts, [*starts[1:], len(stages)], strict=True):
        first = stages[start] if stages[start] in GROUP_STARTS else FIRST_GROUP if len(starts) > 1 else pipeline
        upstream = (tasks[-1].name,) if tasks else ()
        tasks.append(Task(name=task_name(first), stages=tuple(stages[start:end]), upstream=upstream))
    return tuple(tasks)
