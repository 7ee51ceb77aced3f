"""Removes from a notebook what its author did not write, by the rules of `nbdev_clean`: at each save, and for git.

    python -I clean_notebook.py PATH < notebook > cleaned    the filter of git; it removes the outputs, too

Git calls the filter for each changed notebook: it imports nothing but the standard library.
"""

import configparser
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

NOTEBOOK_KEYS = ("kernelspec", "jekyll", "jupytext", "doc", "widgets")
CELL_KEYS = ("hide_input",)
ADDRESS = re.compile(r"(<.*?)( at 0x[0-9a-fA-F]+)(>)")  # of an object, which differs each time
COLAB = "application/vnd.google.colaboratory.intrinsic+json"
OWN_KERNEL, KERNEL = "mlnb-", "python3"  # a kernel of mlnb is one of this machine


class AllowedKeys(NamedTuple):
    """Keys of metadata that stay: of the notebook, and of cells."""

    notebook: frozenset[str]
    cell: frozenset[str]


def read_allowed_keys(folder: Path) -> AllowedKeys:
    """Return the keys that settings.ini allows, in the folder or the nearest one above that has a settings.ini."""
    settings = configparser.ConfigParser(interpolation=None, strict=False)
    for parent in (folder, *folder.parents):
        try:
            if settings.read(parent / "settings.ini", encoding="utf-8"):
                break
        except (configparser.Error, UnicodeDecodeError):
            break
    defaults = settings.defaults()
    return AllowedKeys(
        frozenset([*NOTEBOOK_KEYS, *defaults.get("allowed_metadata_keys", "").split()]),
        frozenset([*CELL_KEYS, *defaults.get("allowed_cell_metadata_keys", "tags").split()]),
    )


def clean(notebook: dict[str, Any], allowed: AllowedKeys, keep_outputs: bool = True) -> None:
    """Clean a notebook of nbformat 4 in place.

    Args:
        notebook: The notebook as JSON values.
        allowed: Keys of metadata that stay.
        keep_outputs: Whether the outputs stay.
    """
    for cell in notebook["cells"]:
        cell["metadata"] = _only(cell.get("metadata"), allowed.cell)
        if "execution_count" in cell:
            cell["execution_count"] = None
        if "outputs" in cell:
            cell["outputs"] = [_cleaned(output) for output in cell["outputs"]] if keep_outputs else []
        if cell["source"] == [""]:
            cell["source"] = []
    notebook["metadata"] = _only(notebook.get("metadata"), allowed.notebook)
    kernel = notebook["metadata"].get("kernelspec", {})
    if str(kernel.get("name", "")).startswith(OWN_KERNEL):
        kernel["name"] = KERNEL
    if kernel.get("name"):
        kernel["display_name"] = kernel["name"]


def clean_bytes(data: bytes, folder: Path) -> bytes:
    """Return a notebook file without outputs and metadata of editors; other files as they are.

    Args:
        data: Bytes of the file.
        folder: Its folder.
    """
    try:
        notebook = json.loads(data)
        if notebook["nbformat"] != 4:
            return data
        clean(notebook, read_allowed_keys(folder), keep_outputs=False)
        for cell in notebook["cells"]:
            if isinstance(cell["source"], str):
                cell["source"] = cell["source"].splitlines(keepends=True)
        return (json.dumps(notebook, sort_keys=True, indent=1, ensure_ascii=False) + "\n").encode()
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # no notebook, or a merge conflict
        return data


def _only(metadata: dict[str, Any] | None, keys: Iterable[str]) -> dict[str, Any]:
    return {key: value for key, value in (metadata or {}).items() if key in keys}


def _cleaned(output: dict[str, Any]) -> dict[str, Any]:
    """Return an output without its execution count and addresses in memory."""
    output = dict(output)
    if "execution_count" in output:
        output["execution_count"] = None
    if "text" in output:
        output["text"] = _without_addresses(output["text"])
    if "data" in output:
        output["data"] = {kind: _cleaned_data(kind, value) for kind, value in output["data"].items() if kind != COLAB}
    return output


def _cleaned_data(kind: str, value: Any) -> Any:
    if kind.startswith("text"):
        return _without_addresses(value)
    return value.rstrip() if kind.startswith("image") and "svg" not in kind and isinstance(value, str) else value


def _without_addresses(text: Any) -> Any:
    if isinstance(text, list):
        return [_without_addresses(line) for line in text]
    return ADDRESS.sub(r"\1\3", text) if isinstance(text, str) and "at 0x" in text else text


def main(arguments: list[str]) -> int:
    """Clean the notebook on standard input for git; return 0."""
    sys.stdout.buffer.write(clean_bytes(sys.stdin.buffer.read(), Path(arguments[0]).absolute().parent))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
