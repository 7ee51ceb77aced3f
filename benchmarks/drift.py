"""False alarms and missed shifts of the monitor, and of Evidently's default preset on the same windows.

    python benchmarks/drift.py [--windows 200] [--rows 1000]

A model is fitted on synthetic data shaped like a churn table. Windows without a shift come from the same distribution.
In shifted windows the mean of a column, the correlation of two columns or the relation to the target has changed, each
by enough to cost the model at least three points of its area under the ROC curve (measured on 50,000 rows of the
shifted distribution). An alarm of mlnb is any verdict except `keep`, from rows and labels; an alarm of Evidently is the
"dataset drift" of its preset, or any drifted column in addition: by default it reads no labels. Prints the shares of
windows with an alarm.
"""

import argparse
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.metrics import roc_auc_score

from mlnb.methods.contracts.evaluations import DecidingMetric
from mlnb.methods.contracts.monitoring_records import (
    DriftReport,
    MonitoringWindow,
    Performance,
    ServiceBehavior,
    WindowScore,
)
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.metrics.column_drift import compare_columns, kinds_of
from mlnb.methods.operations.joint_drift import domain_classifier
from mlnb.methods.operations.labeled_feedback import Evidence
from mlnb.methods.operations.monitoring_verdict import (
    changed_relations,
    decide_verdict,
    find_broken,
    loss_against,
    score_evidence,
)
from mlnb.methods.tables.columns import Column, Schema, to_arrays

NUMBERS = ["months", "charge", "calls", "usage", "age", "income", "delay", "score"]
SCHEMA = Schema(
    (*(Column(name, "number") for name in NUMBERS), Column("plan", "category", categories=("basic", "gold", "plus"))), 0
)


