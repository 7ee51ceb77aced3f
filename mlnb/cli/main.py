"""The `mlnb` command: looks a command up in one table and imports its module alone."""

import argparse
import errno
import gc
import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType, ModuleType, TracebackType
from typing import Any, NamedTuple, NoReturn

from mlnb import __version__
from mlnb.cli.kept_result import print_kept
from mlnb.errors import FileWarning, MlnbError, PasswordWarning, StoreFull
from mlnb.url_passwords import explain_password, has_password, hidden_passwords, hide_passwords, reveal_passwords


class Command(NamedTuple):
    """A command: its module in mlnb.cli, and what it does in under 60 characters."""

    module: str
    help: str


COMMANDS = {
    "run": Command("run", "run a pipeline; unchanged stages are reused"),
    "plan": Command("plan", "show which stages `mlnb run` would run, and why"),
    "stages": Command("stages", "list the stages, or show one in full"),
    "stage": Command("run_stage", "run a stage of a plan from the remote store"),
    "worker": Command("run_worker", "run stages for other machines, or their scheduler"),
    "debug": Command("debug", "open the state before the failed cell of a stage"),
    "runs": Command("runs", "list, sort, filter and compare runs"),
    "show": Command("show", "show a run, a stage or an artifact"),
    "data": Command("data", "list, compare and restore versions of the data"),
    "diff": Command("diff", "show what differs between two git revisions"),
    "report": Command("report", "write the HTML report of a run, or a comparison"),
    "ui": Command("ui", "open runs, comparisons and models in the browser"),
    "build": Command("build", "build the bento of a run's model"),
    "serve": Command("serve", "serve a run's model over HTTP"),
    "models": Command("models", "list model versions and their aliases"),
    "promote": Command("promote", "promote a version to champion"),
    "rollback": Command("rollback", "restore the previous champion"),
    "approve": Command("approve", "approve a version for promotion"),
    "approvals": Command("approvals", "show who has approved a version, verified by key"),
    "compare": Command("compare", "compare two model versions"),
    "labels": Command("labels", "add ground-truth labels, or count them"),
    "monitor": Command("monitor", "evaluate the model in production"),
    "traffic": Command("traffic", "compare canary and champion on matured labels"),
    "retrain": Command("retrain", "train and evaluate a challenger on production data"),
    "loop": Command("loop", "run monitoring cycles on a schedule"),
    "schedule": Command("schedule", "write the schedule of monitoring cycles"),
    "simulate": Command("simulate", "send simulated traffic and labels to the service"),
    "audit": Command("audit", "show or verify the audit log of the registry"),
    "registry": Command("registry_roles", "create or list the database roles of the registry"),
    "verify": Command("verify", "verify runs, versions and the audit log"),
    "reproduce": Command("reproduce", "execute a run again and compare its outputs"),
    "lineage": Command("lineage", "trace a request or a version to its data"),
    "erase": Command("erase", "find and erase the rows of a person"),
    "hold": Command("hold", "add, list or remove a legal hold"),
    "keys": Command("keys", "create, list, trust and revoke signing keys"),
    "schema": Command("schema", "write the project's data schema, or check a file"),
    "containerize": Command("containerize", "build the container image of a run's model"),
    "deploy": Command("deploy", "write Kubernetes manifests or an AWS Lambda package"),
    "score": Command("score", "predict for the rows of files of any size"),
    "export": Command("export", "export a run's model to ONNX, text or MLflow"),
    "new": Command("new", "create a project in a new folder"),
    "upgrade": Command("upgrade", "merge new notebooks into a project's edited copies"),
    "lab": Command("lab", "open the project's notebooks in JupyterLab"),
    "check": Command("check", "check the stage notebooks without running them"),
    "doctor": Command("doctor", "check the machine, the installation and the settings"),
    "kernels": Command("kernels", "show or stop warm parents and their snapshots"),
    "clean": Command("clean", "delete what no run needs or retention ends"),
}
WITH_PARAMETERS = ("run", "plan", "debug", "retrain", "monitor", "loop", "schedule")  # `${NAME}` in them is a secret
INTERRUPTED = 130
UNUSABLE = {  # errors of the operating system that name a file, and what is expected instead
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS), "a project and paths that you may read and write, such as a copy"
    ),
    errno.ENAMETOOLONG: "a shorter name of the file",
    errno.ENOTDIR: "a path of folders that are no files",
    errno.EISDIR: "a file, not a folder",
}

EXAMPLES = """examples:
  mlnb run                                          run the default pipeline on the project's data
  mlnb run --data churn.csv --target Churn          run it on another file
  mlnb run -p tune.trials 50 --upto train           set a parameter, stop after a stage
  mlnb runs --sort roc_auc                          list the runs, the best first
  mlnb serve                                        serve the latest model on 127.0.0.1

exit codes: 0 success, 1 unexpected error, 2 usage error, 3 a stage failed, 4 the gate failed, 5 timeout,
            6 disk full, 7 a run cannot be reproduced, 130 interrupted
"""


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Help as wide as the terminal; reads the width itself, because importing `shutil` takes as long as the engine."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_terminal_width())


