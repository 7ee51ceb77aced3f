"""Two runs side by side: the parameters and metrics that differ, and the stages that gave the same bytes."""

from typing import Any

from mlnb.cli.text_tables import brief, table
from mlnb.engine.runs import Run
from mlnb.reports import formatting
from mlnb.tracking import run_facts


def compare(first: Run, second: Run) -> dict[str, Any]:
    """Return what differs between two runs, as a JSON value; every entry has [first, second]."""
    parameters = [{name: e["value"] for name, e in run_facts.parameters(run.record).items()} for run in (first, second)]
    return {
        "runs": [first.id, second.id],
        "state": [first.state, second.state],
        "verdict": [run_facts.verdict(first), run_facts.verdict(second)],
        "parameters": _different(*parameters),
        "metrics": _different(_numbers(first), _numbers(second)),
        "versions": _different(run_facts.versions(first.record), run_facts.versions(second.record)),
        "stages": {
            name: _stage(name, first, second)
            for name in run_facts.stages(second.record) | run_facts.stages(first.record)
        },
    }


def in_words(differences: dict[str, Any]) -> str:
    """Return a comparison as text."""
    first, second = differences["runs"]
    parts = [f"A  {first}  {differences['state'][0]}\nB  {second}  {differences['state'][1]}"]
    for title in ("parameters", "metrics", "versions"):
        found = differences[title]
        if not found:
            if title != "versions":
                parts.append(f"{title}: the same")
            continue
        heads = [title, "A", "B"] + (["B − A"] if title == "metrics" else [])
        rows = []
        for name, (a, b) in found.items():
            row = [name, _text(title, a), _text(title, b)]
            if title == "metrics":
                row.append(formatting.number(b - a) if _is_number(a) and _is_number(b) else "")
            rows.append(row)
        parts.append(table(heads, rows, right=heads[1:] if title == "metrics" else ()))
    rows = [[name, entry["result"], entry["A"], entry["B"]] for name, entry in differences["stages"].items()]
    parts.append(table(["stages", "outputs", "A", "B"], rows))
    return "\n\n".join(parts)


def _different(first: dict[str, Any], second: dict[str, Any]) -> dict[str, list[Any]]:
    names = list(first | second)
    return {name: [first.get(name), second.get(name)] for name in names if first.get(name) != second.get(name)}


def _numbers(run: Run) -> dict[str, Any]:
    standard = (run_facts.load(run, "metrics") or {}).get("standard") or {}
    return run_facts.metrics(run.record) | {f"evaluate.{name}": entry["value"] for name, entry in standard.items()}


def _stage(name: str, first: Run, second: Run) -> dict[str, str]:
    entries = [run.record["stages"].get(name) or {} for run in (first, second)]
    digests = [{key: output["digest"] for key, output in (e.get("outputs") or {}).items()} for e in entries]
    result = "–" if not all(digests) else "the same" if digests[0] == digests[1] else "differ"
    states = [
        f"reused from {entry['from_run']}" if entry.get("state") == "reused" else entry.get("state", "not in this run")
        for entry in entries
    ]
    return {"result": result, "A": states[0], "B": states[1]}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def _text(title: str, value: Any) -> str:
    if title == "metrics":
        return formatting.number(value)
    return "–" if value is None and title == "versions" else brief(formatting.parameter(value), 48)
