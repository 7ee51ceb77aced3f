"""The last lines of `mlnb run`: the result and the next commands, or the error and how to continue."""

import shlex
from dataclasses import replace
from pathlib import Path

from mlnb.api.run_request import RunRequest
from mlnb.cli.found_program import as_found
from mlnb.cli.result_lines import result_lines
from mlnb.engine.run_records import RunState, StageState
from mlnb.engine.runs import Run
from mlnb.governance.document_evidence import FOLDER
from mlnb.machine import actor
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.reports.formatting import count
from mlnb.tracking.artifact_views import load_findings, load_record

WIDEST_FINDING = 160  # characters; longer findings are cut, and the report has them in full
LEAST_TRIALS = 60  # of the suggested search
WIDEST_COMMAND = 44  # characters; longer commands get a separate line for the description


def result_summary(run: Run, request: RunRequest, report: Path | None = None, nothing_to_do: bool = False) -> str:
    """Return the lines about a finished run: winner, metric, gate, bento, report and next commands.

    Args:
        run: The run.
        request: What it was to do, which the next commands repeat.
        report: Path of its report, if there is one.
        nothing_to_do: Whether the run is an earlier one, as nothing has changed since.
    """
    lines = [f"Nothing to do: run {run.id}{_by_other(run)} is up to date." if nothing_to_do else ""]
    lines += result_lines(run, indent="  ")
    lines += findings_lines(run)
    if report:
        lines.append(f"  report    {report}")
        lines += document_lines(run, report.parent)
    return "\n".join([*lines, "", "next:", *next_commands(run, request, run.has("certificate"))])


def _by_other(run: Run) -> str:
    """Return who has run a run of another clone, as ` by ann`; nothing for a run of this user."""
    remote = run.project.store.remote
    person = remote.runner(run.id) if remote is not None else ""
    return f" by {person}" if person and person != actor() else ""


def document_lines(run: Run, folder: Path) -> list[str]:
    """Return where the documents of a run are, and how many questions in them are open; nothing without documents.

    Args:
        run: The run.
        folder: Its folder, as it is shown.
    """
    if not (run.folder / FOLDER).is_dir():
        return []
    record = run.stages.get("document")
    questions = int(record.metrics.get("open_questions", 0)) if record else 0
    note = f"  ({count(questions, 'open question')}: answer in answers.yaml)" if questions else ""
    return [f"  documents {folder / FOLDER}{note}"]


def findings_lines(run: Run) -> list[str]:
    """Return how many warnings and errors the audit of the data found, and the two most severe; nothing for none."""
    order = {"error": 0, "warning": 1}
    doubts = sorted(
        (one for one in load_findings(run) if one.severity in order),
        key=lambda one: (order[one.severity], -(one.rows or 0)),
    )
    if not doubts:
        return []
    counts = [(level, sum(one.severity == level for one in doubts)) for level in order]
    lines = ["  data      " + ", ".join(count(number, level) for level, number in counts if number)]
    for one in doubts[:2]:
        text = " ".join(str(one).split())
        lines.append(f"            {text if len(text) <= WIDEST_FINDING else text[: WIDEST_FINDING - 1] + '…'}")
    return lines


