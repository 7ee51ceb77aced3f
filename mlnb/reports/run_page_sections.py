"""The sections of a run's report, as the template prints them."""

from typing import NamedTuple

from markupsafe import Markup

from mlnb.codec import Record
from mlnb.engine.run_records import OutputRecord, RunRecord, StageFailure, StageRecord
from mlnb.engine.runs import Run
from mlnb.methods.contracts.findings import Finding
from mlnb.methods.contracts.format_descriptions import FormatRow
from mlnb.methods.contracts.gates import Gate
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.reports.charts import Chart
from mlnb.reports.dependence_charts import DependenceGroup
from mlnb.reports.document_links import DocumentLink
from mlnb.reports.prediction_charts import ThresholdRow
from mlnb.tracking import run_results


class ResultSection(Record, frozen=True, kw_only=True):
    """The result: winner, deciding metric with interval, references, test-set accesses, gate and verified bento."""

    verdict: run_results.Verdict
    winner: str
    labeled: bool
    comparison: list[str]
    coverage: str
    coverage_missed: bool
    rows: int | None
    level: float
    direction: str
    figure: Markup
    gate: Gate | None
    bento: str | None
    verified_rows: int | None
    score: float | None
    profile: str
    access: str


class StageRow(NamedTuple):
    """A stage: its record, its page, and its share of the longest duration in percent."""

    name: str
    record: StageRecord
    page: str | None
    share: float


class ParameterRow(NamedTuple):
    """A parameter: its stage, name, value as text, and origin."""

    stage: str
    name: str
    value: str
    origin: str


class MetricRow(NamedTuple):
    """A metric of the model, and the value of each reference."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    decides: bool
    references: list[float | None]


class PlotImage(NamedTuple):
    """A plot: its title, its address with its data, and its size in pixels."""

    title: str
    source: Markup
    width: int
    height: int


class PlotGroup(NamedTuple):
    """The plots of a stage, by the heading above them."""

    title: str
    headings: dict[str, list[PlotImage]]


class EvaluationSection(NamedTuple):
    """The evaluation on the test set: family, metrics with the titles of the references, calibration, and plots."""

    winner: str | None
    metrics: list[MetricRow]
    references: list[str]
    calibration: Chart | None
    plots: list[PlotGroup]


class ExplanationSection(NamedTuple):
    """What the predictions depend on: importance and SHAP values, partial dependence by class, and thresholds."""

    importance: list[PlotImage]
    dependence: list[DependenceGroup]
    thresholds: list[ThresholdRow]
    curves: list[Chart]
    positive: str

    @property
    def has_shap(self) -> bool:
        """Whether the plot of SHAP values follows that of the importance; not every model has them."""
        return len(self.importance) > 1


class DataSection(NamedTuple):
    """The data: findings, formats of its source, and plots."""

    findings: list[Finding]
    formats: list[FormatRow]
    plots: list[PlotGroup]


class TrialRow(NamedTuple):
    """A trial: its number, family, score, and hyperparameters as text."""

    number: int
    family: str | None
    score: float | None
    params: str


class TrialSection(NamedTuple):
    """The hyperparameter search: figure, its values, trials outside its scale, metric, counts, best trials."""

    figure: Markup
    chart: Chart | None
    outside: int
    metric: str | None
    counts: str
    best: list[TrialRow]


class ArtifactRow(NamedTuple):
    """An artifact and the stage that made it."""

    name: str
    stage: str
    output: OutputRecord


class RunPage(Record, frozen=True, kw_only=True):
    """Everything that the template of the report prints, by section."""

    run: Run
    record: RunRecord
    state: str
    title: str
    contract: ProblemContract | None
    head: list[tuple[str, str]]
    failure: StageFailure | None
    result: ResultSection | None
    stages: list[StageRow]
    graph: Markup
    changed_parameters: list[ParameterRow]
    default_parameters: list[ParameterRow]
    evaluation: EvaluationSection | None
    explanations: ExplanationSection | None
    data: DataSection | None
    plots: list[PlotGroup]
    trials: TrialSection | None
    card: Markup | None
    documents: list[DocumentLink]
    artifacts: list[ArtifactRow]
    versions: dict[str, str]
