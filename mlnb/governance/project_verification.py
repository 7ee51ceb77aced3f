"""Verification of a project: registry, logs and labels, and one run or all runs; nothing is changed."""

from collections.abc import Iterable, Iterator

from mlnb.engine import runs
from mlnb.engine.project import Project
from mlnb.errors import MlnbError, SchemaError, UnknownRun
from mlnb.governance.checks import Check, SignaturePolicy, altered, missing
from mlnb.governance.document_verification import check_document_sources, check_documents
from mlnb.governance.production_verification import verify_production
from mlnb.governance.registry_verification import RegistryContents, open_registry, verify_registry, verify_version
from mlnb.governance.run_verification import check_sources, verify_run
from mlnb.registry.known_head import registry_exists
from mlnb.registry.run_references import names_version, open_referenced
from mlnb.signing.trusted_keys import TrustedKeys, keys_path, read_trusted_keys

ALL = "all"


def verify(project: Project, reference: str = "latest", strict: bool = False) -> Iterator[Check]:
    """Yield a result for each subject: registry, prediction logs, labels, and the files, artifacts and code of runs.

    Args:
        project: The project.
        reference: A run, a version, "latest" or "all".
        strict: Whether everything has to be signed with a trusted key.

    Raises:
        UnknownRun: There is no such run or version.
    """
    selected = None if reference == ALL else _open_run(project, reference)  # first, as it may not exist
    yield from _distinct(_verify(project, selected, strict))


def _open_run(project: Project, reference: str) -> runs.Run | Check:
    """Return a run, or what is wrong with its record. Raises `UnknownRun`."""
    if names_version(reference) and not registry_exists(project):
        raise UnknownRun(f"There is no version {reference}, as no model is registered. `mlnb run` trains one.")
    try:
        return open_referenced(project, reference)
    except SchemaError as error:
        return altered(f"run {reference}", str(error))


def _verify(project: Project, selected: runs.Run | Check | None, strict: bool) -> Iterator[Check]:
    trusted = TrustedKeys()
    try:
        trusted = read_trusted_keys(keys_path(project))
    except MlnbError as error:
        yield altered(keys_path(project).name, str(error))
    policy = SignaturePolicy(trusted, strict)
    contents: RegistryContents | None = None
    try:
        contents = open_registry(project)
    except MlnbError as error:
        yield missing("audit log", str(error))
    if contents is not None:
        yield from verify_registry(contents, policy)
    yield from verify_production(project, contents.entries if contents else (), strict)
    yield from _verify_runs(project, selected, policy, contents)


def _verify_runs(
    project: Project, selected: runs.Run | Check | None, policy: SignaturePolicy, contents: RegistryContents | None
) -> Iterator[Check]:
    """Yield the results for one run, or for all runs and versions."""
    registered = contents.manifests() if contents else {}
    if isinstance(selected, Check):
        yield selected
        return
    if selected is not None:
        yield from verify_run(selected, policy, registered.get(selected.id, ""))
        yield from check_documents(selected, policy.strict)
        yield from check_sources(selected)
        yield from check_document_sources(selected)
        return
    every, problems = runs.read_runs(project)
    yield from (altered("runs", problem) for problem in problems)
    for run in every:
        yield from verify_run(run, policy, registered.get(run.id, ""))
        yield from check_documents(run, policy.strict)
    for version in contents.versions if contents else ():
        yield from verify_version(project, version)
    if every:
        yield from check_sources(every[0])
        yield from check_document_sources(every[0])


def _distinct(checks: Iterable[Check]) -> Iterator[Check]:
    """Yield each result once: runs share artifacts and test sets."""
    seen = set()
    for check in checks:
        if check not in seen:
            seen.add(check)
            yield check
