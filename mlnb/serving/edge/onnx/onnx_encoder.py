"""The encoder as ONNX operators: the same columns of numbers, from one named input for each feature."""

import numpy as np

from mlnb.errors import UsageError
from mlnb.methods.contracts.table_formats import MISSING_WORDS
from mlnb.methods.encoding.column_encoders import DAY, CategoryCodec, DateCodec, NumberCodec
from mlnb.methods.encoding.custom_encoders import CustomCodec
from mlnb.methods.encoding.embedded_text import EmbeddedTextCodec
from mlnb.methods.encoding.table_encoder import Encoder
from mlnb.methods.tables.columns import Schema
from mlnb.serving.edge.exports import custom_refusal, embedding_refusal
from mlnb.serving.edge.onnx.onnx_graph import ML, Graph

YEAR_400 = 146_097.0  # days of 400 years


def write_encoder(graph: Graph, encoder: Encoder, schema: Schema) -> str:
    """Return the encoded rows (n, d). Raises `UsageError` naming a column that has no ONNX form."""
    parts = []
    kinds = {column.name: column.kind for column in schema.features}
    for codec, _, _ in encoder.positions:
        if isinstance(codec, CustomCodec):
            raise custom_refusal(codec, "ONNX")
        if isinstance(codec, EmbeddedTextCodec):
            raise embedding_refusal(codec, "an exported graph")
        if not isinstance(codec, NumberCodec | CategoryCodec | DateCodec):
            raise UsageError(
                f"Column {codec.column!r} holds {kinds[codec.column]}, whose words are split by Unicode's rules and "
                "hashed: ONNX has no operators for that. Export with --to text, or train without the column."
            )
        value, column = graph.read(codec.column, isinstance(codec, CategoryCodec)), schema.column(codec.column)
        for sentinel in column.sentinels:
            value = graph.op("Where", graph.op("Equal", value, float(sentinel)), float("nan"), value)
        if isinstance(codec, CategoryCodec):
            parts += _category(graph, codec, value, column.missing_words)
            continue
        columns = _date(graph, codec, value) if isinstance(codec, DateCodec) else [value]
        flag = [graph.double(graph.op("IsNaN", columns[0]))] if codec.missing else []
        parts += [*columns, *flag]
    return graph.op("Concat", *parts, axis=1)


def _category(graph: Graph, codec: CategoryCodec, value: str, declared: tuple[str, ...]) -> list[str]:
    """Return the row of the look-up table of each category, and whether it is missing; an empty text is missing."""
    categories = np.array([*codec.categories, None], dtype=object)
    table = np.empty((len(codec.categories) + 2, len(codec.names)))
    codec.fill(categories[: len(codec.categories)], table[:-2])
    codec.fill(np.array(["\0"], dtype=object), table[-2:-1])  # no level of training holds a NUL
    codec.fill(categories[-1:], table[-1:])
    flags = codec.absent(np.array([*codec.categories, "\0", None], dtype=object))
    if codec.missing:
        table = np.column_stack([table, flags])
    spellings = {form for word in MISSING_WORDS for form in (word, word.upper(), word.capitalize())} | {
        "",
        "NaN",
        "NaT",
        *declared,
    }
    missing = sorted(spellings - set(codec.categories))
    indices = [*range(len(codec.categories)), *[len(codec.categories) + 1] * len(missing)]
    index = graph.op(
        "LabelEncoder",
        value,
        domain=ML,
        keys_strings=[*codec.categories, *missing],
        values_int64s=indices,
        default_int64=len(codec.categories),
    )
    rows = graph.op("Gather", graph.constant(table), graph.op("Reshape", index, np.array([-1])), axis=0)
    return [rows]


def _date(graph: Graph, codec: DateCodec, value: str) -> list[str]:
    """Return parts and elapsed days of seconds since 1970 UTC; every step keeps NaN."""
    days = graph.floor_divide(value, DAY)
    hours, minutes = graph.floor_divide(value, 3600.0), graph.floor_divide(value, 60.0)
    year, month, day, yearday = _calendar(graph, days)
    by_part = {
        "year": year,
        "month": month,
        "day": day,
        "weekday": graph.modulo(graph.op("Add", days, 3.0), 7.0),
        "yearday": yearday,
        "hour": graph.op("Sub", hours, graph.op("Mul", days, 24.0)),
        "minute": graph.op("Sub", minutes, graph.op("Mul", hours, 60.0)),
    }
    elapsed = graph.op("Div", graph.op("Sub", value, codec.origin), DAY)
    return [*(by_part[part] for part in codec.parts), elapsed]


def _calendar(graph: Graph, days: str) -> tuple[str, str, str, str]:
    """Return year, month, day and day of the year; H. Hinnant, chrono-compatible low-level date algorithms (2021)."""
    shifted = graph.op("Add", days, 719_468.0)  # since 1 March of the year 0
    era = graph.floor_divide(shifted, YEAR_400)
    of_era = graph.op("Sub", shifted, graph.op("Mul", era, YEAR_400))
    leap = graph.op("Sub", graph.floor_divide(of_era, 36_524.0), graph.floor_divide(of_era, 1460.0))
    years = graph.op("Sub", graph.op("Add", of_era, leap), graph.floor_divide(of_era, 146_096.0))
    year_of_era = graph.floor_divide(years, 365.0)
    of_year = graph.op("Sub", of_era, _days_before(graph, year_of_era))
    shifted_month = graph.floor_divide(graph.op("Add", graph.op("Mul", of_year, 5.0), 2.0), 153.0)
    before = graph.floor_divide(graph.op("Add", graph.op("Mul", shifted_month, 153.0), 2.0), 5.0)
    day = graph.op("Add", graph.op("Sub", of_year, before), 1.0)
    late = graph.double(graph.op("GreaterOrEqual", shifted_month, 10.0))  # January and February
    month = graph.op("Sub", graph.op("Add", shifted_month, 3.0), graph.op("Mul", late, 12.0))
    year = graph.op("Add", graph.op("Add", year_of_era, graph.op("Mul", era, 400.0)), late)
    past = graph.op("Sub", year, 1.0)
    to_year = graph.op("Add", _days_before(graph, past), -719_162.0)  # from 1970 to 1 January of the year
    return year, month, day, graph.op("Add", graph.op("Sub", days, to_year), 1.0)


def _days_before(graph: Graph, years: str) -> str:
    """Return the days of a number of whole years of the Gregorian calendar."""
    quarters = graph.op("Sub", graph.floor_divide(years, 4.0), graph.floor_divide(years, 100.0))
    leap = graph.op("Add", quarters, graph.floor_divide(years, 400.0))
    return graph.op("Add", graph.op("Mul", years, 365.0), leap)
