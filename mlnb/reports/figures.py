"""Figures drawn as SVG that takes its colours from the page: intervals and the history of a study."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from mlnb.reports.formatting import number


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Return about `count` round numbers inside [low, high]."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        return [low]
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step - 1e-9)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def intervals(rows: Sequence[Mapping[str, Any]], bound: float | None = None) -> Markup:
    """Return rows of {"label", "value", "low", "high", "best"} as points, a bar where there is an interval.

    `bound` is drawn as a line. Rows without a value are left out; no rows give nothing.
    """
    rows = [row for row in rows if isinstance(row.get("value"), int | float)]
    values = [row[name] for row in rows for name in ("value", "low", "high") if row.get(name) is not None]
    values += [bound] if bound is not None else []
    if not rows or not all(math.isfinite(value) for value in values):
        return Markup("")
    low, high = min(values), max(values)
    pad = (high - low or abs(high) or 1.0) * 0.06
    low, high = low - pad, high + pad
    left, right, step = 118, 548, 34
    height = step * len(rows) + 30

    def x(value: float) -> float:
        return float(round(left + (value - low) / (high - low) * (right - left), 1))

    parts = []
    for tick in ticks(low, high):
        parts.append(f'<line class="grid" x1="{x(tick)}" x2="{x(tick)}" y1="4" y2="{height - 26}"/>')
        parts.append(f'<text class="tick" x="{x(tick)}" y="{height - 8}">{_tick(tick, high - low)}</text>')
    if bound is not None:
        parts.append(f'<line class="bound" x1="{x(bound)}" x2="{x(bound)}" y1="4" y2="{height - 26}"/>')
    for place, row in enumerate(rows):
        y = 4 + step * place + step / 2
        kind = "best" if row.get("best") else "other"
        parts.append(f'<text class="label {kind}" x="{left - 14}" y="{y + 4}">{escape(str(row["label"]))}</text>')
        if row.get("low") is not None and row.get("high") is not None:
            ends = f'x1="{x(row["low"])}" x2="{x(row["high"])}"'
            parts.append(f'<line class="range {kind}" {ends} y1="{y}" y2="{y}"/>')
        tip = f"{row['label']}: {number(row['value'])}"
        parts.append(
            f'<circle class="point {kind}" cx="{x(row["value"])}" cy="{y}" r="{5 if kind == "best" else 4}">'
            f"<title>{escape(tip)}</title></circle>"
        )
    return svg("intervals", 572, height, parts)


def history(trials: Sequence[Mapping[str, Any]], direction: str) -> Markup:
    """Return the score of every trial by its number, the best so far as a line; nothing for under two.

    Trials have "number", "score" and "whole"; the pruned ones, which are not whole, are hollow and never best.
    """
    points = sorted((int(row["number"]), float(row["score"]), bool(row.get("whole", True))) for row in trials)
    if len(points) < 2:
        return Markup("")
    scores = sorted(score for _, score, _ in points)
    low, high = scores[0], scores[-1]
    if direction == "maximize":  # trials far below the rest would flatten what matters
        low = max(low, scores[len(scores) // 2] - 2.5 * ((high - scores[len(scores) // 2]) or 1e-9))
    else:
        high = min(high, scores[len(scores) // 2] + 2.5 * ((scores[len(scores) // 2] - low) or 1e-9))
    width, height, left, top, bottom = 1040, 190, 56, 10, 162
    first, last = points[0][0], points[-1][0]

    def x(place: int) -> float:
        return round(left + 8 + (place - first) / (last - first or 1) * (width - left - 20), 1)

    def y(score: float) -> float:
        share = (min(max(score, low), high) - low) / ((high - low) or 1.0)
        return round(bottom - share * (bottom - top - 6), 1)

    parts = []
    for tick in ticks(low, high, 4):
        parts.append(f'<line class="grid" x1="{left}" x2="{width}" y1="{y(tick)}" y2="{y(tick)}"/>')
        parts.append(f'<text class="tick end" x="{left - 8}" y="{y(tick) + 4}">{_tick(tick, high - low)}</text>')
    for tick in ticks(first, last, 8):
        if tick == int(tick):
            parts.append(f'<text class="tick" x="{x(int(tick))}" y="{height - 8}">{int(tick)}</text>')
    best: float | None = None
    path = ""
    better = max if direction == "maximize" else min
    for place, score in ((place, score) for place, score, whole in points if whole):
        before, best = best, score if best is None else better(best, score)
        path += f"M{x(place)} {y(best)}" if before is None else f"L{x(place)} {y(before)}L{x(place)} {y(best)}"
    parts.append(f'<path class="best" d="{path + f"L{x(last)} {y(best)}" if best is not None else ""}"/>')
    for place, score, whole in points:
        kind = "point pruned" if not whole else "point best" if score == best else "point other"
        parts.append(
            f'<circle class="{kind}" cx="{x(place)}" cy="{y(score)}" r="{5 if kind == "point best" else 3}">'
            f"<title>trial {place}: {number(score)}</title></circle>"
        )
    return svg("history", width, height, parts)


def _tick(value: float, span: float) -> str:
    digits = max(0, 1 - math.floor(math.log10(span / 5))) if span > 0 else 2
    text = f"{value:,.{min(digits, 6)}f}" if abs(value) < 1e9 else f"{value:.2e}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text.replace("-", "−")


def svg(name: str, width: float, height: float, parts: Sequence[str]) -> Markup:
    """Return a figure of a name, a size and its parts."""
    head = f'<svg class="figure {name}" viewBox="0 0 {width} {height}" role="img" aria-label="{name}">'
    return Markup(head + "".join(parts) + "</svg>")
