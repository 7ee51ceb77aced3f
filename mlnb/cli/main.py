"""The `mlnb` command: finds the verb in one table and imports its module alone."""

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from mlnb import __version__
from mlnb.errors import MlnbError

# verb -> (module of mlnb.cli, what it does)
VERBS = {
    "run": ("run", "run a pipeline; what has not changed is reused"),
    "plan": ("plan", "show what `mlnb run` would do, and why"),
    "stages": ("stages", "list the stages, or one stage's parameters, reads and writes"),
    "debug": ("debug", "open the state before a stage's failing cell, every variable alive"),
    "runs": ("runs", "list, sort, filter and compare runs"),
    "show": ("show", "show one run, a stage of it, or an artifact"),
    "report": ("report", "write a run's report and print where it is"),
    "build": ("build", "build the bento of a run's model"),
    "serve": ("serve", "answer predictions over HTTP with a run's model"),
    "models": ("models", "list the versions of models, and which is in charge"),
    "promote": ("promote", "put a version in charge"),
    "rollback": ("rollback", "put the version before in charge again"),
    "approve": ("approve", "stand for a version, so that it may be promoted"),
    "compare": ("compare", "two versions side by side, with the interval of their difference"),
    "labels": ("labels", "add labels that arrive late, or say how many rows have theirs"),
    "monitor": ("monitor", "look at what was seen of a model in service, and say what to do"),
    "retrain": ("retrain", "let a challenger learn from what was met in service, and judge both on fresh rows"),
    "loop": ("loop", "monitor by the clock, and retrain or roll back where it must be"),
    "schedule": ("schedule", "write what makes cron, systemd, GitHub or Kubernetes turn the loop"),
    "simulate": ("simulate", "let a made-up world, or a table of yours, ask the running service day by day"),
    "audit": ("audit", "show the log of every change to the registry, or verify it"),
    "containerize": ("containerize", "build the container image of a run's model, and its bill of materials"),
    "deploy": ("deploy", "write what a Kubernetes cluster, or AWS Lambda, needs to run a model"),
    "score": ("score", "predict for the rows of files of any size"),
    "export": ("export", "write a run's model for places without this environment: ONNX, or text"),
    "new": ("new", "start a project of your own in a new folder"),
    "upgrade": ("upgrade", "merge this mlnb's notebooks into your edited copies"),
    "lab": ("lab", "open the project's notebooks in JupyterLab"),
    "check": ("check", "check the project's stage notebooks without running them"),
    "doctor": ("doctor", "look at this machine and installation, and say what would hold a run back"),
    "kernels": ("kernels", "show or stop what is held ready to run notebooks fast"),
    "clean": ("clean", "remove what no run needs from the artifact store"),
}
INTERRUPTED = 130

EXAMPLES = """examples:
  mlnb run                                          the whole pipeline on the project's data
  mlnb run --data churn.csv --target Churn          on a file of yours
  mlnb run -p tune.trials 50 --upto train           another value, and only as far as training
  mlnb runs --sort roc_auc                          what has been tried
  mlnb serve                                        the last model, answering on loopback

exit codes: 0 done, 1 unexpected, 2 asked wrongly, 3 a stage failed, 4 the gate failed, 5 timeout,
            6 disk full, 130 interrupted
"""


def overview() -> str:
    """Return the help of `mlnb` without a verb."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {text}" for name, (_, text) in VERBS.items())
    return (
        "usage: mlnb VERB [options]\n\nNotebooks in, a proven service out.\n\n"
        f"verbs:\n{verbs}\n\n`mlnb VERB --help` has the options and examples of each.\n\n{EXAMPLES}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        print(f"mlnb {__version__}")
        return 0
    verb = arguments[0]
    if verb not in VERBS:
        from mlnb.engine.parameters import nearest

        print(f"mlnb: no verb {verb!r}.{nearest(verb, list(VERBS))} `mlnb --help` lists them.", file=sys.stderr)
        return 2
    name, text = VERBS[verb]
    module = importlib.import_module(f"mlnb.cli.{name}")
    parser = argparse.ArgumentParser(
        prog=f"mlnb {verb}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    module.parser(parser)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
    try:
        return int(module.main(parser.parse_args(arguments[1:])))
    except MlnbError as error:
        print(f"mlnb {verb}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"mlnb {verb}: interrupted.", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # `mlnb runs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _stop(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C: cleanly, with nothing left running."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
