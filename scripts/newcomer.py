"""Do what a newcomer does on a fresh clone, by the commands of README and guides, and print how long each step takes.

    python scripts/newcomer.py [--folder DIR] [--fast-docs] [--skip container docs]

Clones the commit of this checkout and runs the quickstart of the README, the first commands of the guide "The first
hour" on a table that mlnb has not seen, the panel of JupyterLab, a service, a container and the documentation site.
Each command is taken from the page that names it: a step fails when the page no longer has it. Nothing is fixed
between the steps. Ends with 1 when a step fails. The container needs root and apt, else its step is skipped.
"""

import argparse
import contextlib
import csv
import json
import os
import random
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCAL = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONDONTWRITEBYTECODE", "MLNB_ROOT")  # of the environment that runs this
FIRST_HOUR = "nbs/guides/first_hour.ipynb"
SKIPPED = 77  # of scripts/container.py where a container cannot be built
TOKEN = "newcomer"  # of JupyterLab on this machine, while the script runs
PATIENCE = 120.0  # seconds until a server responds


class StepFailed(Exception):
    """A step did not do what its page states."""


@dataclass(frozen=True)
class Result:
    """A step that was done; its `outcome` starts with "skipped" or "failed" where nothing came of it."""

    step: str
    command: str
    seconds: float
    outcome: str


def page_commands(page: Path) -> list[str]:
    """Return the commands of a page's shell blocks, without comments; a page is Markdown or a notebook."""
    text = page.read_text("utf-8")
    if page.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [re.sub(r"\s+#\s.*$", "", line) for line in lines if line.strip()]


def readme_request(page: Path, port: int) -> str:
    """Return the README's request for a prediction as a shell command that uses another port."""
    request = re.search(r"^curl .*?/predict.*?^\}\]'$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    if request is None:
        raise StepFailed(f"{page.name} has no request with curl, expected one for /predict")
    return request[0].replace(":3000/", f":{port}/")


def write_table(path: Path, rows: int = 1000) -> None:
    """Write customers with a missing value here and there; the contract and the tenure decide who leaves."""
    chance = random.Random(0)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["tenure months", "contract", "monthly charges", "Churn"])
        for _ in range(rows):
            tenure, contract = chance.randint(0, 72), chance.choice(["monthly", "yearly", "two years"])
            charges = round(chance.gauss(65, 25), 2) if chance.random() > 0.05 else ""
            leaves = chance.random() < (0.9 if contract == "monthly" else 0.1) * (1 - tenure / 200)
            writer.writerow([tenure, contract, charges, "yes" if leaves else "no"])


