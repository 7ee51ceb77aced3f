"""The stages of a run over time as SVG: when each started, and how long it took."""

from collections.abc import Mapping
from datetime import UTC, datetime
from html import escape

from markupsafe import Markup

from mlnb.engine.run_records import StageRecord, StageState
from mlnb.reports import formatting
from mlnb.reports.figures import svg, ticks

WIDTH, LEFT, STEP = 1040, 130, 24


def draw_stages(stages: Mapping[str, StageRecord], run: str, now: datetime) -> Markup:
    """Return the stages that a run itself executed as bars; empty when it executed none.

    Args:
        stages: The records of the stages.
        run: Id of the run.
        now: Until when a stage that runs is drawn.
    """
    spans = {name: span for name, record in stages.items() if (span := _span(record, run, now)) is not None}
    if not spans:
        return Markup("")
    first, last = min(start for start, _ in spans.values()), max(end for _, end in spans.values())
    length = max(last - first, 0.1)
    height = STEP * len(spans) + 26

    def x(moment: float) -> float:
        return round(LEFT + (moment - first) / length * (WIDTH - LEFT - 70), 1)

    parts = []
    for tick in ticks(0, length, 6):
        at = x(first + tick)
        parts.append(f'<line class="grid" x1="{at}" x2="{at}" y1="0" y2="{height - 22}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{height - 6}">{formatting.seconds(tick)}</text>')
    for index, (name, (start, end)) in enumerate(spans.items()):
        y, state = STEP * index, stages[name].state
        text = formatting.seconds(end - start)
        parts.append(
            f'<text class="label other" x="{LEFT - 10}" y="{y + 16}">{escape(formatting.elide(name, 18))}</text>'
        )
        parts.append(
            f'<rect class="span {escape(state)}" x="{x(start)}" y="{y + 5}" width="{max(x(end) - x(start), 2):.1f}" '
            f'height="{STEP - 10}" rx="3"><title>{escape(f"{name}: {state}, {text}")}</title></rect>'
        )
        parts.append(f'<text class="took" x="{x(end) + 6}" y="{y + 16}">{text}</text>')
    label = ", ".join(f"{name} {formatting.seconds(end - start)}" for name, (start, end) in spans.items())
    return svg("spans", f"duration of each stage: {label}", WIDTH, height, parts)


def _span(record: StageRecord, run: str, now: datetime) -> tuple[float, float] | None:
    """Return when a stage started and ended, in seconds since 1970; None when this run did not execute it."""
    if record.state in (StageState.WAITING, StageState.SKIPPED, StageState.REUSED) or record.from_run not in (
        None,
        run,
    ):
        return None
    start, end = moment(record.started), moment(record.finished)
    if start is None:
        return None
    if record.state == StageState.RUNNING or end is None:
        end = now
    return start.timestamp(), max(start, end).timestamp()


def moment(text: str | None) -> datetime | None:
    """Return a time in ISO 8601; None when it is missing or cannot be read."""
    try:
        return datetime.fromisoformat(text or "").astimezone(UTC)
    except ValueError:
        return None