def next_commands(run: Run, request: RunRequest, servable: bool) -> list[str]:
    """Return the lines with the commands to try after a finished run; each works as printed, once its data exist.

    Args:
        run: The run.
        request: What it was to do: data, target and parameters are repeated.
        servable: Whether the run ended with a verified service.
    """
    commands = [("mlnb show", "show the run, stage by stage")]
    if servable:
        commands.insert(0, ("mlnb serve", "serve the model at http://127.0.0.1:3000/predict"))
    test = load_record(run, "metrics", Metrics)
    if test is not None and not test.labeled:
        commands += _labeling_commands(request, servable)
    elif "tune" in run.stages and request.profile:
        command = shlex.join(replace(request, profile=None).command())
        commands.append((command, f"run without the profile {request.profile}: search longer"))
    elif "tune" in run.stages:
        longer = repeated_command(_without_time_limit(request), "tune.trials", str(_more_trials(run)))
        commands.append((longer, "search longer; the other stages are reused"))
    new = replace(request, program=("mlnb", "new", "my_project"), profile=None)
    if run.record.pipeline != run.project.settings.pipeline:  # its parameters are those of one monitoring run
        new = replace(new, pairs=(), values={})
    edit = (shlex.join(new.command()), "copy the notebooks to a new project")
    commands.append(edit if run.project.is_builtin else ("mlnb lab", "open the notebooks"))
    commands = [(as_found(command), text) for command, text in commands]
    width = max(len(command) for command, _ in commands)
    if width <= WIDEST_COMMAND:
        return [f"  {command:<{width}}   {text}" for command, text in commands]
    return [line for command, text in commands for line in (f"  # {text}", f"  {command}")]


def _labeling_commands(request: RunRequest, servable: bool) -> list[tuple[str, str]]:
    """Return the commands that measure the accuracy of alerts: score, and train with labels of the highest scores."""
    score = shlex.join(["mlnb", "score", request.data or "rows.csv", "scored.csv"])
    pairs = [pair for pair in request.pairs if pair[0] != "problem.metric"]
    labeled = shlex.join(replace(request, data="labeled.csv", target="label", pairs=pairs).command())
    commands = [(score, "score all rows; review those with the highest scores")] if servable else []
    return [*commands, (labeled, "measure accuracy, once rows have a label: anomaly, normal, or blank")]


def _more_trials(run: Run) -> int:
    """Return a number of trials that is at least twice the one of a run."""
    return max(LEAST_TRIALS, 2 * int(run.stages["tune"].metrics.get("trials", 0)))


def _without_time_limit(request: RunRequest) -> RunRequest:
    """Return a request without the time limit of the search, which would end a longer one as early."""
    return replace(request, pairs=[pair for pair in request.pairs if pair[0] not in ("tune.seconds", "seconds")])


def repeated_command(request: RunRequest, name: str, value: str) -> str:
    """Return the `mlnb run` command with the same data, target and parameters, but another value of one parameter.

    Args:
        request: What the run was to do. Selections of stages and the grid are not repeated.
        name: The parameter, as `stage.name`.
        value: Its new value.
    """
    pairs = [pair for pair in request.pairs if pair[0] != name]
    return shlex.join(replace(request, pairs=[*pairs, (name, value)]).command())


def failure_summary(run: Run, command: str, debug_command: str = "") -> str:
    """Return the lines about a failed run: stage, cell, error, notebook, and the command to continue with.

    Args:
        run: The run.
        command: The command that continues.
        debug_command: The command that opens the state before the failed cell; empty when it was not kept.
    """
    lines = []
    for name, stage in run.stages.items():
        error = stage.error
        if stage.state == StageState.FAILED and error is not None:
            where = f", cell {error.cell}" if error.cell is not None else ""
            heading = f" ({error.heading})" if error.heading else ""
            lines.append(f"\nstage {name}{where}{heading} failed: {error.message}")
            if error.notebook:
                lines.append(f"  notebook  {run.folder / error.notebook}")
    lines += findings_lines(run)
    finished = [name for name, stage in run.stages.items() if stage.state.has_outputs]
    if run.record.state == RunState.INTERRUPTED:
        stages = [name for name, stage in run.stages.items() if stage.state == StageState.INTERRUPTED]
        where = f" in {', '.join(stages)}" if stages else ""
        lines.append(f"\nInterrupted{where}.")
    lines.append(f"  kept      {', '.join(finished) or 'no stage was finished'}")
    lines += [f"  debug     {as_found(debug_command)}"] if debug_command else []
    lines.append(f"  continue  {as_found(command)}")
    return "\n".join(lines)
