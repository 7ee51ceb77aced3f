"""The container engine that builds images: Docker, Podman or Buildah, whichever works here."""

import shutil
import subprocess
from dataclasses import dataclass

from mlnb.errors import ServingError

# how each says whether it works, and where it comes from
CHECKS = {
    "docker": (("info", "--format", "{{.ServerVersion}}"), "https://docs.docker.com/engine/install"),
    "podman": (("info", "--format", "{{.Version.Version}}"), "apt install podman, or https://podman.io"),
    "buildah": (("info",), "apt install buildah, or https://buildah.io"),
}
PATIENCE = 60.0  # seconds that an engine may take to say whether it works


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
        """Return what the engine prints; raises `ServingError` with the end of its complaint."""
        done = subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            said = "\n".join((done.stderr or done.stdout).strip().splitlines()[-10:])
            raise ServingError(f"{self.name} {' '.join(arguments[:2])} failed with {done.returncode}:\n{said}")
        return done.stdout


def find_engine(name: str | None = None) -> Engine:
    """Return the engine of that name, or the first that works; raises `ServingError` naming what to install."""
    wanted = list(CHECKS) if name is None else [name]
    found = []
    for candidate in wanted:
        complaint = _complaint(candidate)
        if not complaint:
            return Engine(candidate, str(shutil.which(candidate)))
        found.append(f"  {candidate}: {complaint}; {CHECKS[candidate][1]}")
    expected = "one of Docker, Podman or Buildah" if name is None else f"a working {name}"
    raise ServingError(
        f"No container engine works here, expected {expected}:\n" + "\n".join(found) + "\n"
        "Podman needs no daemon and is the quickest to install. `mlnb serve` needs none of them."
    )


def _complaint(name: str) -> str:
    """Return why an engine does not work here; empty when it does."""
    program = shutil.which(name)
    if program is None:
        return "not installed"
    try:
        done = subprocess.run(
            [program, *CHECKS[name][0]], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=PATIENCE
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"installed, but it does not answer ({error})"
    said = (done.stderr or done.stdout).strip().splitlines()
    return f"installed, but it does not work ({said[-1] if said else f'exit code {done.returncode}'})" * (
        done.returncode != 0
    )
