"""What a run looks like while it goes: a live line a stage in a terminal, plain lines elsewhere, `--json` for machines."""

import json
import sys
import time
from typing import Any

from mlnb.engine.events import Event, Listener
from mlnb.engine.runs import now

MARKS = {"finished": "✓", "reused": "=", "failed": "✗", "interrupted": "✗", "skipped": "-", "waiting": "·", "running": "▸"}
COLOURS = {"finished": "green", "reused": "cyan", "failed": "red", "interrupted": "red", "running": "yellow"}


def listener(as_json: bool) -> Listener:
    """Return what shows a run on standard output, by what that is."""
    if as_json:
        return tell_json
    return LiveLines() if sys.stdout.isatty() else PlainLines()


def tell_json(event: Event) -> None:
    """Print one event as a line of JSON."""
    stage = event.run.record["stages"].get(event.stage, {}) if event.stage else {}
    facts: dict[str, Any] = {"time": now(), "event": event.kind, "run": event.run.id, "stage": event.stage, **event.data}
    if event.kind in ("stage_finished", "stage_reused", "stage_failed"):
        facts |= {key: stage.get(key) for key in ("state", "why", "seconds", "metrics", "from_run", "error")}
    if event.kind == "run_finished":
        facts |= {"state": event.run.record["state"], "seconds": event.run.record["seconds"]}
    print(json.dumps(facts, ensure_ascii=False), flush=True)


class PlainLines:
    """A line when a stage starts and one when it ends."""

    def __call__(self, event: Event) -> None:
        """Print the event's line."""
        if event.kind == "run_started":
            print(f"run {event.run.id}", flush=True)
        elif event.kind == "stage_started":
            print(f"  ▸ {event.stage}: {event.data['why']}", flush=True)
        elif event.stage and event.kind in ("stage_finished", "stage_reused", "stage_failed"):
            record = event.run.record["stages"][event.stage]
            print(f"  {MARKS[record['state']]} {event.stage}: {ending(record)}", flush=True)


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

        self._begun: dict[str, float] = {}
        self._doing: dict[str, str] = {}
        self._step: dict[str, str] = {}
        self._run: Any = None
        self._live = Live(get_renderable=self._draw, refresh_per_second=5)

    def __call__(self, event: Event) -> None:
        """Take the event in; the picture follows."""
        self._run = event.run
        if event.kind == "run_started":
            self._live.start()
        elif event.kind == "run_finished":
            self._live.stop()
        elif event.stage and event.kind == "stage_started":
            self._begun[event.stage] = time.monotonic()
        elif event.stage and "heading" in event.data:
            self._step[event.stage] = f"{event.data['cell'] + 1}/{event.data['cells']}"
            self._doing[event.stage] = event.data["heading"]
        elif event.stage and "total" in event.data:
            done, total = event.data["done"], event.data["total"]
            self._doing[event.stage] = f"{event.data['text']} ({done:g} of {total:g})".strip()

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        if self._run is None:
            return table
        table.add_row("", Text(f"run {self._run.id}", style="bold"))
        for name, record in self._run.record["stages"].items():
            state = record["state"]
            style = COLOURS.get(state, "dim")
            if state == "running":
                seconds = time.monotonic() - self._begun.get(name, time.monotonic())
                words = f"{self._step.get(name, ''):<6} {self._doing.get(name, 'starting')}"
                table.add_row(Text(MARKS[state], style=style), name, f"{seconds:6.1f} s", Text(words, overflow="ellipsis"))
            elif state in ("waiting", "skipped"):
                table.add_row(Text(MARKS[state], style=style), Text(name, style="dim"), "", "")
            else:
                words = f"reused, {record['why']}" if state == "reused" else ""
                table.add_row(Text(MARKS[state], style=style), name, f"{record['seconds'] or 0:6.1f} s", Text(words, style="dim"))
        return table
