"""Text tables: columns as wide as needed and the terminal allows, numbers aligned to the right."""

import re
import shutil
from collections.abc import Sequence

from mlnb.reports.formatting import count

GAP = 2  # spaces between two columns
NARROW, NARROWEST = 20, 8  # characters that a column of text keeps before others are left out, and at last
NUMBERS = re.compile(r"[\d\s.,%:\[\]−–+-]*")  # a number, an interval or a time
UNKNOWN = (80, 24)  # size of what is no terminal; the variable COLUMNS sets another width


def table(
    heads: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Sequence[str] = (),
    optional: Sequence[str] = (),
    whole: Sequence[str] = (),
) -> str:
    """Return rows of text under their heads, within the width of the terminal.

    Where they do not fit, texts are cut, but neither the first column nor numbers; then columns are left out.

    Args:
        heads: The column heads.
        rows: The cells of each row.
        right: Heads of the columns that are aligned to the right.
        optional: Heads of the columns that are left out first, in this order.
        whole: Heads of the columns that are neither cut nor left out.
    """
    width = shutil.get_terminal_size(UNKNOWN).columns
    shown = list(range(len(heads)))
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in shown]
    cut = [column for column in shown[1:] if heads[column] not in whole]
    flexible = [column for column in cut if any(not NUMBERS.fullmatch(row[column]) for row in rows)]
    _shrink(widths, shown, flexible, width, NARROW)
    for head in optional:
        if _total(widths, shown) > width and head in heads:
            shown.remove(heads.index(head))
    _shrink(widths, shown, flexible, width, NARROWEST)
    dropped = 0
    while _total(widths, shown) > width and len(shown) > 2 and heads[shown[-1]] not in whole:
        shown.pop()
        dropped += 1
    lines = []
    for row in [heads, *rows]:
        cells = [(row[column], widths[column], heads[column] in right) for column in shown]
        texts = [_cut(text, size).rjust(size) if ends else _cut(text, size).ljust(size) for text, size, ends in cells]
        lines.append((" " * GAP).join(texts).rstrip())
    if dropped:
        lines.append(f"… {count(dropped, 'more column')}: COLUMNS=200 shows them")
    return "\n".join(lines)


def shorten(text: str, limit: int = 60) -> str:
    """Return `text` in one line of at most `limit` characters."""
    return _cut(" ".join(text.split()), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[column] + GAP for column in shown) - GAP


def _shrink(widths: list[int], shown: Sequence[int], flexible: Sequence[int], width: int, least: int) -> None:
    """Make the widest flexible columns narrower until all fit, or none is wider than `least`."""
    columns = [column for column in flexible if column in shown]
    while _total(widths, shown) > width:
        widest = max(columns, key=lambda column: widths[column], default=None)
        if widest is None or widths[widest] <= least:
            return
        widths[widest] -= 1
