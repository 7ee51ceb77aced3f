"""The pipeline that `mlnb schedule --to kubeflow` writes, executed by Kubeflow's own SDK on this machine.

    python benchmarks/kubeflow.py --kfp PYTHON [--folder DIR] [--by group|stage]

PYTHON is that of an environment with kfp 2.17, whose requirements conflict with those of mlnb:

    python -m venv /tmp/kfp && /tmp/kfp/bin/pip install kfp==2.17.3

The compiled YAML is loaded by the SDK and executed by its `SubprocessRunner`, which replaces the pods: tasks, their
order, conditions, the values that they hand to each other and the commands are those of the file. Only the folder of
the project is another one, and the inputs of conditions have the names that the runner resolves. The first execution is
compared with `mlnb run` in another project: artifacts must have equal digests. In the second one nothing has changed:
all conditions must leave their tasks out.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

IMAGE = f"registry.internal/mlnb@sha256:{'0' * 64}"
OPTIONS = ["--profile", "smoke", "-p", "tune.seconds", "3600"]  # a limit of time makes a search differ from another
RUNNER = r"""
import re, sys
import yaml
from kfp import components, local

path, folder, actions = sys.argv[1:]
pipeline, platforms = yaml.safe_load_all(open(path, encoding="utf-8"))
for executor in pipeline["deploymentSpec"]["executors"].values():
    container = executor["container"]
    container["image"] = "python:3.12"
    marked = [*container["command"], *container.get("args", [])]
    marked = [re.sub(r"/project\b", folder, word).replace("/tmp/actions", actions) for word in marked]
    marked[2] += "\n# kfp.dsl.executor_main: a SubprocessRunner accepts no other containers"
    container["command"], container["args"] = marked, []
    container.pop("resources")
local.init(local.SubprocessRunner(use_venv=False), pipeline_root=f"{folder}/../outputs")
text = yaml.safe_dump_all([pipeline, platforms])
text = re.sub(r"pipelinechannel--plan-(\w)", r"pipelinechannel--plan--\1", text)  # as the runner resolves outputs
components.load_component_from_text(text)()
"""


def mlnb(folder: Path, *words: str) -> str:
    """Return the output of a command in a folder; print it and end where it fails."""
    command = [sys.executable, "-m", "mlnb", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(words)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def execute(kfp: Path, folder: Path, path: Path) -> str:
    """Execute a pipeline file on a project; return what the SDK has logged."""
    names = [str(Path(sys.executable).parent), os.environ["PATH"]]
    command = [str(kfp), "-c", RUNNER, str(path), str(folder), str(folder.parent / "actions")]
    environment = {**os.environ, "PATH": os.pathsep.join(names), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)
    if done.returncode:
        sys.exit(f"kfp ended with {done.returncode}\n{text[-6000:]}")
    return text


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of each artifact of the newest finished run of a project."""
    record = json.loads(max(folder.glob("runs/*/run.json"), key=lambda path: path.stat().st_mtime).read_text())
    stages = record["stages"].values()
    return {name: output["digest"] for stage in stages for name, output in stage.get("outputs", {}).items()}


def ended(text: str, what: str) -> list[str]:
    """Return the tasks of the stages that have ended in a way, by the log of the SDK."""
    return re.findall(rf"Task '(stages-[\w-]+)' {what}", text)


def stop_kernels(folders: Sequence[Path]) -> None:
    """End the warm parents of projects."""
    for folder in folders:
        mlnb(folder, "kernels", "stop", "--now")


def main() -> int:
    """Execute the pipeline twice; return 0 when both executions are as expected."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kfp", type=Path, required=True, help="Python of an environment with kfp")
    parser.add_argument("--by", choices=("group", "stage"), default="group", help="what a task is (default: group)")
    parser.add_argument("--folder", type=Path, help="where the projects are made (default: a temporary folder)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = (options.folder or Path(temporary)).resolve()
        local, remote = root / "local" / "shop", root / "kubeflow" / "shop"  # a bento has the name of its folder
        for folder in (local, remote, root / "files"):
            folder.mkdir(parents=True, exist_ok=True)
        words = ["schedule", "--to", "kubeflow", "--by", options.by, "--image", IMAGE]
        mlnb(remote, *words, "--write", str(root / "files"), "--", *OPTIONS)
        (path,) = (root / "files").glob("*.yaml")
        mlnb(local, "run", *OPTIONS)
        expected = digests(local)
        begun = time.perf_counter()
        first = execute(options.kfp, remote, path)
        seconds = time.perf_counter() - begun
        executed = digests(remote)
        equal = [name for name, digest in expected.items() if executed.get(name) == digest]
        print(f"first execution: {len(ended(first, 'finished'))} tasks of stages finished in {seconds:.1f} s")
        different = sorted(expected.keys() - equal)
        print(f"artifacts: {len(equal)} of {len(expected)} equal those of `mlnb run`" + f"; different: {different}")
        begun = time.perf_counter()
        second = execute(options.kfp, remote, path)
        again = ended(second, "finished")
        print(f"second execution: {len(again)} tasks of stages finished in {time.perf_counter() - begun:.1f} s")
        stop_kernels((local, remote))
    return 0 if not different and ended(first, "finished") and not again else 1


if __name__ == "__main__":
    sys.exit(main())
