"""Which states of a notebook are kept, what it had shown by then, and going on from one of them.

A state is named by whoever knows what makes it: two notebooks with the same name for the state before a cell are in
the same state there. What the cells before had shown is written to a log as they end, as later cells may change it.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbformat import from_dict

INJECTED = "injected-parameters"  # papermill's tag of the cell that it adds
ABOUT = ("papermill", "execution")  # what of a cell's metadata says how it ran


@dataclass(frozen=True)
class Keeping:
    """What is asked; cells are numbered as in the notebook's source, without what papermill adds."""

    states: Mapping[int, str]  # cell -> the name of the state before it
    code: tuple[int, ...]  # cells of code that does something, in order
    log: str  # file for what the cells have shown
    family: str  # whose states end together
    minutes: float
    bytes: float
    about: Mapping[str, Any] = field(default_factory=dict)  # told of each state
    after: bool = False  # keep them when the notebook has ended well, too
    wake: str | None = None  # the state to go on from
    wake_log: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)  # set when going on

    @classmethod
    def read(cls, asked: Mapping[str, Any]) -> "Keeping":
        """Return what was asked as JSON, whose keys are text."""
        states = {int(cell): state for cell, state in asked["states"].items()}
        return cls(**{**asked, "states": states, "code": tuple(asked["code"])})

    def told(self, cell: int) -> dict[str, Any]:
        """Return what is told of the state before a cell."""
        own = {"state": self.states[cell], "cell": cell, "family": self.family, "log": self.log}
        return {**self.about, **own, "minutes": self.minutes, "bytes": self.bytes}


class Shown:
    """What the cells of one notebook have shown, in a log; and what those that are not run again had shown."""

    def __init__(self, asked: Keeping, cells: list[Any], clean: Callable[[Any], Any]) -> None:
        self.asked = asked
        self.clean = clean
        self.numbers = source_numbers(cells)  # place in the executed notebook -> cell of the source
        self.names = _names(cells, self.numbers, asked.code)  # place -> name in the log
        self.touched: set[int] = set()  # places whose outputs have changed since they were written
        self.lines, self.mark = _read(asked.wake_log, asked.wake)
        self.first = self._first()
        self._file: Any = None

    def _first(self) -> int:
        """Return the place at which to go on; 0 when that cannot be."""
        if self.mark is None:
            return 0
        return next((place for place, n in enumerate(self.numbers) if self.asked.states.get(n) == self.asked.wake), 0)

    def state(self, place: int) -> str | None:
        """Return the name of the state before a cell, if it is to be kept."""
        return self.asked.states.get(self.numbers[place])

    def write(self, place: int, client: Any) -> None:
        """Write down what has been shown before a cell."""
        if self._file is None:
            Path(self.asked.log).parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.asked.log, "w", encoding="utf-8")  # noqa: SIM115 -- as long as the notebook runs
            self.touched = set(range(place + 1))
        for before in sorted(self.touched):
            cell, name = client.nb.cells[before], self.names.get(before)
            if before < place and name is not None:
                about = {key: cell.metadata[key] for key in ABOUT if key in cell.metadata}
                if before < self.first and name in self.lines:  # not run again: its own times
                    about = self.lines[name]["about"]
                shown = {"outputs": self.clean(cell.outputs), "count": cell.execution_count, "about": about}
                self._file.write(json.dumps({"cell": name, **shown}) + "\n")
        self.touched = {later for later in self.touched if later >= place}
        ids = [
            [display, [[self.names[at], outputs] for at, outputs in where.items()]]
            for display, where in client._display_id_map.items()
        ]
        buffers = [
            [comm, list(path), value] for comm, held in client.widget_buffers.items() for path, value in held.items()
        ]
        mark = {"displays": ids, "widgets": client.widget_state, "buffers": buffers}
        self._file.write(json.dumps({"state": self.state(place), **mark}) + "\n")
        self._file.flush()

    def restore(self, client: Any) -> None:
        """Give every cell before the first that runs what it had shown, and the client what it knew."""
        places = {name: place for place, name in self.names.items()}
        for place in range(self.first):
            cell, line = client.nb.cells[place], self.lines.get(self.names.get(place, ""))
            if line is not None:
                cell.outputs, cell.execution_count = _nodes(line["outputs"]), line["count"]
        assert self.mark is not None
        for display, where in self.mark["displays"]:
            client._display_id_map[display] = {places[name]: outputs for name, outputs in where if name in places}
        client.widget_state.update(self.mark["widgets"])
        for comm, path, value in self.mark["buffers"]:
            client.widget_buffers.setdefault(comm, {})[tuple(path)] = value
        self.touched = set(range(self.first))

    def date(self, cells: list[Any]) -> None:
        """Give the cells that were not run again their own times."""
        for place in range(self.first):
            line = self.lines.get(self.names.get(place, ""))
            if line is not None:
                cells[place].metadata.update(_nodes(line["about"]))

    def close(self) -> None:
        """Close the log."""
        if self._file is not None:
            self._file.close()


def source_numbers(cells: list[Any]) -> list[int]:
    """Return which cell of the source each cell is; -1 for one that papermill has added."""
    number, found = 0, []
    for cell in cells:
        own = INJECTED not in cell.metadata.get("tags", [])
        found.append(number if own else -1)
        number += own
    return found


def _names(cells: list[Any], numbers: list[int], code: tuple[int, ...]) -> dict[int, str]:
    """Return the names of code cells in logs: prose, and cells that do nothing, come and go without changing others."""
    found: dict[int, str] = {}
    done = idle = 0
    for place, (cell, number) in enumerate(zip(cells, numbers, strict=True)):
        if number < 0:
            found[place] = INJECTED
        elif number in code:
            found[place], done, idle = str(done), done + 1, 0
        elif cell.cell_type == "code":
            found[place], idle = f"{done}+{idle}", idle + 1
    return found


def _read(log: str, state: str | None) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Return the newest line of each cell up to a state's mark, and the mark; no mark when it cannot be found."""
    lines: dict[str, Any] = {}
    if state is None:
        return lines, None
    try:
        with open(log, encoding="utf-8") as file:
            for text in file:
                line = json.loads(text)
                if line.get("state") == state:
                    return lines, line
                if "cell" in line:
                    lines[line["cell"]] = line
    except (OSError, ValueError):
        pass
    return {}, None


def _nodes(value: Any) -> Any:
    """Return JSON as a notebook holds it."""
    return from_dict(value)  # type: ignore[no-untyped-call]
