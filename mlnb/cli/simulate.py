"""`mlnb simulate`: send simulated traffic to the running service day by day, and add its labels with a delay."""

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
from typing import Any, NamedTuple

from mlnb.api.retraining import AWAITING
from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.engine.runs import Run, open_run
from mlnb.errors import UsageError
from mlnb.methods.contracts.problems import ProblemContract
from mlnb.methods.tasks.task_traits import traits_of
from mlnb.monitoring.alerts import CODES
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.monitoring_paths import label_database, log_folder
from mlnb.monitoring.prediction_table import read_log
from mlnb.registry.registry import Registry
from mlnb.settings import ProcessSettings

DAY = 86_400.0
FIRST = 1_767_225_600.0  # 1 January 2026, UTC: the start of day 0
BATCH = 50  # rows of a request
TIMEOUT = 3.0  # seconds within which a service writes its log
CHANGES = {  # option: argument of the stream
    "shift": "shift_at",
    "drift": "drift_at",
    "broken": "broken_at",
    "recovered": "recovered_at",
}

VERDICT = re.compile(r"\S+:\d+: (keep|watch|retrain|roll back)")
REASON = re.compile(r"  (?:watch|retrain|roll back) +(.+)")

Row = dict[str, Any]


class Day(NamedTuple):
    """The requests of a day: rows, the true label of each, and the days until it is known."""

    rows: list[Row]
    truth: list[Any]
    delays: list[float]


def parser(p: argparse.ArgumentParser) -> None:
    """Declare the arguments of `mlnb simulate`."""
    p.add_argument("--history", type=Path, metavar="CSV", help="write training data of the simulation there")
    p.add_argument("--days", type=int, default=60, help="number of days (default: %(default)s)")
    p.add_argument("--start", type=int, default=0, metavar="DAY", help="first day (default: %(default)s)")
    p.add_argument("--customers", type=int, default=200, help="rows per day (default: %(default)s)")
    p.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    p.add_argument("--shift", type=int, metavar="DAY", help="start of a covariate shift")
    p.add_argument("--drift", type=int, metavar="DAY", help="start of a concept drift")
    p.add_argument("--broken", type=int, metavar="DAY", help="first day on which a column is empty")
    p.add_argument("--recovered", type=int, metavar="DAY", help="first day on which it has values again")
    p.add_argument("--delay", type=float, default=5.0, help="days until a label is known (default: %(default)s)")
    p.add_argument("--data", type=Path, metavar="FILE", help="replay a table instead, in the order of --time")
    p.add_argument("--time", default="", metavar="COLUMN", help="column of dates or numbers")
    p.add_argument("--url", default="http://127.0.0.1:3000", help="address of the service (default: %(default)s)")
    p.add_argument("--cycle", type=int, default=0, metavar="DAYS", help="run a monitoring cycle every DAYS days")
    p.add_argument("loop", nargs="*", metavar="-- OPTION", help="options of these cycles, after two dashes")
    p.epilog = (
        "examples:\n  mlnb simulate --history past.csv && mlnb run --data past.csv --target churn\n"
        "  mlnb promote 1 --reason first; MLNB_LOG_EVENT_TIME=1 mlnb serve @champion --follow &\n"
        "  mlnb simulate --broken 10 --recovered 13 --shift 20 --drift 35 --cycle 5 -- --promote\n"
        "  mlnb simulate --data orders.csv --time ordered_at --days 30 --delay 2     replay a table\n\n"
        "Start the service with MLNB_LOG_EVENT_TIME=1, so that its log has the simulated time. A table is split into\n"
        "--days parts with the same number of rows; its target is added as labels --delay days later."
    )


def main(args: argparse.Namespace) -> int:
    """Write training data, or send the requests of each day to the service; return 0."""
    from mlnb.methods.operations import synthetic_data

    check(args)
    changes = {
        argument: synthetic_data.NEVER if getattr(args, option) is None else getattr(args, option)
        for option, argument in CHANGES.items()
    }
    stream = synthetic_data.SimulatedStream(args.seed, **changes, delay=args.delay)
    if args.history is not None:
        table = synthetic_data.history(stream, args.days, args.customers)
        write_whole(args.history, table.to_csv(index=False).encode())
        print(f"{len(table):,} customers of {args.days} days in {args.history}; the target is {synthetic_data.TARGET}")
        return 0
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    version = registry.find_or_champion()
    simulation = Simulation(project, version.model, args)
    days = simulation.synthetic_days(stream)
    if args.data:
        days = table_days(open_run(project, version.run), args)
    for number, day in enumerate(days, args.start):
        simulation.send_day(number, day)
    if simulation.pending:
        print(f"{len(simulation.pending):,} labels are known only after the last day and were not added.")
    return 0


