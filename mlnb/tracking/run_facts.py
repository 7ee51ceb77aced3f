"""What a run record says, as plain values: the one reading that trackers, reports and commands share."""

import io
import math
from collections.abc import Mapping
from typing import Any, overload

from mlnb import errors
from mlnb.codec import R
from mlnb.engine.runs import Run

INTERRUPTED = 130  # what a shell gives a program that Ctrl-C ended


def stages(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the record's stages in the order in which they run."""
    found: dict[str, dict[str, Any]] = record.get("stages", {})
    order = [name for name in record.get("order", []) if name in found]
    return {name: found[name] for name in [*order, *(name for name in found if name not in order)]}


def parameters(record: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every parameter as "stage.name" -> {"value", "from"}, but `run`, which names the run itself."""
    return {
        f"{stage}.{name}": entry
        for stage, facts in stages(record).items()
        for name, entry in facts.get("parameters", {}).items()
        if name != "run"
    }


def metrics(record: Mapping[str, Any]) -> dict[str, float]:
    """Return every logged number as "stage.name" -> value."""
    return {
        f"{stage}.{name}": value
        for stage, facts in stages(record).items()
        for name, value in (facts.get("metrics") or {}).items()
    }


def versions(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions of the libraries that the stages import, by name."""
    found: dict[str, str] = {}
    for facts in stages(record).values():
        found.update(facts.get("versions") or {})
    return dict(sorted(found.items(), key=lambda item: item[0].lower()))


def producer(record: Mapping[str, Any], artifact: str) -> str | None:
    """Return the stage that made an artifact of this run, or None."""
    return next((name for name, facts in stages(record).items() if artifact in (facts.get("outputs") or {})), None)


@overload
def load(run: Run, artifact: str) -> Any: ...


@overload
def load(run: Run, artifact: str, kind: type[R]) -> R | None: ...


def load(run: Run, artifact: str, kind: type[R] | None = None) -> Any:
    """Return an artifact's object, or None when the run did not get that far or the store has lost it."""
    if not run.has(artifact):
        return None
    try:
        return run.load(artifact) if kind is None else run.load(artifact, kind)
    except errors.StoreCorrupted:
        return None


def table(run: Run, artifact: str) -> list[dict[str, Any]]:
    """Return the rows of a table artifact as plain values, without importing pandas; [] without one."""
    output = run.output(artifact)
    if output is None or output["format"] != "table":
        return []
    import pyarrow.parquet  # only reports and trackers read tables; a command must not pay for it

    try:
        data = run.project.store.read(output["digest"])
    except errors.StoreCorrupted:
        return []
    rows: list[dict[str, Any]] = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    return [{name: value for name, value in row.items() if name != "__index_level_0__"} for row in rows]


def is_finite(value: Any) -> bool:
    """Return whether a value is a number that can be drawn and compared."""
    return isinstance(value, int | float) and math.isfinite(value)


def verdict(run: Run) -> dict[str, Any]:
    """Return what the run came to: winner, metric, value, low, high, gate; None for what it lacks."""
    deciding = (load(run, "metrics") or {}).get("deciding") or {}
    best = load(run, "best") or {}
    return {
        "winner": best.get("family"),
        "metric": deciding.get("name") or best.get("metric"),
        **{name: deciding.get(name) for name in ("value", "low", "high")},
        "gate": (load(run, "gate") or {}).get("passed"),
    }


def failure(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the error of the first stage that failed, or None."""
    return next((facts["error"] for facts in stages(record).values() if facts.get("error")), None)


def exit_code(record: Mapping[str, Any]) -> int:
    """Return what the run's process ended with: 0 when it finished, the error's own code, 130 for Ctrl-C."""
    if record.get("state") == "finished":
        return 0
    if record.get("state") == "interrupted":
        return INTERRUPTED
    kind = getattr(errors, str((failure(record) or {}).get("kind")), errors.MlnbError)
    return int(getattr(kind, "exit_code", 1)) or 1
