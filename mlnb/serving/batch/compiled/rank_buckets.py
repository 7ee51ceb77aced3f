"""Ranks by buckets of equal width: a number's bucket leads to the few thresholds that it has to be compared with.

A binary search reads eight thresholds of 255. The bucket of a number is a subtraction, a multiplication and a
truncation, each of which rounds without changing an order: thresholds in lower buckets are less than the number, those
in higher ones are greater, and only those in the same bucket are compared. Thresholds that crowd into few buckets, such
as those of prices, have no buckets, and are searched.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mlnb.serving.batch.compiled.llvm_functions import COUNT, POINTER
from mlnb.serving.batch.compiled.small_tree_ir import SEARCH, load_numbers, store_ranks

BUCKETS = 4096  # of a column: 8 KB of starts stay in the first-level cache
CROWD = 3  # most thresholds in a bucket; with more of them a binary search is as fast
FUNCTION = {"bucket_rank": (POINTER, COUNT, COUNT, POINTER, POINTER, POINTER, COUNT, POINTER)}


@dataclass(frozen=True)
class RankBuckets:
    """The buckets of a column's thresholds.

    Args:
        cuts: thresholds, ascending, and `crowd` infinite ones (m + crowd,) float64.
        ruler: lowest threshold, buckets per unit, and the last bucket (3,) float64.
        starts: number of thresholds in lower buckets (BUCKETS,) uint16.
        crowd: most thresholds in a bucket.
    """

    cuts: np.ndarray
    ruler: np.ndarray
    starts: np.ndarray
    crowd: int

    @cached_property
    def arguments(self) -> tuple[int, int, int, int]:
        """Return what `bucket_rank` takes of them: three addresses, and the crowd."""
        return self.cuts.ctypes.data, self.ruler.ctypes.data, self.starts.ctypes.data, self.crowd


def make_buckets(thresholds: np.ndarray) -> RankBuckets | None:
    """Return the buckets of ascending thresholds (m,); None where too many of them share one."""
    if len(thresholds) < 2:
        return None
    with np.errstate(over="ignore"):
        scale = (BUCKETS - 1) / (thresholds[-1] - thresholds[0])
    if not 0.0 < scale < np.inf:
        return None
    ruler = np.array([thresholds[0], scale, BUCKETS - 1])
    bucket = np.clip((thresholds - ruler[0]) * ruler[1], 0.0, ruler[2]).astype(np.int64)
    counts = np.bincount(bucket, minlength=BUCKETS)
    crowd = int(counts.max())
    if crowd > CROWD:
        return None
    starts = (np.cumsum(counts) - counts).astype(np.uint16)
    return RankBuckets(np.concatenate([thresholds, np.full(crowd, np.inf)]), ruler, starts, crowd)


def write_bucket_rank(lane: str) -> str:
    """Return IR of `bucket_rank`: for each number, how many thresholds are less; 0 for NaN.

    Writes up to `SEARCH` - 1 ranks of the type `lane` beyond the last.
    """
    each = range(SEARCH)
    lines = """
declare double @llvm.maxnum.f64(double, double)
declare double @llvm.minnum.f64(double, double)
define void @bucket_rank(
  ptr %values, i64 %stride, i64 %rows, ptr %cuts, ptr %ruler, ptr %starts, i64 %crowd, ptr %out
) {
start:
  %last = sub i64 %rows, 1
  %low = load double, ptr %ruler
  %scalep = getelementptr double, ptr %ruler, i64 1
  %scale = load double, ptr %scalep
  %topp = getelementptr double, ptr %ruler, i64 2
  %top = load double, ptr %topp
  br label %each""".splitlines()
    lines += load_numbers()
    for j in each:
        lines += f"""
  %d{j} = fsub double %x{j}, %low
  %m{j} = fmul double %d{j}, %scale
  %n{j} = call double @llvm.maxnum.f64(double %m{j}, double 0.0)
  %u{j} = call double @llvm.minnum.f64(double %n{j}, double %top)
  %b{j} = fptosi double %u{j} to i64
  %sp{j} = getelementptr i16, ptr %starts, i64 %b{j}
  %sv{j} = load i16, ptr %sp{j}
  %s{j} = zext i16 %sv{j} to i64
  %c{j} = getelementptr double, ptr %cuts, i64 %s{j}""".splitlines()
    lines += ["  br label %step", "step:"]
    lines += [f"  %k{j} = phi i64 [ %s{j}, %each ], [ %kk{j}, %step ]" for j in each]
    lines += ["  %o = phi i64 [ 0, %each ], [ %oo, %step ]"]
    for j in each:
        lines += f"""
  %q{j} = getelementptr double, ptr %c{j}, i64 %o
  %cut{j} = load double, ptr %q{j}
  %less{j} = fcmp olt double %cut{j}, %x{j}
  %one{j} = zext i1 %less{j} to i64
  %kk{j} = add i64 %k{j}, %one{j}""".splitlines()
    lines += ["  %oo = add i64 %o, 1", "  %more = icmp slt i64 %oo, %crowd"]
    lines += ["  br i1 %more, label %step, label %done"]
    return "\n".join([*lines, *store_ranks(lane)])
