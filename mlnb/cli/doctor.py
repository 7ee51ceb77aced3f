"""`mlnb doctor`: what this machine and this environment are, and what to change about them."""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mlnb import environment
from mlnb.engine.project import Project
from mlnb.errors import UsageError

OLDEST, NEWEST = (3, 11), (3, 13)
GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """One line: how it stands (`ok`, `note` or `wrong`), what was looked at, what was found, what to do."""

    state: str
    topic: str
    found: str
    cure: str = ""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb doctor`."""
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.epilog = "examples:\n  mlnb doctor\n\nEnds with 2 when something is wrong; notes are for your judgement."


def main(args: argparse.Namespace) -> int:
    """Print every finding; return 2 when one of them is wrong, else 0."""
    project = Project.find()
    findings = [finding for check in CHECKS for finding in check(project)]
    for finding in findings:
        print(f"{finding.state:6} {finding.topic:13} {finding.found}")
        if finding.cure:
            print(f"{'':20} -> {finding.cure}")
    wrong = sum(finding.state == "wrong" for finding in findings)
    print("\nAll is well." if not wrong else f"\n{wrong} to put right.")
    return UsageError.exit_code if wrong else 0


def python(project: Project) -> Iterator[Finding]:
    """Look at the interpreter: its version, and whether imports are cached."""
    found = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.version_info[:2] < OLDEST:
        yield Finding("wrong", "python", found, "mlnb needs 3.11 or newer")
    elif sys.version_info[:2] > NEWEST:
        yield Finding("note", "python", found, "newer than any that mlnb is tested on; 3.11 to 3.13 are")
    else:
        yield Finding("ok", "python", found)
    if sys.dont_write_bytecode:
        cure = "unset it: without cached bytecode every import takes about three times as long"
        yield Finding("note", "bytecode", "PYTHONDONTWRITEBYTECODE is set", cure)


def versions(project: Project) -> Iterator[Finding]:
    """Compare the installed libraries with what mlnb declares."""
    try:
        declared = [Requirement(text) for text in metadata.requires("mlnb") or []]
    except metadata.PackageNotFoundError:
        yield Finding("wrong", "libraries", "mlnb runs from a folder, not installed", "pip install -e .")
        return
    needed = [r for r in declared if r.marker is None or r.marker.evaluate({"extra": ""})]
    bad = []
    for requirement in needed:
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            bad.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            bad.append(f"{requirement.name} is {version}, expected {requirement.specifier}")
    for found in bad:
        yield Finding("wrong", "libraries", found, "install against the project's constraints.txt, or mlnb anew")
    if not bad:
        yield Finding("ok", "libraries", f"{len(needed)} that mlnb needs, all within their limits")


def kernel(project: Project) -> Iterator[Finding]:
    """Look at which Python the notebooks would run in."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("wrong", "kernel", "there is no kernel 'python3'", "pip install ipykernel")
        return
    path = shutil.which(program) or program
    own = program in ("python", "python3") or Path(path).absolute() == Path(sys.executable).absolute()
    cure = "" if own else "notebooks would run in another Python: jupyter kernelspec uninstall python3"
    yield Finding("ok" if own else "wrong", "kernel", f"python3 is {sys.executable if own else path}", cure)


def network(project: Project) -> Iterator[Finding]:
    """Look at what may leave the machine."""
    mode = environment.wandb_mode(project.settings)
    if mode == "online":
        yield Finding("note", "wandb", "online: runs are uploaded", "unset WANDB_MODE to keep them on this machine")
    else:
        yield Finding("ok", "wandb", f"{mode}: nothing leaves this machine; `wandb sync` uploads later")
    for name, quiet in environment.QUIET.items():
        if "TRACK" in name and os.environ.get(name, quiet).lower() not in ("1", "true", quiet.lower()):
            yield Finding("note", "telemetry", f"{name} is {os.environ[name]!r}", f"unset {name} to report nothing")


def folders(project: Project) -> Iterator[Finding]:
    """Look at the project, and at whether what it writes can be written."""
    kind = "mlnb's own stages, for want of a project here" if project.is_builtin else project.settings["notebooks"]
    yield Finding("ok", "project", f"{project.root} ({kind})")
    bentoml_home = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")
    for topic, folder in (
        ("runs", project.runs),
        ("store", project.store_root),
        ("BENTOML_HOME", bentoml_home),
    ):
        error = unwritable(folder)
        cure = f"make {folder} writable, or choose another folder" if error else ""
        yield Finding("wrong" if error else "ok", topic, f"{folder}{f': {error}' if error else ''}", cure)


def unwritable(folder: Path) -> str:
    """Return why nothing can be written to `folder` (or, before it exists, where it would be made), or ""."""
    while not folder.exists():
        folder = folder.parent
    try:
        with tempfile.NamedTemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def machine(project: Project) -> Iterator[Finding]:
    """Look at disk, memory, cores and what limits threads."""
    import psutil

    existing = next(folder for folder in [project.store_root, *project.store_root.parents] if folder.exists())
    free = shutil.disk_usage(existing).free / GIGABYTE
    cure = "" if free > 2 else "delete old runs, or put the store elsewhere: `store` in settings.ini"
    yield Finding("ok" if free > 2 else "note" if free > 0.2 else "wrong", "disk", f"{free:.1f} GB free", cure)
    memory = psutil.virtual_memory()
    cure = "" if memory.available > 2 * GIGABYTE else "close something: a run takes about 1 GB"
    found = f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB free"
    yield Finding("note" if cure else "ok", "memory", found, cure)
    yield Finding("ok", "cores", f"{usable_cores()} for {project.settings['workers']} stages side by side")
    yield from threads(os.environ, usable_cores())


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(variables: Mapping[str, str], cores: int) -> Iterator[Finding]:
    """Say which variables limit the threads of numerical libraries, and which ask for more than there is."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"):
        if text := variables.get(name):
            many = text.isdigit() and int(text) > cores
            yield Finding("note", "threads", f"{name}={text}", f"there are {cores} cores: lower it" if many else "")
    if "OMP_WAIT_POLICY" not in variables:
        yield Finding("ok", "threads", "OMP_WAIT_POLICY is free for mlnb to set")


CHECKS: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    python,
    versions,
    kernel,
    network,
    folders,
    machine,
)
