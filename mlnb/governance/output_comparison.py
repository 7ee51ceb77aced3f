"""Comparison of the outputs of two runs: a digest per stage, and an explanation of the first difference."""

import json
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from mlnb.codec import Record
from mlnb.engine.digests import digest_value
from mlnb.engine.formats import load_object
from mlnb.engine.plan_reasons import explain
from mlnb.engine.run_records import KeyInputs, OutputRecord, StageRecord
from mlnb.engine.runs import Run
from mlnb.errors import MlnbError

PREDICTIONS = "predictions"  # artifact with the predictions for the test rows
EXPLAINED = 3  # artifacts of a stage that are explained
TEXT_LIMIT = 80  # characters of a value in an explanation
MISSING = object()


class StageComparison(Record, frozen=True, kw_only=True):
    """The outputs of a stage in two runs.

    Args:
        stage: The stage.
        recorded: Digest of the names and digests of its outputs.
        reproduced: The same of the reproduction; empty when it has none.
        differing: Artifacts with other bytes.
        stored: Why it was not repeated; empty when it was.
    """

    stage: str
    recorded: str
    reproduced: str = ""
    differing: tuple[str, ...] = ()
    stored: str = ""


def compare_outputs(
    recorded: Run, reproduced: Run, stages: Sequence[str], stored: dict[str, str]
) -> list[StageComparison]:
    """Return a comparison for each stage.

    Args:
        recorded: The run.
        reproduced: The run that repeats it.
        stages: Names of the stages.
        stored: Why stages were not repeated.
    """
    comparisons = []
    for name in stages:
        before, now = recorded.stages[name], reproduced.stages.get(name)
        outputs = now.outputs if now is not None and now.state.has_outputs else {}
        same = before.outputs.items() & outputs.items() if outputs else set()
        differing = [artifact for artifact in before.outputs if artifact not in dict(same)] if outputs else []
        comparison = StageComparison(
            stage=name,
            recorded=outputs_digest(before),
            reproduced=outputs_digest(now) if now is not None and outputs and name not in stored else "",
            differing=() if name in stored else tuple(differing),
            stored=stored.get(name, ""),
        )
        comparisons.append(comparison)
    return comparisons


def outputs_digest(stage: StageRecord) -> str:
    """Return the digest of the names and digests of a stage's outputs."""
    return digest_value({artifact: output.digest for artifact, output in stage.outputs.items()})


def explain_difference(recorded: Run, reproduced: Run, comparison: StageComparison) -> list[str]:
    """Return what differs in the first artifacts of a stage, and in what the stage depends on."""
    before, now = recorded.stages[comparison.stage], reproduced.stages.get(comparison.stage)
    if now is None or not comparison.reproduced:
        failure = now.error.message if now is not None and now.error is not None else ""
        return [f"{comparison.stage} has not finished" + f": {failure}" * bool(failure)]
    lines = [
        f"{comparison.stage}: {_describe(recorded, reproduced, name)}" for name in comparison.differing[:EXPLAINED]
    ]
    reasons = explain(_inputs(before), _inputs(now)) if before.key_inputs and now.key_inputs else ""
    return [
        *lines,
        f"what {comparison.stage} depends on: {reasons or 'code, parameters, libraries and inputs are equal'}",
    ]


def equal_predictions(recorded: Run, reproduced: Run, repeated: Collection[str]) -> bool:
    """Return whether a repeated stage has made predictions for the test rows, with equal values."""
    outputs = {name: output for stage in repeated for name, output in reproduced.stages[stage].outputs.items()}
    before, now = recorded.output(PREDICTIONS), outputs.get(PREDICTIONS)
    if before is None or now is None:
        return False
    if before.digest == now.digest:
        return True
    try:
        first, second = _load(recorded, before), _load(reproduced, now)
    except MlnbError:
        return False
    return type(first) is type(second) and (bool(first.equals(second)) if hasattr(first, "equals") else first == second)


def _inputs(stage: StageRecord) -> KeyInputs:
    assert stage.key_inputs is not None
    return stage.key_inputs


def _load(run: Run, output: OutputRecord) -> Any:
    return load_object(run.project.store, output.format, output.digest)


