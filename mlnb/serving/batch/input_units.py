"""The files to score, split into units that one process can score alone, always in the same way."""

from collections.abc import Iterator
from dataclasses import dataclass

from mlnb.methods.tables.layouts import BLANKS, TAIL, columns_of, cut_footer
from mlnb.serving.batch.csv_files import find_start, read_blocks
from mlnb.serving.batch.input_files import InputFile
from mlnb.serving.batch.typed_files import count_groups

BLOCK = 8 * 2**20  # bytes of CSV in one unit
SLICE = 131_072  # rows from which a row group or record batch is worth splitting


@dataclass(frozen=True)
class Unit:
    """Some consecutive rows of one file, and how to read them.

    Args:
        file: index of the file in the input.
        next: where the unit after it starts: file and position.
        body: CSV: whole lines, as UTF-8.
        group: Parquet, Arrow and ORC: the row group, record batch or stripe.
        slice: Parquet and Arrow: first row in the group, and the one after the last; (0, 0): all rows.
    """

    file: int
    next: tuple[int, int]
    body: bytes | None = None
    group: int = 0
    slice: tuple[int, int] = (0, 0)


def split_files(files: list[InputFile], start: tuple[int, int], workers: int) -> Iterator[Unit]:
    """Yield the units from a position on: the same units from the same position, whatever came before.

    Args:
        files: the input.
        start: index of a file, and position in it.
        workers: processes, between which large row groups are split.
    """
    for index in range(start[0], len(files)):
        position = start[1] if index == start[0] else 0
        if files[index].kind == "csv":
            yield from _split_csv(files[index], index, position)
        elif files[index].kind == "whole":
            yield Unit(index, (index + 1, 0))
        else:
            yield from _split_groups(count_groups(files[index]), index, position, workers)


def count_rows(files: list[InputFile]) -> int | None:
    """Return the number of rows when the metadata of all files has it, else None."""
    if any(file.kind != "parquet" for file in files):
        return None
    return sum(rows for file in files for rows in count_groups(file) if rows is not None)


def _split_groups(rows: list[int | None], index: int, position: int, workers: int) -> Iterator[Unit]:
    """Yield groups of rows, large ones in slices; `position` counts these.

    Args:
        rows: of each group; None where the file does not have the number.
        index: of the file.
        position: slices that are left out.
        workers: processes, between which large groups are split.
    """
    slices = list[tuple[int, tuple[int, int]]]()
    for group, count in enumerate(rows):
        if count is None:
            slices.append((group, (0, 0)))
            continue
        pieces = max(1, min(-(-count // SLICE), workers))
        bounds = [count * piece // pieces for piece in range(pieces + 1)]
        slices += [(group, (bounds[i], bounds[i + 1])) for i in range(pieces)]
    for number, (group, bounds_) in enumerate(slices):
        after = (index, number + 1) if number + 1 < len(slices) else (index + 1, 0)
        if number >= position:
            yield Unit(index, after, group=group, slice=bounds_)


def _split_csv(file: InputFile, index: int, position: int) -> Iterator[Unit]:
    """Yield whole lines, split only outside quotes; `position` is in bytes of UTF-8, 0 means after the header."""
    if not position:
        with file.open() as opened:
            position = find_start(opened, file.layout)
    footer = file.trained is not None and file.trained.footer > 0
    cut, width = "," if file.layout.separator == BLANKS else file.layout.separator, len(columns_of(file.layout))
    with file.open() as opened:
        blocks, rest = read_blocks(opened, file.layout, position, BLOCK), b""
        while True:
            block = next(blocks, b"")
            text = rest + block
            # Where totals may be at the end, the last unit holds all lines that are examined for them.
            end = len(text) if not block else _last_whole_line(text, len(text) - TAIL * footer)
            if end:
                position += end
                after = (index, position) if block else (index + 1, 0)
                body = text[:end] if block or not footer else cut_footer(text, cut, width)[0]
                if body.strip():
                    yield Unit(index, after, body)
            rest = text[end:]
            if not block:
                return


def _last_whole_line(text: bytes, end: int) -> int:
    """Return where the last line before `end` ends that is outside quotes; 0 when there is none."""
    end = max(end, 0)
    while True:
        end = text.rfind(b"\n", 0, end)
        if end < 0:
            return 0
        if text.count(b'"', 0, end) % 2 == 0:
            return end + 1
