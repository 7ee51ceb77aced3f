"""The value of every parameter and its origin: notebook default < profile < -f file < -p < values from Python < -g."""

import itertools
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mlnb.engine.notebook import StageNotebook
from mlnb.engine.parameters import check_value, parse_text, spelled_number
from mlnb.engine.run_records import ParameterValue
from mlnb.errors import ParameterError
from mlnb.suggestions import did_you_mean
from mlnb.url_passwords import SECRET, has_password, hide_passwords

DEFAULT = "default"  # origin of a value of the parameters cell
Values = dict[str, dict[str, ParameterValue]]  # by stage and parameter


class RequestedValues(NamedTuple):
    """Values that a user sets, in the order of their precedence.

    Args:
        profile: Name of the profile.
        profile_values: Its values, as text.
        files: YAML or JSON files of values.
        pairs: Names and texts of `-p`.
        grid: Names and texts of one combination of `-g`.
        values: Typed values by name, from Python code.
    """

    profile: str | None = None
    profile_values: Mapping[str, str] = {}
    files: Sequence[Path] = ()
    pairs: Sequence[tuple[str, str]] = ()
    grid: Sequence[tuple[str, str]] = ()
    values: Mapping[str, object] = {}


def resolve_values(notebooks: Mapping[str, StageNotebook], names: Sequence[str], requested: RequestedValues) -> Values:
    """Return the value of every parameter of the named stages but `run`, with its origin.

    Args:
        notebooks: All stages of the project: a profile or a file may set values of stages outside of the pipeline.
        names: The stages of the pipeline.
        requested: The values that the user sets.

    Raises:
        ParameterError: An unknown name, a wrong type, a value out of range, or a secret that is not set.
    """
    values = _defaults(notebooks, names)
    for name, text in requested.profile_values.items():
        _assign(values, notebooks, name, text, f"profile {requested.profile}", any_stage=True)
    for path in requested.files:
        for name, item in _read_file(path):
            _assign(values, notebooks, name, item, f"-f {path.name}", any_stage=True, typed=True)
    for name, text in requested.pairs:
        _assign(values, notebooks, name, text, "-p")
    for name, item in requested.values.items():
        _assign(values, notebooks, name, item, "params", typed=True)
    for name, text in requested.grid:
        _assign(values, notebooks, name, text, "-g")
    _hide_passwords(values)
    read_secrets(values)
    return values


def read_pairs(notebooks: Mapping[str, StageNotebook], pairs: Sequence[tuple[str, str]]) -> Values:
    """Return the values that names and texts of `-p` state, without the defaults of other parameters.

    Args:
        notebooks: All stages of the project.
        pairs: Names and texts of `-p`.

    Raises:
        ParameterError: An unknown name, a wrong type, or a value out of range.
    """
    values = _defaults(notebooks, list(notebooks))
    for name, text in pairs:
        _assign(values, notebooks, name, text, "-p")
    _hide_passwords(values)
    stated = {stage: {n: v for n, v in items.items() if v.origin != DEFAULT} for stage, items in values.items()}
    return {stage: items for stage, items in stated.items() if items}


def _defaults(notebooks: Mapping[str, StageNotebook], names: Sequence[str]) -> Values:
    return {
        name: {
            parameter.name: ParameterValue(value=parameter.default, origin=DEFAULT)
            for parameter in notebooks[name].parameters
            if parameter.name != "run"
        }
        for name in names
    }


def _hide_passwords(values: Values) -> None:
    """Replace the passwords in URLs by variables, so that no record has them."""
    for items in values.values():
        for name, item in items.items():
            if isinstance(item.value, str) and has_password(item.value):
                items[name] = ParameterValue(value=hide_passwords(item.value), origin=item.origin)


def read_secrets(values: Values) -> dict[str, str]:
    """Return the value of every `${NAME}` in the parameters. Raises `ParameterError` when one is not set."""
    secrets: dict[str, str] = {}
    for stage, items in values.items():
        for name, item in items.items():
            for variable in SECRET.findall(str(item.value)):
                if variable not in os.environ:
                    raise ParameterError(
                        f"{stage}.{name} uses ${{{variable}}}, but the environment has no {variable}; "
                        f"set it first: export {variable}=…"
                    )
                secrets[variable] = os.environ[variable]
    return secrets


