"""A diff of two revisions as text for a terminal, and as Markdown for a comment on GitHub.

Values from notebooks, data and file names are not trusted. In Markdown they are code, in which GitHub renders no
HTML, links or mentions, with every special character as an entity; lines of cells are in a fence that is longer than
any in them.
"""

import re
import textwrap
from collections.abc import Sequence

from mlnb.cli.diff_blocks import MOST_ROWS, Block, CellDiff, Heading, Paragraph, Rows
from mlnb.cli.result_lines import WIDTH
from mlnb.cli.text_tables import shorten, table
from mlnb.reports.formatting import count

COMMENT_BYTES = 60_000  # GitHub accepts 65,536 characters, and Linux 131,072 bytes in a variable
MARKER = "<!-- mlnb diff -->"  # by which the workflow finds the comment that it updates
LONGEST_LINE = 200  # characters of a line of a cell
LONGEST_VALUE = 200  # characters of a value
SPECIAL = re.compile(r"(?!: )[^\w ,;=%/()'.-]|_|(?<=[wW])\.")  # characters that are written as an entity
FENCE = re.compile(r"`+")


def diff_text(blocks: Sequence[Block], title: str) -> str:
    """Return a diff for a terminal."""
    return "\n\n".join([visible(title), *map(_text, blocks)])


def diff_markdown(blocks: Sequence[Block], title: str, limit: int = COMMENT_BYTES) -> str:
    """Return a diff as Markdown.

    Args:
        blocks: Its parts.
        title: Names the revisions.
        limit: Most bytes in UTF-8; parts that do not fit are left out, and counted in the last line.
    """
    parts = [MARKER, f"## mlnb diff {_code(title)}"]
    size, left_out = sum(len(part.encode()) + 2 for part in parts) + 200, 0
    for block in blocks:
        part = _markdown(block)
        if size + len(part.encode()) + 2 > limit:
            left_out += 1
            continue
        parts.append(part)
        size += len(part.encode()) + 2
    if left_out:
        parts.append(f"{count(left_out, 'part')} left out, as a comment has a limit; `mlnb diff` shows all of them.")
    return "\n\n".join(parts) + "\n"


def visible(text: str) -> str:
    """Return a text with control characters, such as those that move the cursor or reverse the order, as escapes."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def _text(block: Block) -> str:
    match block:
        case Heading(text):
            return f"{text}\n{'-' * len(text)}"
        case Paragraph(text, values):
            lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
            shown = " ".join(map(visible, values))
            return "\n".join(lines) + (" " if len(lines[-1]) + len(shown) < WIDTH else "\n  ") * bool(shown) + shown
        case Rows(heads, rows):
            cells = [[visible(shorten(cell, LONGEST_VALUE)) for cell in row] for row in rows]
            return table(heads, cells, right=block.numbers if "change" in heads else ())
        case CellDiff(title, lines):
            return "\n".join([f"  {visible(title)}", *(f"    {visible(line)}" for line in lines)])


def _markdown(block: Block) -> str:
    match block:
        case Heading(text):
            return f"### {text}"
        case Paragraph(text, values):
            return " ".join([text, *map(_code, values)])
        case Rows():
            return _markdown_table(block)
        case CellDiff(title, lines):
            shown = [visible(shortened(line)) for line in lines]
            longest = max((len(ticks) for line in shown for ticks in FENCE.findall(line)), default=0)
            fence = "`" * max(3, longest + 1)
            return "\n".join([_code(title), "", f"{fence}diff", *shown, fence])


def _markdown_table(block: Rows) -> str:
    lines = [f"| {' | '.join(block.heads)} |", f"|{'---|' * len(block.heads)}"]
    for row in block.rows[:MOST_ROWS]:
        cells = [cell if head in block.numbers else _code(cell) for head, cell in zip(block.heads, row, strict=True)]
        lines.append(f"| {' | '.join(cells)} |")
    if len(block.rows) > MOST_ROWS:
        lines.append(f"\n{count(len(block.rows) - MOST_ROWS, 'more row')}: `mlnb diff` shows them.")
    return "\n".join(lines)


def shortened(line: str) -> str:
    """Return a line of a cell, cut when it is long."""
    return line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}… ({len(line):,} characters)"


def _code(value: str) -> str:
    """Return a value from elsewhere as code in which nothing is Markdown or HTML; empty for an empty one."""
    text = visible(shorten(value, LONGEST_VALUE))
    return f"<code>{SPECIAL.sub(lambda match: f'&#{ord(match[0])};', text)}</code>" if text else ""
