"""LLVM IR that scores small trees: the same text for every model, which is its data.

QuickScorer's idea (Lucchese et al., SIGIR 2015), that all nodes are evaluated for many rows without branches, with
selection from the leaves up: a number becomes its rank among a feature's thresholds, one or two bytes; a node is one
vector comparison and one selection for 64 or 32 rows, whose result is the number of the leaf.
"""

from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE

CHUNK = 512  # rows that pass all trees before the next rows
GROUP = 8  # trees whose leaf values are added to a row's score in one pass
SEARCH = 16  # numbers whose binary searches run side by side


def write_module(lane: str, score: str) -> str:
    """Return a module of `rank`, `expand` and `exponential` for ranks of the type `lane`, and of the given `score`."""
    return "\n".join([_rank(lane), _expand(lane), score, _EXPONENTIAL])


def _rank(lane: str) -> str:
    """Return `rank`: for each number, how many thresholds are less, by binary search; 0 for NaN.

    Writes up to `SEARCH` - 1 ranks beyond the last.
    """
    each = range(SEARCH)
    lines = """
define void @rank(ptr %values, i64 %stride, i64 %rows, ptr %cuts, i64 %half, ptr %out) {
start:
  %last = sub i64 %rows, 1
  br label %each""".splitlines()
    lines += load_numbers()
    lines += ["  br label %step", "step:"]
    lines += [f"  %k{j} = phi i64 [ 0, %each ], [ %kk{j}, %step ]" for j in each]
    lines += ["  %s = phi i64 [ %half, %each ], [ %ss, %step ]", "  %c = getelementptr double, ptr %cuts, i64 %s"]
    for j in each:
        lines += f"""
  %q{j} = getelementptr double, ptr %c, i64 %k{j}
  %cut{j} = load double, ptr %q{j}
  %less{j} = fcmp olt double %cut{j}, %x{j}
  %m{j} = sext i1 %less{j} to i64
  %a{j} = and i64 %m{j}, %s
  %kk{j} = add i64 %k{j}, %a{j}""".splitlines()
    lines += ["  %ss = lshr i64 %s, 1", "  %more = icmp ne i64 %ss, 0", "  br i1 %more, label %step, label %done"]
    return "\n".join([*lines, *store_ranks(lane)])


def load_numbers() -> list[str]:
    """Return the lines that begin a loop `each` over `SEARCH` numbers `%x0`, `%x1` ... at a time, from `%i` on.

    The numbers beyond the last row, `%last`, are those of the last row.
    """
    lines = ["each:", "  %i = phi i64 [ 0, %start ], [ %next, %done ]"]
    for j in range(SEARCH):
        lines += f"""
  %i{j} = add i64 %i, {j}
  %in{j} = icmp slt i64 %i{j}, %rows
  %t{j} = select i1 %in{j}, i64 %i{j}, i64 %last
  %at{j} = mul i64 %t{j}, %stride
  %p{j} = getelementptr double, ptr %values, i64 %at{j}
  %x{j} = load double, ptr %p{j}""".splitlines()
    return lines


def store_ranks(lane: str) -> list[str]:
    """Return the block `done` that stores the ranks `%kk0`, `%kk1` ..., and ends the loop and its function."""
    lines = ["done:"]
    for j in range(SEARCH):
        lines += f"""
  %r{j} = trunc i64 %kk{j} to {lane}
  %w{j} = getelementptr {lane}, ptr %out, i64 %i{j}
  store {lane} %r{j}, ptr %w{j}""".splitlines()
    lines += f"""
  %next = add i64 %i, {SEARCH}
  %again = icmp slt i64 %next, %rows
  br i1 %again, label %each, label %end
end:
  ret void
}}""".splitlines()
    return lines


def _expand(lane: str) -> str:
    """Return `expand`: the rank of each row, from the ranks of the distinct values and the rows' codes."""
    return f"""
define void @expand(ptr %table, ptr %codes, i64 %rows, ptr %out) {{
start:
  br label %each
each:
  %i = phi i64 [ 0, %start ], [ %next, %each ]
  %p = getelementptr i32, ptr %codes, i64 %i
  %code = load i32, ptr %p
  %index = sext i32 %code to i64
  %q = getelementptr {lane}, ptr %table, i64 %index
  %rank = load {lane}, ptr %q
  %o = getelementptr {lane}, ptr %out, i64 %i
  store {lane} %rank, ptr %o
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %rows
  br i1 %again, label %each, label %end
end:
  ret void
}}"""


