"""The parameters cell, the only place of defaults: read without running it, and values checked against it."""

import ast
import io
import json
import math
import re
import tokenize
from typing import Any

from mlnb.codec import Record, replace
from mlnb.engine.digests import parse_python
from mlnb.errors import NotebookError, ParameterError
from mlnb.suggestions import did_you_mean

EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+")
SCALARS = {"str": str, "int": int, "float": float, "bool": bool, "dict": dict}
LISTS = {f"list[{name}]": name for name in ("str", "int", "float", "bool")}


class Parameter(Record, frozen=True, kw_only=True):
    """One line of a parameters cell: `name: type = literal  # description, unit [allowed]`."""

    name: str
    type: str  # str, int, float, bool, dict, list[...], each optionally with " | None"
    default: Any
    description: str = ""
    allowed: str = ""  # "lo..hi", "a|b|c", "file" or ""

    @property
    def optional(self) -> bool:
        """Whether the value may be None."""
        return self.type.endswith(" | None")

    @property
    def base(self) -> str:
        """The type without ` | None`."""
        return self.type.removesuffix(" | None")

    @property
    def is_file(self) -> bool:
        """Whether the value may name a file, whose contents are then part of the stage key."""
        return self.allowed == "file"

    def expected(self) -> str:
        """Return in words which values are accepted."""
        if ".." in self.allowed:
            low, high = self.allowed.split("..")
            limits = " and ".join([f"at least {low}"] * bool(low) + [f"at most {high}"] * bool(high))
            return f"{self.type}, {limits}"
        if "|" in self.allowed:
            return f"one of {', '.join(self.allowed.split('|'))}"
        return self.type


