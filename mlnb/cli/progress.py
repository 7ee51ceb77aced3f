"""What a run looks like while it goes: live lines in a terminal, plain ones elsewhere, `--json` for machines."""

import json
import sys
import time
from typing import Any

from mlnb.engine.events import Event, Listener
from mlnb.engine.runs import Run, now

MARKS = {
    "finished": "✓",
    "reused": "=",
    "failed": "✗",
    "interrupted": "✗",
    "skipped": "-",
    "waiting": "·",
    "running": "▸",
}
COLOURS = {"finished": "green", "reused": "cyan", "failed": "red", "interrupted": "red", "running": "yellow"}


def listener(as_json: bool) -> Listener:
    """Return what shows a run on standard output, by what that is."""
    if as_json:
        return tell_json
    return LiveLines() if sys.stdout.isatty() else PlainLines()


def tell_json(event: Event) -> None:
    """Print one event as a line of JSON."""
    stage = event.run.record["stages"].get(event.stage, {}) if event.stage else {}
    facts: dict[str, Any] = {
        "time": now(),
        "event": event.kind,
        "run": event.run.id,
        "stage": event.stage,
        **event.data,
    }
    if event.kind in ("stage_finished", "stage_reused", "stage_failed"):
        facts |= {key: stage.get(key) for key in ("state", "why", "seconds", "metrics", "from_run", "error")}
    if event.kind == "run_finished":
        facts |= {"state": event.run.record["state"], "seconds": event.run.record["seconds"]}
    print(json.dumps(facts, ensure_ascii=False), flush=True)


class PlainLines:
    """A line when a stage starts and one when it ends; of several runs at once each line says whose it is."""

    def __init__(self) -> None:
        self._runs: list[str] = []

    def __call__(self, event: Event) -> None:
        """Print the event's line."""
        if event.kind == "run_started":
            self._runs.append(event.run.id)
            print(f"run {event.run.id}", flush=True)
            return
        whose = f"{event.run.id[-4:]} " if len(self._runs) > 1 else ""
        if event.kind == "stage_started":
            print(f"  {whose}▸ {event.stage}: {event.data['why']}", flush=True)
        elif event.stage and event.kind in ("stage_finished", "stage_reused", "stage_failed"):
            record = event.run.record["stages"][event.stage]
            print(f"  {whose}{MARKS[record['state']]} {event.stage}: {ending(record)}", flush=True)


def ending(record: dict[str, Any]) -> str:
    """Return how a stage ended, in a few words."""
    if record["state"] == "reused":
        return f"reused, {record['why']} (of run {record['from_run']})"
    if record["state"] == "finished":
        return f"{record['seconds']:.1f} s"
    return str(record["state"])


class LiveLines:
    """One line a stage, kept up to date: its mark, how far it is, the cell's title, the time it has taken."""

    def __init__(self) -> None:
        from rich.live import Live

        self._begun: dict[tuple[str, str], float] = {}
        self._doing: dict[tuple[str, str], str] = {}
        self._step: dict[tuple[str, str], str] = {}
        self._runs: list[Run] = []
        self._live = Live(get_renderable=self._draw, refresh_per_second=5)

    def __call__(self, event: Event) -> None:
        """Take the event in; the picture follows."""
        place = (event.run.id, event.stage or "")
        if event.kind == "run_started":
            self._runs.append(event.run)
            if len(self._runs) == 1:
                self._live.start()
        elif event.kind == "run_finished":
            if all(run.record["state"] != "running" for run in self._runs):
                self._live.stop()
        elif event.kind == "stage_started":
            self._begun[place] = time.monotonic()
        elif "heading" in event.data:
            self._step[place] = f"{event.data['cell'] + 1}/{event.data['cells']}"
            self._doing[place] = event.data["heading"]
        elif "total" in event.data:
            done, total = event.data["done"], event.data["total"]
            self._doing[place] = f"{event.data['text']} ({done:g} of {total:g})".strip()

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for run in list(self._runs):
            table.add_row("", Text(f"run {run.id}", style="bold"))
            for name, record in run.record["stages"].items():
                state, place = record["state"], (run.id, name)
                seconds, words = record["seconds"], ""
                if state == "running":
                    seconds = time.monotonic() - self._begun.get(place, time.monotonic())
                    words = f"{self._step.get(place, ''):<6} {self._doing.get(place, 'starting')}"
                elif state == "reused":
                    words = f"reused, {record['why']}"
                style = COLOURS.get(state, "dim")
                spent = "" if seconds is None or state in ("waiting", "skipped") else f"{seconds:6.1f} s"
                table.add_row(
                    Text(MARKS[state], style=style), name, spent, Text(words, style="dim", overflow="ellipsis")
                )
        return table
