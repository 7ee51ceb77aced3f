"""How the source of a run was read, for reports and commands."""

from typing import Any

from mlnb.codec import from_json
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError
from mlnb.methods.contracts.declarations import ColumnDeclaration
from mlnb.methods.contracts.format_descriptions import FormatRow, describe_formats
from mlnb.methods.contracts.table_formats import ColumnFormat, Layout
from mlnb.tracking.artifact_views import View, load_optional, load_view, warn_unusable


class ColumnView(View, frozen=True, kw_only=True):
    """A column of artifact `schema`: its name, format, and the numbers that stand for a missing value."""

    name: str
    format: ColumnFormat | None
    sentinels: tuple[float, ...]
    declared: ColumnDeclaration | None = None


class SchemaView(View, frozen=True, kw_only=True):
    """Artifact `schema`, read without numpy."""

    columns: tuple[ColumnView, ...]
    layout: Layout | None


class _SchemaJson(View, frozen=True, kw_only=True):
    """Artifact `schema`, of which the layout has a version."""

    columns: tuple[ColumnView, ...]
    layout: dict[str, Any] | None = None


def read_formats(run: Run) -> list[FormatRow]:
    """Return how a run's source was read; empty before it was, and with a warning when the schema is damaged."""
    schema = load_view(run, "schema", _SchemaJson)
    if schema is None:
        return []
    try:
        layout = None if schema.layout is None else from_json(Layout, schema.layout, "the layout of the schema")
    except SchemaError as error:
        warn_unusable(run, "schema", error)
        return []
    return describe_formats(SchemaView(columns=schema.columns, layout=layout), load_optional(run, "provenance"))
