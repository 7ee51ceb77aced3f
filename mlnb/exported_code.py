"""The code that a notebook exports: the cells that nbdev writes into a module."""

import json
import re
from pathlib import Path

from mlnb.errors import NotebookError

EXPORT = re.compile(r"^\s*#\|\s*export\w*\b", re.MULTILINE)


def read_exported_code(path: Path, name: str) -> str:
    """Return the sources of the `#| export` cells of a notebook, in their order; empty when it exports nothing.

    Args:
        path: the notebook.
        name: how a message names it.

    Raises:
        NotebookError: the file cannot be read, or is no notebook.
    """
    try:
        cells = json.loads(path.read_bytes())["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise NotebookError(f"{name} is not a notebook that can be read ({type(error).__name__}: {error}).") from None
    return "\n\n".join(source for source in sources if EXPORT.search(source))
