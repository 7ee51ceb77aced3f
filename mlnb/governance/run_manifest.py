"""The manifest of a run, runs/<id>/manifest.json: an in-toto Statement about its files and artifacts, in DSSE."""

import json
from pathlib import Path
from typing import Any

from mlnb.codec import to_json
from mlnb.engine.confined_names import is_digest
from mlnb.engine.digests import StatCache, digest_bytes, digest_file
from mlnb.engine.files import PRIVATE, write_whole
from mlnb.engine.project import Project
from mlnb.engine.run_records import StageRecord
from mlnb.engine.runs import Run
from mlnb.errors import SchemaError
from mlnb.governance.run_environment import describe_environment, package_cache
from mlnb.governance.source_archive import store_sources
from mlnb.signing.canonical_json import LARGEST, canonical_json
from mlnb.signing.envelopes import IN_TOTO, MANIFEST, Signature, make_envelope, open_envelope
from mlnb.signing.signing_keys import find_key

STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "https://example.org/mlnb/run-manifest/v1"
PAGES = ("run.json", "report.html", "notebooks/*.ipynb", "notebooks/*.html", "documents/*", "stages/*.json*")
RUN = [
    "id",
    "pipeline",
    "state",
    "command",
    "profile",
    "group",
    "grid",
    "started",
    "finished",
    "seconds",
    "git",
]  # fields of the records
STAGE = ["state", "key", "key_inputs", "from_run", "parameters", "reads", "metrics", "started", "finished", "seconds"]
DERIVED = ("run", "stages", "budgets", "test_set_accesses")  # parts of the predicate that follow from the run's folder


def manifest_path(run: Run) -> Path:
    """Return the file of a run's manifest."""
    return run.folder / MANIFEST


def manifest_cache(project: Project) -> StatCache:
    """Return the digests of source files; not those of data, which every plan reads."""
    return StatCache(project.store_root / "cache" / "manifest.json")


def write_manifest(run: Run) -> None:
    """Write the manifest of a run that has ended and whose report is written, signed when this user has a key.

    Raises:
        SettingsError, MissingExtra: The key cannot be used.
        StoreFull: The disk is full.
    """
    cache = manifest_cache(run.project)
    environment = to_json(describe_environment(package_cache(run.project)))
    sources = to_json(store_sources(run, cache))
    cache.save()
    statement = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects(run).items())],
        "predicateType": PREDICATE,
        "predicate": {**derived_predicate(run), "environment": environment, "sources": sources},
    }
    payload = canonical_json(_plain(statement))
    write_whole(manifest_path(run), make_envelope(IN_TOTO, payload, find_key()), PRIVATE)


def read_manifest(run: Run) -> tuple[bytes, dict[str, Any], tuple[Signature, ...]]:
    """Return the statement of a run's manifest as bytes and parsed, and its signatures.

    Raises:
        FileNotFoundError: The run has no manifest.
        SchemaError: It is damaged, or no statement about a run.
    """
    path = manifest_path(run)
    payload, signatures = open_envelope(path.read_bytes(), IN_TOTO, str(path))
    try:
        statement = json.loads(payload)
        names = [(subject["name"], subject["digest"]["sha256"]) for subject in statement["subject"]]
        typed = statement["_type"] == STATEMENT and statement["predicateType"] == PREDICATE
        named = all(isinstance(name, str) and is_digest(digest) for name, digest in names)
        predicate = statement["predicate"]
        complete = {*DERIVED} <= {*predicate} and all(isinstance(part, dict) for part in predicate.values())
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        fault = f"{type(error).__name__}: {error}"  # the repr of one of UTF-8 has the whole file
        raise SchemaError(f"{path} is damaged: {fault}; expected an in-toto statement about a run.") from None
    if not (typed and named and complete):
        raise SchemaError(f"{path} is no in-toto statement about a run, as this version of mlnb writes it.")
    return payload, statement, signatures


def source_archives(statement: dict[str, Any]) -> list[str]:
    """Return the digests of the archives of source code that a statement names; earlier versions have stored none."""
    digests = statement.get("predicate", {}).get("sources", {}).values()
    return [digest for digest in digests if is_digest(digest)]


def run_archives(run: Run) -> list[str]:
    """Return the digests of the archives of a run's source code; none when its manifest is missing or damaged."""
    try:
        return source_archives(read_manifest(run)[1])
    except (OSError, SchemaError):  # `mlnb verify` reports it
        return []


def subjects(run: Run) -> dict[str, str]:
    """Return the digest of each file of a run, and of each artifact as `artifacts/<name>`."""
    files = [path for pattern in PAGES for path in run.folder.glob(pattern)]
    result = {path.relative_to(run.folder).as_posix(): digest_file(path) for path in files}
    for stage in run.stages.values():
        result |= {f"artifacts/{name}": output.digest for name, output in stage.outputs.items()}
    return result


def derived_predicate(run: Run) -> dict[str, Any]:
    """Return the parts of the predicate that follow from the folder of a run."""
    record = to_json(run.record)
    versions = {"mlnb": run.record.mlnb_version, "python": run.record.python_version, "platform": run.record.platform}
    stages = {name: _describe_stage(run, name, stage) for name, stage in run.stages.items()}
    predicate = {
        "run": {**{name: record[name] for name in RUN}, **versions},
        "stages": stages,
        "budgets": _budgets(run),
        "test_set_accesses": {
            name: {"held_out": stage.held_out, **_accesses(stage)}
            for name, stage in run.stages.items()
            if stage.held_out
        },
    }
    return dict(_plain(predicate))


def _describe_stage(run: Run, name: str, stage: StageRecord) -> dict[str, Any]:
    record = to_json(stage)
    return {field: record[field] for field in STAGE} | {
        "outputs": {artifact: output.digest for artifact, output in stage.outputs.items()},
        "cells": _cells(run.notebook_file(name)),
    }


def _cells(path: Path | None) -> list[dict[str, Any]]:
    """Return the digests of source and outputs of each code cell of an executed notebook."""
    try:
        cells = json.loads(path.read_bytes())["cells"] if path else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [
        {
            "cell": index,
            "source": digest_bytes("".join(cell["source"]).encode(errors="backslashreplace")),
            "outputs": digest_bytes(json.dumps(cell.get("outputs", []), sort_keys=True).encode()),
        }
        for index, cell in enumerate(cells)
        if cell.get("cell_type") == "code"
    ]


def _budgets(run: Run) -> dict[str, Any]:
    """Return the limits of each stage in trials and seconds, and whether the clock has cut a search."""
    limits = {
        f"{name}.{parameter}": value.value
        for name, stage in run.stages.items()
        for parameter, value in stage.parameters.items()
        if parameter in ("trials", "seconds")
    }
    cut = {name: bool(stage.metrics["timed_out"]) for name, stage in run.stages.items() if "timed_out" in stage.metrics}
    return {"limits": limits, "cut_by_clock": cut}


def _accesses(stage: StageRecord) -> dict[str, Any]:
    names = ("test_set_accesses", "test_rows_opened")
    return {name: int(stage.metrics[name]) for name in names if name in stage.metrics}


def _plain(value: Any) -> Any:
    """Return a JSON value in which numbers that canonical JSON does not have are texts."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > LARGEST:
        return str(value)
    return value
