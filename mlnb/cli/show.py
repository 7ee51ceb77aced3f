"""`mlnb show`: a run stage by stage, one stage in full, or an artifact."""

import argparse
import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlnb.cli.result_lines import WIDTH, result_lines
from mlnb.cli.text_tables import shorten, table
from mlnb.codec import to_json
from mlnb.engine.project import Project
from mlnb.engine.run_records import StageState
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UnknownRun
from mlnb.registry.run_references import active_elsewhere, open_referenced
from mlnb.reports import formatting
from mlnb.suggestions import did_you_mean
from mlnb.tracking import run_results
from mlnb.tracking.source_formats import read_formats

ROWS = 20  # of a table artifact
FORMATS = 12  # rows about how the source was read, in the overview of a run
EPILOG = """examples:
  mlnb show                              show the latest run, stage by stage
  mlnb show 20260314-0915 tune           show a stage: parameters, inputs, outputs, metrics
  mlnb show --artifact gate              print an artifact: JSON, text, or the first rows of a table
  mlnb show latest --json                print the record
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb show`."""
    p.add_argument("run", nargs="?", default="latest", help="run, version such as @champion, or latest (default)")
    p.add_argument("stage", nargs="?", help="a stage, shown in full")
    p.add_argument("--artifact", metavar="NAME", help="print an artifact")
    p.add_argument("--json", action="store_true", help="print JSON")
    p.epilog = EPILOG


def main(args: argparse.Namespace) -> int:
    """Print the run, stage or artifact; return 0."""
    run, stage = find(Project.find(), args.run, args.stage)
    if args.artifact:
        print(artifact_text(run, args.artifact))
    elif args.json:
        record = to_json(run.stages[stage]) if stage else to_json(run.record) | {"state": run.state}
        print(json.dumps(record, ensure_ascii=False, indent=1))
    else:
        print(stage_text(run, stage) if stage else run_text(run))
    return 0


def find(project: Project, reference: str, stage: str | None) -> tuple[Run, str | None]:
    """Return a run and one of its stages; `mlnb show tune` is that stage of the latest run. Raises `UnknownRun`."""
    try:
        run = open_referenced(project, reference)
    except UnknownRun:
        active = active_elsewhere(project, reference)
        if len(active) == 1:
            run = active[0].run
        else:
            run = open_run(project)
            if stage is not None or reference not in run.stages:
                raise
            stage = reference
    names = list(run.stages)
    if stage is not None and stage not in names:
        hint = did_you_mean(stage, names)
        raise UnknownRun(f"Run {run.id} has no stage {stage!r}; it has {', '.join(names)}.{hint}")
    return run, stage


def run_text(run: Run) -> str:
    """Return a run as text: state, stages, metrics, result and paths."""
    record = run.record
    parts = [f"{run.id}  {run.state}  {formatting.moment(record.started)}  {formatting.seconds(record.seconds)}"]
    parts += [f"segment {record.segment}"] if record.segment else []
    rows = []
    for name, stage in run_results.shown_stages(run).items():
        duration = "" if stage.state == StageState.REUSED else formatting.seconds(stage.seconds)
        rows.append([name, stage.state, duration, shorten(stage.reason, 80), ", ".join(stage.outputs)])
    parts.append(table(["stage", "state", "duration", "reason", "artifacts"], rows, right=("duration",)))
    if error := record.failure:
        parts.append(f"{error.stage} failed: {error.message}\n  notebook  {run.folder / str(error.notebook)}")
    parts += _formats(run, FORMATS)
    parts += _metrics(run_results.metrics(run))
    if lines := result_lines(run):
        parts.append("\n".join(lines))
    parts.append("\n".join(_paths(run)))
    return "\n\n".join(parts)


