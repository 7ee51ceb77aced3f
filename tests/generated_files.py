"""Files of delimited text with every quirk that real ones have, together with the values they mean.

python tests/generated_files.py [FILES [SEED]]    reads that many files and prints what was wrong
"""

import bz2
import gzip
import io
import lzma
import random
import sys
import tempfile
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from pyarrow import orc

from mlnb.methods.operations.logged_data import match_columns
from mlnb.methods.tables.columns import Schema, column_array
from mlnb.methods.tables.data_sources import read_table
from mlnb.methods.tables.formatted_columns import read_history
from mlnb.methods.tables.source_findings import source_findings
from mlnb.methods.tables.spellings import stated_spelling
from mlnb.methods.tables.type_inference import clean
from mlnb.methods.tables.values import is_missing
from mlnb.serving.batch.arrow_columns import read_column
from mlnb.serving.batch.input_files import find_files
from mlnb.serving.batch.input_units import split_files
from mlnb.serving.batch.unit_tables import all_names, read_tables, text_names
from mlnb.stages.collect import format_provenance
from mlnb.stages.validate import keep_formats

NBSP = "\u00a0"
WORDS = {  # by encoding: words of a category, and a name of a column
    "utf-8": (["rot", "grün", "blau"], "Größe"),
    "utf-8-sig": (["café", "thé", "eau"], "prix"),
    "utf-16": (["nord", "süd", "ost"], "Straße"),
    "utf-16-le": (["nord", "sud", "est"], "cote"),
    "cp1252": (["Zürich – See", "Genève", "Bern"], "Höhe"),
    "latin-1": (["Málaga", "Cádiz", "León"], "año"),
    "gbk": (["北京市", "上海市", "广州市", "深圳市"], "城市名称"),
    "shift_jis": (["東京都", "大阪府", "北海道", "福岡県"], "都道府県"),
    "cp1251": (["Москва", "Казань", "Самара", "Новосибирск"], "Название города"),
}
QUIRKS = (
    "title", "sep=", "comment", "trailing", "padded", "row names", "total", "footnote", "ragged", "blank line",
    "units row", "quoted", "crlf", "two-row header", "line break in a name", "decomposed letters",
)  # fmt: skip


@dataclass
class Generated:
    """One file and its truth.

    Args:
        data: bytes of the file.
        columns: values by name: float, datetime, text, or None where missing.
        quirks: what was done to the file.
        extra: whether the file has a column of row names before the others.
        suffix: of the file's name.
    """

    data: bytes
    columns: dict[str, list[object]]
    quirks: list[str]
    extra: bool = False
    suffix: str = ".csv"


@dataclass
class Result:
    """What became of a file.

    Args:
        outcome: right, warned, rejected or wrong.
        detail: of each column that is not right, and of an error.
    """

    outcome: str
    detail: list[str] = field(default_factory=list)


@dataclass
class Style:
    """How a whole file is written."""

    rng: random.Random
    decimal: str
    thousands: str
    day_first: bool
    euro: bool = True

    def number(self, value: float, digits: int) -> str:
        """Spell a number."""
        text = f"{abs(value):,.{digits}f}"
        text = text.replace(",", "_").replace(".", self.decimal).replace("_", self.thousands)
        return "-" + text if value < 0 else text


Column = tuple[list[str], list[object]]  # cells and what they mean


def _numbers(style: Style, rows: int, low: float, high: float, digits: int) -> list[float]:
    return [round(style.rng.uniform(low, high), digits) for _ in range(rows)]


def plain(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, -500, 900, 0)
    return [f"{value:.0f}" for value in values], list(values)


def decimals(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, -50, 90, 2)
    return [style.number(value, 2) for value in values], list(values)


def thousands(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, 200, 2_000_000, 0)
    return [style.number(value, 0) for value in values], list(values)


def thousands_decimals(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, 200, 90_000, 2)
    return [style.number(value, 2) for value in values], list(values)


def currency(style: Style, rows: int) -> Column:
    sign = style.rng.choice(["$", "CHF ", "USD ", *(["€"] if style.euro else [])])
    behind = style.rng.random() < 0.4
    values = _numbers(style, rows, 3, 5000, 2)
    texts = [style.number(value, 2) for value in values]
    return [f"{text} {sign.strip()}" if behind else sign + text for text in texts], list(values)


def percent(style: Style, rows: int) -> Column:
    blank = style.rng.choice(["", " "])
    values = _numbers(style, rows, 0, 100, 1)
    return [style.number(value, 1) + blank + "%" for value in values], list(values)