def check(args: argparse.Namespace) -> None:
    """Raise `UsageError` for values out of range, and for options that exclude each other."""
    for name, least in (("days", 1), ("customers", 1), ("seed", 0), ("start", 0), ("cycle", 0), ("delay", 0)):
        if not getattr(args, name) >= least:
            raise UsageError(f"--{name} is {getattr(args, name):g}; expected {least} or more.")
    synthetic = [f"--{name}" for name in ("history", *CHANGES) if getattr(args, name) is not None]
    if args.data and synthetic:
        raise UsageError(f"{', '.join(synthetic)}: for synthetic data, but --data replays a table. Leave one out.")
    if bool(args.data) != bool(args.time):
        raise UsageError("A table is replayed in the order of a column: --data orders.csv --time ordered_at.")
    if args.recovered is not None and (args.broken is None or args.recovered <= args.broken):
        raise UsageError(f"--recovered is {args.recovered}; expected a later day than that of --broken.")
    if args.loop and not args.cycle:
        raise UsageError(f"{' '.join(args.loop)}: options of monitoring cycles, but there are none; add --cycle DAYS.")


def table_days(run: Run, args: argparse.Namespace) -> Iterator[Day]:
    """Yield the days of a table, with the column types of a run.

    Raises:
        UsageError: The table cannot be read, lacks a column, or the model has no rows that are scored alone.
    """
    from mlnb.methods.evaluation.test_evaluation import json_rows
    from mlnb.methods.operations.synthetic_data import replay_days
    from mlnb.methods.tables.columns import Schema, nearest, with_columns
    from mlnb.methods.tables.data_sources import read_table
    from mlnb.methods.tables.formatted_columns import read_as_trained
    from mlnb.methods.tables.spellings import stated_spelling
    from mlnb.methods.tables.type_inference import clean

    contract = run.load("contract", ProblemContract)
    schema, provenance = run.load("schema"), run.load("provenance")
    if traits_of(contract.task).unit != "row":
        raise UsageError(
            f"The model scores whole requests ({contract.task}); only single rows of a table can be replayed."
        )
    try:
        stated = {name: provenance[name] for name in ("thousands", "dayfirst") if name in provenance}
        raw, read = read_table(str(args.data.absolute()), decimal=provenance.get("decimal", "auto"), metadata=stated)
        trained = Schema.from_json(schema)
        features, target = trained.features, str(contract.target)
        for column in (target, args.time, *(feature.name for feature in features)):
            if column not in raw:
                raise ValueError(f"it has no column {column!r}{nearest(column, [str(name) for name in raw])}")
        raw = read_as_trained(raw, trained, key=ProcessSettings().personal_key)
        typed = clean(raw, target, stated_spelling(read))[0]
        if typed[args.time].dtype.kind not in "fiuM":
            raise ValueError(f"column {args.time!r} holds {typed[args.time].iloc[0]!r}, expected dates or numbers")
        texts = [f.name for f in features if f.kind in ("category", "text") and typed[f.name].dtype != object]
        typed = with_columns(typed, {name: raw[name] for name in texts})
        complete = typed[typed[args.time].notna() & typed[target].notna()]
        if len(complete) < len(typed):
            print(f"{len(typed) - len(complete)} of {len(typed)} rows without {args.time} or {target} are omitted")
        for part in replay_days(complete, args.time, args.days):
            yield Day(json_rows(part, trained), part[target].tolist(), [args.delay] * len(part))
    except (OSError, ValueError) as error:
        text = str(error)
        raise UsageError(f"{args.data} cannot be replayed: {text}{'' if text.endswith('?') else '.'}") from error


