"""The stages of a run that a reproduction repeats, with which values, and what is missing."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from mlnb.codec import Record
from mlnb.engine.code_sources import CodeSources
from mlnb.engine.graph import build_graph
from mlnb.engine.notebook import StageNotebook, read_notebooks
from mlnb.engine.parameter_values import DEFAULT
from mlnb.engine.plan import Planner
from mlnb.engine.plan_steps import Selection
from mlnb.engine.project import Project
from mlnb.engine.run_records import KeyInputs, OutputRecord, ParameterValue, StageRecord
from mlnb.engine.runs import Run, list_runs
from mlnb.errors import NotReproducible, UsageError
from mlnb.url_passwords import SECRET

ORIGIN = "reproduction"  # of values that differ from those of the run
URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
LOCAL = re.compile(r"sqlite:///|duckdb:(?!.*://)", re.DOTALL)  # files on this machine


class StageSelection(Record, frozen=True, kw_only=True):
    """What a reproduction does with each stage of a run.

    Args:
        repeated: Stages that are executed again.
        stored: Why other stages are not; their outputs are in the store.
        left_out: Why stages have no outputs that could be compared.
        values: Values of the parameters of each stage.
        supplier: The run of another pipeline that supplies artifacts, if there is one.
        notes: What else the reader should know.
    """

    repeated: tuple[str, ...]
    stored: dict[str, str]
    left_out: dict[str, str]
    values: dict[str, dict[str, ParameterValue]]
    supplier: Run | None = None
    notes: tuple[str, ...] = ()


def with_outputs(run: Run) -> tuple[str, ...]:
    """Return the stages whose outputs a run has recorded, in order. Raises `NotReproducible` when there are none."""
    names = tuple(name for name, stage in run.stages.items() if stage.state.has_outputs and stage.key_inputs)
    if not names:
        raise NotReproducible(f"run {run.id} is {run.state}: no stage of it has finished")
    return names


def select_stages(run: Run, project: Project) -> StageSelection:
    """Return what to do with each stage.

    Args:
        run: The run.
        project: From `write_project`.

    Raises:
        NotReproducible: Code or data are missing, or differ, and the outputs of a stage are not in the store either.
    """
    names = with_outputs(run)
    try:
        notebooks = read_notebooks(project.notebooks)
    except UsageError as error:
        raise NotReproducible(f"an executed notebook is damaged: {error}") from error
    records = {name: run.stages[name] for name in names}
    inputs = _inputs_of_others(records)
    supplier = _find_supplier(run, inputs) if inputs else None
    missing = [f"the artifacts {', '.join(inputs)}, which another run has made"] if inputs and not supplier else []
    values = {name: dict(stage.parameters) for name, stage in records.items()}
    changed, notes = _without_clock(run, records)
    sources = CodeSources(project)
    repeated, stored = [], {}
    if not missing:
        supplied = {artifact: supplier.require_output(artifact) for artifact in inputs} if supplier else {}
        planner = Planner(
            project, build_graph(notebooks, names, supplied), values, Selection(selected=frozenset(names))
        )
        for name in planner.graph.stages:
            missing += _code_problems(name, records[name], notebooks[name], sources)
            reason = _external(records[name], notebooks[name]) or _data_problem(planner, name, records)
            if not reason:
                repeated.append(name)
            elif all(_is_stored(run, output) for output in records[name].outputs.values()):
                stored[name] = reason
            else:
                missing.append(f"stage {name}: {reason}, and its outputs are not in the store")
    if missing:
        raise NotReproducible("; ".join(missing))
    if not repeated:
        raise NotReproducible(f"no stage can be repeated: {'; '.join(dict.fromkeys(stored.values()))}")
    left_out = {name: str(stage.state) for name, stage in run.stages.items() if name not in names}
    values = {name: values[name] | changed.get(name, {}) for name in names}
    return StageSelection(
        repeated=tuple(repeated), stored=stored, left_out=left_out, values=values, supplier=supplier, notes=tuple(notes)
    )


def requested_values(selection: StageSelection) -> dict[str, dict[str, Any]]:
    """Return the values that are not defaults, of the stages that are repeated."""
    return {
        name: own
        for name in selection.repeated
        if (own := {key: item.value for key, item in selection.values[name].items() if item.origin != DEFAULT})
    }


def _without_clock(
    run: Run, records: Mapping[str, StageRecord]
) -> tuple[dict[str, dict[str, ParameterValue]], list[str]]:
    """Return the values by which searches end after the recorded number of trials, and a note where a clock cut one."""
    changed, notes = {}, []
    for name, stage in records.items():
        if not {"trials", "seconds"} <= stage.parameters.keys() or "trials" not in stage.metrics:
            continue
        trials = int(stage.metrics["trials"])
        changed[name] = {
            "trials": ParameterValue(value=trials, origin=ORIGIN),
            "seconds": ParameterValue(value=0.0, origin=ORIGIN),
        }
        if stage.metrics.get("timed_out"):
            limit = stage.parameters["seconds"].value
            notes.append(
                f"the clock has cut {name} ({limit:g} s): it is repeated with the {trials} trials that had finished; "
                "what was cut besides, such as the members of an ensemble, may differ"
            )
    return changed, notes


def _inputs_of_others(records: Mapping[str, StageRecord]) -> dict[str, str]:
    """Return the digest of each artifact that stages read and that none of them has made."""
    own = {artifact for stage in records.values() for artifact in stage.outputs}
    read = {artifact: digest for stage in records.values() for artifact, digest in stage.reads.items() if digest}
    return {artifact: digest for artifact, digest in read.items() if artifact not in own}


def _find_supplier(run: Run, inputs: Mapping[str, str]) -> Run | None:
    """Return a run with artifacts of these digests that are in the store; None when there is none any more."""
    for other in list_runs(run.project):
        outputs = {artifact: other.output(artifact) for artifact in inputs}
        if all(
            output and output.digest == inputs[name] and _is_stored(run, output) for name, output in outputs.items()
        ):
            return other
    return None


def _code_problems(name: str, record: StageRecord, notebook: StageNotebook, sources: CodeSources) -> Iterator[str]:
    """Yield what of the code of a stage is not as recorded; mlnb's own modules belong to the environment."""
    recorded = _inputs(record)
    if (notebook.code_digest, notebook.contract_digest) != (recorded.code, recorded.contract):
        yield f"the code of stage {name}: its executed notebook has another one"
    modules = sources.stage_dependencies(notebook, record.parameters)[0]
    for module, digest in recorded.modules.items():
        if module.partition(".")[0] != "mlnb" and modules.get(module) != digest:
            yield f"the module {module}: the archive of the run's source code has {_which(modules, module)}"


