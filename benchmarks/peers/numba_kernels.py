"""The loops of compiled trees in numba: the same data layouts and the same bits as `mlnb.serving.batch.compiled`.

Indices are uint64 throughout, because numba's test for negative indices keeps LLVM from vectorizing, and comparisons
go through memory, because LLVM otherwise turns them into branches that no processor predicts.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types, uint16, uint32, uint64
from numba.extending import intrinsic

from mlnb.serving.batch.compiled import large_tree_ir, small_tree_ir

U = np.uint64
CHUNK, SEARCH = U(small_tree_ir.CHUNK), U(256)
TILE, ABREAST = U(large_tree_ir.TILE), U(large_tree_ir.ROWS_ABREAST)
EXITS, ROOT = U(2 * large_tree_ir.TOP_NODES), U(large_tree_ir.HEADER // 8)
LOW, HIGH = U(0xFFFF), U(0xFFFF0000)


@njit(cache=True, nogil=True)
def rank(numbers, start, stride, count, thresholds, half, ranks, below, less):  # type: ignore[no-untyped-def]
    """Write the rank of each number; `below` and `less` are scratch for `SEARCH` numbers."""
    for first in range(U(0), count, SEARCH):
        some = min(SEARCH, count - first)
        below[:] = uint16(0)
        step = half
        while step > U(0):
            for j in range(some):
                less[j] = thresholds[step + below[j]] < numbers[start + (first + j) * stride]
            for j in range(some):
                below[j] += less[j] * uint16(step)
            step >>= U(1)
        for j in range(some):
            ranks[first + j] = below[j]


@njit(cache=True, nogil=True)
def expand(table, codes, ranks, start):  # type: ignore[no-untyped-def]
    """Write the rank of each row's code."""
    for row in range(U(len(codes))):
        ranks[start + row] = table[uint64(codes[row])]


@njit(cache=True, nogil=True)
def score_small(ranks, columns, nodes, groups, values, slots, scores, rows):  # type: ignore[no-untyped-def]
    """Add the values of small trees: every node for a chunk of rows at once."""
    lane = slots.dtype.type
    for first in range(U(0), rows, CHUNK):
        for g in range(U(len(groups))):
            group = groups[g]
            for n in range(group[0], group[1]):
                column, left, right, result = (
                    columns[nodes[n, U(0)]] + first,
                    nodes[n, U(2)],
                    nodes[n, U(3)],
                    nodes[n, U(4)],
                )
                limit = lane(nodes[n, U(1)])
                for j in range(CHUNK):
                    one, other = slots[left + j], slots[right + j]
                    slots[result + j] = one if ranks[column + j] <= limit else other
            add_group(group, values, slots, scores, group[2] * rows + first)


@njit(cache=True, nogil=True)
def add_group(group, values, slots, scores, start):  # type: ignore[no-untyped-def]
    """Add the values of eight trees to the scores of a chunk of rows."""
    s0, s1, s2, s3, s4, s5, s6, s7 = group[3], group[5], group[7], group[9], group[11], group[13], group[15], group[17]
    v0, v1, v2, v3, v4, v5, v6, v7 = group[4], group[6], group[8], group[10], group[12], group[14], group[16], group[18]
    for j in range(CHUNK):
        total = scores[start + j]
        total += values[v0 + slots[s0 + j]]
        total += values[v1 + slots[s1 + j]]
        total += values[v2 + slots[s2 + j]]
        total += values[v3 + slots[s3 + j]]
        total += values[v4 + slots[s4 + j]]
        total += values[v5 + slots[s5 + j]]
        total += values[v6 + slots[s6 + j]]
        total += values[v7 + slots[s7 + j]]
        scores[start + j] = total


