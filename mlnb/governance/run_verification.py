"""Verification of a run against its manifest, without changing anything."""

from collections.abc import Iterator, Mapping
from typing import Any

from mlnb.engine.code_sources import CodeSources
from mlnb.engine.confined_names import is_confined
from mlnb.engine.digests import digest_bytes
from mlnb.engine.notebook import read_notebook
from mlnb.engine.plan import stage_key
from mlnb.engine.run_records import KeyInputs, OutputRecord
from mlnb.engine.runs import Run
from mlnb.engine.test_set_access import recorded_accesses
from mlnb.errors import SchemaError, UsageError
from mlnb.governance.checks import Check, CheckState, SignaturePolicy, altered, missing, ok
from mlnb.governance.run_manifest import (
    DERIVED,
    derived_predicate,
    manifest_path,
    read_manifest,
    source_archives,
)
from mlnb.governance.stored_objects import check_access, check_artifact, check_file, check_result
from mlnb.signing.envelopes import IN_TOTO, SignatureCheck, SignatureState, check_signatures

ARTIFACTS = "artifacts/"
NO_MANIFEST = SignatureCheck(SignatureState.UNSIGNED, "no manifest, as of runs that were killed or of earlier versions")


def verify_run(run: Run, policy: SignaturePolicy, registered: str = "") -> Iterator[Check]:
    """Yield a result for the manifest, each file and each artifact of a run, and for its test-set accesses.

    Args:
        run: The run.
        policy: Which signatures are required.
        registered: Digest of its statement in the audit log; empty when the log has none.
    """
    where = manifest_path(run).relative_to(run.project.root).as_posix()
    try:
        payload, statement, signatures = read_manifest(run)
    except OSError:
        yield missing(where) if registered else policy.check(where, run.record.started, NO_MANIFEST)
        statement = {"subject": []}
    except SchemaError as error:
        yield altered(where, str(error))
        statement = {"subject": []}
    else:
        files = list(_check_files(run, statement))
        redacted = any(file.state == CheckState.ERASED for file in files)
        sound = all(file.passed for file in files)
        faults = _manifest_faults(run, payload, statement, registered, redacted) if sound else []
        when = run.record.finished or run.record.started
        signed = policy.check(where, when, check_signatures(signatures, IN_TOTO, payload, policy.trusted, when))
        yield altered(where, "; ".join(faults)) if faults else signed
        yield from files
    expected = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    yield from _check_artifacts(run, expected)
    for digest in source_archives(statement):
        archive = OutputRecord(digest=digest, format="file", bytes=0, description="")
        yield from check_artifact(run.project, f"source code {digest[:12]}", archive)
    for stage in run.stages.values():
        yield from check_result(run.project, stage.key)
    for access in sorted(recorded_accesses([run.record])):
        yield from check_access(run.project, access)


def _check_files(run: Run, statement: Mapping[str, Any]) -> Iterator[Check]:
    """Yield a result for each file of a run's folder that its manifest names."""
    folder = run.folder.relative_to(run.project.root).as_posix()
    for subject in statement["subject"]:
        name, digest = subject["name"], subject["digest"]["sha256"]
        if not name.startswith(ARTIFACTS):
            where = f"{folder}/{name}"
            yield check_file(run.project, where, digest) if is_confined(name) else missing(where)


def _manifest_faults(
    run: Run, payload: bytes, statement: Mapping[str, Any], registered: str, redacted: bool
) -> list[str]:
    """Return in what a manifest differs from the run's files, which it describes, and from the audit log.

    The cells of executed notebooks are left out when outputs were erased: the digest of each other file was compared.
    """
    faults = []
    if registered and digest_bytes(payload) != registered:
        faults.append("it is not the manifest that the audit log names")
    derived, predicate = derived_predicate(run), statement["predicate"]
    if redacted:
        derived, predicate = ({**each, "stages": _without_cells(each["stages"])} for each in (derived, predicate))
    differing = [part for part in DERIVED if predicate[part] != derived[part]]
    if differing:
        faults.append(f"{', '.join(differing)}: not what the files of the run have")
    return faults


def _without_cells(stages: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {key: value for key, value in stage.items() if key != "cells"} for name, stage in stages.items()}


def _check_artifacts(run: Run, expected: Mapping[str, str]) -> Iterator[Check]:
    """Yield a result for each artifact of a run; the manifest decides on its digest, the record on its format."""
    for name, stage in run.stages.items():
        if stage.key is not None and stage.key_inputs is not None and stage_key(stage.key_inputs) != stage.key:
            yield altered(f"stage {name}", "its key is not the digest of its inputs")
        for artifact, output in stage.outputs.items():
            subject = f"artifact {artifact} of {run.id}"
            if expected.get(ARTIFACTS + artifact, output.digest) != output.digest:
                yield altered(subject, "run.json has another digest than the manifest")
            else:
                yield from check_artifact(run.project, subject, output)


def check_sources(run: Run) -> Iterator[Check]:
    """Yield a result for each stage of a run: stale when the code of its notebook or of a module has changed since."""
    sources = CodeSources(run.project)
    for name, stage in run.stages.items():
        if stage.key_inputs is not None and stage.notebook is not None:
            yield _check_source(run, name, stage.notebook.rpartition("/")[2], stage.key_inputs, sources)


def _check_source(run: Run, stage: str, file: str, inputs: KeyInputs, sources: CodeSources) -> Check:
    path = run.project.notebooks / file
    subject = f"code of stage {stage}"
    try:
        notebook = read_notebook(path)
    except (OSError, UsageError) as error:
        return Check(subject, CheckState.STALE, f"{path.name} cannot be read: {error}")
    modules = sources.stage_dependencies(notebook, run.stages[stage].parameters)[0]
    names = sorted(modules.keys() | inputs.modules.keys())
    changed = [file] if (notebook.code_digest, notebook.contract_digest) != (inputs.code, inputs.contract) else []
    changed += [name for name in names if modules.get(name) != inputs.modules.get(name)]
    return Check(subject, CheckState.STALE, f"changed since: {', '.join(changed[:5])}") if changed else ok(subject)
