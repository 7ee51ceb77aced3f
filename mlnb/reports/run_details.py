"""The sections of a run's report after its result: evaluation, explanations, data, and the other plots."""

from typing import NamedTuple

from mlnb.engine.runs import Run
from mlnb.methods.contracts.evaluations import Metrics
from mlnb.methods.contracts.findings import Finding
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.competitors import rank_competitors
from mlnb.reports.dependence_charts import dependence_charts
from mlnb.reports.plot_images import image_source
from mlnb.reports.prediction_charts import calibration_chart, read_scored, threshold_charts, threshold_table
from mlnb.reports.run_page_sections import (
    DataSection,
    EvaluationSection,
    ExplanationSection,
    MetricRow,
    PlotGroup,
    PlotImage,
)
from mlnb.tracking import run_results
from mlnb.tracking.artifact_views import load_findings
from mlnb.tracking.notebook_plots import Plot, read_plots
from mlnb.tracking.source_formats import read_formats

SEVERITIES = ("error", "warning", "info")
SCALE = 0.72  # of every plot, so that two fit side by side and all have the same font size
DATA = ("ingest", "collect", "validate", "explore", "split")  # stages whose plots show the data
EVALUATION = "evaluate"  # stage whose plots show the evaluation, except those that explain predictions
IMPORTANCE, DEPENDENCE = "Feature importance", "Partial dependence"  # headings of those


class RunDetails(NamedTuple):
    """The sections that a run has, and the plots that are in none of them."""

    evaluation: EvaluationSection | None
    explanations: ExplanationSection | None
    data: DataSection | None
    plots: list[PlotGroup]


def collect_details(run: Run, contract: ProblemContract | None, test: Metrics | None) -> RunDetails:
    """Return the sections of a run; what is missing or damaged is left out."""
    groups = _plots(run)
    dependence = dependence_charts(run, contract)
    scored = read_scored(run) if test is not None else None
    evaluated = groups.pop(EVALUATION, PlotGroup("", {}))
    headings = dict(evaluated.headings)
    importance = headings.pop(IMPORTANCE, [])
    if dependence:  # these charts replace the plot of the notebook
        headings.pop(DEPENDENCE, None)
    evaluation = EvaluationSection(
        winner=run_results.verdict(run).winner,
        metrics=_metrics(contract, test),
        references=[one.title for one in rank_competitors(test)] if test else [],
        calibration=calibration_chart([("model", scored)]) if scored else None,
        plots=[PlotGroup(evaluated.title, headings)] if headings else [],
    )
    explanations = ExplanationSection(
        importance=importance,
        dependence=dependence,
        thresholds=threshold_table(scored) if scored else [],
        curves=threshold_charts([("model", scored)]) if scored else [],
        positive=scored.positive if scored else "",
    )
    data = DataSection(_findings(run), read_formats(run), [groups.pop(name) for name in DATA if name in groups])
    return RunDetails(
        evaluation=evaluation if evaluation.metrics or evaluation.plots else None,
        explanations=explanations if importance or dependence or explanations.curves else None,
        data=data if any(data) else None,
        plots=list(groups.values()),
    )


def _findings(run: Run) -> list[Finding]:
    order = {severity: index for index, severity in enumerate(SEVERITIES)}
    return sorted(load_findings(run), key=lambda finding: order.get(finding.severity, len(order)))


def _metrics(contract: ProblemContract | None, test: Metrics | None) -> list[MetricRow]:
    if test is None:
        return []
    decides = contract.metric if contract else test.deciding.name
    return [
        MetricRow(
            name=name,
            value=estimate.value,
            low=estimate.low,
            high=estimate.high,
            decides=name == decides,
            references=[test.reference_score(one.key, name) for one in rank_competitors(test)],
        )
        for name, estimate in test.estimates().items()
    ]


def _plots(run: Run) -> dict[str, PlotGroup]:
    """Return the plots of each stage that has any."""
    groups = {}
    for name, record in run.stages.items():
        notebook = run.notebook_file(name)
        headings: dict[str, list[PlotImage]] = {}
        for plot in read_plots(notebook) if notebook else []:
            headings.setdefault(plot.heading, []).append(show_plot(plot))
        if headings:
            groups[name] = PlotGroup(record.title or name, headings)
    return groups


def show_plot(plot: Plot) -> PlotImage:
    """Return a plot as it is printed, at the scale of every plot."""
    width, height = plot.size
    return PlotImage(plot.title, image_source(plot.image), round(width * SCALE), round(height * SCALE))
