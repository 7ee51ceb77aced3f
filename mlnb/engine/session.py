"""Opens the stage of a notebook: in a pipeline, or in an interactive session."""

from collections.abc import Mapping, Sequence

from mlnb.engine import runs
from mlnb.engine.interactive_stage import InteractiveStage
from mlnb.engine.notebook_shell import has_variable, show_variable
from mlnb.engine.pipeline_stage import PipelineStage
from mlnb.engine.project import Project
from mlnb.engine.stage import Stage
from mlnb.engine.stage_files import StageInputs, inputs_path, read_record
from mlnb.errors import ParameterError
from mlnb.settings import ProcessSettings


def open_stage(name: str, run: str, reads: Sequence[str] = (), writes: Mapping[str, str] | None = None) -> Stage:
    """Open a stage.

    Args:
        name: Name of the stage.
        run: Id of the run in a pipeline; "draft", or the id of a run to read from, in an interactive session.
        reads: Names of the artifacts that it may load.
        writes: Names of the artifacts that it saves, each with a sentence about contents, shape and unit.

    Raises:
        UnknownRun: There is no such run.
        ParameterError: The notebook's parameters differ from those that the run planned.
    """
    project = Project.find()
    declared = dict(writes or {})
    inputs = read_record(StageInputs, inputs_path(project.runs / run / "stages", name)) if run != runs.DRAFT else None
    if inputs is None or ProcessSettings().attempt != inputs.attempt:
        return InteractiveStage(project, name, run, list(reads), declared)
    for parameter, planned in inputs.parameters.items():
        if not has_variable(parameter, planned):
            raise ParameterError(
                f"{name}.{parameter} is {show_variable(parameter)} in the notebook; the run planned {planned!r}. "
                "Set it in the cell tagged `parameters` and nowhere else."
            )
    return PipelineStage(project, name, run, list(reads), declared, inputs)
