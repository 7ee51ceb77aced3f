"""The text of `mlnb runs compare`, and what `mlnb compare` shares with it."""

from collections.abc import Sequence
from typing import Any

from mlnb.cli.text_tables import shorten, table
from mlnb.methods.contracts.holdout_reuse import HoldoutReuse
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
    parts += reuse_lines(("A", "B"), comparison.reuse)
    parts += _section("versions", comparison.versions)
    rows = [[name, stage.outputs, *stage.states] for name, stage in comparison.stages.items()]
    parts.append(table(["stages", "outputs", "A", "B"], rows))
    return "\n\n".join(parts)


def reuse_lines(names: Sequence[str], counts: Sequence[HoldoutReuse | None]) -> list[str]:
    """Return how many test rows of each run or version were opened before, as one text; nothing where none was."""
    counted = [(name, reuse) for name, reuse in zip(names, counts, strict=True) if reuse is not None]
    if not any(reuse.opened or reuse.unknown or reuse.lost for _, reuse in counted):
        return []
    return ["\n".join(f"{name}: {reuse.describe()}" for name, reuse in counted)]


def _section(title: str, differing: dict[str, Values]) -> list[str]:
    rows = [[name, _text(title, a), _text(title, b)] for name, (a, b) in differing.items()]
    return [table([title, "A", "B"], rows)] if rows else []


def _numbers(*values: Any) -> bool:
    return all(isinstance(value, int | float) for value in values)


def _text(title: str, value: Any) -> str:
    return "–" if value is None and title == "versions" else shorten(formatting.parameter(value), 48)
