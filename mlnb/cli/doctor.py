"""`mlnb doctor`: checks the machine, the installation and the settings, and suggests changes."""

import argparse
import os
import shutil
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mlnb import environment
from mlnb.cli.check import find_problems
from mlnb.cli.output_location import existing_folder, try_writing
from mlnb.cli.text_tables import table
from mlnb.engine.project import Project
from mlnb.errors import MissingExtra, UsageError
from mlnb.machine import usable_cores
from mlnb.settings import GROUPS, ProcessSettings, ServiceSettings, unknown_variables
from mlnb.suggestions import did_you_mean
from mlnb.url_passwords import expand_url, mask_passwords

OLDEST, NEWEST = (3, 11), (3, 13)
GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """One line of the output.

    Args:
        state: ok, note or wrong.
        topic: What was checked.
        result: What was found.
        advice: What to do; empty when nothing is to be done.
    """

    state: str
    topic: str
    result: str
    advice: str = ""


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb doctor`."""
    p.add_argument("--remote", action="store_true", help="check the remote store and the shared database")
    p.epilog = (
        "examples:\n  mlnb doctor\n  mlnb doctor --remote      check the settings `remote` and `database`\n\n"
        "exit codes: 0 nothing is wrong (notes are for your judgment), 2 something is wrong"
    )


def main(args: argparse.Namespace) -> int:
    """Print every finding and every setting; return 2 when something is wrong, else 0."""
    project = Project.find()
    checks = (remote, database) if args.remote else CHECKS
    findings = [finding for check in checks for finding in check(project)]
    for finding in findings:
        print(f"{finding.state:6} {finding.topic:13} {finding.result}")
        if finding.advice:
            print(f"{'':20} -> {finding.advice}")
    if not args.remote:
        print(f"\n{settings_table(project)}")
    wrong = sum(finding.state == "wrong" for finding in findings)
    print("\nNothing is wrong." if not wrong else f"\n{wrong} to fix.")
    return UsageError.exit_code if wrong else 0


def python(project: Project) -> Iterator[Finding]:
    """Check the version of Python, and whether bytecode is cached."""
    version = f"{sys.version.split()[0]}, {sys.executable}"
    if sys.version_info[:2] < OLDEST:
        yield Finding("wrong", "python", version, "mlnb needs 3.11 or newer")
    elif sys.version_info[:2] > NEWEST:
        yield Finding("note", "python", version, "mlnb is tested with 3.11 to 3.13")
    else:
        yield Finding("ok", "python", version)
    if sys.dont_write_bytecode:
        advice = "unset it: without cached bytecode every import takes about three times as long"
        yield Finding("note", "bytecode", "PYTHONDONTWRITEBYTECODE is set", advice)


def versions(project: Project) -> Iterator[Finding]:
    """Compare the installed libraries with the requirements of mlnb."""
    try:
        declared = [Requirement(text) for text in metadata.requires("mlnb") or []]
    except metadata.PackageNotFoundError:
        yield Finding("wrong", "libraries", "mlnb is not installed", "pip install -e .")
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
    for problem in bad:
        yield Finding("wrong", "libraries", problem, "install with constraints.txt of the project, or reinstall mlnb")
    if not bad:
        yield Finding("ok", "libraries", f"{len(needed)} required libraries, all at accepted versions")


def kernel(project: Project) -> Iterator[Finding]:
    """Check which Python the notebooks run in."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        program = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield Finding("wrong", "kernel", "no kernel 'python3'", "pip install ipykernel")
        return
    path = shutil.which(program) or program
    own = program in ("python", "python3") or Path(path).absolute() == Path(sys.executable).absolute()
    advice = "" if own else "notebooks would run in another Python: jupyter kernelspec uninstall python3"
    yield Finding("ok" if own else "wrong", "kernel", f"python3 is {sys.executable if own else path}", advice)


def network(project: Project) -> Iterator[Finding]:
    """Check what is sent to other machines."""
    mode = project.settings.wandb_mode
    if mode == "online":
        yield Finding(
            "note", "wandb", "online: runs are uploaded", "set WANDB_MODE=offline to keep them on this machine"
        )
    else:
        yield Finding("ok", "wandb", f"{mode}: nothing is sent; `wandb sync` uploads later")
    if url := ProcessSettings().embeddings_url:
        advice = f"unset {ProcessSettings.embeddings_url.variable} to send none"
        result = f"texts of projects whose features.embeddings names an endpoint are sent to {mask_passwords(url)}"
        yield Finding("note", "embeddings", result, advice)
    else:
        yield Finding("ok", "embeddings", "no endpoint: no texts are sent")
    for name, quiet in environment.QUIET.items():
        if "TRACK" in name and os.environ.get(name, quiet).lower() not in ("1", "true", quiet.lower()):
            yield Finding("note", "telemetry", f"{name} is {os.environ[name]!r}", f"unset {name} to send nothing")


def folders(project: Project) -> Iterator[Finding]:
    """Check the project, and whether its folders can be written."""
    kind = "built-in stages, as there is no settings.ini here" if project.is_builtin else project.settings.notebooks
    yield Finding("ok", "project", f"{project.root} ({kind})")
    bentoml_home = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")
    for topic, folder in (
        ("runs", project.runs),
        ("store", project.store_root),
        ("BENTOML_HOME", bentoml_home),
    ):
        error = unwritable(folder)
        advice = f"make {folder} writable, or choose another folder" if error else ""
        yield Finding("wrong" if error else "ok", topic, f"{folder}{f': {error}' if error else ''}", advice)


def unwritable(folder: Path) -> str:
    """Return why `folder` (or the folder that it would be created in) cannot be written; empty when it can."""
    try:
        try_writing(existing_folder(folder))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def machine(project: Project) -> Iterator[Finding]:
    """Check disk, memory, cores and limits of threads."""
    import psutil

    existing = next(folder for folder in [project.store_root, *project.store_root.parents] if folder.exists())
    free = shutil.disk_usage(existing).free / GIGABYTE
    advice = "" if free > 2 else "delete old runs (`mlnb clean`), or set `store` in settings.ini to another disk"
    yield Finding("ok" if free > 2 else "note" if free > 0.2 else "wrong", "disk", f"{free:.1f} GB free", advice)
    memory = psutil.virtual_memory()
    advice = "" if memory.available > 2 * GIGABYTE else "close other programs: a run takes about 1 GB"
    result = f"{memory.available / GIGABYTE:.1f} of {memory.total / GIGABYTE:.1f} GB free"
    yield Finding("note" if advice else "ok", "memory", result, advice)
    yield Finding("ok", "cores", f"{usable_cores()} for {project.settings.workers} stages at once")
    yield from threads(os.environ, usable_cores())


def threads(variables: Mapping[str, str], cores: int) -> Iterator[Finding]:
    """Check the variables that limit the threads of numerical libraries."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_WAIT_POLICY"):
        if text := variables.get(name):
            many = text.isdigit() and int(text) > cores
            yield Finding("note", "threads", f"{name}={text}", f"lower it: there are {cores} cores" if many else "")
    if "OMP_WAIT_POLICY" not in variables:
        yield Finding("ok", "threads", "OMP_WAIT_POLICY is not set; mlnb sets it for its kernels")


def variables(project: Project) -> Iterator[Finding]:
    """Check for environment variables that look like settings of mlnb and are none."""
    for name in unknown_variables(list(os.environ)):
        names = [setting.variable for group in GROUPS for setting in group.declared().values() if setting.variable]
        yield Finding("note", "environment", f"{name} is no setting of mlnb", did_you_mean(name, names).strip())


def settings(project: Project) -> Iterator[Finding]:
    """Check the sections and the URLs of settings.ini, and the notebooks that it names; nothing is connected."""
    problems = find_problems(project)
    for name in ("registry", "audit_anchor", "predictions"):
        try:
            expand_url(project.settings.read(name).value)
        except UsageError as error:
            problems.append(f"{name}: {error}")
    try:
        _ = project.database
    except (UsageError, MissingExtra) as error:
        problems.append(f"database: {error}")
    for problem in problems:
        yield Finding("wrong", "settings", problem, "change settings.ini or the notebook; see `mlnb check`")
    if not problems:
        yield Finding("ok", "settings", f"pipelines: {', '.join(project.pipelines)}")


def remote(project: Project) -> Iterator[Finding]:
    """Check the remote store: whether it responds, keeps what is there, and how fast it is."""
    store = project.store.remote
    if store is None:
        yield Finding("note", "remote", "no remote store", "set `remote` in settings.ini, or MLNB_REMOTE")
        return
    yield Finding("ok", "remote", store.url)
    for check in store.probe():
        yield Finding(check.state, check.topic, check.result, check.advice)
    if store.down:
        yield Finding("wrong", "remote", store.down, "check the URL, the network and the credentials")


def database(project: Project) -> Iterator[Finding]:
    """Check the database that machines share: whether it responds and can be written, and how fast it is."""
    shared = project.database
    if shared is None:
        return
    begin = time.perf_counter()
    held = shared.take(name := f"doctor/{socket.gethostname()}/{os.getpid()}")
    if held:
        shared.release(name)
    seconds = time.perf_counter() - begin
    result = f"{shared.url}{'' if held else ' is not used'}"
    advice = "" if held else "check the URL, the network, and the right to create tables"
    yield Finding("ok" if held else "wrong", "database", result, advice)
    if held:
        yield Finding("ok", "database", f"a lease is taken and given back in {seconds * 1e3:.0f} ms")


def settings_table(project: Project) -> str:
    """Return every setting with its value and origin as text; secrets are masked."""
    rows = []
    for group in (project.settings, ServiceSettings(), ProcessSettings()):
        for name, value, origin, meaning in group.lines():
            variable = group.declared()[name].variable
            rows.append([group.label(name), value, origin, variable if group.IN_FILE else "", meaning])
    return table(["setting", "value", "origin", "variable", "meaning"], rows, optional=["variable"])


CHECKS: tuple[Callable[[Project], Iterator[Finding]], ...] = (
    python,
    versions,
    kernel,
    network,
    folders,
    machine,
    variables,
    settings,
)
