"""Three-way merge of ordered, keyed sequences: cells of a notebook, parameters of a cell, settings of a section."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")
Combine = Callable[[str, T | None, T, T], tuple[T, T | None] | None]


class Status(StrEnum):
    """What the merge did with one item."""

    KEPT = "kept"
    UPDATED = "updated"
    ADDED = "added"
    REMOVED = "removed"
    CONFLICT = "conflict"


@dataclass(frozen=True)
class MergedItem(Generic[T]):
    """One item of the result.

    `value` is None when the item is not in the result. `theirs` is set for conflicts only: the new version's item, or
    None when the new version has removed it.
    """

    key: str
    status: Status
    value: T | None
    theirs: T | None = None


def merge_items(
    base: Mapping[str, T], ours: Mapping[str, T], theirs: Mapping[str, T], combine: Combine[T]
) -> list[MergedItem[T]]:
    """Return the merge of three ordered mappings, in order, removed items and conflicts included.

    An item that one side alone has changed takes that side's value. Items that one side has added, moved or deleted
    are added, moved or deleted. Where both sides have moved an item, it stays where `ours` has it.

    Args:
        base: the common ancestor, key to item in order.
        ours: the project's items. Every item that is only here is in the result.
        theirs: the new version's items.
        combine: called with (key, base, ours, theirs) for an item that both sides have changed. Returns the combined
            item and what of `theirs` conflicts with it (None: nothing), or None when they cannot be combined.
    """
    keys = dict.fromkeys([*ours, *theirs])
    items = {key: _merge_item(key, base.get(key), ours.get(key), theirs.get(key), combine) for key in keys}
    return [items[key] for key in _merge_order(base, ours, theirs) if key in items]


def _merge_item(key: str, base: T | None, ours: T | None, theirs: T | None, combine: Combine[T]) -> MergedItem[T]:
    if ours == theirs:
        return MergedItem(key, Status.KEPT, ours)
    if ours == base:
        status = Status.ADDED if base is None else Status.REMOVED if theirs is None else Status.UPDATED
        return MergedItem(key, status, theirs)
    if theirs == base:
        return MergedItem(key, Status.KEPT, ours)
    if ours is None or theirs is None:
        return MergedItem(key, Status.CONFLICT, ours, theirs)
    combined = combine(key, base, ours, theirs)
    if combined is None:
        return MergedItem(key, Status.CONFLICT, ours, theirs)
    value, conflicting = combined
    if conflicting is not None:
        return MergedItem(key, Status.CONFLICT, value, conflicting)
    return MergedItem(key, Status.KEPT if value == ours else Status.UPDATED, value)


def _merge_order(base: Iterable[str], ours: Iterable[str], theirs: Iterable[str]) -> list[str]:
    """Return all keys of `ours` and `theirs`: in our order, with what they alone have added or moved put in place."""
    base, ours, theirs = list(base), list(ours), list(theirs)
    placed_anew = moved(base, theirs) - moved(base, ours) | (set(theirs) - set(ours))
    order = [key for key in ours if key not in placed_anew]
    for position, key in enumerate(theirs):
        if key not in placed_anew:
            continue
        before = next((other for other in reversed(theirs[:position]) if other in order), None)
        order.insert(0 if before is None else order.index(before) + 1, key)
    return order


def moved(base: Sequence[str], side: Sequence[str]) -> set[str]:
    """Return the fewest keys whose move turns the order of `base` into that of `side`."""
    positions = {key: position for position, key in enumerate(base)}
    common = [key for key in side if key in positions]
    tails: list[int] = []  # the last position of the best increasing run of each length
    chains: list[list[str]] = []
    for key in common:
        length = bisect_left(tails, positions[key])
        chain = [*(chains[length - 1] if length else []), key]
        tails[length:], chains[length:] = [positions[key], *tails[length + 1 :]], [chain, *chains[length + 1 :]]
    return set(common) - set(chains[-1] if chains else [])


def merge_value(base: T, ours: T, theirs: T) -> tuple[T, bool]:
    """Return the merge of one value, and whether both sides have changed it differently (then it is `ours`)."""
    if ours == base:
        return theirs, False
    return ours, theirs not in (base, ours)
