"""Three-way merge of text by lines (diff3), with git's conflict markers."""

import re
from collections.abc import Iterator, Sequence

YOURS, MIDDLE, NEW = "<<<<<<< yours", "=======", ">>>>>>> new version"
MARKERS = rf"^{YOURS}$.*?^{NEW}$"


def merge_text(base: str, ours: str, theirs: str) -> tuple[str, int]:
    """Return the merged text, and the number of places where both sides have changed the same lines differently.

    Such a place holds both versions between `<<<<<<< yours`, `=======` and `>>>>>>> new version`.
    """
    sides = [text.splitlines(keepends=True) for text in (base, ours, theirs)]
    merged: list[str] = []
    conflicts = 0
    for old, mine, new in _chunks(*sides):
        if mine == new or new == old:
            merged += mine
        elif mine == old:
            merged += new
        else:
            conflicts += 1
            merged += [f"{YOURS}\n", *_ended(mine), f"{MIDDLE}\n", *_ended(new), f"{NEW}\n"]
    return "".join(merged), conflicts


def conflict_lines(text: str) -> list[int]:
    """Return the line numbers, from 1, at which unresolved conflicts start."""
    return [text.count("\n", 0, match.start()) + 1 for match in re.finditer(MARKERS, text, re.MULTILINE | re.DOTALL)]


def _chunks(
    base: Sequence[str], ours: Sequence[str], theirs: Sequence[str]
) -> Iterator[tuple[list[str], list[str], list[str]]]:
    """Yield (base, ours, theirs) piece by piece: what is equal on all sides alternates with what is not."""
    to_ours, to_theirs = _line_matches(base, ours), _line_matches(base, theirs)
    done = [0, 0, 0]
    stable = [(i, to_ours[i], to_theirs[i]) for i in range(len(base)) if i in to_ours and i in to_theirs]
    for stop in [*stable, (len(base), len(ours), len(theirs))]:
        if list(stop) != done:
            yield tuple(list(side[a:b]) for side, a, b in zip((base, ours, theirs), done, stop, strict=True))  # type: ignore[misc]
        if stop[0] < len(base):
            yield [base[stop[0]]], [ours[stop[1]]], [theirs[stop[2]]]
        done = [position + 1 for position in stop]


def _line_matches(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Return line of `old` -> line of `new` for the lines that both have in sequence."""
    from difflib import SequenceMatcher  # here, as every `mlnb run` imports this module

    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return {block.a + step: block.b + step for block in blocks for step in range(block.size)}


def _ended(lines: Sequence[str]) -> list[str]:
    """Return lines of which the last has its end, so that a marker can follow."""
    return [*lines[:-1], lines[-1] if lines[-1].endswith("\n") else f"{lines[-1]}\n"] if lines else []
