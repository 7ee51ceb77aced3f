"""Line charts as SVG in the colors of the page, with their values as JSON for the script of the dashboard."""

import json
import math
import sys
from collections.abc import Iterable, Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from mlnb.codec import Record
from mlnb.reports.figures import svg, tick_text, ticks
from mlnb.reports.formatting import elide, number

COLORS = 6  # of the style sheet; further series repeat them
NAMES = 9  # names below an axis
LARGEST = sys.float_info.max / 4  # end of an axis: its length is a number, too


class Series(NamedTuple):
    """A line of a chart.

    Args:
        label: What it is.
        values: One for each position; None where there is none.
        kind: "line", "points" without a connection, "step", or "thin": one of many lines in the background.
        color: Number of its color [1..COLORS]; 0: soft.
    """

    label: str
    values: Sequence[float | None]
    kind: str = "line"
    color: int = 1


class Chart(Record, frozen=True, kw_only=True):
    """A chart.

    Args:
        title: What it shows, also the first words for those who cannot see it.
        x_label, y_label: Of the axes, with units.
        x: Positions (n,), ascending.
        series: The lines.
        names: Text at each position (n,); empty: the positions are numbers.
        notes: What is read at each position (n,); empty: the name and the values.
        links: Address of each position (n,); empty: none.
        diagonal: Whether a line where both axes are equal is drawn.
        low, high: Ends of the vertical axis; None: those of the values.
        width, height: Of the SVG.
    """

    title: str
    x_label: str
    y_label: str
    x: tuple[float, ...]
    series: tuple[Series, ...]
    names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    diagonal: bool = False
    low: float | None = None
    high: float | None = None
    width: int = 440
    height: int = 260

    @property
    def shown(self) -> list[Series]:
        """The series of the legend: those that are not in the background."""
        return [one for one in self.series if one.kind != "thin"]

    @property
    def data(self) -> str:
        """The chart as JSON, for the script of the dashboard."""
        low, high = self.limits
        return json.dumps(
            {
                "title": self.title,
                "x_label": self.x_label,
                "y_label": self.y_label,
                "x": self.x,
                "names": self.names,
                "notes": self.notes,
                "links": self.links,
                "range": [low, high],
                "diagonal": self.diagonal,
                "series": [
                    {**one._asdict(), "values": [_finite(value) for value in one.values]} for one in self.series
                ],
            }
        )

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the vertical axis, with some space around the values."""
        present = [value for one in self.series for each in one.values if (value := _finite(each)) is not None]
        low = min(present, default=0.0) if self.low is None else self.low
        high = max(present, default=1.0) if self.high is None else self.high
        low, high = (min(max(end, -LARGEST), LARGEST) for end in (low, high))
        space = 0.04 * (high - low or abs(high) or 1.0)
        return low - space * (self.low is None), high + space * (self.high is None)

    def svg(self) -> Markup:
        """Return the chart as SVG."""
        return _Drawing(self).svg()


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


class _Drawing:
    """Draws a chart."""

    def __init__(self, chart: Chart) -> None:
        self.chart = chart
        self.low, self.high = chart.limits
        self.first, self.last = min(chart.x, default=0.0), max(chart.x, default=1.0)
        widest = max((len(tick_text(tick, self.high - self.low)) for tick in self._y_ticks()), default=1)
        self.left, self.right, self.top = 30 + 7.2 * widest, chart.width - 14, 10
        self.bottom = chart.height - 42
        self.inset = 28 if chart.names else 8  # names are centered below the first and the last point

    def svg(self) -> Markup:
        """Return the figure with a text that has every line's ends."""
        chart = self.chart
        parts = [*self._grid(), *self._axis_labels()]
        if chart.diagonal:
            low, high = max(self.first, self.low), min(self.last, self.high)
            high = max(low, high)
            parts.append(
                f'<line class="diagonal" x1="{self._x(low)}" y1="{self._y(low)}" x2="{self._x(high)}" '
                f'y2="{self._y(high)}"/>'
            )
        for one in sorted(chart.series, key=lambda one: one.kind != "thin"):
            parts += self._line(one)
        return svg(
            "chart", f"{chart.title}: {'; '.join(map(self._words, chart.shown))}", chart.width, chart.height, parts
        )

    def _words(self, one: Series) -> str:
        """Return the values of a line in words: all of a few, else at both ends and where it is lowest and highest."""
        points = [(index, value) for index, each in enumerate(one.values) if (value := _finite(each)) is not None]
        if not points:
            return f"{one.label} has no values"
        if len(points) > NAMES:
            chosen = {0, len(points) - 1}
            chosen |= {pick(range(len(points)), key=lambda at: points[at][1]) for pick in (min, max)}
            points = [points[at] for at in sorted(chosen)]
        return f"{one.label} " + ", ".join(f"{number(value)} at {self._name(index)}" for index, value in points)

    def _name(self, index: int) -> str:
        return self.chart.names[index] if self.chart.names else number(self.chart.x[index])

    def _x(self, value: float) -> float:
        share = (value - self.first) / (self.last - self.first or 1.0)
        return round(self.left + self.inset + min(max(share, 0.0), 1.0) * (self.right - self.left - 2 * self.inset), 1)

    def _y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low or 1.0)
        return round(self.bottom - min(max(share, 0.0), 1.0) * (self.bottom - self.top), 1)

    def _y_ticks(self) -> list[float]:
        return ticks(self.low, self.high, 4)

    def _grid(self) -> Iterable[str]:
        for tick in self._y_ticks():
            text, y = tick_text(tick, self.high - self.low), self._y(tick)
            yield f'<line class="grid" x1="{self.left}" x2="{self.right}" y1="{y}" y2="{y}"/>'
            yield f'<text class="tick end" x="{self.left - 7}" y="{y + 4}">{text}</text>'
        if self.chart.names:
            step = -(-len(self.chart.names) // NAMES)
            places = [(self.chart.x[i], name) for i, name in enumerate(self.chart.names) if i % step == 0]
            letters = max(4, int((self.right - self.left) / max(1, len(places)) / 6.4))
            end = -math.inf
            for at, name in places:
                if self._x(at) < end:
                    continue
                end = self._x(at) + 6.4 * min(len(name), letters)
                text = escape(elide(name, letters))
                yield f'<text class="tick" x="{self._x(at)}" y="{self.bottom + 16}">{text}</text>'
            return
        whole = all(float(value).is_integer() for value in self.chart.x)
        for tick in ticks(self.first, self.last, 5):
            if whole and tick != int(tick):
                continue
            text = tick_text(tick, self.last - self.first)
            yield f'<text class="tick" x="{self._x(tick)}" y="{self.bottom + 16}">{text}</text>'

    def _axis_labels(self) -> Iterable[str]:
        middle = (self.top + self.bottom) / 2
        fits = int((self.right - self.left) / 6.4)
        across, up = escape(elide(self.chart.x_label, fits)), escape(elide(self.chart.y_label, 32))
        yield f'<text class="axis" x="{(self.left + self.right) / 2}" y="{self.chart.height - 6}">{across}</text>'
        yield f'<text class="axis" transform="translate(13 {middle}) rotate(-90)">{up}</text>'

    def _line(self, one: Series) -> Iterable[str]:
        """Yield the path of a line, and its points with their values where they are not too many."""
        path, pen, before = "", "M", None
        points = []
        for index, (at, each) in enumerate(zip(self.chart.x, one.values, strict=True)):
            value = _finite(each)
            if value is None:
                pen = "M"
                continue
            x, y = self._x(at), self._y(value)
            path += f"L{x} {before}" if one.kind == "step" and pen == "L" else ""
            path += f"{pen}{x} {y}"
            pen, before = "L", y
            points.append((index, x, y, value))
        color = f"s{(one.color - 1) % COLORS + 1}" if one.color else "soft"
        if one.kind != "points" and path:
            yield f'<path class="{one.kind} {color}" d="{path}"/>'
        if one.kind != "thin" and (one.kind == "points" or len(points) <= 30):
            for index, x, y, value in points:
                tip = escape(f"{one.label}, {self._name(index)}: {number(value)}")
                yield f'<circle class="dot {color}" cx="{x}" cy="{y}" r="3"><title>{tip}</title></circle>'
