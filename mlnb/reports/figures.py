"""SVG figures in the colors of the page: metrics with intervals, and the history of a hyperparameter search."""

import math
from collections.abc import Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from mlnb.reports.formatting import number

FEWEST = 5  # trials from which a score can be called far from the others
LETTER, BOLD = 9.0, 10.4  # width of a letter of a label at 15 px, its size on phones


class IntervalRow(NamedTuple):
    """A labeled value with the ends of its interval, where it has one; `best` rows are emphasized."""

    label: str
    value: float | None
    low: float | None = None
    high: float | None = None
    best: bool = False


class TrialPoint(NamedTuple):
    """The score of a trial; `complete` trials were evaluated on all folds."""

    number: int
    score: float
    complete: bool = True


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers in [low, high]."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def draw_intervals(rows: Sequence[IntervalRow], bound: float | None = None) -> Markup:
    """Return rows as points with a bar where there is an interval; empty without rows.

    Args:
        rows: The rows; those without a value are left out.
        bound: A required value, drawn as a line.
    """
    points = [(row, row.value) for row in rows if row.value is not None]
    values = [value for row, _ in points for value in (row.value, row.low, row.high) if value is not None]
    values += [bound] if bound is not None else []
    if not points or not all(math.isfinite(value) for value in values):
        return Markup("")
    low, high = min(values), max(values)
    pad = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - pad, high + pad
    widest = max(len(row.label) * (BOLD if row.best else LETTER) for row, _ in points)
    left, right, step = 14 + max(60, math.ceil(widest)), 548, 34
    height = step * len(points) + 30

    def x(value: float) -> float:
        return float(round(left + (value - low) / (high - low) * (right - left), 1))

    parts = []
    for tick in ticks(low, high):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="4" y2="{height - 26}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{height - 8}">{tick_text(tick, high - low)}</text>')
    if bound is not None:
        parts.append(f'<line class="bound" x1="{x(bound)}" x2="{x(bound)}" y1="4" y2="{height - 26}"/>')
    for index, (row, value) in enumerate(points):
        y = 4 + step * index + step / 2
        kind = "best" if row.best else "other"
        parts.append(f'<text class="label {kind}" x="{left - 14}" y="{y + 4}">{escape(row.label)}</text>')
        if row.low is not None and row.high is not None:
            parts.append(f'<line class="range {kind}" x1="{x(row.low)}" x2="{x(row.high)}" y1="{y}" y2="{y}"/>')
        parts.append(
            f'<circle class="point {kind}" cx="{x(value)}" cy="{y}" r="{5 if row.best else 4}">'
            f"<title>{escape(f'{row.label}: {number(value)}')}</title></circle>"
        )
    text = ", ".join(f"{row.label} {number(value)}" for row, value in points)
    return svg("intervals", f"metric on the test set: {text}", 572, height, parts)


def history_limits(trials: Sequence[TrialPoint], direction: str) -> tuple[float, float]:
    """Return the ends of the axis of scores: those of all trials, except, among five or more, of poor ones far away.

    Args:
        trials: At least one trial.
        direction: "maximize" or "minimize".
    """
    scores = sorted(point.score for point in trials)
    low, high, median = scores[0], scores[-1], scores[len(scores) // 2]
    if len(scores) < FEWEST:
        return low, high
    if direction == "maximize":
        return max(low, median - 2.5 * ((high - median) or 1e-9)), high
    return low, min(high, median + 2.5 * ((median - low) or 1e-9))


def draw_history(trials: Sequence[TrialPoint], direction: str) -> Markup:
    """Return the score of every trial by its number, with the best so far as a line; empty for fewer than two trials.

    Args:
        trials: The trials; incomplete ones are hollow and never the best. A trial far from the others is a triangle at
            the edge, as its score would flatten the differences between them.
        direction: "maximize" or "minimize".
    """
    points = sorted(trials)
    if len(points) < 2:
        return Markup("")
    low, high = history_limits(points, direction)
    width, height, left, top, bottom = 1040, 190, 56, 10, 162
    first, last = points[0].number, points[-1].number

    def x(trial: int) -> float:
        return round(left + 8 + (trial - first) / (last - first or 1) * (width - left - 20), 1)

    def y(score: float) -> float:
        share = (score - low) / ((high - low) or 1.0)
        return round(bottom - share * (bottom - top - 6), 1)

    parts = []
    for tick in ticks(low, high, 4):
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(f'<text class="tick end" x="{left - 8}" y="{y(tick) + 4}">{tick_text(tick, high - low)}</text>')
    for tick in ticks(first, last, 8):
        if tick == int(tick):
            parts.append(f'<text class="tick" x="{x(int(tick))}" y="{height - 8}">{int(tick)}</text>')
    best: float | None = None
    path = ""
    shown = [min(max(point.score, low), high) for point in points]
    better = max if direction == "maximize" else min
    for point in points:
        if point.complete:
            before, best = best, point.score if best is None else better(best, point.score)
            at = x(point.number)
            if low <= best <= high:
                connected = before is not None and low <= before <= high
                path += f"L{at} {y(before)}L{at} {y(best)}" if connected and before is not None else f"M{at} {y(best)}"
    parts.append(f'<path class="best" d="{path + f"L{x(last)} {y(best)}" if best is not None and path else ""}"/>')
    for point, value in zip(points, shown, strict=True):
        kind = "pruned" if not point.complete else "best" if point.score == best else "other"
        tip = f"trial {point.number}: {number(point.score)}"
        at, height_of = x(point.number), y(value)
        if value != point.score:
            down = 1 if point.score < low else -1
            parts.append(
                f'<path class="point outside {kind}" d="M{at - 4} {height_of - 4 * down}h8l-4 {8 * down}z">'
                f"<title>{tip}, outside of the scale</title></path>"
            )
            continue
        radius = 5 if kind == "best" else 3
        parts.append(
            f'<circle class="point {kind}" cx="{at}" cy="{height_of}" r="{radius}"><title>{tip}</title></circle>'
        )
    return svg("history", "score of each trial, and the best so far", width, height, parts)


def tick_text(value: float, span: float) -> str:
    """Return the text of a tick of an axis that is `span` long."""
    digits = max(0, 1 - math.floor(math.log10(span / 5))) if span > 0 else 2
    text = f"{value:,.{min(digits, 6)}f}" if abs(value) < 1e9 else f"{value:.2e}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def svg(name: str, label: str, width: float, height: float, parts: Sequence[str]) -> Markup:
    """Return a figure with a class, a text for those who cannot see it, a size and its SVG elements."""
    head = f'<svg class="figure {name}" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return Markup(head + "".join(parts) + "</svg>")