def write_score(lane: str) -> str:
    """Return `score`: adds the values of all trees to scores (outputs, rows); `small_tree_layout` makes its data."""
    size = int(lane[1:]) // 8
    lanes = CACHE_LINE // size
    vector = f"<{lanes} x {lane}>"
    lines = f"""
define void @score(ptr %columns, i64 %rows, ptr %nodes, ptr %groups, i64 %count, ptr %leaves, ptr %memory, ptr %out) {{
start:
  br label %chunk
chunk:
  %first = phi i64 [ 0, %start ], [ %after, %all ]
  %offset = mul i64 %first, {size}
  br label %group
group:
  %g = phi i64 [ 0, %chunk ], [ %gg, %added ]
  %gat = mul i64 %g, {3 + 2 * GROUP}
  %g0 = getelementptr i64, ptr %groups, i64 %gat
  %g1 = getelementptr i64, ptr %g0, i64 1
  %g2 = getelementptr i64, ptr %g0, i64 2
  %from = load i64, ptr %g0
  %to = load i64, ptr %g1
  %output = load i64, ptr %g2
  br label %node
node:
  %n = phi i64 [ %from, %group ], [ %nn, %node ]
  %nat = mul i64 %n, 7
  %np = getelementptr i32, ptr %nodes, i64 %nat""".splitlines()
    for j, name in enumerate(("column", "rank", "left", "leftward", "right", "rightward", "into")):
        lines += f"""
  %{name}p = getelementptr i32, ptr %np, i64 {j}
  %{name}n = load i32, ptr %{name}p
  %{name} = zext i32 %{name}n to i64""".splitlines()
    lines += f"""
  %cp = getelementptr ptr, ptr %columns, i64 %column
  %cq = load ptr, ptr %cp
  %c0 = getelementptr i8, ptr %cq, i64 %offset
  %l0 = getelementptr i8, ptr %memory, i64 %left
  %r0 = getelementptr i8, ptr %memory, i64 %right
  %i0 = getelementptr i8, ptr %memory, i64 %into
  %k = trunc i64 %rank to {lane}
  %k0 = insertelement {vector} undef, {lane} %k, i32 0
  %ks = shufflevector {vector} %k0, {vector} undef, <{lanes} x i32> zeroinitializer""".splitlines()
    for j in range(CHUNK // lanes):
        if j:
            lines += f"""
  %c{j} = getelementptr i8, ptr %c{j - 1}, i64 {CACHE_LINE}
  %l{j} = getelementptr i8, ptr %l{j - 1}, i64 %leftward
  %r{j} = getelementptr i8, ptr %r{j - 1}, i64 %rightward
  %i{j} = getelementptr i8, ptr %i{j - 1}, i64 {CACHE_LINE}""".splitlines()
        lines += f"""
  %cv{j} = load {vector}, ptr %c{j}, align {CACHE_LINE}
  %lv{j} = load {vector}, ptr %l{j}, align {CACHE_LINE}
  %rv{j} = load {vector}, ptr %r{j}, align {CACHE_LINE}
  %d{j} = icmp ule {vector} %cv{j}, %ks
  %v{j} = select <{lanes} x i1> %d{j}, {vector} %lv{j}, {vector} %rv{j}
  store {vector} %v{j}, ptr %i{j}, align {CACHE_LINE}""".splitlines()
    lines += """
  %nn = add i64 %n, 1
  %nmore = icmp slt i64 %nn, %to
  br i1 %nmore, label %node, label %add
add:
  %oat = mul i64 %output, %rows
  %of = add i64 %oat, %first
  %op = getelementptr double, ptr %out, i64 %of""".splitlines()
    for j in range(GROUP):
        lines += f"""
  %ap{j} = getelementptr i64, ptr %g0, i64 {3 + 2 * j}
  %ao{j} = load i64, ptr %ap{j}
  %chosen{j} = getelementptr i8, ptr %memory, i64 %ao{j}
  %bp{j} = getelementptr i64, ptr %g0, i64 {4 + 2 * j}
  %bo{j} = load i64, ptr %bp{j}
  %leaf{j} = getelementptr double, ptr %leaves, i64 %bo{j}""".splitlines()
    lines += """
  br label %row
row:
  %r = phi i64 [ 0, %add ], [ %rr, %row ]
  %sp = getelementptr double, ptr %op, i64 %r
  %s0 = load double, ptr %sp""".splitlines()
    for j in range(GROUP):
        lines += f"""
  %xp{j} = getelementptr {lane}, ptr %chosen{j}, i64 %r
  %x{j} = load {lane}, ptr %xp{j}
  %y{j} = zext {lane} %x{j} to i64
  %yp{j} = getelementptr double, ptr %leaf{j}, i64 %y{j}
  %z{j} = load double, ptr %yp{j}
  %s{j + 1} = fadd double %s{j}, %z{j}""".splitlines()
    lines += f"""
  store double %s{GROUP}, ptr %sp
  %rr = add i64 %r, 1
  %rmore = icmp slt i64 %rr, {CHUNK}
  br i1 %rmore, label %row, label %added
added:
  %gg = add i64 %g, 1
  %gmore = icmp slt i64 %gg, %count
  br i1 %gmore, label %group, label %all
all:
  %after = add i64 %first, {CHUNK}
  %more = icmp slt i64 %after, %rows
  br i1 %more, label %chunk, label %end
end:
  ret void
}}""".splitlines()
    return "\n".join(lines)


# The C library's exponential, which LightGBM uses and numpy does not: their last bits differ.
_EXPONENTIAL = """
define void @exponential(ptr %exp, ptr %values, i64 %count) {
start:
  br label %each
each:
  %i = phi i64 [ 0, %start ], [ %next, %each ]
  %p = getelementptr double, ptr %values, i64 %i
  %x = load double, ptr %p
  %y = call double %exp(double %x)
  store double %y, ptr %p
  %next = add i64 %i, 1
  %again = icmp slt i64 %next, %count
  br i1 %again, label %each, label %end
end:
  ret void
}"""