@intrinsic
def prefetch(context: Any, array: Any, index: Any) -> Any:
    """Fetch an element's cache line; without it large trees take 1.3 times as long."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        i32 = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, i32, i32, i32])
        function = builder.module.declare_intrinsic("llvm.prefetch", [pointer.type], kind)
        builder.call(function, [pointer, i32(0), i32(2), i32(1)])
        return context.get_dummy_value()

    return types.void(array, index), generate


@njit(cache=True, nogil=True)
def select_three(ranks, columns, headers, header, first, a, b, c, count, exits, start):  # type: ignore[no-untyped-def]
    """Write the exit of each row from a node and its two children."""
    xa, xb, xc = (
        columns[headers[header + U(2) * a]] + first,
        columns[headers[header + U(2) * b]] + first,
        columns[headers[header + U(2) * c]] + first,
    )
    ka, kb, kc = (
        uint16(headers[header + U(2) * a + U(1)]),
        uint16(headers[header + U(2) * b + U(1)]),
        uint16(headers[header + U(2) * c + U(1)]),
    )
    for j in range(count):
        left = uint16(ranks[xb + j] > kb)
        right = uint16(uint16(ranks[xc + j] > kc) + uint16(2))
        exits[start + j] = right if ranks[xa + j] > ka else left


@njit(cache=True, nogil=True)
def select_top(ranks, columns, headers, header, first, count, exits):  # type: ignore[no-untyped-def]
    """Write the exit of each row from the four top levels."""
    select_three(ranks, columns, headers, header, first, U(3), U(7), U(8), count, exits, count)
    select_three(ranks, columns, headers, header, first, U(4), U(9), U(10), count, exits, U(2) * count)
    select_three(ranks, columns, headers, header, first, U(5), U(11), U(12), count, exits, U(3) * count)
    select_three(ranks, columns, headers, header, first, U(6), U(13), U(14), count, exits, U(4) * count)
    xa, xb, xc = (
        columns[headers[header]] + first,
        columns[headers[header + U(2)]] + first,
        columns[headers[header + U(4)]] + first,
    )
    ka, kb, kc = uint16(headers[header + U(1)]), uint16(headers[header + U(3)]), uint16(headers[header + U(5)])
    for j in range(count):
        left = exits[U(2) * count + j] | uint16(4) if ranks[xb + j] > kb else exits[count + j]
        right = exits[U(4) * count + j] | uint16(4) if ranks[xc + j] > kc else exits[U(3) * count + j]
        exits[j] = uint16(right | uint16(8)) if ranks[xa + j] > ka else uint16(left)


@njit(cache=True, nogil=True)
def descend(nodes, root, block, row, n):  # type: ignore[no-untyped-def]
    """Return the next nodes of sixteen rows, and all bits of the words of the present ones."""
    w0 = nodes[root + n[0]]
    w1 = nodes[root + n[1]]
    w2 = nodes[root + n[2]]
    w3 = nodes[root + n[3]]
    w4 = nodes[root + n[4]]
    w5 = nodes[root + n[5]]
    w6 = nodes[root + n[6]]
    w7 = nodes[root + n[7]]
    w8 = nodes[root + n[8]]
    w9 = nodes[root + n[9]]
    w10 = nodes[root + n[10]]
    w11 = nodes[root + n[11]]
    w12 = nodes[root + n[12]]
    w13 = nodes[root + n[13]]
    w14 = nodes[root + n[14]]
    w15 = nodes[root + n[15]]
    bits = w0 | w1 | w2 | w3 | w4 | w5 | w6 | w7 | w8 | w9 | w10 | w11 | w12 | w13 | w14 | w15
    return (
        (w0 + block[row + U(0) + U(2) * (w0 & LOW)]) >> U(32),
        (w1 + block[row + U(1) + U(2) * (w1 & LOW)]) >> U(32),
        (w2 + block[row + U(2) + U(2) * (w2 & LOW)]) >> U(32),
        (w3 + block[row + U(3) + U(2) * (w3 & LOW)]) >> U(32),
        (w4 + block[row + U(4) + U(2) * (w4 & LOW)]) >> U(32),
        (w5 + block[row + U(5) + U(2) * (w5 & LOW)]) >> U(32),
        (w6 + block[row + U(6) + U(2) * (w6 & LOW)]) >> U(32),
        (w7 + block[row + U(7) + U(2) * (w7 & LOW)]) >> U(32),
        (w8 + block[row + U(8) + U(2) * (w8 & LOW)]) >> U(32),
        (w9 + block[row + U(9) + U(2) * (w9 & LOW)]) >> U(32),
        (w10 + block[row + U(10) + U(2) * (w10 & LOW)]) >> U(32),
        (w11 + block[row + U(11) + U(2) * (w11 & LOW)]) >> U(32),
        (w12 + block[row + U(12) + U(2) * (w12 & LOW)]) >> U(32),
        (w13 + block[row + U(13) + U(2) * (w13 & LOW)]) >> U(32),
        (w14 + block[row + U(14) + U(2) * (w14 & LOW)]) >> U(32),
        (w15 + block[row + U(15) + U(2) * (w15 & LOW)]) >> U(32),
    ), bits


@njit(cache=True, nogil=True)
def score_large(ranks, columns, distinct, nodes, headers, values, trees, block, exits, scores, rows, size):  # type: ignore[no-untyped-def]
    """Add the values of large trees: one tree after the other, sixteen rows at a time."""
    width = U(len(distinct))
    for first in range(U(0), rows, size):
        count = min(size, rows - first)
        for tile in range(U(0), count, TILE):
            for c in range(width):
                source, target = distinct[c] + first + tile, tile * width + c * TILE
                for j in range(TILE):
                    block[target + j] = uint32(ranks[source + j]) << uint32(16)
        for k in range(U(len(trees))):
            header, value, soon, lines, sure = U(2) * trees[k, 0], trees[k, 1], trees[k, 3], trees[k, 4], trees[k, 5]
            root, start = trees[k, 0] + ROOT, trees[k, 2] * rows + first
            select_top(ranks, columns, headers, header, first, count, exits)
            for tile in range(U(0), count, TILE):
                for _ in range(lines):
                    prefetch(nodes, soon)
                    soon += U(8)
                for u in range(U(0), TILE, ABREAST):
                    row = tile * width + u
                    at = tile + u
                    state = (
                        uint64(headers[header + EXITS + exits[at + U(0)]]),
                        uint64(headers[header + EXITS + exits[at + U(1)]]),
                        uint64(headers[header + EXITS + exits[at + U(2)]]),
                        uint64(headers[header + EXITS + exits[at + U(3)]]),
                        uint64(headers[header + EXITS + exits[at + U(4)]]),
                        uint64(headers[header + EXITS + exits[at + U(5)]]),
                        uint64(headers[header + EXITS + exits[at + U(6)]]),
                        uint64(headers[header + EXITS + exits[at + U(7)]]),
                        uint64(headers[header + EXITS + exits[at + U(8)]]),
                        uint64(headers[header + EXITS + exits[at + U(9)]]),
                        uint64(headers[header + EXITS + exits[at + U(10)]]),
                        uint64(headers[header + EXITS + exits[at + U(11)]]),
                        uint64(headers[header + EXITS + exits[at + U(12)]]),
                        uint64(headers[header + EXITS + exits[at + U(13)]]),
                        uint64(headers[header + EXITS + exits[at + U(14)]]),
                        uint64(headers[header + EXITS + exits[at + U(15)]]),
                    )
                    for _ in range(sure):
                        state, bits = descend(nodes, root, block, row, state)
                    bits = HIGH
                    while bits & HIGH != U(0):
                        state, bits = descend(nodes, root, block, row, state)
                    scores[start + at + U(0)] += values[value + state[0]]
                    scores[start + at + U(1)] += values[value + state[1]]
                    scores[start + at + U(2)] += values[value + state[2]]
                    scores[start + at + U(3)] += values[value + state[3]]
                    scores[start + at + U(4)] += values[value + state[4]]
                    scores[start + at + U(5)] += values[value + state[5]]
                    scores[start + at + U(6)] += values[value + state[6]]
                    scores[start + at + U(7)] += values[value + state[7]]
                    scores[start + at + U(8)] += values[value + state[8]]
                    scores[start + at + U(9)] += values[value + state[9]]
                    scores[start + at + U(10)] += values[value + state[10]]
                    scores[start + at + U(11)] += values[value + state[11]]
                    scores[start + at + U(12)] += values[value + state[12]]
                    scores[start + at + U(13)] += values[value + state[13]]
                    scores[start + at + U(14)] += values[value + state[14]]
                    scores[start + at + U(15)] += values[value + state[15]]