def draw(
    random: np.random.Generator, rows: int, change: str = "", size: float = 0.0
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return rows and their labels from the training distribution, or from one with a change of a given size."""
    shared = random.normal(size=rows)
    table = {name: random.normal(size=rows) for name in NUMBERS}
    table["charge"] = 0.7 * shared + 0.7 * table["charge"]
    table["usage"] = (-0.7 if change == "apart" else 0.7) * shared + 0.7 * table["usage"]
    plan = random.choice(["basic", "plus", "gold"], rows, p=[0.6, 0.3, 0.1])
    if change == "moved":
        table["calls"] = table["calls"] + size * (1 + shared)
    risk = 1.6 * table["calls"] - 1.2 * table["months"] + 0.9 * table["charge"] * table["usage"]
    risk += np.where(plan == "basic", 0.5, -0.4) + 0.5 * np.abs(table["delay"])
    if change == "concept":
        risk = (1 - size) * risk + size * 1.5 * (table["age"] - table["months"] + table["income"])
    if change == "moved":  # beyond what was seen, more calls no longer mean more risk
        risk = np.where(table["calls"] > 1.5, risk - 2.2 * (table["calls"] - 1.5), risk)
    happened = (random.random(rows) < 1 / (1 + np.exp(-risk))).astype(int)
    return pd.DataFrame({**table, "plan": pd.Series(plan, dtype=object)}), happened


def score_auc(y: np.ndarray, p: np.ndarray, seed: int = 0) -> WindowScore:
    """Return the area under the ROC curve with its interval."""
    return score_evidence(Evidence(y, np.stack([1 - p, p], 1), np.arange(len(y))), "roc_auc", seed)


def main() -> None:
    """Draw the windows, ask both, print the shares."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--without-peer", action="store_true", help="measure mlnb alone")
    args = parser.parse_args()
    random = np.random.default_rng(0)
    training, y = draw(random, 5000)
    encoder = Encoder.fit(to_arrays(training, SCHEMA), SCHEMA)
    model = LGBMClassifier(n_estimators=150, num_leaves=15, learning_rate=0.05, verbose=-1, n_jobs=2, random_state=0)
    model.fit(encoder.transform(to_arrays(training, SCHEMA)), y)

    def predict(table: pd.DataFrame) -> np.ndarray:
        return model.booster_.predict(encoder.transform(to_arrays(table, SCHEMA)))

    held, truth = draw(random, 2000)
    p = predict(held)
    measured = score_auc(truth, p)
    reference = DecidingMetric(
        name="roc_auc", direction="maximize", value=measured.value, low=measured.low, high=measured.high
    )
    service = ServiceBehavior(rows_per_day=0.0, rows_per_day_before=None, refused=0.0)
    whole, their = draw(random, 50_000)
    best = roc_auc_score(their, predict(whole))
    print(f"area under the ROC curve on the training distribution: {best:.4f}")
    shifts = [("moved", 1.2), ("moved", 2.0), ("concept", 0.25), ("concept", 0.5), ("apart", 0.0)]
    harmful = []
    for change, size in shifts:
        table, happened = draw(random, 50_000, change, size)
        lost = 100 * (best - roc_auc_score(happened, predict(table)))
        print(f"  {change} {size:g}: {lost:.1f} points lost{'' if lost >= 3 else ', left out'}")
        harmful += [(change, size)] if lost >= 3 else []
    before = to_arrays(training, SCHEMA)
    encoded = encoder.transform(before)

    def ours(table: pd.DataFrame, happened: np.ndarray, seed: int) -> bool:
        after = to_arrays(table, SCHEMA)
        predicted = predict(table)
        moved = compare_columns({"p": p}, {"p": predicted}, {"p": "number"})
        drift = DriftReport(
            inputs=tuple(compare_columns(before, after, kinds_of(SCHEMA))),
            predictions=tuple(moved),
            broken=tuple(find_broken(before, after, SCHEMA)),
            joint=domain_classifier(encoded, encoder.transform(after), encoder.names, seed),
        )
        both = np.stack([1 - predicted, predicted], 1)
        performance = Performance(
            reference=reference,
            service=service,
            lost=loss_against(score_auc(happened, predicted, seed), reference, "roc_auc"),
            relations=tuple(changed_relations(encoder.transform(after), encoder.sources, happened, both)),
        )
        window = MonitoringWindow(version="benchmark", rows=len(table), until=0.0, days=1.0)
        return decide_verdict(drift, performance, window, "roc_auc").outcome != "keep"

    askers: dict[str, Callable[[pd.DataFrame, np.ndarray, int], tuple[bool, ...]]] = {
        "mlnb": lambda table, happened, seed: (ours(table, happened, seed),)
    }
    if not args.without_peer:
        askers["Evidently"] = evidently(training.assign(prediction=predict(training)), predict)
    alarms: dict[str, list[list[bool]]] = {}
    for number in range(args.windows):
        for kind in ("quiet", "shifted"):
            change, size = harmful[number % len(harmful)] if kind == "shifted" else ("", 0.0)
            table, happened = draw(np.random.default_rng([number, kind == "shifted"]), args.rows, change, size)
            for name, ask in askers.items():
                alarms.setdefault(f"{name} {kind}", []).append(list(ask(table, happened, number)))
    print(f"\nshare of {args.windows} windows of {args.rows:,} rows with an alarm:   quiet   shifted")
    labels = {"mlnb": ["mlnb"], "Evidently": ["Evidently, dataset drift", "Evidently, any column"]}
    for name in askers:
        for index, label in enumerate(labels[name]):
            shares = [np.mean([a[index] for a in alarms[f"{name} {kind}"]]) for kind in ("quiet", "shifted")]
            print(f"  {label:<46} {shares[0]:7.1%}  {shares[1]:7.1%}")


def evidently(
    training: pd.DataFrame, predict: Callable[[pd.DataFrame], np.ndarray]
) -> Callable[[pd.DataFrame, np.ndarray, int], tuple[bool, ...]]:
    """Ask Evidently's preset with its defaults, the prediction as one more column."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from evidently import Dataset, Report
        from evidently.presets import DataDriftPreset
    reference = Dataset.from_pandas(training)

    def ask(table: pd.DataFrame, happened: np.ndarray, seed: int) -> tuple[bool, ...]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            current = Dataset.from_pandas(table.assign(prediction=predict(table)))
            result = Report([DataDriftPreset()]).run(current, reference).dict()
        value = next(m["value"] for m in result["metrics"] if "DriftedColumnsCount" in str(m.get("metric_name", m)))
        return value["share"] >= 0.5, value["count"] > 0

    return ask


if __name__ == "__main__":
    main()
