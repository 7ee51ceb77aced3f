"""The container engine that builds images: Docker, Podman or Buildah, the first that works here."""

import shutil
import subprocess
from dataclasses import dataclass

from mlnb.errors import ServingError

# by engine: the command that shows whether it works, and where to get it
CHECKS = {
    "docker": (("info", "--format", "{{.ServerVersion}}"), "https://docs.docker.com/engine/install"),
    "podman": (("info", "--format", "{{.Version.Version}}"), "apt install podman, or https://podman.io"),
    "buildah": (("info",), "apt install buildah, or https://buildah.io"),
}
PATIENCE = 60.0  # seconds that this command may take


@dataclass(frozen=True)
class Engine:
    """A container engine that works.

    Attributes:
        name: docker, podman or buildah.
        program: its path.
    """

    name: str
    program: str

    def run(self, *arguments: str) -> str:
        """Return what the engine prints. Raises `ServingError` with the end of its error output."""
        done = subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            output = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
            raise ServingError(f"{self.name} {' '.join(arguments[:2])} failed with {done.returncode}:\n{output}")
        return done.stdout


def find_engine(name: str | None = None) -> Engine:
    """Return the engine of that name, or the first that works. Raises `ServingError` that names what to install."""
    lines = []
    for candidate in list(CHECKS) if name is None else [name]:
        failure = _failure(candidate)
        if not failure:
            return Engine(candidate, str(shutil.which(candidate)))
        lines.append(f"  {candidate}: {failure}; {CHECKS[candidate][1]}")
    expected = "one of Docker, Podman or Buildah" if name is None else f"a working {name}"
    raise ServingError(
        f"No container engine works here, expected {expected}:\n" + "\n".join(lines) + "\n"
        "Podman has no daemon and is the quickest to install. `mlnb serve` works without a container engine."
    )


def _failure(name: str) -> str:
    """Return why an engine does not work here; empty when it does."""
    program = shutil.which(name)
    if program is None:
        return "not installed"
    try:
        done = subprocess.run(
            [program, *CHECKS[name][0]], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"installed, but it does not respond ({error})"
    if not done.returncode:
        return ""
    output = (done.stderr or done.stdout).strip().splitlines()
    return f"installed, but it does not work ({output[-1] if output else f'exit code {done.returncode}'})"