def _which(modules: Mapping[str, str], name: str) -> str:
    return "another one" if name in modules else "none"


def _external(record: StageRecord, notebook: StageNotebook) -> str:
    """Return from where else than this machine a stage reads; empty when it does not."""
    for parameter in notebook.parameters:
        value = record.parameters[parameter.name].value if parameter.is_file else None
        if isinstance(value, str) and _is_remote(value):
            return f"{parameter.name} is {value.partition('?')[0]}, which is not read again"
    return ""


def _is_remote(source: str) -> bool:
    """Return whether a source is read over a network, or with a secret."""
    return bool(SECRET.search(source) or ("://" in source and URL.match(source) and not LOCAL.match(source)))


def _data_problem(planner: Planner, name: str, records: Mapping[str, StageRecord]) -> str:
    """Return which file of a stage is not as it was, or that its inputs are of another run; empty when all are."""
    recorded = _inputs(records[name])
    parents = {parent: records[parent].outputs if parent in records else None for parent in planner.graph.parents(name)}
    now = planner.key_inputs(name, parents)
    for parameter, before in recorded.parameters.items():
        if now.parameters.get(parameter) != before:
            return f"{records[name].parameters[parameter].value} ({parameter}) has changed since, or was deleted"
    if now.inputs != recorded.inputs:
        return "it was taken from a run with other inputs"
    return ""


def _inputs(record: StageRecord) -> KeyInputs:
    assert record.key_inputs is not None  # of a stage from `with_outputs`
    return record.key_inputs


def _is_stored(run: Run, output: OutputRecord) -> bool:
    return run.project.store.intact(output.digest, tree=output.format == "tree")
