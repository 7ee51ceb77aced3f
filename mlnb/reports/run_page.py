"""What stands on the page of a run, from its record and artifacts; whatever is missing is left out."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from mlnb.engine.runs import Run
from mlnb.reports import formatting
from mlnb.reports.figures import history, intervals
from mlnb.reports.markdown import to_html
from mlnb.reports.pipeline_graph import draw_graph
from mlnb.tracking import run_facts
from mlnb.tracking.notebook_plots import read_plots

SEVERITIES = ("error", "warning", "info")
TRIALS = 10  # rows of the trials table
SCALE = 0.72  # of every plot, so that two stand side by side and all have letters of one size


def gather(run: Run) -> dict[str, Any]:
    """Return everything that the template needs, by section."""
    record = run.record
    stages = run_facts.stages(record)
    contract = run_facts.load(run, "contract") or {}
    return {
        "run": run,
        "record": record,
        "state": run.state,
        "title": _title(record, contract),
        "contract": contract,
        "head": _head(run),
        "failure": run_facts.failure(record),
        "verdict": _verdict(run, contract),
        "stages": _stages(stages),
        "graph": draw_graph(stages),
        "parameters": _parameters(record),
        "findings": _findings(run),
        "metrics": _metrics(run, contract),
        "logged": {name: entry["metrics"] for name, entry in stages.items() if entry.get("metrics")},
        "plots": _plots(run, stages),
        "trials": _trials(run, contract),
        "card": _card(run),
        "artifacts": [
            {"name": artifact, "stage": name, **output}
            for name, entry in stages.items()
            for artifact, output in (entry.get("outputs") or {}).items()
        ],
        "versions": run_facts.versions(record),
        "formatting": formatting,
    }


def page_name(notebook: str) -> str:
    """Return the path of a notebook's page, beside the notebook."""
    return notebook.removesuffix(".ipynb") + ".html"


def _title(record: Mapping[str, Any], contract: Mapping[str, Any]) -> str:
    if contract.get("target"):
        return f"Predicting {contract['target']}"
    return f"Pipeline {record.get('pipeline', '')}".strip()


def _head(run: Run) -> list[tuple[str, str]]:
    record = run.record
    git = record.get("git") or {}
    commit = formatting.short(git.get("commit")) + (" with changes" if git.get("dirty") else "") if git else None
    facts_of_run = [
        ("run", run.id),
        ("started", formatting.moment(record.get("started"))),
        ("took", formatting.seconds(record.get("seconds")) if record.get("seconds") is not None else None),
        ("pipeline", record.get("pipeline")),
        ("profile", record.get("profile")),
        ("group", record.get("group")),
        ("commit", commit),
        ("made with", f"mlnb {record.get('mlnb')}, Python {record.get('python')}"),
    ]
    return [(name, str(value)) for name, value in facts_of_run if value]


def _verdict(run: Run, contract: Mapping[str, Any]) -> dict[str, Any] | None:
    verdict = run_facts.verdict(run)
    if verdict["winner"] is None and verdict["value"] is None:
        return None
    metrics = run_facts.load(run, "metrics") or {}
    name = verdict["metric"]
    rows = [
        {"label": label, "value": (metrics.get(which) or {}).get(name)}
        for label, which in (("no features", "dummy"), ("linear model", "linear"))
    ]
    rows.append({**verdict, "label": formatting.family(verdict["winner"]) or "model", "best": True})
    certificate = run_facts.load(run, "certificate") or {}
    return {
        **verdict,
        "rows": metrics.get("rows"),
        "level": metrics.get("level", 0.95),
        "direction": "lower is better" if contract.get("direction") == "minimize" else "higher is better",
        "figure": intervals(rows, contract.get("bound")),
        "gate": run_facts.load(run, "gate"),
        "bento": certificate.get("bento"),
        "proven": certificate.get("rows") if certificate.get("identical") else None,
        "score": (run_facts.load(run, "best") or {}).get("score"),
        "looks": int((run_facts.stages(run.record).get("evaluate", {}).get("metrics") or {}).get("test_looks", 0)),
    }


