"""Conditions of an erasure: which rows of a table belong to the person."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.methods.tables.pseudonyms import check_key, pseudonym
from mlnb.settings import ProcessSettings

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    Matches = np.ndarray[Any, np.dtype[np.bool_]]

EXAMPLE = "--where 'id = 42' or --where 'mail = \"ann@example.org\" and born = 1990-01-31'"
DECLARATIONS = "columns.toml"
PREFIXES = ("", "in.", "out.")  # of a column in tables, and in segments of the prediction log
_CONDITION = re.compile(
    r"""\s*(?P<column>"[^"]+"|'[^']+'|[^=<>!"']+?)\s*={1,2}\s*(?P<value>"[^"]*"|'[^']*'|[^"'\s][^"']*?)\s*"""
)
_AND = re.compile(r"""\s+and\s+(?=(?:[^"']|"[^"]*"|'[^']*')*$)""", re.IGNORECASE)  # outside of quotes
_SEVERAL = re.compile(r"""^[^"'].*([=;]|\|\||(?<!\S)or(?!\S))""", re.IGNORECASE)  # in a value without quotes


class Condition(NamedTuple):
    """A column and the texts of the value that it must have: the value itself, and its pseudonym."""

    column: str
    values: tuple[str, ...]


Conditions = tuple[Condition, ...]  # all of them must hold


class Selection:
    """Rows for which all conditions of at least one list hold.

    Attributes:
        alternatives: the lists.
        notes: sentences for the user, about columns with personal data.
        seen: columns of the tables that were searched.
    """

    def __init__(self, alternatives: Sequence[Conditions], notes: Sequence[str] = ()) -> None:
        self.alternatives = tuple(alternatives)
        self.notes = tuple(notes)
        self.seen: set[str] = set()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the conditions."""
        return tuple(dict.fromkeys(each.column for conditions in self.alternatives for each in conditions))

    def unknown_columns(self) -> list[str]:
        """Return the columns of the conditions that no table had."""
        return [column for column in self.columns if column not in self.seen]

    def values(self) -> set[str]:
        """Return the texts of all conditions."""
        return {text for conditions in self.alternatives for each in conditions for text in each.values}

    def matches(self, table: "pd.DataFrame") -> "Matches | None":
        """Return for each row whether it is selected; None when no list has all of its columns in the table."""
        import numpy as np

        result, has_columns = np.zeros(len(table), dtype=bool), False
        self.seen |= {str(name).removeprefix(prefix) for name in table.columns for prefix in PREFIXES}
        names = {str(name): position for position, name in reversed([*enumerate(table.columns)])}
        for conditions in self.alternatives:
            columns = [[names[p + each.column] for p in PREFIXES if p + each.column in names] for each in conditions]
            if not all(columns):
                continue
            has_columns, whole = True, np.ones(len(table), dtype=bool)
            for each, positions in zip(conditions, columns, strict=True):
                parts = [equal_values(table.iloc[:, position], each.values) for position in positions]
                whole &= np.logical_or.reduce(parts)
            result |= whole
        return result if has_columns else None


def equal_values(column: "pd.Series", values: Iterable[str]) -> "Matches":
    """Return where a column has one of some texts: as numbers in a column of numbers, else as texts."""
    import pandas as pd

    texts = _texts(values)
    if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
        numbers = [number for text in texts if (number := _as_number(text)) is not None]
        equal: Matches = column.isin(numbers).to_numpy(dtype=bool, na_value=False)
        return equal
    as_texts: Matches = column.map(as_text).isin(texts).to_numpy(dtype=bool)
    return as_texts


def _texts(values: Iterable[str]) -> set[str]:
    return {value.strip() for value in values}


def _as_number(text: str) -> float | int | None:
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number == number else None


def as_text(value: Any) -> str | None:
    """Return a value as a text that a person would write; None for a missing one."""
    if value is None or value != value:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value).strip()
    return text.removesuffix(" 00:00:00") if hasattr(value, "isoformat") else text


def read_selection(project: Project, where: Sequence[str], values: Path | None) -> Selection:
    """Return the selection of a command line.

    Args:
        project: The project, whose columns.toml declares personal columns.
        where: Conditions as text; the rows of all of them are selected.
        values: A CSV file whose columns are named as those of the data; each line selects the rows with its values.

    Raises:
        UsageError: There is no condition, or one cannot be read.
        SettingsError: A column is pseudonymized, and the key is not set.
    """
    alternatives = [_parse(text) for text in where]
    alternatives += _read_values(values) if values else []
    if not alternatives:
        raise UsageError(f"No condition: expected {EXAMPLE}, or --values FILE.")
    return _protected(project, alternatives)


def _parse(text: str) -> Conditions:
    conditions = []
    for part in _AND.split(text):
        match = _CONDITION.fullmatch(part)
        if match is None or match["value"].lower().endswith((" and", " or")):
            raise UsageError(f"Found the condition {part!r}; expected column = value, such as {EXAMPLE}.")
        if _SEVERAL.search(match["value"]):
            raise UsageError(
                f"Found the condition {part!r}; expected one value. For the rows of either of two values, repeat the "
                "option: --where 'id = 5' --where 'id = 6'. A value with =, ; or the word 'or' needs quotes: "
                "--where 'name = \"a or b\"'."
            )
        conditions.append(Condition(_unquoted(match["column"]), (_unquoted(match["value"]),)))
    return tuple(conditions)


def _unquoted(text: str) -> str:
    return text[1:-1] if text[:1] in ("'", '"') else text.strip()


def _read_values(path: Path) -> list[Conditions]:
    import csv

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = list(csv.DictReader(file, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"{path} cannot be read: {error}; expected a CSV file with the columns of the data."
        ) from error
    if not lines:
        raise UsageError(f"{path} has no lines; expected a header with columns of the data, and a line per person.")
    result = []
    for number, line in enumerate(lines, start=2):
        if None in line or any(value is None or not value.strip() for value in line.values()):
            raise UsageError(
                f"Line {number} of {path} has not one value per column; expected {', '.join(map(str, lines[0]))}."
            )
        result.append(tuple(Condition(name.strip(), (value.strip(),)) for name, value in line.items()))
    return result


def _protected(project: Project, alternatives: Sequence[Conditions]) -> Selection:
    """Return a selection that also has the pseudonyms of values, as the project's declarations require."""
    from mlnb.methods.tables.column_declarations import read_declarations

    declared = read_declarations(project.root / DECLARATIONS).columns
    setting, notes = ProcessSettings().personal_key, dict[str, None]()
    result = []
    for conditions in alternatives:
        changed = []
        for each in conditions:
            personal = declared[each.column].personal if each.column in declared else ""
            if personal in ("drop", "mask"):
                verb = "dropped" if personal == "drop" else "masked"
                notes[f"{each.column} is {verb} at ingest: its values are in files outside of the store alone."] = None
            key = (
                check_key(setting, f"column {each.column!r}, which is pseudonymized,")
                if personal == "pseudonymize"
                else setting.encode()
            )
            hashed = {pseudonym(value, key) for value in each.values} if key else set()
            if personal == "pseudonymize":
                notes[f"{each.column} is pseudonymized at ingest: the keyed hash of the value is searched, too."] = None
            changed.append(
                each._replace(values=tuple(dict.fromkeys((*each.values, *filter(None, sorted(filter(None, hashed)))))))
            )
        result.append(tuple(changed))
    return Selection(result, list(notes))
