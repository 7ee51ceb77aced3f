"""What `mlnb run --each` would do for each segment, without running anything."""

from collections.abc import Sequence

from mlnb.api.run_request import RunRequest, match_plan, plan_request
from mlnb.api.segment_requests import SegmentRequest, SharedStages, column_segments, file_segments, names_files
from mlnb.codec import Record
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.plan_steps import Step, StepAction
from mlnb.engine.project import Project

REPEATED = (StepAction.RUN, StepAction.PENDING)


class SegmentPlan(Record, frozen=True, kw_only=True):
    """The plan of one segment.

    Args:
        segment: its name.
        rows: number of its rows; None where that is known after the run.
        skipped: why it gets no model; empty for one that does.
        run: stages that would run.
        reused: number of stages that would be reused.
        finished: id of the run that has finished with exactly these stages; None when there is none.
    """

    segment: str
    rows: int | None
    skipped: str = ""
    run: tuple[str, ...] = ()
    reused: int = 0
    finished: str | None = None


class SegmentPlans(Record, frozen=True, kw_only=True):
    """The plans of all segments.

    Args:
        shared: stages that all segments share and that would run first; until then a column's segments are unknown.
        segments: the plan of each segment.
    """

    shared: tuple[str, ...]
    segments: tuple[SegmentPlan, ...]


def plan_segments(project: Project, request: RunRequest, each: str, least_rows: int | None = None) -> SegmentPlans:
    """Return the plan of each segment.

    Args:
        project: The project.
        request: What the runs are to do.
        each: A column, or a pattern of files.
        least_rows: Rows that a model needs; None: the default of `mlnb run --each`.

    Raises:
        UsageError: The request is wrong, or no file matches.
    """
    if names_files(each):
        return SegmentPlans(shared=(), segments=_plans(project, file_segments(project, request, each)))
    shared = SharedStages.of(project, request)
    (plan,) = plan_request(project, shared.request(request))
    steps = plan.planner.plan()
    if repeated := _repeated(steps):
        return SegmentPlans(shared=repeated, segments=())
    outputs = {name: output for step in steps if step.result for name, output in step.result.outputs.items()}
    segments = column_segments(shared, request, each, project.store, outputs, least_rows)
    return SegmentPlans(shared=(), segments=_plans(project, segments))


def _plans(project: Project, segments: Sequence[SegmentRequest]) -> tuple[SegmentPlan, ...]:
    sources, plans = CodeSources(project), []
    for segment in segments:
        if segment.request is None:
            plans.append(SegmentPlan(segment=segment.name, rows=segment.rows, skipped=segment.skipped))
            continue
        (plan,) = plan_request(project, segment.request, sources)
        steps, run = plan.planner.plan(), match_plan(project, segment.request, plan)
        plans.append(
            SegmentPlan(
                segment=segment.name,
                rows=segment.rows,
                run=_repeated(steps),
                reused=sum(step.action == StepAction.REUSE for step in steps),
                finished=run.id if run is not None else None,
            )
        )
    return tuple(plans)


def _repeated(steps: Sequence[Step]) -> tuple[str, ...]:
    return tuple(step.name for step in steps if step.action in REPEATED)
