"""The loop of a project as one page: how well each version did, what drifted, what was decided, who was in charge."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlnb.engine import runs
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import RegistryError
from mlnb.registry.registry import Registry
from mlnb.reports import formatting
from mlnb.reports.run_report import environment, style
from mlnb.reports.timeline import KINDS, draw_timeline

NEWEST = 40  # looks that are shown
COLUMNS = 30  # columns whose drift is, those that moved most
ENTRIES = 200  # entries of the audit log that are
STRONG = 0.5  # effect from which a cell is as dark as can be
STATES = {"keep": "passed", "watch": "warning", "act": "error"}


def write_loop(project: Project) -> Path:
    """Write runs/loop.html and return its path; it stands alone as a run's report does. Raises `StoreFull`."""
    registry = Registry(project)
    faults, count, _ = registry.verify()
    names = {
        str(version.facts["certificate"]["model"]): (version.model, f"version {version.number}")
        for version in registry.versions()
    }
    looks, entries = find_looks(project), []
    with suppress(RegistryError):  # one that cannot be read is among the faults
        entries = registry.log()
    page = (
        environment()
        .get_template("loop.html")
        .render(
            project=project,
            looks=len(looks),
            models=[_model(name, part, names) for name, part in _by_model(looks, names).items()],
            log=list(reversed(entries))[:ENTRIES],
            entries=count,
            faults=faults,
            formatting=formatting,
            style=style(),
        )
    )
    path = project.runs / "loop.html"
    write_whole(path, page.encode())
    return path


def find_looks(project: Project) -> list[dict[str, Any]]:
    """Return the newest finished runs of the pipeline `monitor` with what they found, oldest first."""
    found = []
    for run in runs.list_runs(project):
        if run.record["pipeline"] == "monitor" and run.state == "finished" and run.has("verdict"):
            verdict, performance, drift = (run.load(name) for name in ("verdict", "performance", "drift"))
            reference = performance["reference"]
            facts = {"run": run.id, "metric": reference["name"], "reference": reference, "now": performance["now"]}
            found.append({**facts, **verdict, "drift": drift, "until": float(verdict["window"]["until"])})
        if len(found) == NEWEST:
            break
    return sorted(found, key=lambda look: look["until"])


def _by_model(looks: Sequence[dict[str, Any]], names: dict[str, tuple[str, str]]) -> dict[str, list[dict[str, Any]]]:
    """The looks of each model, that which was looked at last first."""
    parts: dict[str, list[dict[str, Any]]] = {}
    for look in reversed(looks):
        version = look["window"]["version"]
        model = names[version][0] if version in names else version.partition(":")[0]
        parts.setdefault(model, []).insert(0, look)
    return parts


def _model(name: str, looks: list[dict[str, Any]], names: dict[str, tuple[str, str]]) -> dict[str, Any]:
    """What the page says of one model."""
    called = {version: number for version, (_, number) in names.items()}
    metric = looks[-1]["metric"]
    same = [look for look in looks if look["metric"] == metric]  # another metric has another scale
    title = formatting.metric(metric)
    rows = [_row(look, called) for look in reversed(looks)]
    return {
        "name": name,
        "metric": title[:1].upper() + title[1:],
        "timeline": draw_timeline(same, called),
        "matured": any(look["now"] for look in same),
        "drift": _drift(looks),
        "columns": len({shift["column"] for look in looks for shift in look["drift"]}),
        "span": [formatting.day(looks[0]["until"]), formatting.day(looks[-1]["until"])],
        "looks": rows,
        "newest": rows[0],
    }


def _row(look: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """What a table says of one look."""
    now, version = look["now"] or {}, look["window"]["version"]
    return {
        "run": look["run"],
        "when": formatting.minute(look["until"]),
        "version": names.get(version, version),
        "tag": version,
        "rows": look["window"]["rows"],
        "value": now.get("value"),
        "interval": formatting.interval(now) if now else "",
        "outcome": look["outcome"],
        "state": STATES[KINDS[look["outcome"]]],
        "reasons": [reason["text"] for reason in look["reasons"]],
    }


def _drift(looks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each column one cell a look: how far it had moved [0..1], and whether that counted; the most moved first."""
    by_look = [{shift["column"]: shift for shift in look["drift"]} for look in looks]
    table = []
    for name in dict.fromkeys(column for shifts in by_look for column in shifts):
        cells = []
        for look, shifts in zip(looks, by_look, strict=True):
            shift = shifts.get(name)
            if shift is None:
                cells.append(
                    {"dark": None, "drifted": False, "title": f"{name}, {formatting.day(look['until'])}: not there"}
                )
                continue
            gone = abs(shift["missing_after"] - shift["missing_before"])
            effect = max(shift["effect"] if shift["effect"] is not None else STRONG, gone)
            title = f"{name}, {formatting.day(look['until'])}: {effect:.2f}"
            title += f", missing {shift['missing_before']:.0%} → {shift['missing_after']:.0%}" if gone > 0.005 else ""
            cells.append(
                {"dark": round(min(effect / STRONG, 1.0), 2), "drifted": bool(shift["drifted"]), "title": title}
            )
        table.append({"column": name, "short": formatting.elide(name), "cells": cells})
    return sorted(table, key=lambda row: -max((c["dark"] or 0) + c["drifted"] for c in row["cells"]))[:COLUMNS]