def _terminal_width() -> int:
    """Return the number of columns of COLUMNS or the terminal, less two as in argparse; 78 when there is none."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns) - 2
    try:
        return (os.get_terminal_size().columns or 80) - 2
    except OSError:  # no terminal
        return 78


def overview() -> str:
    """Return the help of `mlnb` without a command."""
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {command.help}" for name, command in COMMANDS.items())
    return (
        "usage: mlnb COMMAND [options]\n\n"
        "Run machine learning pipelines of notebooks, from data to a verified service.\n\n"
        f"commands:\n{commands}\n\n`mlnb COMMAND --help` shows options and examples.\n\n{EXAMPLES}"
    )


class CommandParser(argparse.ArgumentParser):
    """Reports a wrong option in one line, with the closest one and where all of them are."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and end with exit code 2."""
        from mlnb.suggestions import did_you_mean

        hint = ""
        _, unknown, words = message.partition("unrecognized arguments: ")
        if unknown and words.startswith("-"):
            options = [name for action in self._actions for name in action.option_strings]
            hint = did_you_mean(words.split()[0].partition("=")[0], options)
        text = message.rstrip(".")
        print(f"{self.prog}: {text}.{hint} `{self.prog} --help` shows options and examples.", file=sys.stderr)
        raise SystemExit(2)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code.

    Args:
        arguments: The command line without the program; None: that of this process.
    """
    _open_standard_streams()
    if arguments is None:
        if sys.argv[1:2] == ["run"] and print_kept():
            return 0
        _hide_command_line()
    try:
        code = _run_command(arguments)
        sys.stdout.flush()
        return code
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is not written yet is dropped
        if error.errno == errno.EPIPE:  # `mlnb runs | head`
            return 0
        print(f"mlnb: the output cannot be written: {error.strerror}.", file=sys.stderr)
        return StoreFull.exit_code
    except KeyboardInterrupt:  # before or behind the command
        return INTERRUPTED
    finally:
        if arguments is None and threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):  # while it waits for its threads: all is written
                signal.signal(number, signal.SIG_DFL)


def _run_command(arguments: Sequence[str] | None) -> int:
    """Run one command; return its exit code. Raises `OSError` when its output cannot be written."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] and arguments[0] not in WITH_PARAMETERS:
        arguments = list(map(reveal_passwords, arguments))
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        from mlnb.build_revision import build_revision

        commit = build_revision()
        print(f"mlnb {__version__}" + (f" (commit {commit})" if commit else ""))
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        from mlnb.suggestions import did_you_mean

        hint = did_you_mean(name, COMMANDS)
        print(f"mlnb: unknown command {name!r}.{hint} `mlnb --help` lists the commands.", file=sys.stderr)
        return 2
    sys.excepthook = _print_traceback
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _interrupt)
    try:
        module = _import_command(name)
        parser = CommandParser(prog=f"mlnb {name}", description=COMMANDS[name].help, formatter_class=HelpFormatter)
        module.parser(parser)
        with warnings.catch_warnings():
            _print_warnings(name)
            return int(module.main(parser.parse_args(arguments[1:])))
    except MlnbError as error:
        print(_without_passwords(f"mlnb {name}: {error}"), file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if error.errno not in UNUSABLE or not error.filename:
            raise
        print(f"mlnb {name}: {error.filename}: {error.strerror}. Expected {UNUSABLE[error.errno]}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"mlnb {name}: interrupted.", file=sys.stderr)
        return INTERRUPTED


def _hide_command_line() -> None:
    """Start again without the passwords of URLs in the command line, which every user of this machine can read."""
    if not any(map(has_password, sys.argv[1:])) or os.name != "posix":
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PasswordWarning)
        before = hidden_passwords()
        words = [sys.orig_argv[0], *map(hide_passwords, sys.orig_argv[1:])]
    for variable in sorted(hidden_passwords().keys() - before.keys()):
        print(f"mlnb: {explain_password(variable)}", file=sys.stderr, flush=True)
    os.execv(sys.executable, words)


def _without_passwords(text: str) -> str:
    """Return a message with the passwords of URLs replaced, in whatever form a library quotes them."""
    if not (passwords := hidden_passwords()):
        return text
    from mlnb.redaction import redact

    return str(redact(text, passwords))


def _print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an unexpected error without the passwords of URLs."""
    import traceback

    print(_without_passwords("".join(traceback.format_exception(kind, error, trace))), end="", file=sys.stderr)


def _import_command(name: str) -> ModuleType:
    """Import the module of a command without garbage collections: modules stay, and there is nothing to collect."""
    gc.disable()
    try:
        return importlib.import_module(f"mlnb.cli.{COMMANDS[name].module}")
    finally:
        gc.freeze()  # later collections need not visit them
        gc.enable()


def _open_standard_streams() -> None:
    """Open the null device for each standard stream that is closed: the next file would take its number otherwise."""
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def _print_warnings(name: str) -> None:
    """Print each warning about a file that is not used, or about a password, once, as the command's own message."""
    usual = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *details: Any, **more: Any) -> None:
        sys.audit("mlnb.warning", category)
        if issubclass(category, FileWarning | PasswordWarning):
            print(f"mlnb {name}: {message}", file=sys.stderr)
        else:
            usual(message, category, *details, **more)

    warnings.showwarning = show
    warnings.simplefilter("default", FileWarning)
    warnings.simplefilter("always", PasswordWarning)  # there is one for each password


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Handle SIGTERM as Ctrl-C: all processes are ended."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
