"""Two versions side by side; where both were tested on the same rows, the interval of their difference."""

from typing import Any

from mlnb.engine.formats import load_object
from mlnb.engine.project import Project
from mlnb.errors import StoreCorrupted
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.registry.model_versions import Version

RESAMPLES = 2000
SEED = 0


def compare(project: Project, first: Version, second: Version) -> dict[str, Any]:
    """Return what differs, as JSON: metrics, libraries, and `difference` (second - first) or why there is none."""
    metrics = {}
    for name in first.facts["metrics"] | second.facts["metrics"]:
        metrics[name] = [version.facts["metrics"].get(name) for version in (first, second)]
    libraries = [version.facts["environment"]["libraries"] for version in (first, second)]
    changed = {
        name: [libraries[0].get(name), libraries[1].get(name)]
        for name in sorted(libraries[0] | libraries[1])
        if libraries[0].get(name) != libraries[1].get(name)
    }
    same = {name: first.facts[name] == second.facts[name] for name in ("data", "test", "code", "problem")}
    return {
        "versions": [first.name, second.name],
        "runs": [first.run, second.run],
        "metrics": metrics,
        "same": same,
        "libraries": changed,
        "difference": _difference(project, first, second),
    }


def _difference(project: Project, first: Version, second: Version) -> dict[str, Any]:
    """The deciding metric's difference, by resampling the test rows that both have answered, in pairs."""
    problems = [version.facts["problem"] for version in (first, second)]
    if problems[0] != problems[1]:
        return {"why": "their problems differ: target, task, metric or bound"}
    if first.facts["test"] is None or first.facts["test"] != second.facts["test"]:
        return {"why": "they were tested on different rows"}
    if not traits_of(problems[0]["task"]).independent_rows:
        return {"why": f"the task {problems[0]['task']} has no rows that could be resampled in pairs"}
    try:
        tables = [load_object(project.store, "table", version.facts["predictions"]) for version in (first, second)]
    except StoreCorrupted:
        return {"why": "the predictions of one are no longer in the store"}
    import numpy as np

    from mlnb.methods.metrics.weighted_metrics import METRICS, score_many

    name = problems[0]["metric"]
    if not (tables[0]["truth"] == tables[1]["truth"]).all():
        return {"why": "they were tested against different truths"}
    truth, arrays = _arrays(tables[0])[0], [_arrays(table)[1] for table in tables]
    weights = np.random.default_rng(SEED).multinomial(len(truth), np.full(len(truth), 1 / len(truth)), RESAMPLES)
    drawn = [score_many(name, truth, array, weights.astype(np.float64)) for array in arrays]
    whole = [float(score_many(name, truth, array, np.ones((1, len(truth))))[0]) for array in arrays]
    gained = (drawn[1] - drawn[0]) * METRICS[name].sign
    low, high = np.nanquantile(drawn[1] - drawn[0], [0.025, 0.975])
    return {
        "metric": name,
        "direction": METRICS[name].direction,
        "value": whole[1] - whole[0],
        "low": float(low),
        "high": float(high),
        "second is better in": float(np.mean(gained > 0)),
        "rows": len(truth),
    }


def _arrays(table: Any) -> tuple[Any, Any]:
    """Truth (n,) as codes or values, and prediction (n, k) or (n,), of a table of predictions."""
    classes = [name.removeprefix("p ") for name in table.columns if name.startswith("p ")]
    if not classes:
        return table["truth"].to_numpy(), table["prediction"].to_numpy()
    codes = {name: code for code, name in enumerate(classes)}
    return table["truth"].map(codes).to_numpy(dtype="int64"), table[[f"p {name}" for name in classes]].to_numpy()
