"""What differs between two versions of data, as text."""

from mlnb.cli.text_tables import shorten, table
from mlnb.governance.data_differences import DataDifference, RowChanges
from mlnb.methods.contracts.monitoring_records import ColumnDrift
from mlnb.reports import formatting

SHOWN = 20  # columns of each table


def difference_text(difference: DataDifference) -> str:
    """Return what differs between two versions as text: columns, rows, distributions."""
    parts = [f"{difference.before} .. {difference.after}"]
    if difference.columns:
        rows = [[change.column, change.before or "–", change.after or "–"] for change in difference.columns]
        parts.append(_cut(table(["column", "before", "after"], rows[:SHOWN]), len(rows)))
    else:
        parts.append("columns: the same names and types")
    parts.append(_rows(difference.rows))
    if cells := difference.rows.cells:
        rows = [[name, f"{count:,}"] for name, count in cells.items()]
        parts.append(_cut(table(["column", "changed rows"], rows[:SHOWN], right=("changed rows",)), len(rows)))
    if difference.drift:
        parts.append(_drift(difference.drift))
    return "\n\n".join(parts)


def _rows(rows: RowChanges) -> str:
    by = f"by {', '.join(rows.key)}" if rows.key else "by content"
    counts = [f"{rows.added:,} added", f"{rows.removed:,} removed"]
    counts += [f"{rows.changed:,} changed"] if rows.key else []
    return (
        f"rows ({by}): {rows.before:,} before, {rows.after:,} after: {', '.join(counts)}, {rows.unchanged:,} unchanged"
    )


def _drift(drift: tuple[ColumnDrift, ...]) -> str:
    """Return the distribution shift: every drifted column, and how many have not drifted."""
    drifted = [one for one in drift if one.drifted]
    rest = f"{formatting.count(len(drift) - len(drifted), 'column')} without distribution shift"
    if not drifted:
        return f"distributions: {rest}"
    rows = [
        [one.column, one.kind, formatting.number(one.effect), formatting.number(one.adjusted), shorten(one.reason, 80)]
        for one in drifted[:SHOWN]
    ]
    text = table(["shifted column", "type", "effect", "p", "reason"], rows, right=("effect", "p"))
    return f"{_cut(text, len(drifted))}\n{rest}"


def _cut(text: str, count: int) -> str:
    return text if count <= SHOWN else f"{text}\n… {count - SHOWN} more: --json shows all"
