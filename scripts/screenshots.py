"""Make the pictures of the documentation from real runs, by hand: they change with every page and need Chromium.

python scripts/screenshots.py                 write nbs/guides/images/*.webp
python scripts/screenshots.py --keep FOLDER   use the projects in FOLDER, made there the first time

It makes two projects with synthetic data, runs them, and opens report, dashboard, JupyterLab and the service in a
headless Chromium. Nothing is requested from other hosts. Each picture has at most LIMIT bytes.
"""

import argparse
import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from chromium import Browser, open_browser  # noqa: E402 -- the browser that tests drive

IMAGES = ROOT / "nbs" / "guides" / "images"
LIMIT = 150_000  # bytes of a picture
WIDTH = 1280
PORTS = {"ui": 8871, "lab": 8872, "serve": 8873}
MLNB = (sys.executable, "-m", "mlnb.cli.main")
TOKEN = "screenshots"  # of JupyterLab on this machine, while the script runs
RUNS: dict[str, list[tuple[str, ...]]] = {
    "churn": [("--profile", "smoke"), ("--profile", "smoke", "-p", "tune.families", '["linear"]')],
    "prices": [("--profile", "quick")],
}


def churn(rows: int = 1500) -> pd.DataFrame:
    """Return customers of a telephone company, with a target that depends on contract, tenure and charges."""
    random = np.random.default_rng(0)
    tenure, charges = random.integers(1, 72, rows), random.uniform(18, 118, rows).round(2)
    contract = random.choice(["Month-to-month", "One year", "Two year"], rows, p=[0.55, 0.25, 0.2])
    internet = random.choice(["Fiber optic", "DSL", "none"], rows, p=[0.45, 0.35, 0.2])
    score = 1.4 * (contract == "Month-to-month") + 0.018 * charges - 0.035 * tenure + 0.5 * (internet == "Fiber optic")
    left = random.random(rows) < 1 / (1 + np.exp(1.7 - score))
    columns = {"tenure": tenure, "MonthlyCharges": charges, "Contract": contract, "InternetService": internet}
    return pd.DataFrame({**columns, "SeniorCitizen": random.random(rows) < 0.16, "Churn": np.where(left, "Yes", "No")})


def prices(rows: int = 800) -> pd.DataFrame:
    """Return flats with their price."""
    random = np.random.default_rng(1)
    area, age = random.uniform(25, 160, rows).round(), random.integers(0, 90, rows)
    district = random.choice(["center", "north", "south"], rows)
    price = 2.9 * area - 0.6 * age + 60 * (district == "center") + random.normal(0, 18, rows)
    return pd.DataFrame({"area": area, "age": age, "district": district, "price": price.round(1)})


def mlnb(folder: Path, *arguments: str) -> None:
    """Run a command to its end."""
    subprocess.run([*MLNB, *arguments], cwd=folder, check=True, stdin=subprocess.DEVNULL)


def make_projects(workspace: Path) -> None:
    """Make the projects and their runs, unless they are there."""
    for name, table, target in (("churn", churn(), "Churn"), ("prices", prices(), "price")):
        if (workspace / name).exists():
            continue
        table.to_csv(workspace / f"{name}.csv", index=False)
        mlnb(workspace, "new", name, "--data", f"{name}.csv", "--target", target)
        for options in RUNS[name]:
            mlnb(workspace / name, "run", *options)


