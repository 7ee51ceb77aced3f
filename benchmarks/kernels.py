"""Eight notebooks with pandas, scikit-learn, LightGBM and matplotlib: one plain process, papermill's engine, ours.

    python benchmarks/kernels.py [--rounds 3]

Interleaved rounds, each in new processes; medians of wall and processor seconds, and the ratios to one process.
`warm` finds its warm parent running, `cold` starts it. The standard engine takes most of the time: `--rounds` sets
the number of repetitions.

A cold run does what one process does (importing pandas, scikit-learn, LightGBM and matplotlib takes 1.5 s of it), and
imports papermill in the driver (0.4 s) and ipykernel in the warm parent (0.4 s of processor time): the parent can start
only once papermill has read which engine is requested. The parent pauses garbage collection while it imports, which
takes its imports from 2.3 to 2.0 processor seconds on a busy machine.

Processor milliseconds of a warm run, on a busy machine: the driver has 35 until it imports papermill, 365 for papermill
and what that imports (PyArrow's file systems, nbclient, Jupyter's client), 65 for the first notebook (of which 30
compile nbformat's schema) and 9 for each other one (reading, five writes, messages). A kernel has 20 to 70 from request
to reply, of which 8 read a Parquet file and 7 are page faults of the fork, and 3 for its end. Preparing the next kernel
takes 45 at the same time (7 of the fork, 20 of page faults, the rest IPython's shell). Half of 1.8 s of one process
leaves 900: 400 are the interpreter's start and papermill's import, before papermill looks for an engine.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from peers import figures

STAGES = [
    "import numpy as np, pandas as pd\nr = np.random.default_rng(0)\n"
    "d = pd.DataFrame(r.normal(size=(2000, 6)), columns=list('abcdef')); d['y'] = (d.a + d.b > 0).astype(int)\n"
    "d.to_parquet('data.parquet')\nd.head()",
    "import pandas as pd\nd = pd.read_parquet('data.parquet')\nd.describe()",
    "import pandas as pd\nfrom sklearn.model_selection import train_test_split\n"
    "a, b = train_test_split(pd.read_parquet('data.parquet'), random_state=0)\n"
    "a.to_parquet('train.parquet'); b.to_parquet('test.parquet')\nprint(len(a), len(b))",
    "import pandas as pd\nfrom sklearn.preprocessing import StandardScaler\nd = pd.read_parquet('train.parquet')\n"
    "StandardScaler().fit(d[list('abcdef')]).mean_",
    "import pandas as pd, lightgbm as lgb\nd = pd.read_parquet('train.parquet')\n"
    "m = lgb.LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=2).fit(d[list('abcdef')], d.y)\n"
    "m.booster_.save_model('model.txt');",
    "import pandas as pd, lightgbm as lgb\nfrom sklearn.metrics import roc_auc_score\n"
    "d = pd.read_parquet('test.parquet')\n"
    "roc_auc_score(d.y, lgb.Booster(model_file='model.txt').predict(d[list('abcdef')]))",
    "import pandas as pd, matplotlib.pyplot as plt\nd = pd.read_parquet('test.parquet')\nplt.figure(figsize=(3, 2))\n"
    "plt.scatter(d.a, d.b, c=d.y, s=2)\nplt.show()",
    "import pandas as pd\npd.read_parquet('test.parquet').groupby('y').mean()",
]
DRIVER = """
import sys, time, json
sys.modules["rfc3987_syntax"] = None  # JupyterLab's URI grammar: seconds, in every engine alike
import papermill
engine, parallel, *names = sys.argv[1:]
def one(name):
    start = time.perf_counter()
    papermill.execute_notebook(name, "out_" + name, engine_name=engine or None, progress_bar=False)
    return time.perf_counter() - start
start = time.perf_counter()
took = [one(name) for name in names]
print(json.dumps({"inside": time.perf_counter() - start, "each": took}))
"""


def write(folder: Path) -> None:
    """Write the stages as notebooks and as one script, and an empty notebook."""
    import nbformat

    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for number, source in [*enumerate(STAGES), ("empty", "")]:
        cells = [nbformat.v4.new_code_cell(source)]
        document = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
        nbformat.write(document, folder / f"{number}.ipynb")
    script = "import matplotlib; matplotlib.use('agg')\n" + "\n".join(
        f"def stage{number}():\n" + "\n".join("    " + line for line in source.splitlines())
        for number, source in enumerate(STAGES)
    )
    (folder / "plain.py").write_text(script + "\n" + "\n".join(f"stage{n}()" for n in range(len(STAGES))))
    (folder / "driver.py").write_text(DRIVER)
    (folder / "settings.ini").write_text("[mlnb]\n")


def parents(folder: Path) -> list[psutil.Process]:
    """Return the warm parents of the folder."""
    from mlnb.kernels.driver import parent_client
    from mlnb.kernels.protocol import parent_paths

    statuses = [parent_client.get_status(p) for p in parent_paths.find_parents(parent_paths.settings(folder).folder)]
    return [psutil.Process(status.pid) for status in statuses if status]


def stop(folder: Path) -> None:
    """End the warm parents of the folder."""
    from mlnb.kernels.driver import parent_client
    from mlnb.kernels.protocol import parent_paths

    for paths in parent_paths.find_parents(parent_paths.settings(folder).folder):
        parent_client.stop(paths, kill_kernels=True)


def processor(folder: Path) -> float:
    """Return the processor seconds of this process's children, and of warm parents and their kernels."""
    own = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + sum(sum(process.cpu_times()[:4]) for process in parents(folder))


