"""Compares the versions that share the traffic of a service on the labels that have matured since."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from mlnb.codec import replace
from mlnb.errors import UsageError
from mlnb.methods.contracts.challenge_records import TrafficComparison, TrafficSide
from mlnb.methods.contracts.evaluations import UNLABELED_METRIC
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.metrics.custom_metrics import use_metrics
from mlnb.methods.operations.challenge_pairs import PairedPredictions
from mlnb.methods.operations.champion_challenger import measure_gain
from mlnb.methods.operations.label_matching import Labels, find_labels
from mlnb.methods.operations.labeled_feedback import Evidence
from mlnb.methods.operations.monitoring_verdict import RESAMPLES, score_evidence
from mlnb.methods.operations.production_window import DAY
from mlnb.methods.operations.traffic_comparison import compare_samples, decide_traffic, find_obstacle
from mlnb.methods.tasks.monitoring_strategies import evidence_of, monitoring_strategy
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.monitoring.labels import read_labels
from mlnb.monitoring.prediction_table import read_log


@dataclass(frozen=True)
class TrafficOptions:
    """What is compared, and how.

    Attributes:
        days: length of the period, up to the newest row that is old enough.
        label_delay: days after which a label is usually available; younger rows are not judged.
        mature: share of labeled rows of each side that is needed, in [0, 1].
        least_gain: value that the lower end of the gain must exceed, in the metric's unit.
        resamples: of the bootstrap [1..].
        seed: of the bootstrap.
    """

    days: float = 30.0
    label_delay: float = 0.0
    mature: float = 0.8
    least_gain: float = 0.0
    resamples: int = RESAMPLES
    seed: int = 0


@dataclass(frozen=True)
class _Judged:
    """The responses of one version that are old enough for a label.

    Attributes:
        version: as `model:tag`.
        rows: logged rows with `truth`, oldest first.
        evidence: the labeled ones; None where there are none.
        labeled: whether each row has a true value (n,).
    """

    version: str
    rows: pd.DataFrame
    evidence: Evidence | None
    labeled: np.ndarray

    @property
    def share(self) -> float:
        """The share of labeled rows, in [0, 1]."""
        return float(self.labeled.mean()) if len(self.labeled) else 0.0

    def describe(self, metric: str, seed: int) -> TrafficSide:
        """Return the side with its score."""
        side = TrafficSide(version=self.version, rows=len(self.rows), labeled=self.share)
        if self.evidence is None:
            return side
        score = score_evidence(self.evidence, metric, seed)
        return replace(side, score=score.value, low=score.low, high=score.high)


def compare_traffic(
    log_folder: Path,
    labels: Path,
    contract: ProblemContract,
    champion: str,
    challenger: str,
    options: TrafficOptions = TrafficOptions(),
) -> TrafficComparison:
    """Return the comparison of both versions in the period in which both have responded.

    Rows of a shadow are compared with the champion's responses to the same rows; those of a canary with the
    champion's responses to other requests.

    Args:
        log_folder: of the prediction log.
        labels: database of the labels.
        contract: of the champion.
        champion: version, as `model:tag`.
        challenger: version, as `model:tag`.
        options: period, delay and limits.

    Raises:
        UsageError: one version has no rows in the log, or the task has no comparison by requests.
    """
    metric = contract.metric
    if traits_of(contract.task).unit == "history" or metric == UNLABELED_METRIC:
        raise UsageError(
            f"Versions of task {contract.task} by {metric} are not compared by requests; `mlnb retrain` compares "
            "champion and challenger on fresh rows."
        )
    use_metrics(contract.custom_metrics)
    log, _ = read_log(log_folder, shadows=True)
    newest = float(log["time"].max()) if len(log) else 0.0
    until = newest - options.label_delay * DAY
    window = log[(log["time"] <= until) & (log["time"] > until - options.days * DAY)]
    sides = [window[window["model"] == version] for version in (champion, challenger)]
    for version, rows in zip((champion, challenger), sides, strict=True):
        if not len(rows):
            raise UsageError(
                f"Version {version} has no rows in {options.days:g} days of the prediction log that are at least "
                f"{options.label_delay:g} days old; serve both: mlnb serve @champion --canary @challenger"
            )
    since = max(float(rows["time"].min()) for rows in sides)
    until = min(until, *(float(rows["time"].max()) for rows in sides)) if len(window) else until
    paired = bool(sides[1]["shadow"].astype(bool).all())
    period = [rows[(rows["time"] >= since) & (rows["time"] <= until)] for rows in sides]
    if paired:
        period = [_last_responses(rows) for rows in sides]
        both = period[0].index.intersection(period[1].index)
        period = [rows.loc[both] for rows in period]
    matured = read_labels(labels)
    before, after = (
        _judge(version, rows.reset_index(drop=True), matured, contract)
        for version, rows in zip((champion, challenger), period, strict=True)
    )
    result = TrafficComparison(
        champion=before.describe(metric, options.seed),
        challenger=after.describe(metric, options.seed),
        metric=metric,
        paired=paired,
        since=since,
        until=until,
        decision="wait",
        reason=find_obstacle(before.evidence, after.evidence, (before.share, after.share), options.mature),
    )
    if result.reason or before.evidence is None or after.evidence is None:
        return result
    try:
        if paired:
            gain = measure_gain(_pair(before, after), metric, options.resamples, options.seed)
        else:
            gain = compare_samples(before.evidence, after.evidence, metric, options.resamples, options.seed)
    except ValueError as error:
        return replace(result, reason=str(error))
    decision, reason = decide_traffic(gain, options.least_gain)
    return replace(result, value=gain.value, low=gain.low, high=gain.high, decision=decision, reason=reason)


def _last_responses(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the last response to each row of each request, by request and row."""
    return rows.drop_duplicates(["request", "row"], keep="last").set_index(["request", "row"], drop=False)


def _judge(version: str, rows: pd.DataFrame, labels: Labels, contract: ProblemContract) -> _Judged:
    """Return the responses of one version with their true values; the bootstrap draws whole requests."""
    texts = find_labels(rows, labels, contract)
    rows = rows.assign(truth=monitoring_strategy(contract.task).truth(texts, contract))
    if not len(rows):
        return _Judged(version, rows, None, np.zeros(0, dtype=bool))
    evidence, labeled = evidence_of(rows, contract)
    if evidence is not None and traits_of(contract.task).unit == "row":
        requests = pd.factorize(rows.loc[labeled, "request"])[0]
        evidence = replace(evidence, units=requests)
    return _Judged(version, rows, evidence, labeled)


def _pair(before: _Judged, after: _Judged) -> PairedPredictions:
    """Return the responses of both sides to the same rows."""
    assert before.evidence is not None and after.evidence is not None
    names = [side.rows["out.prediction"].astype(str).to_numpy() for side in (before, after)]
    changed = float(np.mean(names[0] != names[1]))
    own = before.evidence
    return PairedPredictions(own.y, own.prediction, after.evidence.prediction, changed, own.units, own.groups)
