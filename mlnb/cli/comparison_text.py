"""The text of `mlnb runs compare`."""

from typing import Any

from mlnb.cli.text_tables import shorten, table
from mlnb.reports import formatting
from mlnb.tracking.run_comparison import RunComparison, Values


def comparison_text(comparison: RunComparison) -> str:
    """Return a comparison as text."""
    (first, second), states = comparison.runs, comparison.states
    parts = [f"A  {first}  {states[0]}\nB  {second}  {states[1]}"]
    parts += _section("parameters", comparison.parameters) or ["parameters: the same"]
    if comparison.metrics:
        rows = [
            [name, formatting.number(a), formatting.number(b), formatting.number(b - a) if _numbers(a, b) else ""]
            for name, (a, b) in comparison.metrics.items()
        ]
        heads = ["metrics", "A", "B", "B − A"]
        parts.append(table(heads, rows, right=heads[1:]))
    else:
        parts.append("metrics: the same")
    parts += _section("versions", comparison.versions)
    rows = [[name, stage.outputs, *stage.states] for name, stage in comparison.stages.items()]
    parts.append(table(["stages", "outputs", "A", "B"], rows))
    return "\n\n".join(parts)


def _section(title: str, differing: dict[str, Values]) -> list[str]:
    rows = [[name, _text(title, a), _text(title, b)] for name, (a, b) in differing.items()]
    return [table([title, "A", "B"], rows)] if rows else []


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _text(title: str, value: Any) -> str:
    return "–" if value is None and title == "versions" else shorten(formatting.parameter(value), 48)
