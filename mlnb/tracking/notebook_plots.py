"""The plots of an executed stage notebook, each with the heading above it."""

import base64
import binascii
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)
PNG = b"\x89PNG"
DPI = 110  # of the pixels of a plot
UNKNOWN = (660, 440)  # size of an SVG without lengths in points or pixels
LENGTH = {name: re.compile(rf"""\s{name}=["']([\d.]+)(pt|px|)["']""") for name in ("width", "height")}
MARK = re.compile(r"[*`]|(?<!\w)_|_(?!\w)")


@dataclass(frozen=True)
class Plot:
    """One plot: its title, its SVG or PNG, and the heading above it, which is the title without a number."""

    title: str
    image: bytes
    heading: str = ""

    @property
    def is_svg(self) -> bool:
        """Whether the plot is SVG; else it is PNG."""
        return not self.image.startswith(PNG)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels at 110 per inch, from the header of the PNG or the lengths of the SVG."""
        if not self.is_svg:
            return int.from_bytes(self.image[16:20], "big"), int.from_bytes(self.image[20:24], "big")
        head = self.image[self.image.find(b"<svg") :].partition(b">")[0].decode(errors="replace")
        width, height = (LENGTH[name].search(head) for name in ("width", "height"))
        if not width or not height:
            return UNKNOWN
        width_in, height_in = (float(each[1]) / (72 if each[2] == "pt" else 96) for each in (width, height))
        return round(width_in * DPI), round(height_in * DPI)


def read_plots(notebook: Path) -> list[Plot]:
    """Return the SVG and PNG outputs of the `#| stage` cells in order; [] when the notebook is missing or damaged.

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
            plots += [Plot(title, image, title) for output in cell.get("outputs", []) if (image := _image(output))]
    return _numbered(plots)


def joined(text: str | list[str]) -> str:
    """Return a notebook's multi-line text, which may be a list of lines, as one string."""
    return text if isinstance(text, str) else "".join(text)


def _image(output: Any) -> bytes | None:
    data = output.get("data", {})
    if "<svg" in (svg := joined(data.get("image/svg+xml", ""))):
        return svg.encode(errors="replace")
    try:
        png = base64.b64decode(joined(data.get("image/png", "")))
    except binascii.Error:
        return None
    return png if png.startswith(PNG) else None


def _numbered(plots: list[Plot]) -> list[Plot]:
    counts: dict[str, int] = {}
    numbered = []
    for plot in plots:
        count = counts[plot.title] = counts.get(plot.title, 0) + 1
        numbered.append(plot if count == 1 else Plot(f"{plot.title} ({count})", plot.image, plot.heading))
    return numbered