def unit(style: Style, rows: int) -> Column:
    name = style.rng.choice(["kg", "cm", "km/h", *(["m²", "°C"] if style.euro else [])])
    values = _numbers(style, rows, 1, 300, 1)
    return [f"{style.number(value, 1)} {name}" for value in values], list(values)


def multipliers(style: Style, rows: int) -> Column:
    scale = style.rng.choices([("", 1), ("k", 1e3), ("M", 1e6)], k=rows)
    values = _numbers(style, rows, 1, 99, 1)
    cells = [style.number(value, 1) + sign for value, (sign, _) in zip(values, scale, strict=True)]
    return cells, [value * factor for value, (_, factor) in zip(values, scale, strict=True)]


def accounting(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, -900, 900, 2)
    return [f"({style.number(-v, 2)})" if v < 0 else style.number(v, 2) for v in values], list(values)


def minus_behind(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, -900, 900, 2)
    return [f"{style.number(-v, 2)}-" if v < 0 else style.number(v, 2) for v in values], list(values)


def _days(style: Style, rows: int) -> list[datetime]:
    return [datetime(2015, 1, 1) + timedelta(days=style.rng.randrange(3000)) for _ in range(rows)]


def _dates(pattern: Callable[[Style], str], start: Callable[[datetime], datetime] = lambda day: day):
    def make(style: Style, rows: int) -> Column:
        days = [start(day) for day in _days(style, rows)]
        spelling = pattern(style)
        return [day.strftime(spelling) for day in days], list(days)

    make.__name__ = "dates"
    return make


def _month(day: datetime) -> datetime:
    return day.replace(day=1)


def _numeric(style: Style) -> str:
    sign = style.rng.choice("/-." if style.day_first else "/-")
    year = style.rng.choice(["%Y", "%Y", "%y"])
    return sign.join(["%d", "%m", year] if style.day_first else ["%m", "%d", year])


def weeks(style: Style, rows: int) -> Column:
    days = [day - timedelta(days=day.weekday()) for day in _days(style, rows)]
    return [day.strftime("%G-W%V") for day in days], list(days)


