"""The monitoring report of a project: the metric of each version, drift, decisions, and changes of the champion."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from mlnb.codec import Record
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.project import Project
from mlnb.errors import RegistryError
from mlnb.registry.registry import Registry
from mlnb.reports import formatting
from mlnb.reports.monitoring_results import MonitoringResult, find_results
from mlnb.reports.run_report import environment, style
from mlnb.reports.timeline import SEVERITIES, draw_timeline

COLUMNS = 30  # columns that are shown, those with the largest drift
ENTRIES = 200  # entries of the audit log that are shown
STRONG = 0.5  # effect size from which a cell is fully dark
STATES = {"keep": "passed", "watch": "warning", "act": "error"}


class VersionName(NamedTuple):
    """The model of a version, and how the version is called."""

    model: str
    version: str


class DriftCell(NamedTuple):
    """The drift of a column in one window: darkness [0..1] (None: no such column), significance, and a tooltip."""

    dark: float | None
    drifted: bool
    title: str


class DriftRow(NamedTuple):
    """The drift of a column in each window."""

    column: str
    short: str
    cells: list[DriftCell]


class ResultRow(NamedTuple):
    """A monitoring result, as the table of decisions shows it."""

    run: str
    when: str
    version: str
    tag: str
    rows: int
    value: float | None
    interval: str
    outcome: str
    state: str
    reasons: tuple[str, ...]


class ModelSection(Record, frozen=True, kw_only=True):
    """The section of one model.

    Args:
        name: The model.
        metric: Title of the deciding metric.
        timeline: The figure.
        labeled: Whether labels of any window are registered.
        drift: The columns with the largest drift.
        columns: Number of columns in all.
        span: Dates of the first and the last window.
        results: The results, newest first.
    """

    name: str
    metric: str
    timeline: Markup
    labeled: bool
    drift: list[DriftRow]
    columns: int
    span: tuple[str, str]
    results: list[ResultRow]


def write_monitoring_report(project: Project) -> Path:
    """Write runs/monitoring.html and return its path; it is self-contained as a run's report is.

    Raises:
        StoreFull: The disk is full.
    """
    path = project.runs / "monitoring.html"
    write_whole(path, render_monitoring_report(project).encode(), PRIVATE)
    return path


def render_monitoring_report(project: Project, remember: bool = True) -> str:
    """Return the monitoring report as HTML; `remember` as for `Registry.verify`."""
    registry = Registry(project)
    faults, count, _ = registry.verify(remember=remember)
    names = {
        version.metadata.certificate.model: VersionName(version.model, f"version {version.number}")
        for version in registry.versions()
    }
    results, entries = find_results(project), []
    with suppress(RegistryError):  # an unreadable log is among the faults
        entries = registry.log()
    return (
        environment()
        .get_template("monitoring.html")
        .render(
            project=project,
            count=len(results),
            models=[_model(name, part, names) for name, part in _by_model(results, names).items()],
            log=list(reversed(entries))[:ENTRIES],
            entries=count,
            faults=faults,
            style=style(),
        )
    )


def _by_model(
    results: Sequence[MonitoringResult], names: Mapping[str, VersionName]
) -> dict[str, list[MonitoringResult]]:
    """Return the results of each model, that with the newest result first."""
    parts: dict[str, list[MonitoringResult]] = {}
    for result in reversed(results):
        registered = names.get(result.version)
        model = registered.model if registered else result.version.partition(":")[0]
        parts.setdefault(model, []).insert(0, result)
    return parts


def _model(name: str, results: list[MonitoringResult], names: Mapping[str, VersionName]) -> ModelSection:
    versions = {tag: registered.version for tag, registered in names.items()}
    metric = results[-1].reference.name
    comparable = [result for result in results if result.reference.name == metric]  # other metrics have other scales
    title = formatting.metric(metric)
    return ModelSection(
        name=name,
        metric=title[:1].upper() + title[1:],
        timeline=draw_timeline(comparable, versions),
        labeled=any(result.now for result in comparable),
        drift=_drift(results),
        columns=len({item.column for result in results for item in result.drift}),
        span=(formatting.day(results[0].until), formatting.day(results[-1].until)),
        results=[_row(result, versions) for result in reversed(results)],
    )


def _row(result: MonitoringResult, versions: Mapping[str, str]) -> ResultRow:
    return ResultRow(
        run=result.run,
        when=formatting.minute(result.until),
        version=versions.get(result.version, result.version),
        tag=result.version,
        rows=result.rows,
        value=result.value,
        interval=formatting.interval(result.now) if result.now else "",
        outcome=result.outcome,
        state=STATES[SEVERITIES[result.outcome]],
        reasons=result.reasons,
    )


def _drift(results: Sequence[MonitoringResult]) -> list[DriftRow]:
    """Return a row for each column with a cell for each result; the columns with the largest drift first."""
    by_result = [{item.column: item for item in result.drift} for result in results]
    rows = []
    for name in dict.fromkeys(column for columns in by_result for column in columns):
        cells = []
        for result, columns in zip(results, by_result, strict=True):
            date = formatting.day(result.until)
            item = columns.get(name)
            if item is None:
                cells.append(DriftCell(None, False, f"{name}, {date}: no such column"))
                continue
            missing = abs(item.missing_after - item.missing_before)
            effect = max(item.effect if item.effect is not None else STRONG, missing)
            title = f"{name}, {date}: {effect:.2f}"
            title += f", missing {item.missing_before:.0%} → {item.missing_after:.0%}" if missing > 0.005 else ""
            cells.append(DriftCell(round(min(effect / STRONG, 1.0), 2), item.drifted, title))
        rows.append(DriftRow(name, formatting.elide(name), cells))
    return sorted(rows, key=lambda row: -max((cell.dark or 0) + cell.drifted for cell in row.cells))[:COLUMNS]