class Simulation:
    """Sends the requests of each day, adds labels when they are known, and runs monitoring cycles."""

    def __init__(self, project: Project, model: str, args: argparse.Namespace) -> None:
        self.project, self.model, self.args = project, model, args
        self.pending: list[tuple[float, tuple[str, int, Any]]] = []  # time when it is known, and the label
        address = urllib.parse.urlsplit(args.url)
        if address.scheme != "http" or not address.hostname:
            raise UsageError(f"--url is {args.url!r}; expected an address such as http://127.0.0.1:3000.")
        self.host, self.port = address.hostname, address.port or 80

    def synthetic_days(self, stream: Any) -> Iterator[Day]:
        """Yield the days of a synthetic data stream."""
        from mlnb.methods.operations.synthetic_data import to_rows

        for number in range(self.args.start, self.args.start + self.args.days):
            table, left, delays = stream.day(number, self.args.customers)
            yield Day(to_rows(table), ["yes" if gone else "no" for gone in left], delays.tolist())

    def send_day(self, number: int, day: Day) -> None:
        """Send the rows of a day, add the labels that are known by then, and run a monitoring cycle if one is due."""
        rows, truth, delays = day
        served: dict[str, int] = {}
        for at in range(0, len(rows), BATCH):
            moment = FIRST + (number + at / len(rows)) * DAY
            request = f"{self.model}-{self.args.seed}-{number}-{at}"
            version = self._request(rows[at : at + BATCH], request, moment)
            served[version] = served.get(version, 0) + len(rows[at : at + BATCH])
            for row, (label, delay) in enumerate(zip(truth[at : at + BATCH], delays[at : at + BATCH], strict=True)):
                self.pending.append((moment + delay * DAY, (request, row, label)))
        if number == self.args.start:
            self._check_log(f"{self.model}-{self.args.seed}-{number}-0", FIRST + number * DAY)
        now = FIRST + (number + 1) * DAY
        due = [label for moment, label in self.pending if moment <= now]
        self.pending = [entry for entry in self.pending if entry[0] > now]
        add_labels(label_database(self.project, self.model), due, now, f"day {number}")
        if number == self.args.start:
            print(f"{'day':>4}  {'rows':>5}  {'served by':<40}  {'labels':>6}  event")
        event = self._cycle() if self.args.cycle and (number + 1) % self.args.cycle == 0 else ""
        print(f"{number:>4}  {len(rows):>5}  {', '.join(served):<40}  {len(due):>6}  {event}", flush=True)

    def _request(self, rows: list[Row], request: str, moment: float) -> str:
        """Return the version that responded. Raises `UsageError` when it refuses the rows or does not respond."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        headers = {"Content-Type": "application/json", "X-Request-Id": request, "X-Event-Time": repr(moment)}
        try:
            connection.request("POST", "/predict", json.dumps(rows), headers)
            response = connection.getresponse()
            body = response.read()
        except OSError as error:
            raise UsageError(f"No service at {self.args.url} ({error}); start it: `mlnb serve`.") from error
        finally:
            connection.close()
        if response.status != 200:
            text = body.decode("utf-8", "replace")
            with suppress(ValueError, KeyError, TypeError):  # a body that is not the error object of our service
                text = json.loads(text)["error"]
            raise UsageError(f"The service at {self.args.url} responded with {response.status}: {text[:300]}")
        return response.headers.get("X-Model-Version", "?")

    def _check_log(self, request: str, moment: float) -> None:
        """Raise `UsageError` when the log of the service is on this machine and does not have the simulated time."""
        folder, deadline = log_folder(self.project, self.model), time.monotonic() + TIMEOUT
        while folder.is_dir() and time.monotonic() < deadline:
            log, _ = read_log(folder)
            times = log.loc[log["request"] == request, "time"]
            if len(times) and (times - moment).abs().min() > DAY:
                raise UsageError(
                    "The log of the service has the real time, not the simulated one: "
                    "start it with MLNB_LOG_EVENT_TIME=1."
                )
            if len(times):
                return
            time.sleep(0.2)

    def _cycle(self) -> str:
        time.sleep(1.0)  # the service writes its log every half second
        command = [sys.executable, "-m", "mlnb.cli.main", "loop", "--once", *self.args.loop]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return cycle_summary(done.returncode, done.stdout, done.stderr)


def cycle_summary(code: int, output: str, errors: str) -> str:
    """Return the result of a monitoring cycle in one line.

    Args:
        code: Its exit code.
        output: What it printed.
        errors: What it printed on standard error.
    """
    if code not in (0, *CODES.values(), AWAITING):
        return f"failed with code {code}: {' '.join(errors.split())[-200:]}"
    lines = output.splitlines()
    (*_, outcome) = ["done", *(match[1] for line in lines if (match := VERDICT.fullmatch(line)))]
    reasons = [match[1] for line in lines if (match := REASON.fullmatch(line))]
    moved = [line for line in lines if " promoted as " in line or " rolled back as " in line]
    waits = ["approval needed"] if code == AWAITING else []
    return "; ".join([f"{outcome}: {reasons[0]}" if reasons else outcome, *reasons[1:2], *moved, *waits])
