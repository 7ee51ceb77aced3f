"""The plots of an executed stage notebook, each with the heading above it."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
MARK = re.compile(r"[*`]|(?<!\w)_|_(?!\w)")


@dataclass(frozen=True)
class Plot:
    """One plot: its title, its PNG bytes, and the heading above it, which is the title without a number."""

    title: str
    png: bytes
    heading: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, from the header of the PNG."""
        return int.from_bytes(self.png[16:20], "big"), int.from_bytes(self.png[20:24], "big")


def read_plots(notebook: Path) -> list[Plot]:
    """Return the PNG outputs of the `#| stage` cells in order; [] when the notebook is missing or damaged.

    Two plots under one heading are numbered: "Errors", "Errors (2)".
    """
    try:
        cells = json.loads(notebook.read_bytes())["cells"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    plots: list[Plot] = []
    title = notebook.stem
    for cell in cells:
        source = joined(cell.get("source", ""))
        if cell["cell_type"] == "markdown":
            headings = HEADING.findall(source)
            title = MARK.sub("", headings[-1]) if headings else title
        elif source.lstrip().startswith("#| stage"):
            plots += [Plot(title, png, title) for output in cell.get("outputs", []) if (png := _png(output))]
    return _numbered(plots)


def joined(text: str | list[str]) -> str:
    """Return a notebook's multi-line text, which may be a list of lines, as one string."""
    return text if isinstance(text, str) else "".join(text)


def _png(output: Any) -> bytes | None:
    data = output.get("data", {}).get("image/png")
    if not data:
        return None
    try:
        png = base64.b64decode(joined(data))
    except binascii.Error:
        return None
    return png if png.startswith(b"\x89PNG") else None


def _numbered(plots: list[Plot]) -> list[Plot]:
    counts: dict[str, int] = {}
    numbered = []
    for plot in plots:
        count = counts[plot.title] = counts.get(plot.title, 0) + 1
        numbered.append(plot if count == 1 else Plot(f"{plot.title} ({count})", plot.png, plot.heading))
    return numbered