def stage_text(run: Run, name: str) -> str:
    """Return a stage as text: state, parameters with their origin, reads, outputs and metrics."""
    stage = run_results.shown_stages(run)[name]
    about = textwrap.fill(stage.description, WIDTH)
    head = f"{name}  {stage.state}  {formatting.seconds(stage.seconds)}\n{about}\n{stage.reason}"
    parts = [head.rstrip()]
    if stage.state == StageState.REUSED:
        parts.append(f"made in {stage.from_run}")
    if error := stage.error:
        parts.append(f"{error.error} in cell {error.cell} ({error.heading})\n  {error.message}")
    if stage.attempts:
        rows = [[one.started, shorten(one.message, 80), formatting.seconds(one.wait)] for one in stage.attempts]
        parts.append(table(["failed attempt", "transient error", "repeated after"], rows, right=("repeated after",)))
    values = [
        [key, shorten(formatting.parameter(value.value)), value.origin] for key, value in stage.parameters.items()
    ]
    if values:
        parts.append(table(["parameter", "value", "origin"], values))
    reads = [[key, stage.producers.get(key, ""), formatting.short(digest)] for key, digest in stage.reads.items()]
    if reads:
        parts.append(table(["reads", "producer", "digest"], reads))
    outputs = [
        [key, o.format, formatting.size(o.bytes), formatting.short(o.digest), shorten(o.description, 70)]
        for key, o in stage.outputs.items()
    ]
    if outputs:
        parts.append(table(["writes", "format", "size", "digest", "contents"], outputs, right=("size",)))
    if "schema" in stage.outputs:
        parts += _formats(run)
    parts += _metrics(stage.metrics)
    if stage.notebook:
        parts.append(f"notebook  {run.folder / stage.notebook}")
    return "\n\n".join(parts)


def artifact_text(run: Run, name: str) -> str:
    """Return an artifact as text: JSON, text, the first rows of a table, the files of a folder. Raises `UnknownRun`."""
    output = run.require_output(name)
    if output.format == "table":
        return _table_text(run_results.read_table(run, name))
    if output.format == "pickle":
        return f"pickle, {formatting.size(output.bytes)}, digest {output.digest}\nA stage that reads it loads it."
    value = run.load(name)
    if isinstance(value, Path):
        files = [path for path in sorted(value.rglob("*")) if path.is_file()] if value.is_dir() else [value]
        rows = [
            [str(path.relative_to(value) if value.is_dir() else path), formatting.size(path.stat().st_size)]
            for path in files
        ]
        return f"{value}\n\n" + table(["file", "size"], rows, right=("size",))
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False, indent=1, sort_keys=True)
    except TypeError:
        return _array_text(value)


def _formats(run: Run, most: int | None = None) -> list[str]:
    """Return how the source was read, as a table of at most `most` rows; nothing before it was read."""
    rows = read_formats(run)
    cells = [[shorten(row.column) if row.column is not None else "", row.setting, row.value] for row in rows[:most]]
    more = f"\n… {len(rows) - len(cells)} more: mlnb show {run.id} validate" if len(rows) > len(cells) else ""
    return [table(["read as: column", "setting", "value"], cells, whole=("value",)) + more] if cells else []


def _metrics(values: Mapping[str, float]) -> list[str]:
    rows = [[name, formatting.number(value)] for name, value in values.items()]
    return [table(["metric", "value"], rows, right=("value",))] if rows else []


def _table_text(content: run_results.Table) -> str:
    if not content.rows:
        return "0 rows"
    cells = [[shorten(formatting.number(value), 40) for value in row] for row in content.rows[:ROWS]]
    numeric = zip(content.columns, content.rows[0], strict=True)
    right = [column for column, value in numeric if isinstance(value, int | float)]
    more = f"\n… {len(content.rows):,} rows" if len(content.rows) > ROWS else ""
    return table(content.columns, cells, right) + more


def _array_text(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{'' if shape is None else f' {shape} {value.dtype}'}\n{value}"


def _paths(run: Run) -> list[str]:
    if not run.folder.exists():
        return ["record    on the machine that runs it"]
    report = run.folder / "report.html"
    lines = [f"record    {run.folder / 'run.json'}", f"notebooks {run.folder / 'notebooks'}"]
    return [*lines, f"report    {report if report.exists() else '`mlnb report ' + run.id + '` writes it'}"]