class Newcomer:
    """Runs commands in a clone and keeps the results of the steps."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clone, self.project = folder, folder / "clone", folder / "churn_project"
        path = [part for part in os.environ["PATH"].split(os.pathsep) if Path(part) != Path(sys.executable).parent]
        inherited = {name: value for name, value in os.environ.items() if name not in LOCAL}
        self.environment = inherited | {"PATH": os.pathsep.join([str(self.clone / ".venv/bin"), *path])}
        self.results: list[Result] = []

    def step(self, name: str, command: str, work: Callable[[str], str]) -> bool:
        """Do a step, and return whether it did not fail."""
        print(f"== {name}: {command}", flush=True)
        began = time.monotonic()
        try:
            outcome = work(command)
        except (StepFailed, OSError, ValueError) as error:
            outcome = f"failed: {error}"
        self.results.append(Result(name, command, time.monotonic() - began, outcome))
        print(f"-- {self.results[-1].seconds:.1f} s, {outcome}", flush=True)
        return not outcome.startswith("failed")

    def taken(self, page: str, command: str) -> str:
        """Return a command that a page has. Raises `StepFailed` when it has not."""
        commands = page_commands(self.clone / page)
        if command not in commands:
            raise StepFailed(f"{page} does not have the command {command!r}; it has {', '.join(commands)}")
        return command

    def run(self, command: str, folder: Path) -> str:
        """Return the last lines of a command's output. Raises `StepFailed` with them when it fails."""
        with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
            done = subprocess.run(
                ["/bin/sh", "-c", command], cwd=folder, env=self.environment, stdin=subprocess.DEVNULL, stdout=log,
                stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            log.seek(0)
            text = log.read()
        print(text, end="", flush=True)
        if done.returncode:
            raise StepFailed(text.strip() if done.returncode == SKIPPED else f"exit code {done.returncode}")
        return text

    @contextlib.contextmanager
    def server(self, command: str, folder: Path, address: str) -> Iterator[None]:
        """Run a server while inside, once its address responds."""
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(
                ["/bin/sh", "-c", f"exec {command}"], cwd=folder, env=self.environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                end = time.monotonic() + PATIENCE
                while not responds(address):
                    if process.poll() is not None or time.monotonic() > end:
                        log.seek(0)
                        raise StepFailed(f"no response: {log.read()[-500:].decode('utf-8', 'replace')}")
                    time.sleep(0.1)
                yield
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def responds(address: str) -> bool:
    """Return whether an address responds with status 200."""
    with contextlib.suppress(OSError):
        urllib.request.urlopen(address, timeout=5).close()
        return True
    return False


def free_port() -> int:
    """Return a port that no process listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clone(newcomer: Newcomer, command: str) -> str:
    """Clone the commit of this checkout."""
    newcomer.run(f"git clone --quiet --no-hardlinks {shlex.quote(str(ROOT))} clone", newcomer.folder)
    return newcomer.run("git log -1 --format=%h", newcomer.clone).strip()


def first_run(newcomer: Newcomer, command: str) -> str:
    """Run the pipeline on the example."""
    text = newcomer.run(newcomer.taken("README.md", command), newcomer.clone)
    if (gate := re.search(r"gate +(\w+)", text)) is None or "verified over HTTP" not in text:
        raise StepFailed("expected a gate and a service that is verified over HTTP")
    ready = re.search(r"ready after (\d+) s", text)
    return f"gate {gate[1]}, service verified" + (f", set-up {ready[1]} s" if ready else "")


def serve(newcomer: Newcomer, folder: Path, request: Callable[[int], str]) -> str:
    """Serve a model, send a request in a shell, and return the response."""
    port = free_port()
    with newcomer.server(f"mlnb serve --port {port}", folder, f"http://127.0.0.1:{port}/readyz"):
        text = newcomer.run(request(port), folder)
    if '"prediction"' not in text:
        raise StepFailed(f"expected a prediction, got {text[:200]}")
    return text.strip()[:60]


def serve_example(newcomer: Newcomer, command: str) -> str:
    """Serve the example and send the README's request."""
    newcomer.taken("README.md", command)
    return serve(newcomer, newcomer.clone, lambda port: readme_request(newcomer.clone / "README.md", port))


def own_file(newcomer: Newcomer, command: str) -> str:
    """Make a project of a file, and run it."""
    for part in command.split(" && "):
        newcomer.taken(FIRST_HOUR, part)
    write_table(newcomer.folder / "churn.csv")
    text = newcomer.run(command, newcomer.folder)
    if (gate := re.search(r"gate +(\w+)", text)) is None:
        raise StepFailed("expected a gate")
    return f"gate {gate[1]}"


def panel(newcomer: Newcomer, command: str) -> str:
    """Start JupyterLab, and request what its panel shows."""
    newcomer.taken(FIRST_HOUR, command)
    port = free_port()
    options = f"--no-browser --port {port} -- --IdentityProvider.token={TOKEN} --allow-root"
    base = f"http://127.0.0.1:{port}"
    with newcomer.server(f"{command} {options}", newcomer.project, f"{base}/api"):
        request = urllib.request.Request(f"{base}/mlnb/state", headers={"Authorization": f"token {TOKEN}"})
        with urllib.request.urlopen(request, timeout=60) as response:
            state = json.loads(response.read())
        with urllib.request.urlopen(f"{base}/lab?token={TOKEN}", timeout=60) as response:
            page = response.read().decode()
    if "mlnb" not in page:
        raise StepFailed("the page of JupyterLab does not have the extension of mlnb")
    return f"panel with {len(state['stages'])} stages"


def serve_project(newcomer: Newcomer, command: str) -> str:
    """Serve the model of the file, and send a row."""
    newcomer.taken(FIRST_HOUR, "mlnb serve")
    row = json.dumps([{"tenure months": 3, "contract": "monthly", "monthly charges": 70.5}])
    request = f"predict -H 'Content-Type: application/json' -d {shlex.quote(row)}"
    return serve(newcomer, newcomer.project, lambda port: f"curl -s http://127.0.0.1:{port}/{request}")


def container(newcomer: Newcomer, command: str) -> str:
    """Build and run a container of the example."""
    try:
        text = newcomer.run(command, newcomer.clone)
    except StepFailed as error:
        if str(error).startswith("SKIPPED"):
            return "skipped: this machine cannot build one"
        raise
    table = text.strip().splitlines()[-2].split()
    return f"{table[-3]} MB, ready after {table[-2]} s, {table[-1]} MB of memory"


def documentation(newcomer: Newcomer, command: str) -> str:
    """Build the site."""
    newcomer.taken("README.md", command.partition(" ARGS")[0])
    newcomer.run(command, newcomer.clone)
    return f"{len(list((newcomer.clone / '_docs').rglob('*.html')))} pages"


def print_table(results: list[Result]) -> None:
    """Print the results as a Markdown table."""
    print("| step | command | seconds | outcome |\n|---|---|---|---|")
    for one in results:
        outcome = one.outcome.replace("|", "\\|").replace("\n", " ")
        print(f"| {one.step} | `{one.command}` | {one.seconds:.1f} | {outcome} |")


def main() -> int:
    """Do all steps; return 1 when one has failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="work there, and leave all of it (default: a temporary folder)")
    parser.add_argument("--fast-docs", action="store_true", help="build the site without executing notebooks")
    parser.add_argument("--skip", nargs="*", default=[], choices=["lab", "container", "docs"], help="leave steps out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlnb-newcomer-", ignore_cleanup_errors=True) as temporary:
        folder = (options.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        newcomer = Newcomer(folder)
        first_hour = "mlnb new churn_project --data churn.csv --target Churn && cd churn_project"
        docs = "make docs" + " ARGS=--fast" * options.fast_docs
        steps: list[tuple[str, str, str, Callable[[Newcomer, str], str]]] = [
            ("", "fresh clone", "git clone", clone),
            ("", "set-up and first run", "make run", first_run),
            ("", "second run", "make run", first_run),
            ("", "service and the README's request", "make serve", serve_example),
            ("", "a separate file", f"{first_hour} && mlnb run --profile quick && mlnb report", own_file),
            ("lab", "JupyterLab with its panel", "mlnb lab", panel),
            ("", "service of their model", "mlnb serve", serve_project),
            ("container", "container", "python scripts/container.py", container),
            ("docs", "documentation site", docs, documentation),
        ]
        for key, name, command, work in steps:
            if key in options.skip:
                continue
            if not newcomer.step(name, command, lambda text, work=work: work(newcomer, text)):  # type: ignore[misc]
                break
        stop = [str(newcomer.clone / ".venv/bin/mlnb"), "kernels", "stop"]
        for project in (newcomer.clone, newcomer.project):
            if project.is_dir() and Path(stop[0]).exists():
                subprocess.run(stop, cwd=project, env=newcomer.environment, stdout=subprocess.DEVNULL, check=False)
    print(f"\nload {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print_table(newcomer.results)
    return int(any(one.outcome.startswith("failed") for one in newcomer.results))


if __name__ == "__main__":
    sys.exit(main())
