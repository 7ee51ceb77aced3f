"""What the layouts of small and of large trees share: the record that compiled code is called with, aligned memory."""

from dataclasses import dataclass

import numpy as np

from mlnb.serving.batch.compiled.threshold_ranks import Ranks

CACHE_LINE = 64  # bytes


@dataclass(frozen=True)
class TreeLayout:
    """The trees of a booster as arrays, and the IR of the function `score` that reads them.

    Args:
        ranks: thresholds, and the columns of ranks that nodes compare.
        lane: LLVM's type of a rank: i8 or i16.
        score_ir: IR of `score`.
        nodes: all nodes of all trees.
        groups: int64: which nodes belong together, and where their results go.
        count: groups, or trees.
        leaves: values of the leaves.
        memory: scratch memory of `score`.
    """

    ranks: Ranks
    lane: str
    score_ir: str
    nodes: np.ndarray
    groups: np.ndarray
    count: int
    leaves: np.ndarray
    memory: np.ndarray

    def bind_columns(self, addresses: np.ndarray) -> np.ndarray:
        """Return the addresses of the columns of ranks, (columns,) uint64, as `score` takes them."""
        return addresses


def allocate_aligned(count: int) -> np.ndarray:
    """Return at least `count` bytes of zeros that begin at the start of a cache line."""
    raw = np.zeros(count + 2 * CACHE_LINE, np.uint8)
    return raw[-raw.ctypes.data % CACHE_LINE :][: count + CACHE_LINE]
