"""Values as text for tables and pages: numbers, times, sizes, digests and parameters."""

import json
import math
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from mlnb.methods.contracts.evaluations import UNLABELED_METRIC
from mlnb.methods.contracts.findings import count as count
from mlnb.methods.tasks.task_traits import TRAITS

METRICS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier_score": "Brier score",
    "f1": "F1",
    "f1_macro": "F1 (macro)",
    "mcc": "MCC",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "mape": "MAPE",
}
FAMILIES = {"lightgbm": "LightGBM", "hist_gradient_boosting": "histogram boosting"}


def number(value: Any) -> str:
    """Return a number with four significant digits, integers without a point; other values as text, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "–"
    size = abs(value)
    if size == 0:
        return "0"
    if isinstance(value, int) or (size >= 1000 and size < 1e15) or (1 < size < 1e15 and value == int(value)):
        text = f"{value:,.0f}"
    elif size and (size < 1e-3 or size >= 1e15):
        text = f"{value:.2e}"
    else:
        text = f"{value:#.4g}".rstrip(".")
    return text.replace("-", "−")


class HasInterval(Protocol):
    """A value with the ends of its interval; None where it has none."""

    @property
    def low(self) -> float | None:
        """The lower end."""

    @property
    def high(self) -> float | None:
        """The upper end."""


def interval(estimate: HasInterval) -> str:
    """Return "[low, high]" of an estimate; empty when it has no interval."""
    if estimate.low is None or estimate.high is None:
        return ""
    return f"[{number(estimate.low)}, {number(estimate.high)}]"


def seconds(value: Any) -> str:
    """Return a duration: "0.7 s", "41 s", "3 min 5 s", "1 h 2 min"; a dash for None."""
    if not isinstance(value, int | float):
        return "–"
    if value < 9.95:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def size(value: Any) -> str:
    """Return a number of bytes in B, KB, MB or GB (powers of 1000); a dash for none."""
    if not isinstance(value, int | float):
        return "–"
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if value >= scale:
            return f"{value / scale:.1f} {unit}"
    return f"{value} B"


def moment(text: Any) -> str:
    """Return an ISO time as "14 March 2026, 09:15 UTC"; a dash for None, the text itself when it is no time."""
    if not text:
        return "–"
    try:
        at = datetime.fromisoformat(str(text)).astimezone(UTC)
    except ValueError:
        return str(text)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def age(value: Any) -> str:
    """Return a number of seconds as minutes, hours or days: "12 min", "5 h", "3 days"; a dash for None."""
    if not isinstance(value, int | float):
        return "–"
    if value < 3600:
        return f"{max(0, int(value // 60))} min"
    return f"{int(value // 3600)} h" if value < 2 * 86_400 else count(int(value // 86_400), "day")


def command_line(words: Sequence[str]) -> str:
    """Return a command line that a shell reads as these words; `mlnb run` without any."""
    return shlex.join(words) or "mlnb run"


def day(stamp: float) -> str:
    """Return seconds since 1970 as "14 Mar 2026", UTC."""
    at = datetime.fromtimestamp(stamp, UTC)
    return f"{at.day} {at:%b %Y}"


def minute(stamp: float) -> str:
    """Return seconds since 1970 as "14 Mar 2026, 09:15", UTC."""
    return f"{day(stamp)}, {datetime.fromtimestamp(stamp, UTC):%H:%M}"


def parameter(value: Any) -> str:
    """Return a parameter's value: text as it is, empty text as two quotes, other values as JSON."""
    if isinstance(value, str):
        return value or '""'
    return json.dumps(value, ensure_ascii=False, default=str)


def short(digest: Any) -> str:
    """Return the first twelve characters of a digest."""
    return str(digest or "–")[:12]


def elide(text: str, limit: int = 34) -> str:
    """Return a text of at most `limit` characters: the middle is left out, as similar names differ at the end."""
    return text if len(text) <= limit else f"{text[: limit // 2 - 1]}…{text[-(limit - limit // 2) :]}"


def task(name: Any) -> str:
    """Return the full name of a problem type."""
    traits = TRAITS.get(str(name))
    return traits.title if traits else str(name or "")


def metric(name: Any) -> str:
    """Return the usual name of a metric; of one with an argument, such as precision_at@0.05, in words."""
    base, _, text = str(name or "").partition("@")
    if base == "precision_at" and text:
        return f"precision in the top {float(text):.3g}"
    if base == "mean_cost":
        return "mean cost"
    return METRICS.get(str(name), str(name or "").replace("_", " "))


def gate_check(check: str, deciding: Any) -> str:
    """Return what a line of a gate checks, with the usual name of the deciding metric where it starts with it."""
    start = f"{deciding} "
    return f"{metric(deciding)} {check.removeprefix(start)}" if deciding and check.startswith(start) else check


class HasMembers(Protocol):
    """What won a search: a family, and the weight of each family of an ensemble."""

    @property
    def family(self) -> str:
        """The model family, or "ensemble"."""

    def weights(self) -> dict[str, float]:
        """Return the weight of each family of an ensemble; empty for a single model."""


def gate(passed: bool | None, deciding: str | None) -> str:
    """Return the result of a gate: "passed", "failed", "unknown" of alerts without labels, or "" without a gate.

    Args:
        passed: whether no requirement is missed; None without a gate.
        deciding: the deciding metric. Without labels it is stability, which shows nothing about the accuracy.
    """
    if passed is None:
        return ""
    return ("unknown" if deciding == UNLABELED_METRIC else "passed") if passed else "failed"


def winner(best: HasMembers) -> str:
    """Return the usual name of a model family; of an ensemble with the families in it and their weights."""
    shares = [f"{family(name)} {100 * weight:.0f} %" for name, weight in best.weights().items()]
    return f"{family(best.family)} ({', '.join(shares)})" if shares else family(best.family)


def family(name: Any) -> str:
    """Return the usual name of a model family."""
    return FAMILIES.get(str(name), str(name or "").replace("_", " "))