def measure(folder: Path, *command: str) -> dict[str, float]:
    """Return wall and processor seconds of a command, and what it measured itself."""
    before, start = processor(folder), time.perf_counter()
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(done.stderr)
    time.sleep(0.2)  # the last kernel's time is counted when the parent has taken its end
    inside = json.loads(done.stdout)["inside"] if done.stdout.startswith("{") else wall
    return {"wall": wall, "processor": processor(folder) - before, "inside": inside}


def ready(folder: Path) -> float:
    """Return the median seconds from asking Jupyter for the warm kernel to the reply of a cell with the imports."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import KernelManager

    from mlnb.kernels.driver import jupyter_kernel

    specs = KernelSpecManager(kernel_dirs=[str(jupyter_kernel.install(folder).parent)])
    times = []
    for _ in range(10):
        manager = KernelManager(kernel_name=jupyter_kernel.NAME, kernel_spec_manager=specs)
        start = time.perf_counter()
        manager.start_kernel(cwd=str(folder))
        client = manager.client()
        client.start_channels()
        client.execute("import pandas, sklearn, lightgbm, matplotlib.pyplot", reply=True, timeout=60)
        times.append(time.perf_counter() - start)
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return statistics.median(times[1:])


def pair(way: list[dict[str, float]], plain: list[dict[str, float]]) -> list[float]:
    """Return the ratios of wall times of each round."""
    return [one["wall"] / other["wall"] for one, other in zip(way, plain, strict=True)]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="leave the standard engine out")
    figures.add_json(parser)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    folder = Path(tempfile.mkdtemp())
    write(folder)
    names = [f"{n}.ipynb" for n in range(len(STAGES))]
    ways = {
        "one process": ["plain.py"],
        "mlnb warm": ["driver.py", "mlnb", "", *names],
        "mlnb cold": ["driver.py", "mlnb", "", *names],
        "papermill": ["driver.py", "", "", *names],
        "empty warm": ["driver.py", "mlnb", "", *["empty.ipynb"] * 10],
    }
    if options.quick:
        del ways["papermill"]
    measured: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    measure(folder, *ways["one process"])
    measure(folder, *ways["mlnb warm"])
    for _ in range(options.rounds):
        for way, command in ways.items():
            if way == "mlnb cold":
                stop(folder)
                time.sleep(0.5)
            measured[way].append(measure(folder, *command))
    print(f"{'':14}{'wall':>8}{'processor':>11}{'in driver':>11}{'× process':>11}")
    rounds = measured["one process"]
    ratios = {way: statistics.median(pair(each, rounds)) for way, each in measured.items()}
    for way, all_of_it in measured.items():
        columns = ("wall", "processor", "inside")
        wall, cpu, inside = (statistics.median(one[what] for one in all_of_it) for what in columns)
        print(f"{way:14}{wall:8.2f}{cpu:11.2f}{inside:11.2f}{ratios[way]:11.2f}")
    note = "wall time, median of the ratios of each round"
    work = "8 notebooks, first run with a cold parent, against one process"
    figures.write(
        options.json,
        [
            figures.Figure(work, ratios["mlnb cold"], 1.3, note=note),
            figures.Figure("the same, warm", ratios["mlnb warm"], 0.5, note=note),
        ],
    )
    if not options.quick:
        ratio = [p["wall"] / w["wall"] for p, w in zip(measured["papermill"], measured["mlnb warm"], strict=True)]
        print(f"papermill's engine takes {statistics.median(ratio):.1f} × as long as warm kernels")
    print(f"a Jupyter kernel answers, its imports done, after {ready(folder) * 1000:.0f} ms")
    empty = statistics.median(one["inside"] for one in measured["empty warm"]) / 10
    print(f"one empty notebook: {empty * 1000:.0f} ms from execute_notebook to the written output")
    stop(folder)


if __name__ == "__main__":
    main()
