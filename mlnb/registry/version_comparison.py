"""Two model versions compared; where both were tested on the same rows, with the interval of their difference."""

from typing import Any, NamedTuple

from mlnb.codec import Record
from mlnb.engine.formats import load_object
from mlnb.engine.project import Project
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError, StoreCorrupted
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.registry.model_versions import ModelVersion, ProblemSummary, output_digest, summarize_problem

RESAMPLES = 2000
MOST_DRAWN = 20_000_000  # rows drawn in all resamples together; of many rows fewer resamples are drawn
MOST_WEIGHTS = 2_000_000  # rows drawn at a time, which are in memory
SEED = 0


class MetricDifference(Record, frozen=True, kw_only=True):
    """The difference of the deciding metric, second minus first version, by a paired bootstrap of the test rows.

    Args:
        metric: the deciding metric.
        direction: "maximize" or "minimize".
        value: the difference.
        low, high: its 95 % interval.
        second_better: share of the resamples in which the second version is better, in [0, 1].
        rows: test rows.
        scores: the metric of both versions.
    """

    metric: str
    direction: str
    value: float
    low: float
    high: float
    second_better: float
    rows: int
    scores: tuple[float, float]


class VersionComparison(Record, frozen=True, kw_only=True):
    """What differs between two versions.

    Args:
        versions, runs: both versions and their runs.
        metrics: every metric of both; None where one does not have it.
        same: whether data, test rows, code and problem are the same.
        libraries: versions of the libraries that differ.
        difference: of the deciding metric; None where it has no interval.
        why: why there is no interval; empty otherwise.
        reuse: how many test rows of each were opened before.
    """

    versions: tuple[str, str]
    runs: tuple[str, str]
    metrics: dict[str, tuple[float | None, float | None]]
    same: dict[str, bool]
    libraries: dict[str, tuple[str | None, str | None]]
    difference: MetricDifference | None
    why: str = ""
    reuse: tuple[HoldoutReuse | None, HoldoutReuse | None] = (None, None)


class EvaluatedModel(NamedTuple):
    """What a model was evaluated on: its project and problem, and the digests of test rows and predictions."""

    project: Project
    problem: ProblemSummary
    test: str | None
    predictions: str | None


def compare_versions(project: Project, first: ModelVersion, second: ModelVersion) -> VersionComparison:
    """Return what differs between two versions, and the difference of their deciding metric."""
    one, other = first.metadata, second.metadata
    libraries = one.environment.libraries, other.environment.libraries
    models = (EvaluatedModel(project, m.problem, m.test, m.predictions) for m in (one, other))
    difference = _difference(True, *models)
    return VersionComparison(
        versions=(first.name, second.name),
        runs=(first.run, second.run),
        metrics={name: (one.metrics.get(name), other.metrics.get(name)) for name in one.metrics | other.metrics},
        same={
            "data": one.data == other.data,
            "test": one.test == other.test,
            "code": one.code == other.code,
            "problem": one.problem == other.problem,
        },
        libraries={
            name: (libraries[0].get(name), libraries[1].get(name))
            for name in sorted(libraries[0] | libraries[1])
            if libraries[0].get(name) != libraries[1].get(name)
        },
        difference=None if isinstance(difference, str) else difference,
        why=difference if isinstance(difference, str) else "",
        reuse=(one.reuse, other.reuse),
    )


def run_difference(first: Run, second: Run) -> MetricDifference | str:
    """Return the difference of the deciding metric of two runs, also of two projects, or as text why there is none."""
    models = []
    for run in (first, second):
        if not (run.has("contract") and run.has("predictions")):
            return f"run {run.id} was not evaluated on its test rows"
        try:
            problem = summarize_problem(run.load("contract", ProblemContract))
        except (StoreCorrupted, SchemaError):
            return f"the problem contract of run {run.id} is damaged or no longer in the store"
        digests = output_digest(run, "test"), output_digest(run, "predictions")
        models.append(EvaluatedModel(run.project, problem, *digests))
    return _difference(False, *models)


