"""Matching of the cells of two versions of a notebook: which cell of one is which cell of the other."""

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

from mlnb.engine.notebook_document import DocumentCell

SIMILAR = 0.6  # share of common tokens from which two cells are versions of one cell
SAME_ID = 0.25  # counts as so much similarity: ids alone mislead when cells were numbered anew
TOKEN = re.compile(r"\w+|[^\w\s]")


def match_cells(old: Sequence[DocumentCell], new: Sequence[DocumentCell]) -> dict[int, int]:
    """Return index in `old` -> index in `new` for the cells that are versions of one cell.

    The parameters cells match each other. Then match, in this order: equal id and content; equal content, in
    sequence before anywhere; the most similar cells, where an equal id counts as similarity; what is left, by id.
    """
    matcher = _Matcher(old, new)
    matcher.match(zip(matcher.tagged(old), matcher.tagged(new), strict=False))
    matcher.match(pair for pair in matcher.same_id() if matcher.content(pair[0], old) == matcher.content(pair[1], new))
    matcher.match(matcher.same_content_in_sequence())
    matcher.match(matcher.same_content())
    matcher.match(matcher.most_similar())
    matcher.match(matcher.same_id())
    return matcher.matches


class _Matcher:
    """The matches found so far; each generator of pairs looks at the cells that are left."""

    def __init__(self, old: Sequence[DocumentCell], new: Sequence[DocumentCell]) -> None:
        self.old, self.new = old, new
        self.matches: dict[int, int] = {}
        self.taken: set[int] = set()

    def match(self, pairs: Iterable[tuple[int, int]]) -> None:
        """Record the pairs whose cells are both left when their turn comes."""
        for i, j in list(pairs):
            if i not in self.matches and j not in self.taken:
                self.matches[i] = j
                self.taken.add(j)

    def left(self) -> tuple[list[int], list[int]]:
        """Return the indexes that have no match yet, on both sides."""
        return (
            [i for i in range(len(self.old)) if i not in self.matches],
            [j for j in range(len(self.new)) if j not in self.taken],
        )

    @staticmethod
    def tagged(cells: Sequence[DocumentCell]) -> list[int]:
        """Return the indexes of the cells tagged `parameters`."""
        return [index for index, cell in enumerate(cells) if "parameters" in cell.tags]

    @staticmethod
    def content(index: int, cells: Sequence[DocumentCell]) -> tuple[str, str]:
        """Return the kind and source of a cell; blanks around the source do not count."""
        return cells[index].kind, cells[index].source.strip()

    def same_id(self) -> Iterable[tuple[int, int]]:
        """Yield pairs of one kind and id."""
        old, new = self.left()
        ids = {(self.new[j].kind, self.new[j].id): j for j in reversed(new) if self.new[j].id}
        for i in old:
            j = ids.get((self.old[i].kind, self.old[i].id))
            if j is not None:
                yield i, j

    def same_content_in_sequence(self) -> Iterable[tuple[int, int]]:
        """Yield pairs of one content, from the longest runs of them."""
        old, new = self.left()
        contents = [self.content(i, self.old) for i in old], [self.content(j, self.new) for j in new]
        for block in SequenceMatcher(None, *contents, autojunk=False).get_matching_blocks():
            yield from zip(old[block.a : block.a + block.size], new[block.b : block.b + block.size], strict=True)

    def same_content(self) -> Iterable[tuple[int, int]]:
        """Yield pairs of one content, wherever they are."""
        old, new = self.left()
        for i in old:
            yield from ((i, j) for j in new if self.content(i, self.old) == self.content(j, self.new))

    def most_similar(self) -> Iterable[tuple[int, int]]:
        """Yield pairs of similar content, the most similar first."""
        old, new = self.left()
        tokens = {j: TOKEN.findall(self.new[j].source) for j in new}
        scored = []
        for i in old:
            ratio = SequenceMatcher(None, autojunk=False)
            ratio.set_seq2(TOKEN.findall(self.old[i].source))
            for j in new:
                bonus = SAME_ID * (self.old[i].id == self.new[j].id != "")
                ratio.set_seq1(tokens[j])
                if self.old[i].kind != self.new[j].kind or ratio.quick_ratio() + bonus < SIMILAR:
                    continue
                score = ratio.ratio() + bonus
                if score >= SIMILAR:
                    scored.append((-score, abs(i - j), i, j))
        return [(i, j) for *_, i, j in sorted(scored)]
