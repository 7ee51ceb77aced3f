"""Numbers as ranks among the thresholds that trees compare them with: small whole numbers, compared the same."""

from dataclasses import dataclass

import numpy as np

from mlnb.serving.edge.lightgbm_text import Boosted

MOST = 2**16 - 2  # thresholds in a stretch: ranks 0 to this many, and one more for missing values that go right

Stretch = tuple[int, int]  # a feature, and which of its stretches of thresholds: few have more than one


@dataclass(frozen=True)
class Ranks:
    """The thresholds of a booster in order, and for each of its nodes, tree after tree, what it compares.

    A value goes left when at most `rank` thresholds of the node's stretch are less than it. Of a feature with more than
    `MOST` thresholds each stretch is a column of ranks of its own: a value beyond it is at its end.
    """

    cuts: dict[Stretch, np.ndarray]  # ascending
    columns: dict[tuple[Stretch, bool], int]  # stretch, and whether a missing value goes left -> place of the column
    place: np.ndarray  # (nodes,) int64: of the node's column
    rank: np.ndarray  # (nodes,) int64: of its threshold


def rank_nodes(boosted: Boosted) -> Ranks:
    """Return the ranks of a booster's thresholds."""
    feature, threshold, nan_left = (
        np.concatenate([np.empty(0, kind), *(getattr(tree, name) for tree in boosted.trees)])
        for name, kind in (("feature", np.int64), ("threshold", np.float64), ("nan_left", np.bool_))
    )
    stretch, rank = np.empty(len(feature), np.int64), np.empty(len(feature), np.int64)
    cuts: dict[Stretch, np.ndarray] = {}
    order = np.argsort(feature, kind="stable")
    for nodes in np.split(order, np.flatnonzero(np.diff(feature[order])) + 1) if len(order) else []:
        ordered, among = np.unique(threshold[nodes], return_inverse=True)
        stretch[nodes], rank[nodes] = np.divmod(among, MOST)
        each = {(int(feature[nodes[0]]), at // MOST): ordered[at : at + MOST] for at in range(0, len(ordered), MOST)}
        cuts |= each
    most = int(stretch.max(initial=0)) + 1
    keys, place = np.unique((feature * most + stretch) * 2 + nan_left, return_inverse=True)
    columns = {(divmod(key // 2, most), bool(key % 2)): at for at, key in enumerate(keys.tolist())}
    return Ranks(cuts, columns, place, rank)
