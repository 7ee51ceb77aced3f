"""The run of a reproduction: `mlnb run` in the project of the reproduction, in another process."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import yaml

import mlnb
from mlnb.engine import runs
from mlnb.engine.files import NO_SPACE
from mlnb.engine.project import Project
from mlnb.errors import CellTimeout, KernelDied, NotReproducible, StoreFull
from mlnb.governance.reproduction_project import ReproductionFolder
from mlnb.governance.reproduction_stages import StageSelection, requested_values
from mlnb.governance.run_environment import THREADS, RunEnvironment
from mlnb.settings import ProcessSettings, ProjectSettings

IDLE_SECONDS = 30  # after which the kernels of a reproduction end, if its process is killed
ERROR_LINES = 8  # of the run's standard error that a message has


class StageProcess(NamedTuple):
    """How `mlnb` is started.

    Args:
        python: The interpreter.
        variables: Its environment variables.
        report: Takes a line for each stage that starts or ends.
    """

    python: Path
    variables: Mapping[str, str]
    report: Callable[[str], None]

    def execute(self, folder: Path, arguments: Sequence[str]) -> str:
        """Run `mlnb` in a folder until it ends; return its last lines when it has failed, else an empty text."""
        command = [str(self.python), "-m", "mlnb.cli.main", *arguments]
        log = folder / "standard_error.txt"
        with (
            log.open("w") as errors,
            subprocess.Popen(
                command, cwd=folder, env=self.variables, stdout=subprocess.PIPE, stderr=errors, text=True
            ) as process,
        ):
            try:
                for line in process.stdout or ():
                    self._report_event(line)
            except BaseException:
                process.terminate()
                raise
        if process.returncode == 0:
            return ""
        lines = log.read_text(errors="replace").strip().splitlines()[-ERROR_LINES:]
        return "\n  ".join([f"exit code {process.returncode}", *lines])

    def _report_event(self, line: str) -> None:
        """Report the start and the end of a stage, from a line of `mlnb run --json`."""
        with suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            if event["event"] == "stage_started":
                self.report(f"▸ {event['stage']}")
            elif event["event"] == "stage_finished":
                self.report(f"✓ {event['stage']}: {event['seconds']:.1f} s")
            elif event["event"] == "stage_failed":
                self.report(f"✗ {event['stage']}")


def run_stages(run: runs.Run, project: Project, selection: StageSelection, process: StageProcess) -> runs.Run:
    """Run the stages that are repeated; return the run.

    Args:
        run: The recorded run.
        project: The project of the reproduction.
        selection: What is repeated, and with which values.
        process: How `mlnb` is started.

    Raises:
        NotReproducible: The run cannot be started, or the machine lacks space, time or memory for it.
    """
    parameters = project.root / "parameters.yaml"
    parameters.write_text(yaml.safe_dump(requested_values(selection)))
    arguments = ["run", run.record.pipeline, "--json", "--no-report", "-f", str(parameters)]
    arguments += ["--only", *selection.repeated]
    if selection.supplier is not None:
        arguments += ["--inputs-from", selection.supplier.id]
    earlier = {one.id for one in runs.list_runs(project)}
    try:
        failure = process.execute(project.root, arguments)
    finally:
        process.execute(project.root, ["kernels", "stop", "--now"])
    created = [one for one in runs.list_runs(project) if one.id not in earlier]
    if not created:
        raise NotReproducible(f"what `mlnb run` needs: {failure}")
    if reason := _why_unfinished(created[0], failure):
        raise NotReproducible(reason)
    return created[0]


def _why_unfinished(run: runs.Run, failure: str) -> str:
    """Return what the machine lacked to repeat a run; empty when it ended, or failed for a reason in code or data."""
    if not failure:
        return ""
    cause = run.record.failure
    if cause is None:
        return f"a process that ends by itself: {failure}"
    name, text = cause.error, f"{cause.error}: {cause.message}"
    if name == StoreFull.__name__ or any(os.strerror(number) in text for number in NO_SPACE):
        return f"space on the disk ({text})"
    lacking = {
        CellTimeout.__name__: "time",
        KernelDied.__name__: "a kernel that is not killed, such as for its memory",
        KeyboardInterrupt.__name__: "a run that is not interrupted",
    }
    return f"{lacking[name]} ({text})" if name in lacking else ""


def environment_variables(recorded: RunEnvironment, folder: ReproductionFolder, here: bool) -> dict[str, str]:
    """Return the environment variables of the run: the recorded limits of threads, no settings and keys of mlnb.

    Args:
        recorded: The environment of the recorded run.
        folder: Folder of the reproduction.
        here: Whether the modules of this process are used.
    """
    passed = (ProcessSettings.personal_key.variable,)
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in THREADS and (name in passed or not name.startswith("MLNB_"))
    }
    variables |= recorded.threads
    variables[ProcessSettings.config.variable] = str(folder.root / "no key")
    variables[ProjectSettings.kernels_idle.variable] = str(IDLE_SECONDS)
    variables.pop("VIRTUAL_ENV", None)
    path = variables.pop("PYTHONPATH", "")
    if here:
        library = str(Path(mlnb.__file__).parent.parent)
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [library, path]))
    elif folder.library.exists():
        variables["PYTHONPATH"] = str(folder.library)
    return variables
