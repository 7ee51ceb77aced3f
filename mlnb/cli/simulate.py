"""`mlnb simulate`: a world with a known truth asks the running service, day by day, and its labels come late."""

import argparse
import http.client
import json
import subprocess
import sys
import time
import urllib.parse
from pathlib import Path
from typing import Any

from mlnb.engine.files import write_whole
from mlnb.engine.project import Project
from mlnb.errors import UsageError
from mlnb.monitoring.labels import add_labels
from mlnb.monitoring.places import label_database
from mlnb.registry.registry import Registry

DAY = 86_400.0
FIRST = 1_767_225_600.0  # 1 January 2026, UTC: when the world's day 0 begins
BATCH = 50  # rows of a request


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
    p.add_argument("--data", type=Path, help="replay a table of your own instead, in the order of --time")
    p.add_argument("--time", default="", metavar="COLUMN", help="its column of dates or numbers")
    p.add_argument("--url", default="http://127.0.0.1:3000", help="the service (default: %(default)s)")
    p.add_argument("--turn", type=int, default=0, metavar="DAYS", help="let the loop turn every so many days")
    p.add_argument("loop", nargs="*", metavar="-- OPTION", help="options of those turns, after two dashes")
    p.epilog = (
        "examples:\n  mlnb simulate --history past.csv && mlnb run --data past.csv --target churn\n"
        "  mlnb promote 1 --why first; MLNB_LOG_EVENT_TIME=1 mlnb serve @champion --follow &\n"
        "  mlnb simulate --broken 10 --mended 13 --shift 20 --drift 35 --turn 5 -- --promote\n\n"
        "The service has to be started with MLNB_LOG_EVENT_TIME=1, so that its log has the world's time."
    )


def main(args: argparse.Namespace) -> int:
    """Write the past, or replay days against the service; return 0."""
    from mlnb.methods import worlds

    never = {
        name: worlds.NEVER if (day := getattr(args, name)) is None else day for name in ("shift", "drift", "broken")
    }
    mended = worlds.NEVER if args.mended is None else args.mended
    moments = {f"{name}_at": day for name, day in never.items()}
    world = worlds.World(args.seed, **moments, mended_at=mended, delay=args.delay)
    if args.history is not None:
        table = worlds.history(world, args.days, args.customers)
        write_whole(args.history, table.to_csv(index=False).encode())
        print(f"{len(table):,} customers of {args.days} days in {args.history}; the target is {worlds.TARGET}")
        return 0
    project = Project.find()
    registry = Registry(project)
    registry.sync()
    version = registry.in_charge()
    replay = Replay(project, version.model, str(version.facts["problem"]["target"]), args)
    days = replay.of_table(args.data) if args.data else replay.of_world(world)
    print(f"{'day':>4}  {'rows':>5}  {'answered by':<40}  {'labels':>6}  event")
    for number, (rows, truth, known) in enumerate(days, args.start):
        replay.day(number, rows, truth, known)
    return 0


class Replay:
    """Days asked of a service, labels that wait until they are known, and turns of the loop."""

    def __init__(self, project: Project, model: str, target: str, args: argparse.Namespace) -> None:
        self.project, self.model, self.target, self.args = project, model, target, args
        self.waiting: list[tuple[float, tuple[str, int, Any]]] = []
        address = urllib.parse.urlsplit(args.url)
        if address.scheme != "http" or not address.hostname:
            raise UsageError(f"The service's address is {args.url!r}; expected one such as http://127.0.0.1:3000.")
        self.host, self.port = address.hostname, address.port or 80

    def of_world(self, world: Any) -> Any:
        """Yield (rows, truth, days until known) of each day of a made-up world."""
        from mlnb.methods.worlds import to_rows

        for number in range(self.args.start, self.args.start + self.args.days):
            table, left, known = world.day(number, self.args.customers)
            yield to_rows(table), ["yes" if gone else "no" for gone in left], known.tolist()

    def of_table(self, path: Path) -> Any:
        """Yield the same of a table of the user's."""
        from mlnb.methods.sources import read_table
        from mlnb.methods.worlds import replay_days, to_rows

        table, _ = read_table(str(path.absolute()))
        if self.target not in table:
            raise UsageError(f"{path} has no column {self.target!r}, which the model predicts.")
        for part in replay_days(table, self.args.time, self.args.days):
            truth = part[self.target].tolist()
            yield to_rows(part.drop(columns=self.target)), truth, [self.args.delay] * len(part)

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
        now = FIRST + (number + 1) * DAY
        due = [label for moment, label in self.waiting if moment <= now]
        self.waiting = [entry for entry in self.waiting if entry[0] > now]
        add_labels(label_database(self.project, self.model), due, now, f"day {number}")
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
            raise UsageError(f"The service answered {response.status}: {body.decode('utf-8', 'replace')[:300]}")
        return response.headers.get("X-Model-Version", "?")

    def _turn(self) -> str:
        time.sleep(1.0)  # the service's log is on the disk after half a second
        command = [sys.executable, "-m", "mlnb.cli.main", "loop", "--once", *self.args.loop]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        words = {0: "keep, or done", 10: "watch", 11: "retrain", 12: "roll back", 13: "awaiting approval"}
        said = [
            line.strip()
            for line in done.stdout.splitlines()
            if line.startswith(("  watch ", "  retrain ", "  roll back "))
        ]
        promoted = [
            line for line in done.stdout.splitlines() if "promoted as champion" in line or "rolled back" in line
        ]
        told = "; ".join([*said[:2], *promoted]) or done.stderr.strip()[-200:]
        return f"{words.get(done.returncode, f'code {done.returncode}')}: {told}"
