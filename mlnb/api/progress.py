"""Progress of a run: live lines in a terminal, plain lines elsewhere, JSON lines with `--json`."""

import json
import sys
import time
from typing import Any, NamedTuple

from mlnb.codec import to_json
from mlnb.engine.events import (
    CellStarted,
    Event,
    Listener,
    RunFinished,
    RunStarted,
    StageEnded,
    StageEvent,
    StageProgress,
    StageRetried,
    StageStarted,
)
from mlnb.engine.run_records import RunState, StageRecord, StageState
from mlnb.engine.runs import Run, now

MARKS = {
    StageState.FINISHED: "✓",
    StageState.REUSED: "=",
    StageState.FAILED: "✗",
    StageState.INTERRUPTED: "✗",
    StageState.SKIPPED: "-",
    StageState.WAITING: "·",
    StageState.RUNNING: "▸",
}
COLORS = {
    StageState.FINISHED: "green",
    StageState.REUSED: "cyan",
    StageState.FAILED: "red",
    StageState.INTERRUPTED: "red",
    StageState.RUNNING: "yellow",
}


def progress_listener(as_json: bool) -> Listener:
    """Return what prints the progress: JSON lines, or lines that suit standard output."""
    if as_json:
        return print_json
    return LiveLines() if sys.stdout.isatty() else PlainLines()


def print_json(event: Event) -> None:
    """Print one event as a line of JSON."""
    stage = event.stage if isinstance(event, StageEvent) else None
    values: dict[str, Any] = {"time": now(), "event": event.name, "run": event.run.id, "stage": stage}
    if isinstance(event, StageStarted):
        values["reason"] = event.reason
    elif isinstance(event, CellStarted):
        values |= {"cell": event.cell, "cells": event.cells, "heading": event.heading}
    elif isinstance(event, StageProgress):
        values |= {"done": event.done, "total": event.total, "text": event.text}
    elif isinstance(event, StageRetried):
        values |= to_json(event.run.stages[event.stage].attempts[-1])
    elif isinstance(event, StageEnded):
        record = to_json(event.run.stages[event.stage])
        values |= {key: record[key] for key in ("state", "reason", "seconds", "metrics", "from_run", "error")}
    elif isinstance(event, RunFinished):
        values |= {"state": event.run.record.state, "seconds": event.run.record.seconds}
    print(json.dumps(values, ensure_ascii=False), flush=True)


class PlainLines:
    """A line when a stage starts and one when it ends; with several runs each line names its run."""

    def __init__(self) -> None:
        self._runs: list[str] = []

    def __call__(self, event: Event) -> None:
        """Print the line of an event."""
        if isinstance(event, RunStarted):
            self._runs.append(event.run.id)
            print(f"run {event.run.id}", flush=True)
            return
        prefix = f"{event.run.id[-4:]} " if len(self._runs) > 1 else ""
        if isinstance(event, StageStarted):
            print(f"  {prefix}▸ {event.stage}: {event.reason}", flush=True)
        elif isinstance(event, StageRetried):
            print(f"  {prefix}↻ {event.stage}: {retried(event.run.stages[event.stage])}", flush=True)
        elif isinstance(event, StageEnded):
            record = event.run.stages[event.stage]
            print(f"  {prefix}{MARKS[record.state]} {event.stage}: {ending(record)}", flush=True)


def ending(record: StageRecord) -> str:
    """Return how a stage ended, in a few words."""
    if record.state == StageState.REUSED:
        return reused(record)
    if record.state == StageState.FINISHED:
        return f"{record.seconds:.1f} s"
    return record.state


def retried(record: StageRecord) -> str:
    """Return why the last attempt at a stage failed, and when the next one starts."""
    last = record.attempts[-1]
    return f"{shorten_message(last.message)}; attempt {len(record.attempts) + 1} starts in {last.wait:.1f} s"


def shorten_message(text: str, limit: int = 200) -> str:
    """Return a message in one line."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"


def reused(record: StageRecord) -> str:
    """Return why a stage is reused, and of which run, unless the reason names it."""
    run = f"run {record.from_run}"
    return f"reused, {record.reason}" + ("" if record.reason.startswith(run) else f" (of {run})")


class _StageKey(NamedTuple):
    run: str
    stage: str


class LiveLines:
    """One line per stage, updated in key: state, duration, cell number, and heading or progress."""

    def __init__(self) -> None:
        from rich.live import Live

        self._started: dict[_StageKey, float] = {}
        self._activity: dict[_StageKey, str] = {}
        self._cell: dict[_StageKey, str] = {}
        self._runs: list[Run] = []
        self._live = Live(get_renderable=self._draw, refresh_per_second=5)

    def __call__(self, event: Event) -> None:
        """Take an event; the lines follow."""
        if isinstance(event, RunStarted):
            self._runs.append(event.run)
            if len(self._runs) == 1:
                self._live.start()
        elif isinstance(event, RunFinished):
            if all(run.record.state != RunState.RUNNING for run in self._runs):
                self._live.stop()
        elif isinstance(event, StageEvent):
            key = _StageKey(event.run.id, event.stage)
            if isinstance(event, StageStarted):
                self._started[key] = time.monotonic()
            elif isinstance(event, CellStarted):
                self._cell[key] = f"{event.cell + 1}/{event.cells}"
                self._activity[key] = event.heading
            elif isinstance(event, StageRetried):
                self._activity[key] = retried(event.run.stages[event.stage])
            elif isinstance(event, StageProgress):
                self._activity[key] = f"{event.text} ({event.done:g} of {event.total:g})".strip()

    def _draw(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        for run in list(self._runs):
            table.add_row("", Text(f"run {run.id}", style="bold"))
            for name, record in run.stages.items():
                state, key = record.state, _StageKey(run.id, name)
                seconds, text = record.seconds, ""
                if state == StageState.RUNNING:
                    seconds = time.monotonic() - self._started.get(key, time.monotonic())
                    text = f"{self._cell.get(key, ''):<6} {self._activity.get(key, 'starting')}"
                elif state == StageState.WAITING and record.attempts:
                    text = self._activity.get(key, "")
                elif state == StageState.REUSED:
                    text = f"reused, {record.reason}"
                style = COLORS.get(state, "dim")
                idle = state in (StageState.WAITING, StageState.SKIPPED)
                duration = "" if seconds is None or idle else f"{seconds:6.1f} s"
                mark = Text(MARKS[state], style=style)
                table.add_row(mark, name, duration, Text(text, style="dim", overflow="ellipsis"))
        return table
