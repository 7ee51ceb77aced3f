"""`mlnb simulate`: a world with a known truth asks the running service, day by day, and its labels come late."""

import argparse
import http.client
import json
import re
import subprocess
import sys
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from mlnb.cli.retrain import AWAITING
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.prediction_table import read_log
from mlnb.registry.registry import Registry

DAY = 86_400.0
FIRST = 1_767_225_600.0  # 1 January 2026, UTC: when the world's day 0 begins
BATCH = 50  # rows of a request
PATIENCE = 3.0  # seconds until a service has surely written its log
MOMENTS = ("shift", "drift", "broken", "mended")

VERDICT = re.compile(r"\S+:\d+: (keep|watch|retrain|roll back)")
REASON = re.compile(r"  (?:watch|retrain|roll back) +(.+)")

Day = tuple[list[dict[str, Any]], list[Any], list[float]]  # rows, truth, days until known


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb simulate`."""
    p.add_argument("--history", type=Path, metavar="CSV", help="write the world's past there, to learn from, and end")
    p.add_argument("--days", type=int, default=60, help="days that are replayed, or written (default: %(default)s)")
    p.add_argument("--start", type=int, default=0, metavar="DAY", help="first day of the replay (default: %(default)s)")
    p.add_argument("--customers", type=int, default=200, help="rows a day (default: %(default)s)")
    p.add_argument("--seed", type=int, default=0)
    for name, what in (
        ("shift", "other customers come, who leave by the same rules"),
        ("drift", "the rules change"),
        ("broken", "a column arrives empty"),
        ("mended", "and is there again"),
    ):
        p.add_argument(f"--{name}", type=int, metavar="DAY", help=f"day from which {what}")
    p.add_argument("--delay", type=float, default=5.0, help="days until a label is known (default: %(default)s)")
    p.add_argument("--data", type=Path, metavar="FILE", help="replay a table of your own instead, in order of --time")
    p.add_argument("--time", default="", metavar="COLUMN", help="its column of dates or numbers")
    p.add_argument("--url", default="http://127.0.0.1:3000", help="the service (default: %(default)s)")
    p.add_argument("--turn", type=int, default=0, metavar="DAYS", help="let the loop turn every so many days")
    p.add_argument("loop", nargs="*", metavar="-- OPTION", help="options of those turns, after two dashes")
    p.epilog = (
        "examples:\n  mlnb simulate --history past.csv && mlnb run --data past.csv --target churn\n"
        "  mlnb promote 1 --why first; MLNB_LOG_EVENT_TIME=1 mlnb serve @champion --follow &\n"
        "  mlnb simulate --broken 10 --mended 13 --shift 20 --drift 35 --turn 5 -- --promote\n"
        "  mlnb simulate --data orders.csv --time ordered_at --days 30 --delay 2     a past of your own, once more\n\n"
        "The service has to be started with MLNB_LOG_EVENT_TIME=1, so that its log has the world's time.\n"
        "A table of your own is cut into --days of equally many rows; its target is handed in as labels, --delay later."
    )


def main(args: argparse.Namespace) -> int:
    """Write the past, or replay days against the service; return 0."""
    from mlnb.methods.operations import synthetic_data

    check(args)
    moments = {
        f"{name}_at": synthetic_data.NEVER if getattr(args, name) is None else getattr(args, name) for name in MOMENTS
    }
    world = synthetic_data.World(args.seed, **moments, delay=args.delay)
    if args.history is not None:
        table = synthetic_data.history(world, args.days, args.customers)
        write_whole(args.history, table.to_csv(index=False).encode())
        print(f"{len(table):,} customers of {args.days} days in {args.history}; the target is {synthetic_data.TARGET}")
        return 0
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    version = registry.in_charge()
    replay = Replay(project, version.model, args)
    days = replay.of_world(world)
    if args.data:
        days = of_table(open_run(project, version.run), args)
    for number, (rows, truth, known) in enumerate(days, args.start):
        replay.day(number, rows, truth, known)
    if replay.waiting:
        print(f"{len(replay.waiting):,} labels become known only after the last day, and were not handed in.")
    return 0


def check(args: argparse.Namespace) -> None:
    """Raise `UsageError` for values that make no world, and for options that do not go together."""
    for name, least in (("days", 1), ("customers", 1), ("seed", 0), ("start", 0), ("turn", 0), ("delay", 0)):
        if not getattr(args, name) >= least:
            raise UsageError(f"--{name} is {getattr(args, name):g}; expected {least} or more.")
    made_up = [f"--{name}" for name in ("history", *MOMENTS) if getattr(args, name) is not None]
    if args.data and made_up:
        raise UsageError(f"{', '.join(made_up)}: of the made-up world, and --data replays a table. Leave one out.")
    if bool(args.data) != bool(args.time):
        raise UsageError("A table of your own is replayed in order of a column: --data orders.csv --time ordered_at.")
    if args.mended is not None and (args.broken is None or args.mended <= args.broken):
        raise UsageError(
            "--mended is the day after which --broken is over; expected a later day than that of --broken."
        )
    if args.loop and not args.turn:
        raise UsageError(f"{' '.join(args.loop)}: options of the loop's turns, but it never turns: --turn DAYS.")


def of_table(run: Run, args: argparse.Namespace) -> Iterator[Day]:
    """Yield (rows, truth, days until known) of each day of a table of the user's, as the run's stages have typed it."""
    from mlnb.methods.evaluation.test_evaluation import json_rows
    from mlnb.methods.operations.synthetic_data import replay_days
    from mlnb.methods.tables.columns import Schema, nearest
    from mlnb.methods.tables.data_sources import read_table
    from mlnb.methods.tables.type_inference import clean

    contract = run.load("contract", ProblemContract)
    schema, provenance = run.load("schema"), run.load("provenance")
    if contract.task in ("forecasting", "ranking"):
        raise UsageError(f"The model answers whole requests ({contract.task}); rows of a table can be replayed alone.")
    try:
        raw, read = read_table(str(args.data.absolute()), decimal=provenance.get("decimal", "auto"))
        features, target = Schema.from_json(schema).features, str(contract.target)
        for column in (target, args.time, *(feature.name for feature in features)):
            if column not in raw:
                raise ValueError(f"it has no column {column!r}{nearest(column, [str(name) for name in raw])}")
        typed = clean(raw, target, read["decimal"], read.get("separator") == ";")[0]
        if typed[args.time].dtype.kind not in "fiuM":
            raise ValueError(f"column {args.time!r} holds {typed[args.time].iloc[0]!r}, expected dates or numbers")
        words = [f.name for f in features if f.kind in ("category", "text") and typed[f.name].dtype != object]
        typed = typed.assign(**{name: raw[name] for name in words})
        known = typed[typed[args.time].notna() & typed[target].notna()]
        if len(known) < len(typed):
            print(f"{len(typed) - len(known)} of {len(typed)} rows have no {args.time} or no {target}: left out")
        for part in replay_days(known, args.time, args.days):
            yield json_rows(part, Schema.from_json(schema)), part[target].tolist(), [args.delay] * len(part)
    except (OSError, ValueError) as error:
        said = str(error)
        raise UsageError(f"{args.data} cannot be replayed: {said}{'' if said.endswith('?') else '.'}") from error


class Replay:
    """Days asked of a service, labels that wait until they are known, and turns of the loop."""

    def __init__(self, project: Project, model: str, args: argparse.Namespace) -> None:
        self.project, self.model, self.args = project, model, args
        self.waiting: list[tuple[float, tuple[str, int, Any]]] = []
        address = urllib.parse.urlsplit(args.url)
        if address.scheme != "http" or not address.hostname:
            raise UsageError(f"The service's address is {args.url!r}; expected one such as http://127.0.0.1:3000.")
        self.host, self.port = address.hostname, address.port or 80

    def of_world(self, world: Any) -> Iterator[Day]:
        """Yield (rows, truth, days until known) of each day of a made-up world."""
        from mlnb.methods.operations.synthetic_data import to_rows

        for number in range(self.args.start, self.args.start + self.args.days):
            table, left, known = world.day(number, self.args.customers)
            yield to_rows(table), ["yes" if gone else "no" for gone in left], known.tolist()

    def day(self, number: int, rows: list[dict[str, Any]], truth: list[Any], known: list[float]) -> None:
        """Ask for a day's rows, hand in the labels that have become known, and let the loop turn when it is time."""
        answered: dict[str, int] = {}
        for at in range(0, len(rows), BATCH):
            moment = FIRST + (number + at / len(rows)) * DAY
            request = f"{self.model}-{self.args.seed}-{number}-{at}"
            by = self._ask(rows[at : at + BATCH], request, moment)
            answered[by] = answered.get(by, 0) + len(rows[at : at + BATCH])
            for place, (label, days) in enumerate(zip(truth[at : at + BATCH], known[at : at + BATCH], strict=True)):
                self.waiting.append((moment + days * DAY, (request, place, label)))
        if number == self.args.start:
            self._check_log(f"{self.model}-{self.args.seed}-{number}-0", FIRST + number * DAY)
        now = FIRST + (number + 1) * DAY
        due = [label for moment, label in self.waiting if moment <= now]
        self.waiting = [entry for entry in self.waiting if entry[0] > now]
        add_labels(label_database(self.project, self.model), due, now, f"day {number}")
        if number == self.args.start:
            print(f"{'day':>4}  {'rows':>5}  {'answered by':<40}  {'labels':>6}  event")
        turned = self._turn() if self.args.turn and (number + 1) % self.args.turn == 0 else ""
        print(f"{number:>4}  {len(rows):>5}  {', '.join(answered):<40}  {len(due):>6}  {turned}", flush=True)

    def _ask(self, rows: list[dict[str, Any]], request: str, moment: float) -> str:
        """Return the version that answered; `UsageError` when rows are refused or nobody answers."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        headers = {"Content-Type": "application/json", "X-Request-Id": request, "X-Event-Time": repr(moment)}
        try:
            connection.request("POST", "/predict", json.dumps(rows), headers)
            response = connection.getresponse()
            body = response.read()
        except OSError as error:
            raise UsageError(f"Nobody answers at {self.args.url} ({error}): `mlnb serve` first.") from error
        finally:
            connection.close()
        if response.status != 200:
            said = body.decode("utf-8", "replace")
            with suppress(ValueError, KeyError, TypeError):
                said = json.loads(said)["error"]
            raise UsageError(f"The service at {self.args.url} answered {response.status}: {said[:300]}")
        return response.headers.get("X-Model-Version", "?")

    def _check_log(self, request: str, moment: float) -> None:
        """Raise `UsageError` when the service's log, where it is at hand, has not the world's time."""
        folder, deadline = log_folder(self.project, self.model), time.monotonic() + PATIENCE
        while folder.is_dir() and time.monotonic() < deadline:
            log, _ = read_log(folder)
            mine = log.loc[log["request"] == request, "time"]
            if len(mine) and (mine - moment).abs().min() > DAY:
                raise UsageError(
                    "The service's log has the time of day, not the world's: start it with MLNB_LOG_EVENT_TIME=1."
                )
            if len(mine):
                return
            time.sleep(0.2)

    def _turn(self) -> str:
        time.sleep(1.0)  # the service's log is on the disk after half a second
        command = [sys.executable, "-m", "mlnb.cli.main", "loop", "--once", *self.args.loop]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return summary(done.returncode, done.stdout, done.stderr)


def summary(code: int, said: str, complaint: str) -> str:
    """Return in one line what a turn of the loop came to, by its exit code and what it printed."""
    if code not in (0, *CODES.values(), AWAITING):
        return f"failed with code {code}: {' '.join(complaint.split())[-200:]}"
    lines = said.splitlines()
    (*_, outcome) = ["done", *(found[1] for line in lines if (found := VERDICT.fullmatch(line)))]
    reasons = [found[1] for line in lines if (found := REASON.fullmatch(line))]
    moved = [line for line in lines if " promoted as " in line or " rolled back as " in line]
    waits = ["a person has to approve"] if code == AWAITING else []
    return "; ".join([f"{outcome}: {reasons[0]}" if reasons else outcome, *reasons[1:2], *moved, *waits])
