"""The loop of a project as one page: how well each version did, what drifted, what was decided, who was in charge."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mlnb.engine import runs
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.registry.registry import Registry
from mlnb.reports import words
from mlnb.reports.figures import svg, ticks
from mlnb.reports.report import environment, style

NEWEST = 40  # looks that are shown
STRONG = 0.5  # effect from which a cell is as dark as can be


def write_loop(project: Project) -> Path:
    """Write runs/loop.html and return its path; it stands alone as a run's report does. Raises `StoreFull`."""
    looks = find_looks(project)
    registry = Registry(project)
    page = (
        environment()
        .get_template("loop.html")
        .render(
            project=project,
            looks=[_row(look) for look in reversed(looks)],
            timeline=draw_timeline(looks),
            metric=looks[-1]["metric"] if looks else "",
            drift=_drift(looks),
            log=list(reversed(registry.log())),
            faults=registry.verify()[0],
            words=words,
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


def _row(look: dict[str, Any]) -> dict[str, Any]:
    """What a table says of one look."""
    kinds = {"keep": "passed", "watch": "warning", "retrain": "error", "roll back": "error"}
    now = look["now"] or {}
    return {
        "when": _when(look["until"]),
        "version": look["window"]["version"],
        "rows": look["window"]["rows"],
        "value": now.get("value"),
        "interval": words.interval(now) if now else "",
        "outcome": look["outcome"],
        "kind": kinds[look["outcome"]],
        "reasons": [reason["text"] for reason in look["reasons"]],
    }


def _drift(looks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """For each column one cell a look: how far it had moved [0..1], and whether that counted; the most moved first."""
    names = dict.fromkeys(shift["column"] for look in looks for shift in look["drift"])
    table = []
    for name in names:
        cells = []
        for look in looks:
            shift = next((s for s in look["drift"] if s["column"] == name), None)
            gone = abs(shift["missing_after"] - shift["missing_before"]) if shift else 0.0
            effect = max(shift["effect"] if shift["effect"] is not None else STRONG, gone) if shift else 0.0
            dark = min(effect / STRONG, 1.0)
            title = f"{name}, {_when(look['until'])}: {effect:.2f}"
            cells.append({"dark": round(dark, 2), "drifted": bool(shift and shift["drifted"]), "title": title})
        table.append({"column": name, "cells": cells})
    return sorted(table, key=lambda row: -max((c["dark"] + c["drifted"] for c in row["cells"]), default=0.0))[:30]


def draw_timeline(looks: Sequence[dict[str, Any]]) -> Markup:
    """Return the deciding metric of every look with its interval, a line where another version took over."""
    known = [look for look in looks if look["now"] and look["now"]["value"] is not None]
    if not known:
        return Markup("")
    values = [look["now"][name] for look in known for name in ("low", "high")] + [known[-1]["reference"]["value"]]
    low, high = min(values), max(values)
    pad = (high - low or 1.0) * 0.08
    low, high = low - pad, high + pad
    first, last = looks[0]["until"], looks[-1]["until"]
    width, height, left, top, bottom = 1040, 230, 56, 26, 200

    def x(moment: float) -> float:
        return float(round(left + 14 + (moment - first) / ((last - first) or 1.0) * (width - left - 40), 1))

    def y(value: float) -> float:
        return float(round(bottom - (value - low) / (high - low) * (bottom - top), 1))

    parts = []
    for tick in ticks(low, high, 4):
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(
            f'<text class="tick end" x="{left - 8}" y="{y(tick) + 4}">{words.number(float(f"{tick:.6g}"))}</text>'
        )
    for place in range(0, len(looks), max(1, len(looks) // 8)):
        moment = looks[place]["until"]
        parts.append(f'<text class="tick" x="{x(moment)}" y="{height - 8}">{_when(moment).partition(",")[0]}</text>')
    version = ""
    for look in looks:
        if look["window"]["version"] != version:
            version = look["window"]["version"]
            at, name = x(look["until"]), escape(version.partition(":")[2][:8] or version)
            parts.append(f'<line class="bound" x1="{at}" x2="{at}" y1="{top - 8}" y2="{bottom}"/>')
            parts.append(f'<text class="tick" x="{at}" y="{top - 14}">{name}</text>')
    for look in known:
        now, kind = look["now"], "other" if look["outcome"] in ("keep", "watch") else "best"
        at = x(look["until"])
        parts.append(f'<line class="range {kind}" x1="{at}" x2="{at}" y1="{y(now["low"])}" y2="{y(now["high"])}"/>')
        tip = f"{_when(look['until'])}: {words.number(now['value'])}, {look['outcome']}"
        parts.append(
            f'<circle class="point {kind}" cx="{at}" cy="{y(now["value"])}" r="5"><title>{escape(tip)}</title></circle>'
        )
    return svg("timeline", width, height, parts)


def _when(moment: float) -> str:
    at = datetime.fromtimestamp(moment, UTC)
    return f"{at.day} {at:%b %Y, %H:%M}"