def quarters(style: Style, rows: int) -> Column:
    days = [day.replace(day=1, month=(day.month - 1) // 3 * 3 + 1) for day in _days(style, rows)]
    return [f"{day.year}-Q{(day.month + 2) // 3}" for day in days], list(days)


def zoned(style: Style, rows: int) -> Column:
    moments = [day + timedelta(minutes=style.rng.randrange(1440)) for day in _days(style, rows)]
    return [(m + timedelta(hours=2)).isoformat() + "+02:00" for m in moments], list(moments)


def local_days(style: Style, rows: int) -> Column:
    days = _days(style, rows)
    return [day.isoformat() + ("+02:00" if 3 < day.month < 11 else "+01:00") for day in days], list(days)


def placeholders(style: Style, rows: int) -> Column:
    cells, values = _dates(lambda _: "%d/%m/%Y" if style.day_first else "%m/%d/%Y")(style, rows)
    for row in range(0, rows, 7):
        cells[row], values[row] = "01/01/1900", datetime(1900, 1, 1)
    return cells, values


def clocks(style: Style, rows: int) -> Column:
    minutes = [style.rng.randrange(1440) for _ in range(rows)]
    return [f"{m // 60:02}:{m % 60:02}" for m in minutes], [60.0 * m for m in minutes]


def codes(style: Style, rows: int) -> Column:
    values = [f"{style.rng.randrange(400):05}" for _ in range(rows)]
    return values, list(values)


def truths(style: Style, rows: int) -> Column:
    values = [style.rng.random() < 0.5 for _ in range(rows)]
    return ["yes" if value else "no" for value in values], [float(value) for value in values]


def mixed_currencies(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, 3, 500, 2)
    return [style.rng.choice(["$", "GBP "]) + style.number(value, 2) for value in values], list(values)


def mixed_units(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, 3, 500, 0)
    return [f"{value:.0f} {style.rng.choice(['kg', 'lb'])}" for value in values], list(values)


def mixed_decimals(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, 3, 500, 2)
    return [f"{value:.2f}".replace(".", style.rng.choice(".,")) for value in values], list(values)


def mixed_percent(style: Style, rows: int) -> Column:
    values = _numbers(style, rows, 0, 1, 3)
    signed = [style.rng.random() < 0.5 for _ in values]
    signed[0], signed[-1] = True, False  # otherwise all may have the sign, and are points
    spelled = [style.number(100 * v, 1) + "%" if s else style.number(v, 3) for v, s in zip(values, signed, strict=True)]
    return spelled, list(values)


def mixed_dates(style: Style, rows: int) -> Column:
    days = _days(style, rows)
    return [day.strftime(style.rng.choice(["%Y-%m-%d", "%d %b %Y"])) for day in days], list(days)


COLUMNS = (
    plain, decimals, thousands, thousands_decimals, currency, percent, unit, multipliers, accounting, minus_behind,
    _dates(lambda _: "%Y-%m-%d"), _dates(_numeric), _dates(_numeric), _dates(lambda _: "%b-%y", _month),
    _dates(lambda _: "%Y%m", _month), _dates(lambda _: "%Y%m%d"), _dates(lambda _: "%d %b %Y"),
    _dates(lambda _: "%Y-%m", _month), weeks, quarters, zoned, local_days, placeholders, clocks, codes, truths,
    mixed_currencies, mixed_units, mixed_decimals, mixed_percent, mixed_dates,
)  # fmt: skip
MISSING = ("", "", "NA", "-", "n/a", "null", "?")


def generate(seed: int) -> Generated:
    """Return a file with known values, the same for the same seed."""
    rng = random.Random(seed)
    encoding = rng.choice(list(WORDS))
    decimal = rng.choice([".", ".", ","])
    groups = [",", ",", "'", ""] if decimal == "." else [".", ".", " ", "'", ""]
    if encoding in ("utf-8", "cp1252", "utf-16"):
        groups += ["\u2019", NBSP]
    style = Style(rng, decimal, rng.choice(groups), rng.random() < (0.5 if decimal == "." else 0.9))
    style.euro = encoding.startswith("utf") or encoding == "cp1252"
    separator = rng.choice([";", ";", "\t", "|"] if decimal == "," else [",", ",", ",", ";", "\t", "|"])
    rows = rng.choice([6, 12, 25, 40, 80, 200])
    words, name = WORDS[encoding]
    word = rng.choices(words, k=rows)
    columns: dict[str, Column] = {name: (word, list(word))}
    quirks = [f"{encoding} decimal {decimal!r} thousands {style.thousands!r} {separator!r}"]
    for number, make in enumerate(rng.sample(COLUMNS, rng.randrange(3, 7))):
        cells, values = make(style, rows)
        missing = rng.choice(MISSING)
        if rng.random() < 0.5:
            for row in rng.sample(range(rows), rows // 10):
                cells[row], values[row] = missing, None
        columns[f"{make.__name__}_{number}"] = (cells, values)
    if rng.random() < 0.2:
        return _write_typed(rng, columns, quirks)
    chosen = [quirk for quirk in QUIRKS if rng.random() < 0.15]
    return _write(rng, columns, encoding, separator, chosen, quirks)


def _write(
    rng: random.Random, columns: dict[str, Column], encoding: str, separator: str, chosen: list[str], quirks: list[str]
) -> Generated:
    names, end = list(columns), "\r\n" if "crlf" in chosen else "\n"
    table = [list(cells) for cells in zip(*(cells for cells, _ in columns.values()), strict=True)]

    def line(cells: list[str]) -> str:
        must = [any(mark in cell for mark in (separator, '"', "\n")) or "quoted" in chosen for cell in cells]
        quoted = ['"' + c.replace('"', '""') + '"' if m else c for c, m in zip(cells, must, strict=True)]
        return separator.join(quoted)

    if "trailing" in chosen and "row names" in chosen:
        chosen.remove("row names")
    if "two-row header" in chosen:
        chosen = [quirk for quirk in chosen if quirk not in ("units row", "line break in a name", "row names")]
    if "line break in a name" in chosen:
        columns = {name.replace("_", "\n", 1): column for name, column in columns.items()}
        names = list(columns)
    header = [f"  {name} " if "padded" in chosen else name for name in names]
    if "two-row header" in chosen:
        above = ["", *("2023" if i % 2 else "" for i in range(1, len(names)))]
        columns = {names[0]: columns[names[0]]} | {f"2023 {name}": columns[name] for name in names[1:]}
    lines = []
    if "sep=" in chosen and separator != "\t":
        lines.append(f"sep={separator}")
    if "title" in chosen:
        lines += ["Monthly report", ""]
    if "comment" in chosen:
        lines.append("# exported by a program")
    lines += [line(above)] if "two-row header" in chosen else []
    lines.append(line(header))
    if "units row" in chosen:
        lines.append(line(["(-)"] * len(names)))
    for number, cells in enumerate(table, 1):
        if "ragged" in chosen and number % 9 == 0 and "trailing" not in chosen:
            shortened = cells[:-1]
            columns[list(columns)[-1]][1][number - 1] = None
            text = line(shortened)
        else:
            text = line(cells)
        text = f"r{number}{separator}{text}" if "row names" in chosen else text
        lines.append(text + (separator if "trailing" in chosen else ""))
        if "blank line" in chosen and number == 7:
            lines.append("")
    if "total" in chosen and "ragged" not in chosen:
        total = ["Total", *[f"{len(table)}" for _ in names[1:]]]
        prefix = ["Total", *total] if "row names" in chosen else total
        lines.append(line(prefix) + (separator if "trailing" in chosen else ""))
    if "footnote" in chosen:
        lines += ["", "Source: a public register"]
    text = end.join(lines) + end
    if "decomposed letters" in chosen and encoding.startswith("utf"):
        text = unicodedata.normalize("NFD", text)
    data = text.encode(encoding)
    if encoding == "utf-16-le":
        data = text.encode("utf-16-le")
    truth = {name: values for name, (_, values) in columns.items()}
    packing = rng.choices(["", ".gz", ".bz2", ".xz", ".zip"], [8, 1, 1, 1, 1])[0]
    return Generated(PACK[packing](data), truth, [*quirks, *chosen, packing], "row names" in chosen, f".csv{packing}")


def _zip(data: bytes) -> bytes:
    """Return an archive of one file."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", data)
    return out.getvalue()


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zip": _zip,
}  # fmt: skip


def _write_typed(rng: random.Random, columns: dict[str, Column], quirks: list[str]) -> Generated:
    """A file of a format with types: some columns are text as in delimited text, the others typed values."""
    frame = {}
    for name, (cells, values) in columns.items():
        is_text = any(isinstance(value, str) for value in values) or name.startswith("mixed")
        mixed = is_text or rng.random() < 0.5
        frame[name] = [cell or None for cell in cells] if mixed else values
    table, out = pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in frame.items()}), io.BytesIO()
    suffix = rng.choice([".parquet", ".xlsx", ".jsonl", ".feather", ".orc"])
    if suffix == ".parquet":
        table.infer_objects().to_parquet(out)
    elif suffix == ".feather":
        table.infer_objects().to_feather(out)
    elif suffix == ".orc":
        orc.write_table(pa.Table.from_pandas(table.infer_objects(), preserve_index=False), out)
    elif suffix == ".xlsx":
        table.to_excel(out, index=False)
    else:
        table.to_json(out, orient="records", lines=True, date_format="iso", force_ascii=False)
    return Generated(out.getvalue(), {n: v for n, (_, v) in columns.items()}, [*quirks, suffix], suffix=suffix)


def judge(generated: Generated, folder: Path) -> Result:
    """Read a file as training does and as scoring does, and compare with its values."""
    path = folder / f"table{generated.suffix}"
    path.write_bytes(generated.data)
    try:
        raw, provenance = read_table(str(path))
        table, schema, findings = clean(raw, None, stated_spelling(provenance))
        findings += source_findings(provenance)
    except ValueError as error:
        return Result("rejected", [str(error)])
    warned = {f.column for f in findings if f.severity == "warning"}
    wrong = list[str]()
    expected_names = list(generated.columns)
    names = list(table.columns)[1:] if generated.extra else list(table.columns)
    if names != expected_names:
        wrong.append(f"columns {names}, expected {expected_names}")
    rows = len(next(iter(generated.columns.values())))
    if len(table) != rows:
        wrong.append(f"{len(table)} rows, expected {rows}")
    doubts = list[str]()
    if not wrong:
        for name, values in generated.columns.items():
            if message := _compare(table[name], values, schema.column(name).kind):
                (doubts if name in warned else wrong).append(f"{name}: {message}")
    for name in names:
        if name.startswith("placeholders") and name not in warned:
            wrong.append(f"{name}: 1900-01-01 is not reported")
    settled = Schema.from_json(keep_formats(schema, provenance).to_json())
    wrong += score_as_trained(str(path), settled, table) + retrain_as_trained(raw, settled, table)
    if wrong:
        return Result("wrong", wrong + doubts)
    return Result("warned", doubts) if doubts else Result("right")


def _compare(column: object, expected: list[object], kind: str) -> str:
    """Return how a typed column differs from the values it means."""
    for row, (value, truth) in enumerate(zip(column.tolist(), expected, strict=True)):  # type: ignore[attr-defined]
        absent = is_missing(value)
        if absent or truth is None:
            same = absent and truth is None
        elif isinstance(truth, float):
            same = kind in ("number", "boolean") and abs(float(value) - truth) <= 1e-9 * max(1.0, abs(truth))
        else:
            same = value == truth
        if not same:
            return f"row {row} is {value!r} ({kind}), expected {truth!r}"
    return ""


def retrain_as_trained(raw: pd.DataFrame, schema: Schema, table: pd.DataFrame) -> list[str]:
    """Return how the rows and formats that a challenger is trained with differ from the champion's.

    Args:
        raw: as the stage ingest stored it.
        schema: of the champion, after it was stored and read.
        table: typed rows of the champion.
    """
    history, formatted = read_history(raw, schema), [column for column in schema.columns if column.format is not None]
    sent = pd.DataFrame({column.name: _as_sent(table[column.name].iloc[:2]) for column in formatted})
    again, learned, _ = clean(pd.concat([history, match_columns(sent, history)], ignore_index=True), None)
    restored, wrong = keep_formats(learned, format_provenance(schema)), []
    for column in formatted:
        old, new = pd.concat([table[column.name], table[column.name].iloc[:2]], ignore_index=True), again[column.name]
        if not ((old.isna() == new.isna()).all() and (old.dropna() == new.dropna()).all()):
            wrong.append(f"{column.name}: retraining reads {new.tolist()[:3]}, expected {old.tolist()[:3]}")
        if restored.column(column.name).format != column.format:
            wrong.append(f"{column.name}: the challenger has another format, {restored.column(column.name)}")
    return wrong


def _as_sent(values: pd.Series) -> list[object]:
    """Return typed values as a request has them."""
    present = [None if is_missing(value) else value for value in values.tolist()]
    return [value.isoformat() if isinstance(value, pd.Timestamp) else value for value in present]


def score_as_trained(source: str, schema: Schema, table: pd.DataFrame) -> list[str]:
    """Return how scoring reads a source differently from training.

    Args:
        source: as `mlnb run --data` and `mlnb score` take it.
        schema: of the training table, after it was stored and read.
        table: typed rows of training.
    """
    names, parts = list(schema.names), []
    try:
        files = find_files([source], schema.layout, schema.names)
        for unit in split_files(files, (0, 0), 2):
            file = files[unit.file]
            parts += [(part, text_names(file, part)) for part in read_tables(file, unit, (), names)]
            if unknown := set(all_names(file, names)) - set(names) - {""}:
                return [f"scoring: unknown columns {sorted(unknown)}"]
    except Exception as error:
        return [f"scoring: {type(error).__name__}: {error}"]
    rows = sum(len(part) for part, _ in parts)
    if rows != len(table):
        return [f"scoring reads {rows} rows, training {len(table)}"]
    wrong = []
    for column in schema.columns:
        read = [
            read_column(part.column(column.name).combine_chunks(), column, len(part), column.name in texts)
            for part, texts in parts
        ]
        values = np.concatenate([r.values if r.codes is None else r.values[r.codes] for r in read])
        trained = column_array(table, column)
        equal = [a == b or (a != a and b != b) for a, b in zip(values.tolist(), trained.tolist(), strict=True)]
        if not all(equal):
            row = equal.index(False)
            wrong.append(f"scoring: {column.name} row {row} is {values[row]!r}, in training {trained[row]!r}")
        elif any(r.bad is not None and r.bad.any() for r in read) and column.kind != "text":
            wrong.append(f"scoring: {column.name} has rows that are refused")
    return wrong


def main() -> None:
    """Read generated files and print the counts and every file that is not right."""
    files, seed = (int(a) for a in [*sys.argv[1:], "200", "0"][:2]) if len(sys.argv) < 3 else map(int, sys.argv[1:3])
    outcomes = Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + files):
            generated = generate(number)
            result = judge(generated, Path(folder))
            outcomes[result.outcome] += 1
            if result.outcome != "right":
                print(number, result.outcome, generated.quirks)
                print(*(f"    {text[:220]}" for text in result.detail), sep="\n")
    print(dict(outcomes))


if __name__ == "__main__":
    main()
