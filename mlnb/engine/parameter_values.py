"""The value of every parameter and where it came from: cell < profile < -f file < -p < -g."""

import itertools
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mlnb.engine.notebook import StageNotebook
from mlnb.engine.parameters import check_value, nearest, parse_text
from mlnb.errors import ParameterError

SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
Values = dict[str, dict[str, "Value"]]  # stage -> parameter -> value


@dataclass(frozen=True)
class Value:
    """A parameter's value and its origin: `cell`, `profile smoke`, `-f params.yaml`, `-p` or `-g`."""

    value: Any
    origin: str


@dataclass(frozen=True)
class Asked:
    """What a user asked for beyond the cells: a profile, files, and `-p` pairs, in the order of their precedence."""

    profile: str | None = None
    profile_values: Mapping[str, str] = field(default_factory=dict)
    files: Sequence[Path] = ()
    pairs: Sequence[tuple[str, str]] = ()
    grid: Sequence[tuple[str, str]] = ()  # one combination


def resolve_values(known: Mapping[str, StageNotebook], chosen: Sequence[str], asked: Asked) -> Values:
    """Return the value of every parameter of the chosen stages but `run`, with its origin.

    `known` has all stages of the project: a profile or a file may speak of stages outside this pipeline.
    Raises `ParameterError` for unknown names, wrong types, values out of range and secrets that are not set.
    """
    values: Values = {
        name: {p.name: Value(p.default, "cell") for p in known[name].parameters if p.name != "run"} for name in chosen
    }
    for name, text in asked.profile_values.items():
        _assign(values, known, name, text, f"profile {asked.profile}", elsewhere=True)
    for path in asked.files:
        for name, item in _flatten(read_values(path)).items():
            _assign(values, known, name, item, f"-f {path.name}", elsewhere=True, typed=True)
    for name, text in asked.pairs:
        _assign(values, known, name, text, "-p")
    for name, text in asked.grid:
        _assign(values, known, name, text, "-g")
    secrets(values)
    return values


def secrets(values: Values) -> dict[str, str]:
    """Return the environment's values of every `${NAME}` in the parameters. Raises `ParameterError` if one is unset."""
    found: dict[str, str] = {}
    for stage, items in values.items():
        for name, item in items.items():
            for variable in SECRET.findall(str(item.value)):
                if variable not in os.environ:
                    raise ParameterError(
                        f"{stage}.{name} uses ${{{variable}}}, but the environment has no {variable}; "
                        f"set it first: export {variable}=…"
                    )
                found[variable] = os.environ[variable]
    return found


def read_values(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML or JSON file of parameters. Raises `ParameterError`."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ParameterError(f"-f {path}: {error.strerror or error}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"-f {path} is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ParameterError(f"-f {path} holds a {type(content).__name__}; expected lines like `tune.trials: 20`.")
    return content


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


def _flatten(content: dict[str, Any]) -> dict[str, Any]:
    """Return {"tune": {"trials": 4}} as {"tune.trials": 4}; other names stay."""
    flat: dict[str, Any] = {}
    for name, item in content.items():
        if isinstance(item, dict) and "." not in str(name):
            flat |= {f"{name}.{inner}": value for inner, value in item.items()}
        else:
            flat[str(name)] = item
    return flat


def _assign(
    values: Values,
    known: Mapping[str, StageNotebook],
    name: str,
    item: Any,
    origin: str,
    elsewhere: bool = False,
    typed: bool = False,
) -> None:
    stage, dot, bare = name.rpartition(".")
    if dot and stage not in values:
        if not (elsewhere and stage in known):
            raise ParameterError(f"{origin}: no stage {stage!r} in {name!r}." + nearest(stage, list(values)))
        if known[stage].parameter(bare) is not None:
            return
    targets = [stage] if dot else [s for s in values if bare in values[s]]
    if not targets and elsewhere and any(notebook.parameter(bare) for notebook in known.values()):
        return
    declared = sorted({p for s in ([stage] if dot else values) for p in values.get(s, {})})
    if bare == "run":
        raise ParameterError(f"{origin}: `run` is set by mlnb itself; it cannot be given.")
    if not targets or any(bare not in values.get(s, {}) for s in targets):
        owner = f"Stage {stage!r} has no" if dot else "No stage of this pipeline has a"
        raise ParameterError(f"{origin}: {owner} parameter {bare!r}." + nearest(bare, declared))
    for target in targets:
        parameter = known[target].parameter(bare)
        assert parameter is not None
        where = f"{origin} {name}" if origin.startswith("-") else f"{origin}, {name}"
        value = check_value(parameter, item, where) if typed else parse_text(parameter, str(item), where)
        values[target][bare] = Value(value, origin)
