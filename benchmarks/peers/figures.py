"""The figures of a benchmark as JSON, for the table that `benchmarks/all.py` prints."""

import argparse
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figure:
    """A measured figure.

    Args:
        work: What was measured, and against what.
        value: Measured, in `unit`.
        target: Limit of `value`, in the same unit; None: no target.
        unit: "×" for a ratio, else a unit such as "s".
        at_least: Whether the target is the lowest good value instead of the highest.
        note: How it was measured.
    """

    work: str
    value: float
    target: float | None = None
    unit: str = "×"
    at_least: bool = False
    note: str = ""

    @property
    def reached(self) -> bool:
        """Whether the value meets its target, as it is printed: with two decimals."""
        if self.target is None:
            return True
        value = round(self.value, 2)
        return value >= self.target if self.at_least else value <= self.target


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures of the table as JSON")


def write(path: Path | None, figures: list[Figure]) -> None:
    """Write figures; nothing without a path."""
    if path is not None:
        path.write_text(json.dumps([asdict(figure) for figure in figures], ensure_ascii=False, indent=1) + "\n")


def read(path: Path) -> list[Figure]:
    """Return the figures of a file; [] when there is none."""
    return [Figure(**values) for values in json.loads(path.read_text())] if path.exists() else []
