"""What `mlnb run` prints at its end: the verdict and the next commands, or what failed and how to go on."""

from pathlib import Path
from typing import Any

from mlnb.engine.runs import Run
from mlnb.errors import CellFailed, CellTimeout, GateFailed, MlnbError, StageError, StoreFull

CODES: dict[str, type[MlnbError]] = {"GateFailed": GateFailed, "CellTimeout": CellTimeout, "StoreFull": StoreFull}
INTERRUPTED = 130


def exit_code(run: Run) -> int:
    """Return what the command ends with: 0, the code of the first failed stage, or 130."""
    if run.record["state"] == "interrupted":
        return INTERRUPTED
    for stage in run.record["stages"].values():
        if stage["state"] == "failed":
            return CODES.get(stage["error"]["kind"], CellFailed).exit_code
    return 0 if run.record["state"] == "finished" else StageError.exit_code


def verdict(run: Run, report: Path | None = None, nothing_to_do: bool = False) -> str:
    """Return the lines that end a run that went well: winner, metric, gate, bento, report, next commands."""
    lines = [""]
    if nothing_to_do:
        lines = [f"Nothing to do: run {run.id} is up to date."]
    best, metrics, gate, certificate = (_read(run, name) for name in ("best", "metrics", "gate", "certificate"))
    if best:
        lines.append(
            f"  winner    {best['family']}" + (f"  {_brief(best.get('params', {}))}" if best.get("params") else "")
        )
    if metrics:
        deciding = metrics["deciding"]
        name = deciding["name"]
        others = [
            f"{other} {_figure(metrics[other][name])}"
            + (", which may have seen these rows" if other == "champion" and metrics["champion_seen"] != 0 else "")
            for other in ("champion", "linear", "dummy")
            if name in metrics.get(other, {})
        ]
        spread = f"  [{_figure(deciding['low'])}, {_figure(deciding['high'])}]" if deciding["low"] is not None else ""
        lines.append(
            f"  test      {name} {_figure(deciding['value'])}{spread}" + (f"   ({', '.join(others)})" if others else "")
        )
    for line in gate["lines"] if gate else ():
        mark = "pass" if line["passed"] else "FAIL"
        lines.append(f"  gate      {mark}  {line['check']}: {line['found']} (required: {line['required']})")
    if certificate:
        lines.append(
            f"  bento     {certificate['bento']}  ({certificate['rows']} rows answered over HTTP as in the notebook)"
        )
    if report:
        lines.append(f"  report    {report}")
    return "\n".join([*lines, "", "next:", *next_commands(run, bool(certificate))])


def _figure(value: float | None) -> str:
    return "undefined on these rows" if value is None else f"{value:.4g}"


def next_commands(run: Run, servable: bool) -> list[str]:
    """Return the commands to try after a run that went well."""
    commands = [("mlnb show", "the run, stage by stage")]
    if servable:
        commands.insert(0, ("mlnb serve", "answer predictions at http://127.0.0.1:3000/predict"))
    if "tune" in run.record["stages"]:
        commands.append(("mlnb run -p tune.trials 60", "look further; the rest is reused"))
    own = ("mlnb new my_project", "the notebooks as a project of your own")
    commands.append(own if run.project.is_builtin else ("mlnb lab", "open the notebooks"))
    return [f"  {command:<28} {what}" for command, what in commands]


def failure(run: Run, command: str, look: str = "") -> str:
    """Return what a person needs when a run has failed: stage, cell, cause, where to look, how to go on.

    `look` is the command that opens the state before the failing cell, when there is one.
    """
    record = run.record
    lines = []
    for name, stage in record["stages"].items():
        error = stage["error"]
        if stage["state"] == "failed":
            where = f", cell {error['cell']}" if error["cell"] is not None else ""
            title = f" ({error['title']})" if error["title"] else ""
            lines.append(f"\nstage {name}{where}{title} failed: {error['cause']}")
            if error["notebook"]:
                lines.append(f"  notebook  {run.folder / error['notebook']}")
    kept = [name for name, stage in record["stages"].items() if stage["state"] in ("finished", "reused")]
    if record["state"] == "interrupted":
        ended = [name for name, stage in record["stages"].items() if stage["state"] == "interrupted"]
        lines.append(f"\nInterrupted in {', '.join(ended) or 'time'}.")
    lines.append(f"  kept      {', '.join(kept) or 'nothing was finished yet'}")
    lines += [f"  look      {look}"] if look else []
    lines.append(f"  go on     {command}")
    return "\n".join(lines)


def _read(run: Run, artifact: str) -> Any:
    return run.load(artifact) if run.has(artifact) else None


def _brief(params: dict[str, Any]) -> str:
    parts = [
        f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in params.items() if not isinstance(v, dict)
    ]
    text = ", ".join(parts)
    return text if len(text) <= 90 else text[:87] + "..."
