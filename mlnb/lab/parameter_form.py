"""The parameters of a stage notebook as a form: fields from the declarations, and the cell with other values."""

import json
from collections.abc import Mapping
from typing import Any

from mlnb.codec import Record
from mlnb.engine.notebook_document import with_defaults
from mlnb.engine.parameter_values import DEFAULT
from mlnb.engine.parameters import LISTS, Parameter, parse_text, read_parameters
from mlnb.engine.run_records import ParameterValue
from mlnb.errors import ParameterError
from mlnb.reports import formatting


class FormField(Record, frozen=True, kw_only=True):
    """One parameter.

    Args:
        name, type, description: As declared.
        expected: In words, which values are accepted.
        kind: choice, integer, number or text.
        optional: Whether an empty field is None.
        text: The value as text.
        choices: Of a choice.
        low, high: Ends of the range; empty without one.
        override: The value of the next run and its origin, where that is not the notebook.
        problem: Why a value was not accepted; empty when it was.
    """

    name: str
    type: str
    description: str
    expected: str
    kind: str
    optional: bool
    text: str
    choices: tuple[str, ...] = ()
    low: str = ""
    high: str = ""
    override: str = ""
    problem: str = ""


class ParameterForm(Record, frozen=True, kw_only=True):
    """The source of a parameters cell, and a field for each parameter but `run`."""

    source: str
    fields: tuple[FormField, ...]


def fill_form(
    source: str, texts: Mapping[str, str], planned: Mapping[str, ParameterValue], where: str
) -> ParameterForm:
    """Return the form of a parameters cell, after changes.

    Args:
        source: Source of the cell.
        texts: What was typed, by name of the parameter; an empty text is None where the type allows that. A value
            that is not accepted is reported in its field, and changes nothing.
        planned: The values of the next run.
        where: Name of the notebook, for errors.

    Raises:
        NotebookError: The cell is no parameters cell.
        ParameterError: A name is unknown.
    """
    declared = {parameter.name: parameter for parameter in read_parameters(source, where) if parameter.name != "run"}
    values: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name, text in texts.items():
        if name not in declared:
            raise ParameterError(f"{where} has no parameter {name!r}; it has {', '.join(declared)}.")
        parameter = declared[name]
        try:
            value = parse_text(parameter, "none" if parameter.optional and not text.strip() else text, where)
        except ParameterError as error:
            problems[name] = str(error).partition(": ")[2] or str(error)
            continue
        if value != parameter.default:
            values[name] = value
    if values:
        source = with_defaults(source, values)
        declared = {parameter.name: parameter for parameter in read_parameters(source, where)}
    fields = [
        _field(parameter, planned.get(name), texts.get(name, "") if name in problems else None, problems.get(name, ""))
        for name, parameter in declared.items()
        if name != "run"
    ]
    return ParameterForm(source=source, fields=tuple(fields))


def _field(parameter: Parameter, planned: ParameterValue | None, typed: str | None, problem: str) -> FormField:
    choices = tuple(parameter.allowed.split("|")) if "|" in parameter.allowed else ()
    single = parameter.base not in LISTS
    if parameter.base == "bool":
        choices = ("true", "false")
    low, _, high = parameter.allowed.partition("..") if ".." in parameter.allowed and single else ("", "", "")
    kind = "choice" if choices and single else {"int": "integer", "float": "number"}.get(parameter.base, "text")
    override = ""
    if planned is not None and planned.origin != DEFAULT:
        override = f"{formatting.parameter(planned.value)} ({planned.origin})"
    return FormField(
        name=parameter.name,
        type=parameter.type,
        description=parameter.description,
        expected=parameter.expected(),
        kind=kind,
        optional=parameter.optional,
        text=value_text(parameter.default) if typed is None else typed,
        choices=choices if single else (),
        low=low,
        high=high,
        override=override,
        problem=problem,
    )


def value_text(value: Any) -> str:
    """Return a value as a user types it: None as an empty text, lists and dicts as JSON."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)
