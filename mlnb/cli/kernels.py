"""`mlnb kernels`: what the project's warm parents hold ready, and how to end them."""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from mlnb.kernels.driver import jupyter_kernel, parent_client
from mlnb.kernels.protocol import parent_paths

EXAMPLES = """A warm parent has the libraries that notebooks import ready and forks a kernel for each notebook. It
starts at first use, notices changed packages, and ends after a while without work (kernels_idle in
settings.ini, seconds).

examples:
  mlnb kernels status          what is running, and which states of notebooks are kept (mlnb debug)
  mlnb kernels stop            end the warm parents and the states they keep; notebooks that run go on
  mlnb kernels stop --now      and their notebooks at once
  mlnb kernels install         offer the kernel "mlnb (warm)" in JupyterLab
"""


def parser(p: argparse.ArgumentParser) -> None:
    """Add the verb's options."""
    p.epilog = EXAMPLES
    p.add_argument("what", nargs="?", choices=["status", "stop", "install"], default="status", help="default: status")
    p.add_argument("--now", action="store_true", help="with stop: end notebooks that run, too")


def main(args: argparse.Namespace) -> int:
    """Show or stop every warm parent of the project that this folder is in."""
    if args.what == "install":
        print(f'JupyterLab of this environment now offers "mlnb (warm)": {jupyter_kernel.install(Path(sys.prefix))}')
        return 0
    folder = parent_paths.settings(Path.cwd()).folder
    asked = {"verb": args.what, "now": args.now}
    answers = [(place, parent_client.ask(place, asked)) for place in parent_paths.here(folder)]
    alive = [(place, answer) for place, answer in answers if answer is not None]
    for place, answer in alive:
        print("\n".join(told(place, answer)) if args.what == "status" else f"stopped {answer['stopped']}")
    if not alive:
        print(f"No warm parent is running for {folder.parent}.")
    return 0


def told(place: parent_paths.Place, answer: dict[str, Any]) -> list[str]:
    """Return the lines about one parent."""
    minutes = (time.time() - answer["started"]) / 60
    lines = [
        f"{place.key}  process {answer['pid']}, Python {answer['version']}, {answer['memory'] / 2**20:.0f} MB, "
        f"up {minutes:.0f} min, {answer['served']} notebooks served, ends after {answer['idle'] / 60:.0f} min idle",
        f"  ready    {libraries(answer['imported']) or 'nothing yet: it learns from the notebooks'}",
    ]
    lines += [f"  left     {name}: {why}" for name, why in answer["never"].items()]
    lines += [f"  running  {pid}  {notebook}" for pid, notebook in answer["running"].items()]
    lines += [
        f"  kept     {one['pid']}  {one.get('stage', '')} before cell {one['cell'] + 1}, "
        f"ends in {max(0, one['until'] - time.time()) / 60:.0f} min, of run {one.get('run', '')}"
        for one in answer["kept"]
    ]
    if answer["kept"]:
        lines.append(f"           {answer['kept_memory'] / 2**20:.0f} MB in all that is kept")
    if answer["waiting"]:
        lines.append(f"  waiting  {answer['waiting']}")
    return lines


def libraries(modules: list[str]) -> str:
    """Return the libraries that modules belong to, each once, with the number of modules."""
    names = dict.fromkeys(name.partition(".")[0] for name in modules)
    return f"{', '.join(names)} ({len(modules)} modules)" if names else ""