def _read_file(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the names and values of a YAML or JSON file; {"tune": {"trials": 4}} is `tune.trials`."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        _refuse_duplicates(yaml.compose(text, yaml.SafeLoader), path)
        content = yaml.safe_load(text)
    except OSError as error:
        raise ParameterError(f"-f {path}: {error.strerror or error}.") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        if isinstance(error, ParameterError):
            raise
        raise ParameterError(f"-f {path} is not YAML: {error}") from error
    if content is None:
        return
    if not isinstance(content, dict):
        raise ParameterError(f"-f {path} holds a {type(content).__name__}; expected lines like `tune.trials: 20`.")
    for name, item in content.items():
        if isinstance(item, dict) and "." not in str(name):
            yield from ((f"{name}.{inner}", value) for inner, value in item.items())
        else:
            yield str(name), item


def _refuse_duplicates(node: Any, path: Path) -> None:
    """Raise `ParameterError` for a name that a YAML mapping has twice: YAML itself takes the last one."""
    if node is None or isinstance(node.value, str):
        return
    if node.id == "sequence":
        for item in node.value:
            _refuse_duplicates(item, path)
        return
    names: set[str] = set()
    for key, item in node.value:
        if str(key.value) in names:
            line = key.start_mark.line + 1
            raise ParameterError(f"-f {path}: line {line} has {key.value!r} for the second time; expected it once.")
        names.add(str(key.value))
        _refuse_duplicates(item, path)


def combinations(grids: Sequence[str]) -> list[tuple[tuple[str, str], ...]]:
    """Return every combination of `name=a,b` grids, each as (name, text) pairs. Raises `ParameterError`."""
    axes = []
    for grid in grids:
        name, equals, texts = grid.partition("=")
        items = [text.strip() for text in texts.split(",") if text.strip()]
        if not equals or not name.strip() or not items:
            raise ParameterError(f"-g {grid!r}: expected `name=value,value`, as in `-g tune.sampler=tpe,random`.")
        axes.append([(name.strip(), item) for item in items])
    return list(itertools.product(*axes)) if axes else [()]


def _assign(
    values: Values,
    notebooks: Mapping[str, StageNotebook],
    name: str,
    item: Any,
    origin: str,
    any_stage: bool = False,
    typed: bool = False,
) -> None:
    """Set `stage.parameter`, or a parameter of every stage that has it.

    Args:
        values: What is changed.
        notebooks: All stages of the project.
        name: `stage.parameter` or `parameter`.
        item: The value, or its text.
        origin: Where it comes from.
        any_stage: Whether the name may be of a stage outside of the pipeline; it is then checked and ignored.
        typed: Whether `item` is a value, not a text.
    """
    stage, dot, bare = name.rpartition(".")
    if dot and stage not in values:
        if not (any_stage and stage in notebooks):
            raise ParameterError(f"{origin}: no stage {stage!r} in {name!r}." + did_you_mean(stage, values))
        if notebooks[stage].parameter(bare) is not None:
            return
    targets = [stage] if dot else [s for s in values if bare in values[s]]
    if not targets and any_stage and any(notebook.parameter(bare) for notebook in notebooks.values()):
        return
    declared = sorted({p for s in ([stage] if dot else values) for p in values.get(s, {})})
    if bare == "run":
        raise ParameterError(f"{origin}: `run` is set by mlnb itself; leave it out.")
    if not targets or any(bare not in values.get(s, {}) for s in targets):
        owner = f"Stage {stage!r} has no" if dot else "No stage of this pipeline has a"
        raise ParameterError(f"{origin}: {owner} parameter {bare!r}." + did_you_mean(bare, declared))
    for target in targets:
        parameter = notebooks[target].parameter(bare)
        assert parameter is not None
        where = f"{origin} {name}" if origin.startswith("-") else f"{origin}, {name}"
        if typed:
            value = check_value(parameter, spelled_number(parameter.base, item), where)
        else:
            value = parse_text(parameter, str(item), where)
        values[target][bare] = ParameterValue(value=value, origin=origin)
