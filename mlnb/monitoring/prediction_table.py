"""The prediction log as a table, from finished segments and those that are still being written."""

import os
from pathlib import Path
from typing import Any

from mlnb.engine.files import PRIVATE, make_folder, warn_damaged
from mlnb.serving.runtime.log_segments import CHAIN, COLUMNS, convert_segment, read_lines, to_table


def mirror(url: str, folder: Path) -> int:
    """Copy the segments in object storage that are missing in a folder; return how many were copied.

    Their chains grow, and are copied whenever they are longer than here.
    """
    import fsspec

    storage, index = fsspec.core.url_to_fs(url)
    storage.invalidate_cache()  # a cached listing would hide newer segments
    make_folder(folder)
    _mirror_chains(storage, index, folder)  # before the segments: all that they name must be there
    copied = 0
    for name in storage.glob(f"{index.rstrip('/')}/*.parquet") if storage.exists(index) else ():
        target = folder / Path(name).name
        if not target.exists():
            part = target.with_suffix(".part")
            part.touch(PRIVATE)
            storage.get_file(name, str(part))
            part.replace(target)
            target.with_suffix(".shipped").touch()
            copied += 1
    return copied


def _mirror_chains(storage: Any, index: str, folder: Path) -> None:
    for name in storage.glob(f"{index.rstrip('/')}/*{CHAIN}") if storage.exists(index) else ():
        target = folder / Path(name).name
        if not target.exists() or target.stat().st_size < storage.size(name):
            part = target.with_suffix(".part")
            part.touch(PRIVATE)
            storage.get_file(name, str(part))
            part.replace(target)


def convert_finished(folder: Path) -> list[Path]:
    """Convert the segments of processes that were killed, and return the new files; those of running processes stay."""
    done = []
    for path in sorted(folder.glob("*.jsonl")):
        if not _alive(path):
            created = convert_segment(path)
            done += [created] if created else []
    return done


def _alive(path: Path) -> bool:
    """Return whether the process that a segment is named after is running."""
    try:
        os.kill(int(path.stem.split("-")[1]), 0)
    except (ProcessLookupError, ValueError, IndexError):
        return False
    except PermissionError:
        return True
    return True


def read_log(
    folder: Path,
    since: float = float("-inf"),
    until: float = float("inf"),
    shadows: bool = False,
    refusals: bool = False,
) -> tuple[Any, int]:
    """Return the rows that were predicted in a time span, oldest first and each once, and the number of damaged lines.

    Args:
        folder: Parquet segments, and segments that are still being written.
        since: start, in seconds since 1970.
        until: end, exclusive.
        shadows: whether responses of shadow deployments are included.
        refusals: whether to return the refused requests instead, with the columns at fault.

    Returns:
        A table (pandas), and the lines and files that could not be read.
    """
    import pandas as pd
    import pyarrow
    import pyarrow.parquet as parquet

    frames, damaged = [], 0
    unreadable: set[Path] = set()
    for path in sorted(folder.glob("*.parquet")):
        try:
            table = parquet.read_table(path)
            if missing := [name for name in COLUMNS if name not in table.column_names]:
                raise ValueError(f"it has no column {missing[0]!r}")
            frames.append(table.to_pandas())
        except (OSError, ValueError, pyarrow.ArrowException) as error:  # a file that was cut off on its way here
            damaged += 1
            unreadable.add(path)
            warn_damaged(f"Segment {path} of the prediction log is damaged and is left out: {error}.")
    for path in sorted(folder.glob("*.jsonl")):
        converted = path.with_suffix(".parquet")
        if converted.exists() and converted not in unreadable:
            continue  # it was converted, and is about to go
        try:
            requests, torn = read_lines(path)
        except FileNotFoundError:
            continue
        damaged += torn
        if torn > 1 or (torn and not _alive(path)):  # the last line of a living process may be incomplete
            warn_damaged(f"Segment {path} of the prediction log has {torn} damaged lines, which are left out.")
        if requests:
            frames.append(to_table(requests).to_pandas())
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        return pd.DataFrame({name: [] for name in COLUMNS}), damaged
    table = pd.concat(frames, ignore_index=True)
    inside = table[(table["time"] >= since) & (table["time"] < until)]
    inside = inside[(inside["row"] < 0) == refusals]
    inside = inside if shadows else inside[~inside["shadow"].astype(bool)]
    inside = inside.drop_duplicates(["request", "row", "time", "model"]).sort_values(
        ["time", "request", "row"], kind="stable"
    )
    return inside.reset_index(drop=True), damaged