@contextlib.contextmanager
def started(folder: Path, *arguments: str, wait: str) -> Iterator[str]:
    """Start a server; yield what it printed once an address answers."""
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(
            [*MLNB, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            end = time.monotonic() + 90
            while not answers(wait):
                assert process.poll() is None and time.monotonic() < end, f"{arguments[0]} does not answer"
                time.sleep(0.3)
            log.seek(0)
            yield log.read()
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)  # JupyterLab ends its kernels first
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def answers(address: str) -> bool:
    """Return whether a server answers an address with any status."""
    try:
        urllib.request.urlopen(address, timeout=2).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def take(browser: Browser, name: str, height: int, top: str = "") -> None:
    """Write the picture of the window, scrolled to an element where one is named."""
    browser.call("Emulation.setDeviceMetricsOverride", width=WIDTH, height=height, deviceScaleFactor=1, mobile=False)
    if top:
        browser.evaluate(f"scrollTo({{top: document.querySelector({top!r}).offsetTop - 100, behavior: 'instant'}}); 0")
    time.sleep(1)
    shot = browser.call("Page.captureScreenshot", format="webp", quality=82)
    data = base64.b64decode(shot["data"])
    assert len(data) <= LIMIT, f"{name} has {len(data):,} bytes, at most {LIMIT:,} are allowed"
    IMAGES.mkdir(exist_ok=True)
    (IMAGES / f"{name}.webp").write_bytes(data)
    print(f"{name}.webp  {len(data):,} bytes")


def picture_dashboard(browser: Browser, workspace: Path) -> None:
    """Take overview, comparison and the report, as the dashboard shows them."""
    port = str(PORTS["ui"])
    arguments = ("ui", "--no-browser", "--port", port, "--project", "churn", "prices")
    runs = sorted(path.name for path in (workspace / "churn" / "runs").glob("*-train-*"))
    base = f"http://127.0.0.1:{port}"
    with started(workspace, *arguments, wait=base) as printed:
        time.sleep(1)
        browser.open(re.findall(r"http://\S+", printed)[0])
        take(browser, "models", 480)
        browser.open(f"{base}/p/churn/compare?run={runs[0]}&run={runs[1]}")
        browser.wait("document.querySelectorAll('.plotted').length === 3")
        browser.evaluate(
            "for (const one of document.querySelectorAll('.plotted'))"
            " for (let step = 0; step < 7; step++)"
            "  one.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight'})); 0"
        )
        take(browser, "comparison", 470, "#curves")
        browser.open(f"{base}/p/churn/runs/{runs[0]}/report.html")
        take(browser, "report", 860)
        take(browser, "explanations", 860, "#explanations .charts")


def picture_lab(browser: Browser, workspace: Path) -> None:
    """Take the panel next to the notebook of the stage tune, after its parameters were changed."""
    port, project = str(PORTS["lab"]), workspace / "churn"
    notebook = project / "nbs" / "stages" / "50_tune.ipynb"
    before = notebook.read_text(encoding="utf-8")
    notebook.write_text(before.replace("seed: int = 0", "seed: int = 1"), encoding="utf-8")
    arguments = ("lab", "--no-browser", "--port", port, "--", f"--IdentityProvider.token={TOKEN}", "--allow-root")
    base = f"http://127.0.0.1:{port}"
    try:
        with started(project, *arguments, "--LabApp.expose_app_in_browser=True", wait=f"{base}/api"):
            browser.open(f"{base}/lab/tree/nbs/stages/50_tune.ipynb?token={TOKEN}")
            browser.wait("'jupyterapp' in window && !!document.querySelector('.jp-Notebook h1')")
            browser.evaluate("jupyterapp.shell.activateById('mlnb-panel'); 0")
            browser.wait("document.querySelectorAll('.mlnb-box').length > 5")
            take(browser, "panel", 860)
    finally:
        notebook.write_text(before, encoding="utf-8")


def picture_service(browser: Browser, workspace: Path) -> None:
    """Take the page of the service."""
    base = f"http://127.0.0.1:{PORTS['serve']}"
    with started(workspace / "churn", "serve", "--port", str(PORTS["serve"]), wait=f"{base}/readyz"):
        browser.open(f"{base}/")
        take(browser, "service", 700)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="folder of the projects, used again when it exists")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = str(ROOT)
    with tempfile.TemporaryDirectory(prefix="mlnb-screenshots-") as temporary:
        workspace = options.keep or Path(temporary)
        workspace.mkdir(parents=True, exist_ok=True)
        make_projects(workspace.resolve())
        for picture in (picture_dashboard, picture_lab, picture_service):
            with open_browser() as browser:
                browser.look(WIDTH)
                picture(browser, workspace.resolve())
        for name in RUNS:
            mlnb(workspace / name, "kernels", "stop", "--now")


if __name__ == "__main__":
    main()
