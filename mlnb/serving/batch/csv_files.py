"""CSV files to score: cut into cells as the training file was, and read as UTF-8 lines whatever their encoding."""

import codecs
import csv
from collections.abc import Iterator, Sequence
from typing import IO

from mlnb.errors import UsageError
from mlnb.methods.contracts.table_formats import Layout
from mlnb.methods.tables.encodings import CERTAIN, HEAD, decode
from mlnb.methods.tables.layouts import BLANKS, find_layout, split_blanks

PLAIN = ("utf-8", "utf-8-sig", "ascii")  # encodings whose bytes are read as they are


def read_layout(file: IO[bytes], url: str, trained: Layout | None, expected: Sequence[str]) -> Layout:
    """Return how a file is cut: as the training file where its columns are then found, else as it looks.

    Args:
        file: opened for reading bytes.
        url: of the file, for the message.
        trained: layout of the training file; None: it was no delimited text.
        expected: names of the model's columns.

    Raises:
        UsageError: the file is empty or no text, or names of columns occur twice.
    """
    head = file.read(HEAD)
    try:
        text, encoding = _decode_head(head, file, trained)
        if "\r" in text and "\n" not in text:
            raise ValueError("found lines that end with a carriage return alone, expected line feeds; convert the file")
        if trained is not None:
            stated = "yes" if trained.header else "auto"
            as_trained = _try_layout(text, trained.separator, stated, expected, encoding)
            if as_trained is not None and set(as_trained.names) & set(expected):
                return as_trained
        return find_layout(text, "auto", "auto", expected, encoding, least_rows=0)
    except ValueError as error:
        raise UsageError(f"{url}: {error}.") from None
    except csv.Error:
        raise UsageError(
            f"{url}: found lines that cannot be cut into cells, expected delimited text; the file may be damaged, or "
            "of another format than its name states."
        ) from None


def _decode_head(head: bytes, file: IO[bytes], trained: Layout | None) -> tuple[str, str]:
    """Return the beginning of a file as text, and its encoding, for which bytes further on may be needed."""
    complete = len(head) < HEAD
    text, encoding = decode(head, "auto", complete)
    if trained is None or trained.encoding in CERTAIN:
        return text, encoding
    if head.isascii():
        while (block := file.read(HEAD)).isascii() and block:
            pass
        _, encoding = decode(block.partition(b"\n")[2] or block, "auto", complete=False)
    if encoding not in CERTAIN:
        return decode(head, trained.encoding, complete)
    return text, encoding


def _try_layout(text: str, separator: str, header: str, expected: Sequence[str], encoding: str) -> Layout | None:
    """Return the layout with this separator; None when the text is not cut by it."""
    try:
        return find_layout(text, separator, header, expected, encoding, least_rows=0)
    except (ValueError, csv.Error):
        return None


def read_blocks(file: IO[bytes], layout: Layout, position: int, size: int) -> Iterator[bytes]:
    """Yield blocks of UTF-8 text from a position on; a file in another encoding is converted on the way.

    Args:
        file: opened for reading bytes.
        layout: how it is cut.
        position: bytes of UTF-8 text that are left out.
        size: bytes of a block, about.
    """
    if layout.encoding in PLAIN and layout.separator != BLANKS:
        file.seek(position)
        while block := file.read(size):
            yield block
        return
    left_out = 0
    for text in _convert(file, layout, size):
        skip = min(len(text), position - left_out)
        left_out += skip
        if skip < len(text):
            yield text[skip:]


def _convert(file: IO[bytes], layout: Layout, size: int) -> Iterator[bytes]:
    """Yield the whole file as UTF-8, runs of blanks as commas where these separate its cells."""
    decoder = codecs.getincrementaldecoder(layout.encoding)(errors="replace")
    rest = ""
    while True:
        block = file.read(size)
        text = rest + decoder.decode(block, final=not block)
        end = len(text) if not block else text.rfind("\n") + 1
        rest = text[end:]
        lines = text[:end]
        if layout.separator == BLANKS:
            lines = split_blanks(lines)
        if lines:
            yield lines.encode()
        if not block:
            return


def find_start(file: IO[bytes], layout: Layout) -> int:
    """Return the bytes of UTF-8 text above the first row: lines above the table, and the header."""
    above = layout.skipped + layout.header + layout.below
    text = b""
    for block in read_blocks(file, layout, 0, HEAD):
        text += block
        if text.count(b"\n") >= above:
            break
    start = len(codecs.BOM_UTF8) if text.startswith(codecs.BOM_UTF8) else 0
    for _ in range(above):
        end = text.find(b"\n", start)
        start = len(text) if end < 0 else end + 1
    return start
