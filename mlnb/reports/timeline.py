"""The loop over time as SVG: which version was in charge, and how well it did in each window."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from markupsafe import Markup

from mlnb.reports import formatting
from mlnb.reports.figures import svg, ticks

WIDTH, LEFT, RIGHT = 1040, 56, 26  # of the figure, and beside what is drawn
BAND, TOP, BOTTOM, HEIGHT = 20, 38, 214, 236  # height of the band of versions; top and bottom of the metric
LETTER = 6.6  # width of a letter
APART = 96  # between two dates
KINDS = {"keep": "keep", "watch": "watch", "retrain": "act", "roll back": "act"}


def draw_timeline(looks: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> Markup:
    """Return looks, oldest first, as points with intervals under a band of the versions in charge; none give nothing.

    `names` says how a version is called; a look without a matured metric is a hollow point at the foot.
    """
    if not looks:
        return Markup("")
    first, last = looks[0]["until"], looks[-1]["until"]
    room = WIDTH - RIGHT - LEFT - 28

    def x(moment: float) -> float:
        share = (moment - first) / (last - first) if last > first else 0.5
        return float(round(LEFT + 14 + share * room, 1))

    known = [look for look in looks if _value(look) is not None]
    values = [end for look in known for end in _ends(look)]
    values += [value for look in looks if (value := look["reference"].get("value")) is not None] if known else []
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    pad = (high - low or abs(high) or 1.0) * 0.08
    low, high = low - pad, high + pad

    def y(value: float) -> float:
        return float(round(BOTTOM - (value - low) / (high - low) * (BOTTOM - TOP), 1))

    parts = []
    for tick in ticks(low, high, 4) if known else ():
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH}" y1="{y(tick)}" y2="{y(tick)}"/>')
        label = formatting.number(float(f"{tick:.6g}"))
        parts.append(f'<text class="tick end" x="{LEFT - 8}" y="{y(tick) + 4}">{label}</text>')
    spans = _spans(looks, names)
    ends = [x(begin) for begin, _, _ in spans[1:]] + [WIDTH - 2]
    for number, ((begin, name, look), end) in enumerate(zip(spans, ends, strict=True)):
        start = x(begin) if number else LEFT
        parts += _band(start, end, name, number)
        tested = look["reference"].get("value")
        if known and tested is not None:
            tip = f"{name} on the sealed test set: {formatting.number(tested)}"
            parts.append(
                f'<line class="bound" x1="{start}" x2="{end}" y1="{y(tested)}" y2="{y(tested)}">'
                f"<title>{escape(tip)}</title></line>"
            )
        if number:
            parts.append(f'<line class="change" x1="{start}" x2="{start}" y1="{BAND}" y2="{BOTTOM}"/>')
    drawn = -float(APART)
    for look in looks:
        at = x(look["until"])
        if at - drawn >= APART:
            side = " end" if at > WIDTH - APART / 2 else ""
            place = WIDTH - 2 if side else at
            parts.append(
                f'<text class="tick{side}" x="{place}" y="{HEIGHT - 4}">{formatting.day(look["until"])}</text>'
            )
            drawn = at
        parts += _point(look, at, y)
    return svg("timeline", WIDTH, HEIGHT, parts)


def _value(look: Mapping[str, Any]) -> float | None:
    value = (look["now"] or {}).get("value")
    return None if value is None else float(value)


def _ends(look: Mapping[str, Any]) -> list[float]:
    """The value of a look and, where it has one, the ends of its interval."""
    return [float(look["now"][name]) for name in ("value", "low", "high") if look["now"].get(name) is not None]


def _spans(looks: Sequence[Mapping[str, Any]], names: Mapping[str, str]) -> list[tuple[float, str, Mapping[str, Any]]]:
    """Each version's beginning, between the last look at the one before and the first at it; its name, that look."""
    spans: list[tuple[float, str, Mapping[str, Any]]] = []
    before, seen = None, 0.0
    for look in looks:
        version = look["window"]["version"]
        if version != before:
            name = names.get(version, version.partition(":")[2][:8] or version)
            spans.append(((seen + look["until"]) / 2, name, look))
        before, seen = version, look["until"]
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


def _point(look: Mapping[str, Any], at: float, y: Any) -> list[str]:
    when, kind = formatting.day(look["until"]), KINDS[look["outcome"]]
    value = _value(look)
    if value is None:
        tip = escape(f"{when}: labels have not matured, {look['outcome']}")
        return [f'<circle class="point none {kind}" cx="{at}" cy="{BOTTOM}" r="4"><title>{tip}</title></circle>']
    tip = escape(f"{when}: {formatting.number(value)} {formatting.interval(look['now'])}, {look['outcome']}")
    parts = []
    if formatting.interval(look["now"]):
        ends = f'y1="{y(look["now"]["low"])}" y2="{y(look["now"]["high"])}"'
        parts.append(f'<line class="range {kind}" x1="{at}" x2="{at}" {ends}/>')
    parts.append(f'<circle class="point {kind}" cx="{at}" cy="{y(value)}" r="5"><title>{tip}</title></circle>')
    return parts