def _describe(recorded: Run, reproduced: Run, artifact: str) -> str:
    """Return the first difference between two versions of an artifact."""
    before, now = recorded.require_output(artifact), reproduced.output(artifact)
    if now is None:
        return f"{artifact} was not made"
    if before.format != now.format:
        return f"{artifact} is {now.format}, not {before.format}"
    try:
        first, second = _load(recorded, before), _load(reproduced, now)
    except MlnbError as error:
        return f"{artifact} has other bytes ({error})"
    if isinstance(first, Path):
        return f"{artifact}: {_first_file(first, second)}" if first.is_dir() else f"{artifact} has other bytes"
    return f"{artifact}: {first_difference(first, second)}"


def _first_file(first: Path, second: Path) -> str:
    """Return which file of two folders differs first, and how."""
    names = {path.relative_to(top).as_posix() for top in (first, second) for path in top.rglob("*") if path.is_file()}
    for name in sorted(names):
        one, other = ((top / name).read_bytes() if (top / name).exists() else None for top in (first, second))
        if one is None or other is None:
            return f"the file {name} is in one of them only"
        if one != other:
            try:
                return f"file {name}, {first_difference(json.loads(one), json.loads(other))}"
            except (ValueError, RecursionError):
                return f"file {name}, {len(one):,} and {len(other):,} bytes"
    return "equal files"


def first_difference(first: Any, second: Any) -> str:
    """Return where two tables, arrays or JSON values differ first, and both values."""
    if hasattr(first, "columns") and hasattr(second, "columns"):
        return _table_difference(first, second)
    if hasattr(first, "shape") and hasattr(second, "shape"):
        return _array_difference(first, second)
    pointer, one, other = next(_differences("", first, second), ("", "", ""))
    return f"{pointer or 'the value'} {_short(one)} -> {_short(other)}" if one is not other else "equal values"


def _differences(pointer: str, first: Any, second: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the JSON pointer and both values of each difference."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in [*first, *(key for key in second if key not in first)]:
            name = str(key).replace("~", "~0").replace("/", "~1")
            yield from _differences(f"{pointer}/{name}", first.get(key, MISSING), second.get(key, MISSING))
    elif isinstance(first, list) and isinstance(second, list):
        for index in range(max(len(first), len(second))):
            items = (values[index] if index < len(values) else MISSING for values in (first, second))
            yield from _differences(f"{pointer}/{index}", *items)
    elif first is MISSING or second is MISSING or type(first) is not type(second) or first != second:
        yield pointer, first, second


def _table_difference(first: Any, second: Any) -> str:
    if first.shape != second.shape:
        return f"shape {first.shape} -> {second.shape}"
    if list(first.columns) != list(second.columns):
        return f"columns {_short(list(first.columns))} -> {_short(list(second.columns))}"
    for index, name in enumerate(first.columns):
        one, other = first.iloc[:, index], second.iloc[:, index]
        if one.dtype != other.dtype:
            return f"column {name!r} is {other.dtype}, not {one.dtype}"
        if not one.reset_index(drop=True).equals(other.reset_index(drop=True)):
            pairs = list(zip(one.tolist(), other.tolist(), strict=True))
            different = [row for row, pair in enumerate(pairs) if not _same(*pair)] or [0]
            values = " -> ".join(map(_short, pairs[different[0]]))
            return f"column {name!r}, row {different[0]}: {values}; {len(different)} of {len(one)} rows differ"
    return "equal values, in other bytes"


def _array_difference(first: Any, second: Any) -> str:
    if first.shape != second.shape or first.dtype != second.dtype:
        return f"shape {first.shape}, {first.dtype} -> {second.shape}, {second.dtype}"
    pairs = list(zip(first.ravel().tolist(), second.ravel().tolist(), strict=True))
    different = [index for index, pair in enumerate(pairs) if not _same(*pair)]
    if not different:
        return "equal values, in other bytes"
    one, other = pairs[different[0]]
    return f"number {different[0]}: {_short(one)} -> {_short(other)}; {len(different)} of {len(pairs)} differ"


def _same(one: Any, other: Any) -> bool:
    """Return whether two cells are equal; missing values are."""
    try:
        return bool(one == other) or (one != one and other != other)
    except (TypeError, ValueError):  # a missing value of pandas, or cells that are lists
        return repr(one) == repr(other)


def _short(value: Any) -> str:
    text = "nothing" if value is MISSING else repr(value)
    return text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