def _stages(stages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    longest = max((entry.get("seconds") or 0 for entry in stages.values()), default=0) or 1
    return [
        {
            **entry,
            "name": name,
            "page": page_name(entry["notebook"]) if entry.get("notebook") else None,
            "share": (entry.get("seconds") or 0) / longest * 100 if entry["state"] == "finished" else 0,
        }
        for name, entry in stages.items()
    ]


def _parameters(record: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    rows = []
    for full, entry in run_facts.parameters(record).items():
        stage, _, name = full.partition(".")
        rows.append({"stage": stage, "name": name, "value": entry["value"], "from": entry["from"]})
    return {
        "chosen": [row for row in rows if row["from"] != "cell"],
        "defaults": [row for row in rows if row["from"] == "cell"],
    }


def _findings(run: Run) -> list[dict[str, Any]]:
    found = [entry for entry in run_facts.load(run, "findings") or [] if isinstance(entry, dict)]
    order = {severity: place for place, severity in enumerate(SEVERITIES)}
    return sorted(found, key=lambda entry: order.get(str(entry.get("severity")), len(order)))


def _metrics(run: Run, contract: Mapping[str, Any]) -> list[dict[str, Any]]:
    metrics = run_facts.load(run, "metrics") or {}
    deciding = metrics.get("deciding") or {}
    standard = dict(metrics.get("standard") or {})
    if deciding.get("name"):
        standard = {deciding["name"]: deciding, **standard}
    return [
        {
            **(entry if isinstance(entry, dict) else {"value": entry}),
            "name": name,
            "deciding": name == contract.get("metric", deciding.get("name")),
            "dummy": (metrics.get("dummy") or {}).get(name),
            "linear": (metrics.get("linear") or {}).get(name),
        }
        for name, entry in standard.items()
    ]


def _plots(run: Run, stages: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for name, entry in stages.items():
        plots = read_plots(run.folder / entry["notebook"]) if entry.get("notebook") else []
        if plots:
            pictures = [
                {
                    "title": plot.title,
                    "data": base64.b64encode(plot.png).decode(),
                    "width": round(plot.size[0] * SCALE),
                    "height": round(plot.size[1] * SCALE),
                }
                for plot in plots
            ]
            steps: dict[str, list[dict[str, Any]]] = {}
            for plot, picture in zip(plots, pictures, strict=True):
                steps.setdefault(plot.step, []).append(picture)
            found.append({"stage": name, "title": entry.get("title") or name, "steps": steps})
    return found


def _trials(run: Run, contract: Mapping[str, Any]) -> dict[str, Any] | None:
    rows = run_facts.table(run, "trials")
    if not rows:
        return None
    best = run_facts.load(run, "best") or {}
    direction = str(contract.get("direction", "maximize"))
    states = [str(row.get("state", "")).lower() for row in rows]
    scored = [row | {"whole": is_whole(row)} for row in rows if run_facts.is_finite(row.get("score"))]
    ranked = sorted((row for row in scored if row["whole"]), key=lambda row: row["score"])
    ranked = ranked if direction == "minimize" else ranked[::-1]
    return {
        "figure": history(scored, direction),
        "metric": best.get("metric") or contract.get("metric"),
        "counts": ", ".join([f"{len(rows)} trials", *(f"{states.count(name)} {name}" for name in sorted(set(states)))]),
        "top": [{**row, "params": _settings(row.get("params"))} for row in ranked[:TRIALS]],
    }


def is_whole(trial: Mapping[str, Any]) -> bool:
    """Return whether a trial was measured on all folds: the mean of a pruned one is over easier or harder ones."""
    return str(trial.get("state", "complete")).lower() in ("complete", "finished")


def _settings(text: Any) -> str:
    try:
        found = json.loads(text) if isinstance(text, str) else dict(text or {})
    except (ValueError, TypeError):
        return str(text)
    plain = {name: f"{value:.4g}" if isinstance(value, float) else value for name, value in found.items()}
    return ", ".join(f"{name} {value}" for name, value in plain.items())


def _card(run: Run) -> Any:
    text = run_facts.load(run, "card")
    return to_html(text) if isinstance(text, str) else None