def read_parameters(source: str, where: str) -> tuple[Parameter, ...]:
    """Return the parameters that a cell declares, in order; `run` is the first.

    Args:
        source: The source of the parameters cell.
        where: The notebook's name, for errors.

    Raises:
        NotebookError: A line is not `name: type = literal  # description [allowed]`.
    """
    try:
        tree = parse_python(source)
        comments = {
            token.start[0]: token.string.lstrip("#").strip()
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
    except (SyntaxError, tokenize.TokenError) as error:
        raise NotebookError(f"{where}: the parameters cell is not Python: {error}") from error
    parameters = [_read_line(node, comments, source, where) for node in tree.body]
    first = parameters[0] if parameters else None
    if first is None or (first.name, first.type, first.default) != ("run", "str", "draft"):
        raise NotebookError(f'{where}: the parameters cell must start with `run: str = "draft"`.')
    if len(source.strip().splitlines()) == 1:
        raise NotebookError(
            f"{where}: IPython reads a parameters cell with the single line `{source.strip()}` as its magic %run; "
            "add a comment line above it."
        )
    names = [parameter.name for parameter in parameters]
    for name in names:
        if names.count(name) > 1:
            raise NotebookError(f"{where}: parameter {name!r} is declared twice.")
    return tuple(parameters)


def _read_line(node: ast.stmt, comments: dict[int, str], source: str, where: str) -> Parameter:
    expected = "expected `name: type = literal  # description, unit [allowed]`"
    if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
        text = ast.get_source_segment(source, node) or ""  # which splits the whole cell into lines
        raise NotebookError(f"{where}: line {node.lineno} of the parameters cell is `{text}`; {expected}.")
    kind = " | ".join(sorted(ast.unparse(node.annotation).split(" | "), key=lambda part: part == "None"))
    try:
        default = ast.literal_eval(node.value)
    except ValueError as error:
        raise NotebookError(
            f"{where}: the default of {node.target.id!r} is `{ast.unparse(node.value)}`, not a literal; {expected}."
        ) from error
    last = node.end_lineno or node.lineno
    comment = next((comments[line] for line in range(last, node.lineno - 1, -1) if line in comments), "")
    match = re.fullmatch(r"(.*?)\s*\[([^\[\]]*)\]", comment)
    description, allowed = (match[1], match[2].strip()) if match else (comment, "")
    parameter = Parameter(
        name=node.target.id, type=kind, default=default, description=description.strip(), allowed=allowed
    )
    if parameter.base not in SCALARS and parameter.base not in LISTS:
        raise NotebookError(
            f"{where}: {parameter.name!r} has type `{kind}`; expected one of "
            f"{', '.join([*SCALARS, *LISTS])}, each optionally with ` | None`."
        )
    if ".." in allowed:
        try:
            [float(end) for end in allowed.split("..") if end]
        except ValueError as error:
            raise NotebookError(f"{where}: {parameter.name!r} allows `[{allowed}]`; expected `[low..high]`.") from error
    try:
        return replace(parameter, default=check_value(parameter, default, where))
    except ParameterError as error:
        raise NotebookError(f"The default does not fit its own declaration. {error}") from error


def check_value(parameter: Parameter, value: Any, where: str) -> Any:
    """Return `value` as the parameter's type; an int becomes a float where the type is float.

    Args:
        parameter: The declaration.
        value: The value to check.
        where: Where the value comes from, for errors: `-p factor`, `profile quick, factor`.

    Raises:
        ParameterError: The value is of another type or out of range.
    """
    if value is None and parameter.optional:
        return None
    if (problem := _no_json(value)) is not None:
        raise ParameterError(f"{where}: {parameter.name} is {value!r}: {problem}; expected {parameter.expected()}.")
    fitted = _fit(parameter.base, value)
    if fitted is _MISFIT:
        raise ParameterError(
            f"{where}: {parameter.name} is {value!r} ({type(value).__name__}); expected {parameter.expected()}."
        )
    for item in fitted if isinstance(fitted, list) else [fitted]:
        if not _in_range(parameter.allowed, item):
            hint = did_you_mean(item, parameter.allowed.split("|")) if isinstance(item, str) else ""
            raise ParameterError(f"{where}: {parameter.name} is {item!r}; expected {parameter.expected()}.{hint}")
    return fitted


def _no_json(value: Any) -> str | None:
    """Return why a value cannot be recorded as JSON, or None: half of a surrogate pair, NaN or an infinity in it."""
    if isinstance(value, str):
        halves = any("\ud800" <= character <= "\udfff" for character in value)
        return "it has a character that UTF-8 cannot encode" if halves else None
    if isinstance(value, float):
        return None if math.isfinite(value) else "it is not finite"
    parts = [*value.keys(), *value.values()] if isinstance(value, dict) else value
    return next(filter(None, map(_no_json, parts)), None) if isinstance(parts, list | tuple) else None


def spelled_number(kind: str, value: Any) -> Any:
    """Return the number of a text like 1e-3, which YAML reads as text, where the type is float; else the value."""
    if kind in LISTS and isinstance(value, list):
        return [spelled_number(LISTS[kind], item) for item in value]
    return float(value) if kind == "float" and isinstance(value, str) and EXPONENT.fullmatch(value) else value


_MISFIT = object()


def _fit(kind: str, value: Any) -> Any:
    if kind in LISTS:
        if not isinstance(value, list | tuple):
            return _MISFIT
        items = [_fit(LISTS[kind], item) for item in value]
        return _MISFIT if any(item is _MISFIT for item in items) else items
    if kind == "float" and type(value) is int:
        return float(value)
    return value if type(value) is SCALARS[kind] else _MISFIT


def _in_range(allowed: str, item: Any) -> bool:
    if ".." in allowed:
        low, high = allowed.split("..")
        return (not low or item >= float(low)) and (not high or item <= float(high))
    return "|" not in allowed or str(item) in allowed.split("|")


def parse_text(parameter: Parameter, text: str, where: str) -> Any:
    """Return the value of a text from the command line or a profile.

    Lists are comma-separated or JSON, dicts are JSON, `none` is None where the type allows it.

    Raises:
        ParameterError: As `check_value`.
    """
    if parameter.optional and text.lower() in ("none", "null"):
        return None
    if parameter.base in LISTS and not text.lstrip().startswith("["):
        items = [part.strip() for part in text.split(",")] if text.strip() else []
        return check_value(parameter, [_from_text(LISTS[parameter.base], item) for item in items], where)
    return check_value(parameter, _from_text(parameter.base, text), where)


def _from_text(kind: str, text: str) -> Any:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
        if kind == "bool":
            return {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}[text.lower()]
        if kind == "dict" or kind in LISTS:
            return json.loads(text)
    except (ValueError, KeyError):
        return text
    return text
