"""`mlnb show`: one run stage by stage, one stage in full, or an artifact."""

import argparse
import json
from pathlib import Path
from typing import Any

from mlnb.cli.text_tables import brief, table
from mlnb.engine.parameters import nearest
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UnknownRun
from mlnb.reports import formatting
from mlnb.tracking import run_facts

ROWS = 20  # of a table artifact
EPILOG = """examples:
  mlnb show                              the latest run, stage by stage
  mlnb show 20260314-0915 tune           one stage: parameters, inputs, outputs, metrics
  mlnb show --artifact gate              an artifact: JSON, text, or the first rows of a table
  mlnb show latest --json                the record
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Add the options of `mlnb show`."""
    p.add_argument("run", nargs="?", default="latest", help="a run's id, a part of it that is unique, or latest")
    p.add_argument("stage", nargs="?", help="one stage, in full")
    p.add_argument("--artifact", metavar="NAME", help="print an artifact")
    p.add_argument("--json", action="store_true", help="as JSON")
    p.epilog = EPILOG


def main(args: argparse.Namespace) -> int:
    """Print what was asked for."""
    run, stage = find(Project.find(), args.run, args.stage)
    if args.artifact:
        print(artifact(run, args.artifact))
    elif args.json:
        shown = run.record["stages"][stage] if stage else run.record | {"state": run.state}
        print(json.dumps(shown, ensure_ascii=False, indent=1))
    else:
        print(one_stage(run, stage) if stage else one_run(run))
    return 0


def find(project: Project, ref: str, stage: str | None) -> tuple[Run, str | None]:
    """Return a run and a stage of it; `mlnb show tune` means that stage of the latest run. Raises `UnknownRun`."""
    try:
        run = open_run(project, ref)
    except UnknownRun:
        run = open_run(project)
        if stage is not None or ref not in run.record["stages"]:
            raise
        stage = ref
    names = list(run.record["stages"])
    if stage is not None and stage not in names:
        raise UnknownRun(f"Run {run.id} has no stage {stage!r}; it has {', '.join(names)}." + nearest(stage, names))
    return run, stage


def one_run(run: Run) -> str:
    """Return a run as text: what it is, its stages, its metrics, its verdict, and where things are."""
    record = run.record
    started, took = formatting.moment(record.get("started")), formatting.seconds(record.get("seconds"))
    about = f"{run.id}  {run.state}  {started}  {took}"
    parts = [about]
    rows = [
        [name, entry["state"], formatting.seconds(entry.get("seconds")) if entry["state"] != "reused" else "",
         brief(entry.get("why") or "", 80), ", ".join(entry.get("outputs") or {})]
        for name, entry in run_facts.stages(record).items()
    ]  # fmt: skip
    parts.append(table(["stage", "state", "time", "why", "artifacts"], rows, right=("time",)))
    if error := run_facts.failure(record):
        parts.append(f"{error['stage']} failed: {error['cause']}\n  notebook  {run.folder / str(error['notebook'])}")
    if metrics := run_facts.metrics(record):
        parts.append(
            table(["metric", "value"], [[k, formatting.number(v)] for k, v in metrics.items()], right=("value",))
        )
    if lines := _verdict(run):
        parts.append("\n".join(lines))
    parts.append("\n".join(_places(run)))
    return "\n\n".join(parts)


def one_stage(run: Run, name: str) -> str:
    """Return a stage as text: state, parameters and where they came from, reads, outputs, metrics."""
    entry = run.record["stages"][name]
    seconds = formatting.seconds(entry.get("seconds"))
    parts = [f"{name}  {entry['state']}  {seconds}\n{entry.get('promise') or ''}\n{entry.get('why') or ''}".rstrip()]
    if entry["state"] == "reused":
        parts.append(f"made in {entry['from_run']}")
    if error := entry.get("error"):
        parts.append(f"{error['kind']} in cell {error['cell']} ({error['title']})\n  {error['cause']}")
    values = [
        [k, brief(formatting.parameter(e["value"])), e["from"]] for k, e in entry["parameters"].items() if k != "run"
    ]
    if values:
        parts.append(table(["parameter", "value", "from"], values))
    producers = entry.get("producers") or {}
    reads = [[k, producers.get(k, ""), formatting.short(digest)] for k, digest in (entry.get("reads") or {}).items()]
    if reads:
        parts.append(table(["reads", "made by", "digest"], reads))
    outputs = [
        [k, o["format"], formatting.size(o["bytes"]), formatting.short(o["digest"]), brief(o["description"], 70)]
        for k, o in (entry.get("outputs") or {}).items()
    ]
    if outputs:
        parts.append(table(["writes", "format", "size", "digest", "contents"], outputs, right=("size",)))
    if metrics := entry.get("metrics"):
        parts.append(
            table(["metric", "value"], [[k, formatting.number(v)] for k, v in metrics.items()], right=("value",))
        )
    if entry.get("notebook"):
        parts.append(f"notebook  {run.folder / entry['notebook']}")
    return "\n\n".join(parts)


def artifact(run: Run, name: str) -> str:
    """Return an artifact as text: JSON, text, the first rows of a table, the files of a tree. Raises `UnknownRun`."""
    output = run.output(name)
    if output is not None and output["format"] == "table":
        return _rows(run, name)
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
        return _array(value)


def _rows(run: Run, name: str) -> str:
    rows = run_facts.table(run, name)
    if not rows:
        return "0 rows"
    heads = list(rows[0])
    cells = [[brief(formatting.number(row[head]), 40) for head in heads] for row in rows[:ROWS]]
    right = [head for head in heads if isinstance(rows[0][head], int | float)]
    return table(heads, cells, right) + (f"\n… {len(rows):,} rows" if len(rows) > ROWS else "")


def _array(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return f"{type(value).__name__}{'' if shape is None else f' {shape} {value.dtype}'}\n{value}"


def _verdict(run: Run) -> list[str]:
    verdict = run_facts.verdict(run)
    lines = []
    if verdict["winner"]:
        lines.append(f"winner    {formatting.family(verdict['winner'])}")
    if verdict["value"] is not None:
        lines.append(
            f"test      {verdict['metric']} {formatting.number(verdict['value'])} "
            f"{formatting.interval(verdict)}".rstrip()
        )
    for line in (run_facts.load(run, "gate") or {}).get("lines", []):
        mark = "pass" if line["passed"] else "FAIL"
        lines.append(f"gate      {mark}  {line['check']}: {line['found']} (required: {line['required']})")
    if certificate := run_facts.load(run, "certificate"):
        lines.append(f"bento     {certificate['bento']}")
    return lines


def _places(run: Run) -> list[str]:
    report = run.folder / "report.html"
    lines = [f"record    {run.folder / 'run.json'}", f"notebooks {run.folder / 'notebooks'}"]
    return [*lines, f"report    {report if report.exists() else '`mlnb report ' + run.id + '` writes it'}"]
