"""Reproduction of a run: execute it again from recorded packages, sources and data, and compare its outputs."""

import subprocess
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from msgspec import field

from mlnb.codec import Record, convert, replace
from mlnb.engine import runs
from mlnb.engine.digests import digest_file
from mlnb.errors import NotReproducible, SchemaError
from mlnb.governance.fresh_environment import build_environment, differences
from mlnb.governance.output_comparison import StageComparison, compare_outputs, equal_predictions, explain_difference
from mlnb.governance.reproduction_project import reproduction_folder, write_history, write_project
from mlnb.governance.reproduction_run import StageProcess, environment_variables, run_stages
from mlnb.governance.reproduction_stages import select_stages, with_outputs
from mlnb.governance.run_environment import RunEnvironment, describe_environment, package_cache
from mlnb.governance.run_manifest import read_manifest
from mlnb.governance.source_archive import SourceArchives


class Verdict(StrEnum):
    """The result of a reproduction."""

    IDENTICAL = "identical"
    EQUAL_PREDICTIONS = "equal predictions"
    DIFFERENT = "different"
    IMPOSSIBLE = "impossible"


class Reproduction(Record, frozen=True, kw_only=True):
    """What a reproduction found.

    Args:
        run: Id of the run.
        verdict: The result.
        stages: A comparison for each stage.
        difference: The first difference, explained.
        environment: In what the environment differs from the recorded one.
        notes: What else the reader should know.
        missing: What is missing, where it is impossible.
        folder: Where it was executed, if that is kept.
    """

    run: str
    verdict: Verdict
    stages: tuple[StageComparison, ...] = ()
    difference: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    missing: str = ""
    folder: str = ""


class ReproductionOptions(Record, frozen=True, kw_only=True):
    """How a run is reproduced.

    Args:
        here: In the environment of this process.
        wheels: Folder of wheels to install from, without any network; None: as pip is configured.
        keep: Whether the folder of the reproduction is kept.
        report: Takes a line on what happens next.
    """

    here: bool = False
    wheels: Path | None = None
    keep: bool = False
    report: Callable[[str], None] = field(default=lambda line: None)


def reproduce(run: runs.Run, options: ReproductionOptions) -> Reproduction:
    """Execute a run again, without its stored results, and compare its outputs.

    Raises:
        NotReproducible: A package, source or data of the run is missing; the message names all that are.
    """
    recorded, sources = _read_evidence(run)
    with reproduction_folder(run.project, run.id, options.keep) as folder:
        names = with_outputs(run)
        project = write_project(run, sources, folder, names)
        selection = select_stages(run, project)
        write_history(run, project, selection.stored, [selection.supplier] if selection.supplier is not None else [])
        options.report(f"repeats {len(selection.repeated)} of {len(run.stages)} stages in {folder.root}")
        python, notes = Path(sys.executable), list[str]()
        if not options.here:
            library = sources.library is not None
            python, notes = build_environment(recorded, folder.environment, options.wheels, library, options.report)
        variables = environment_variables(recorded, folder, options.here)
        reproduced = run_stages(run, project, selection, StageProcess(python, variables, options.report))
        current = replace(describe_environment(package_cache(run.project)), threads=recorded.threads)
        if not options.here:  # its packages were verified
            current = replace(current, python=_version(python), packages=recorded.packages, blas=recorded.blas)
        stages = compare_outputs(run, reproduced, names, selection.stored)
        first = next((stage for stage in stages if not stage.stored and stage.reproduced != stage.recorded), None)
        verdict = Verdict.IDENTICAL if first is None else Verdict.DIFFERENT
        if first is not None and equal_predictions(run, reproduced, selection.repeated):
            verdict = Verdict.EQUAL_PREDICTIONS
        return Reproduction(
            run=run.id,
            verdict=verdict,
            stages=tuple(stages),
            difference=tuple(explain_difference(run, reproduced, first)) if first else (),
            environment=tuple(differences(recorded, current)),
            notes=(
                *selection.notes,
                *(f"{stage} ({state}) has no outputs to compare" for stage, state in selection.left_out.items()),
                *notes,
            ),
            folder=str(folder.root) if options.keep else "",
        )


def _read_evidence(run: runs.Run) -> tuple[RunEnvironment, SourceArchives]:
    """Return the recorded environment and the archives of the source code. Raises `NotReproducible`."""
    try:
        _, statement, _ = read_manifest(run)
    except FileNotFoundError as error:
        raise NotReproducible(f"the manifest of run {run.id}: only runs that have ended have one") from error
    except SchemaError as error:
        raise NotReproducible(f"the manifest: {error}") from error
    digests = {subject["name"]: subject["digest"]["sha256"] for subject in statement["subject"]}
    if digests.get("run.json") != digest_file(run.folder / "run.json"):
        raise NotReproducible(f"the record of run {run.id}, which was altered: mlnb verify {run.id}")
    predicate = statement["predicate"]
    if "sources" not in predicate or "environment" not in predicate:
        raise NotReproducible("the source code, which an earlier version of mlnb has not stored with its runs")
    environment = convert(predicate["environment"], RunEnvironment, "the manifest")
    return environment, convert(predicate["sources"], SourceArchives, "the manifest")


def _version(python: Path) -> str:
    """Return the version of an interpreter."""
    code = "import platform; print(platform.python_version())"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
