"""The monitoring of a model over time as SVG: the champion and its metric in each window."""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from mlnb.reports import formatting
from mlnb.reports.figures import svg, ticks
from mlnb.reports.monitoring_results import MonitoringResult

WIDTH, LEFT, RIGHT = 1040, 56, 26  # of the figure, and of its margins
BAND, TOP, BOTTOM, HEIGHT = 20, 38, 214, 236  # height of the band of versions; top and bottom of the metric
LETTER = 6.6  # width of a letter
DATE_DISTANCE = 96  # between two dates
SEVERITIES = {"keep": "keep", "watch": "watch", "retrain": "act", "roll back": "act"}


class Span(NamedTuple):
    """The time in which a version was the champion: its start, the version's name, and the first result."""

    start: float
    name: str
    result: MonitoringResult


def draw_timeline(results: Sequence[MonitoringResult], names: Mapping[str, str]) -> Markup:
    """Return monitoring results as points with intervals under a band of the champions; empty without results.

    Args:
        results: The results, oldest first; one whose labels are not known yet is a hollow point at the bottom.
        names: How each version is called.
    """
    if not results:
        return Markup("")
    first, last = results[0].until, results[-1].until
    width = WIDTH - RIGHT - LEFT - 28

    def x(moment: float) -> float:
        share = (moment - first) / (last - first) if last > first else 0.5
        return float(round(LEFT + 14 + share * width, 1))

    labeled = [result for result in results if result.value is not None]
    values = [end for result in labeled for end in _ends(result)]
    values += [value for result in results if (value := result.reference.value) is not None] if labeled else []
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    pad = (high - low or abs(high) or 1.0) * 0.08
    low, high = low - pad, high + pad

    def y(value: float) -> float:
        return float(round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1))

    parts = []
    for tick in ticks(low, high, 4) if labeled else ():
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(tick)}" y2="{y(tick)}"/>')
        label = formatting.number(float(f"{tick:.6g}"))
        parts.append(f'<text class="tick end" x="{LEFT - 8}" y="{y(tick) + 4}">{label}</text>')
    spans = _spans(results, names)
    ends = [x(span.start) for span in spans[1:]] + [WIDTH - 2]
    for number, (span, end) in enumerate(zip(spans, ends, strict=True)):
        start = x(span.start) if number else LEFT
        parts += _band(start, end, span.name, number)
        tested = span.result.reference.value
        if labeled and tested is not None:
            tip = f"{span.name} on the test set: {formatting.number(tested)}"
            parts.append(
                f'<line class="bound" x1="{start}" x2="{end}" y1="{y(tested)}" y2="{y(tested)}">'
                f"<title>{escape(tip)}</title></line>"
            )
        if number:
            parts.append(f'<line class="change" x1="{start}" x2="{start}" y1="{BAND}" y2="{BOTTOM}"/>')
    last_date = -float(DATE_DISTANCE)
    for result in results:
        at = x(result.until)
        if at - last_date >= DATE_DISTANCE:
            side = " end" if at > WIDTH - DATE_DISTANCE / 2 else ""
            left = WIDTH - 2 if side else at
            parts.append(f'<text class="tick{side}" x="{left}" y="{HEIGHT - 4}">{formatting.day(result.until)}</text>')
            last_date = at
        parts += _point(result, at, y)
    return svg("timeline", "metric of the champion in each monitoring window", WIDTH, HEIGHT, parts)


def _ends(result: MonitoringResult) -> list[float]:
    """Return the value of a result and, where it has one, the ends of its interval."""
    now = result.now
    return [end for end in (now.value, now.low, now.high) if end is not None] if now else []


def _spans(results: Sequence[MonitoringResult], names: Mapping[str, str]) -> list[Span]:
    """Return the span of each champion: from halfway between the last result of the version before and its first."""
    spans: list[Span] = []
    before, until = None, 0.0
    for result in results:
        version = result.version
        if version != before:
            name = names.get(version, version.partition(":")[2][:8] or version)
            spans.append(Span((until + result.until) / 2, name, result))
        before, until = version, result.until
    return spans


def _band(start: float, end: float, name: str, number: int) -> list[str]:
    parts = [
        f'<rect class="band {"odd" if number % 2 else "even"}" x="{start}" y="0" width="{max(end - start - 1, 1):.1f}" '
        f'height="{BAND}" rx="3"><title>{escape(name)}</title></rect>'
    ]
    for label in (name, name.rpartition(" ")[2]):
        if len(label) * LETTER + 12 <= end - start:
            return [*parts, f'<text class="version" x="{start + 7}" y="{BAND - 6}">{escape(label)}</text>']
    return parts


def _point(result: MonitoringResult, at: float, y: Callable[[float], float]) -> list[str]:
    date, kind = formatting.day(result.until), SEVERITIES[result.outcome]
    now, value = result.now, result.value
    if now is None or value is None:
        tip = escape(f"{date}: labels are not known yet, {result.outcome}")
        return [f'<circle class="point none {kind}" cx="{at}" cy="{BOTTOM}" r="4"><title>{tip}</title></circle>']
    tip = escape(f"{date}: {formatting.number(value)} {formatting.interval(now)}, {result.outcome}")
    parts = []
    if now.low is not None and now.high is not None:
        parts.append(f'<line class="range {kind}" x1="{at}" x2="{at}" y1="{y(now.low)}" y2="{y(now.high)}"/>')
    parts.append(f'<circle class="point {kind}" cx="{at}" cy="{y(value)}" r="5"><title>{tip}</title></circle>')
    return parts