def _difference(runs_code: bool, one: EvaluatedModel, other: EvaluatedModel) -> MetricDifference | str:
    """Return the difference of the deciding metric, or as text why there is none.

    Args:
        runs_code: whether the code of a metric of the project may be run: looking at runs of others never does.
        one: the first model.
        other: the second model.
    """
    problem = one.problem
    if problem != other.problem:
        return "their problems differ: target, task, metric or bound"
    if problem.custom_metric is not None and not runs_code:
        return (
            f"{problem.metric} is code of a project, which is not run to look at runs; mlnb compare compares versions"
        )
    if one.test is None or one.test != other.test:
        return "they were tested on different rows"
    if not traits_of(problem.task).independent_rows:
        return f"the task {problem.task} has no independent rows that could be resampled in pairs"
    try:
        tables = [load_object(model.project.store, "table", str(model.predictions)) for model in (one, other)]
    except StoreCorrupted:
        return "the predictions of one are no longer in the store"
    if not (tables[0]["truth"] == tables[1]["truth"]).all():
        return "they were tested against different true values"
    return paired_difference(problem, *tables)


def paired_difference(problem: ProblemSummary, one: Any, other: Any) -> MetricDifference:
    """Return the difference of the deciding metric of two models on the same rows, by a paired bootstrap.

    Args:
        problem: what both predict; the code of a metric of the project is run.
        one, other: their artifacts `predictions`, with the same true values in the same order.
    """
    import numpy as np

    from mlnb.methods.metrics.custom_metrics import use_metrics
    from mlnb.methods.metrics.weighted_metrics import METRICS, score_many

    use_metrics([problem.custom_metric] if problem.custom_metric else [])
    by_label, tables = METRICS[problem.metric].needs == "label", (one, other)
    truth, arrays = _arrays(tables[0], by_label)[0], [_arrays(table, by_label)[1] for table in tables]
    random, rows = np.random.default_rng(SEED), len(truth)
    left, parts = min(RESAMPLES, max(RESAMPLES // 10, MOST_DRAWN // rows)), []
    while left > 0:
        several = min(left, max(1, MOST_WEIGHTS // rows))
        weights = random.multinomial(rows, np.full(rows, 1 / rows), several).astype(np.float64)
        parts.append([score_many(problem.metric, truth, array, weights) for array in arrays])
        left -= several
    drawn = np.concatenate(parts, axis=1)
    whole = [float(score_many(problem.metric, truth, array, np.ones((1, len(truth))))[0]) for array in arrays]
    gained = (drawn[1] - drawn[0]) * METRICS[problem.metric].sign
    low, high = np.nanquantile(drawn[1] - drawn[0], [0.025, 0.975])
    return MetricDifference(
        metric=problem.metric,
        direction=METRICS[problem.metric].direction,
        scores=(whole[0], whole[1]),
        value=whole[1] - whole[0],
        low=float(low),
        high=float(high),
        second_better=float(np.mean(gained > 0)),
        rows=rows,
    )


def _arrays(table: Any, by_label: bool) -> tuple[Any, Any]:
    """Return true values and predictions of a table of predictions.

    Args:
        table: the artifact `predictions`.
        by_label: whether the metric evaluates the decided classes, not the probabilities.

    Returns:
        codes or values (n,); probabilities, labels as 0 and 1 (n, k), or values (n,).
    """
    classes = [name.removeprefix("p ") for name in table.columns if name.startswith("p ")]
    if not classes:
        return table["truth"].to_numpy(), table["prediction"].to_numpy()
    codes = {name: code for code, name in enumerate(classes)}
    truth = table["truth"].map(codes).to_numpy(dtype="int64")
    if not by_label:
        return truth, table[[f"p {name}" for name in classes]].to_numpy()
    decided = table["prediction"].map(codes).to_numpy(dtype="int64")
    return truth, (decided[:, None] == range(len(classes))).astype("float64")
