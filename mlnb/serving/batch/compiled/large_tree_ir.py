"""LLVM IR that scores large trees: one tree after the other, over a block of rows.

Evaluating every node, as `small_tree_ir` does, is too much work where a tree has thousands. Each row descends by
itself instead, `ROWS_ABREAST` of them at a time, which hides the memory latency, and without a branch, which no
processor could predict. Memory traffic is kept low: a node is eight bytes, whose sum with a rank carries into the
number of the child, in five instructions; the first `TOP` levels, which every row passes, are evaluated for a tile of
rows at once, all their nodes by vector comparisons; and while one tree is traversed the next one is prefetched.
"""

from mlnb.serving.batch.compiled.tree_layout import CACHE_LINE

TILE = 32  # rows whose ranks of a column are contiguous
COLUMN_BYTES = 4 * TILE  # of a tile's ranks, which are shifted to the bits where a node has its threshold
ROWS_ABREAST = 16  # rows that descend a tree together
TOP = 4  # levels that are evaluated whole
TOP_NODES = 2**TOP - 1
HEADER = 4 * (2 * TOP_NODES + 2**TOP)  # bytes before a tree's nodes: column and rank of each top node, and its exits

_RANKS, _SHIFTED = f"<{TILE} x i16>", f"<{TILE} x i32>"
_SIXTEEN = ", ".join(["i32 16"] * TILE)


def write_traversal() -> str:
    """Return `score` for ranks of the type i16, which reads data that `large_tree_layout` makes."""
    lines = f"""
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
define void @score(ptr %columns, i64 %rows, ptr %nodes, ptr %trees, i64 %count, ptr %leaves, ptr %block, ptr %out) {{
start:
  %paths = alloca {_RANKS}, align 64
  %width = load i64, ptr %trees
  %sizep = getelementptr i64, ptr %trees, i64 1
  %size = load i64, ptr %sizep
  %allp = getelementptr i64, ptr %trees, i64 2
  %all = load i64, ptr %allp
  %different = getelementptr ptr, ptr %columns, i64 %all
  %firsttree = getelementptr i64, ptr %trees, i64 3
  %stride = mul i64 %width, {COLUMN_BYTES}
  br label %block_
block_:
  %first = phi i64 [ 0, %start ], [ %after, %scored ]
  %rest = sub i64 %rows, %first
  %last = icmp slt i64 %rest, %size
  %n = select i1 %last, i64 %rest, i64 %size
  br label %copy
copy:
  %ct = phi i64 [ 0, %block_ ], [ %ctt, %copied ]
  %to = phi ptr [ %block, %block_ ], [ %too, %copied ]
  %cfirst = add i64 %first, %ct
  %coffset = mul i64 %cfirst, 2
  br label %column
column:
  %c = phi i64 [ 0, %copy ], [ %cc, %column ]
  %cpp = getelementptr ptr, ptr %different, i64 %c
  %cp = load ptr, ptr %cpp
  %from = getelementptr i8, ptr %cp, i64 %coffset
  %ranks = load {_RANKS}, ptr %from, align 64
  %extended = zext {_RANKS} %ranks to {_SHIFTED}
  %shifted = shl {_SHIFTED} %extended, <{_SIXTEEN}>
  %cto = getelementptr {_SHIFTED}, ptr %to, i64 %c
  store {_SHIFTED} %shifted, ptr %cto, align 64
  %cc = add i64 %c, 1
  %cmore = icmp slt i64 %cc, %width
  br i1 %cmore, label %column, label %copied
copied:
  %too = getelementptr i8, ptr %to, i64 %stride
  %ctt = add i64 %ct, {TILE}
  %ctmore = icmp slt i64 %ctt, %n
  br i1 %ctmore, label %copy, label %tree
tree:
  %k = phi i64 [ 0, %copied ], [ %kk, %treed ]
  %kat = mul i64 %k, 6
  %k0 = getelementptr i64, ptr %firsttree, i64 %kat
  %k1 = getelementptr i64, ptr %k0, i64 1
  %k2 = getelementptr i64, ptr %k0, i64 2
  %k3 = getelementptr i64, ptr %k0, i64 3
  %k4 = getelementptr i64, ptr %k0, i64 4
  %k5 = getelementptr i64, ptr %k0, i64 5
  %headat = load i64, ptr %k0
  %valueat = load i64, ptr %k1
  %output = load i64, ptr %k2
  %soonat = load i64, ptr %k3
  %lines = load i64, ptr %k4
  %sure = load i64, ptr %k5
  %head = getelementptr i8, ptr %nodes, i64 %headat
  %ends = getelementptr i8, ptr %head, i64 {8 * TOP_NODES}
  %root = getelementptr i8, ptr %head, i64 {HEADER}
  %value = getelementptr i8, ptr %leaves, i64 %valueat
  %soon = getelementptr i8, ptr %nodes, i64 %soonat
  %oat = mul i64 %output, %rows
  %of = add i64 %oat, %first
  %scores = getelementptr double, ptr %out, i64 %of
  br label %tile
tile:
  %t = phi i64 [ 0, %tree ], [ %tt, %tiled ]
  %tp = phi ptr [ %block, %tree ], [ %tpp, %tiled ]
  %fetched = phi ptr [ %soon, %tree ], [ %fetchnext, %tiled ]
  %sp = getelementptr double, ptr %scores, i64 %t
  %tfirst = add i64 %first, %t
  br label %line
line:
  %f = phi i64 [ 0, %tile ], [ %ff, %line ]
  %fetch = phi ptr [ %fetched, %tile ], [ %fetchnext, %line ]
  call void @llvm.prefetch.p0(ptr %fetch, i32 0, i32 2, i32 1)
  %fetchnext = getelementptr i8, ptr %fetch, i64 {CACHE_LINE}
  %ff = add i64 %f, 1
  %fmore = icmp slt i64 %ff, %lines
  br i1 %fmore, label %line, label %top
top:""".splitlines()
    lines += _evaluate_top()
    lines += f"""
  store {_RANKS} %path0, ptr %paths, align 64
  br label %few
few:
  %u = phi i64 [ 0, %top ], [ %uu, %arrived ]
  %row = getelementptr i32, ptr %tp, i64 %u
  %path = getelementptr i16, ptr %paths, i64 %u""".splitlines()
    for j in range(ROWS_ABREAST):
        lines += f"""
  %pp{j} = getelementptr i16, ptr %path, i64 {j}
  %p{j} = load i16, ptr %pp{j}
  %pz{j} = zext i16 %p{j} to i64
  %ep{j} = getelementptr i32, ptr %ends, i64 %pz{j}
  %e{j} = load i32, ptr %ep{j}
  %start{j} = zext i32 %e{j} to i64""".splitlines()
    lines += _descend()
    lines += "  %sfew = getelementptr double, ptr %sp, i64 %u".splitlines()
    for j in range(ROWS_ABREAST):
        lines += f"""
  %vp{j} = getelementptr double, ptr %value, i64 %ff{j}
  %v{j} = load double, ptr %vp{j}
  %sp{j} = getelementptr double, ptr %sfew, i64 {j}
  %s{j} = load double, ptr %sp{j}
  %ss{j} = fadd double %s{j}, %v{j}
  store double %ss{j}, ptr %sp{j}""".splitlines()
    lines += f"""
  %uu = add i64 %u, {ROWS_ABREAST}
  %umore = icmp slt i64 %uu, {TILE}
  br i1 %umore, label %few, label %tiled
tiled:
  %tpp = getelementptr i8, ptr %tp, i64 %stride
  %tt = add i64 %t, {TILE}
  %tmore = icmp slt i64 %tt, %n
  br i1 %tmore, label %tile, label %treed
treed:
  %kk = add i64 %k, 1
  %kmore = icmp slt i64 %kk, %count
  br i1 %kmore, label %tree, label %scored
scored:
  %after = add i64 %first, %n
  %more = icmp slt i64 %after, %rows
  br i1 %more, label %block_, label %end
end:
  ret void
}}""".splitlines()
    return "\n".join(lines)


def _evaluate_top() -> list[str]:
    """Return the lines that give each row of a tile its exit from the top levels, from their lowest nodes up."""
    lines: list[str] = []
    for node in reversed(range(TOP_NODES)):
        lines += f"""
  %hp{node} = getelementptr i32, ptr %head, i64 {2 * node}
  %h{node} = load i32, ptr %hp{node}
  %hz{node} = zext i32 %h{node} to i64
  %kp{node} = getelementptr i32, ptr %head, i64 {2 * node + 1}
  %k_{node} = load i16, ptr %kp{node}
  %ki{node} = insertelement {_RANKS} undef, i16 %k_{node}, i32 0
  %ks{node} = shufflevector {_RANKS} %ki{node}, {_RANKS} undef, <{TILE} x i32> zeroinitializer
  %xc{node} = getelementptr ptr, ptr %columns, i64 %hz{node}
  %xa{node} = load ptr, ptr %xc{node}
  %xp{node} = getelementptr i16, ptr %xa{node}, i64 %tfirst
  %x_{node} = load {_RANKS}, ptr %xp{node}, align 64
  %right{node} = icmp ugt {_RANKS} %x_{node}, %ks{node}""".splitlines()
        below = 2 * node + 1
        if below >= TOP_NODES:
            lines.append(f"  %path{node} = zext <{TILE} x i1> %right{node} to {_RANKS}")
            continue
        exits = 2 ** (TOP - (node + 1).bit_length())  # below each child
        those = ", ".join([f"i16 {exits}"] * TILE)
        lines += f"""
  %far{node} = or {_RANKS} %path{below + 1}, <{those}>
  %path{node} = select <{TILE} x i1> %right{node}, {_RANKS} %far{node}, {_RANKS} %path{below}""".splitlines()
    return lines


def _descend() -> list[str]:
    """Return the lines that descend from the exits: `sure` levels without a test, then until all rows are at leaves."""
    lines = ["  br label %step", "step:"]
    lines += [f"  %n{j} = phi i64 [ %start{j}, %few ], [ %nn{j}, %step ]" for j in range(ROWS_ABREAST)]
    lines += ["  %gone = phi i64 [ 1, %few ], [ %gonenext, %step ]", "  %gonenext = add i64 %gone, 1"]
    lines += _step("n")
    lines += ["  %early = icmp slt i64 %gone, %sure", "  br i1 %early, label %step, label %look", "look:"]
    lines += [f"  %f{j} = phi i64 [ %nn{j}, %step ], [ %ff{j}, %look ]" for j in range(ROWS_ABREAST)]
    lines += _step("f")
    moving = "%wf0"
    for j in range(1, ROWS_ABREAST):
        lines.append(f"  %any{j} = or i64 {moving}, %wf{j}")
        moving = f"%any{j}"
    lines += [f"  %lacking = and i64 {moving}, {0xFFFF0000}", "  %moving = icmp ne i64 %lacking, 0"]
    return [*lines, "  br i1 %moving, label %look, label %arrived", "arrived:"]


def _step(name: str) -> list[str]:
    """Return the lines of one level: bits 0 to 15 of a node are its column; bits 16 to 31, added to a rank, carry."""
    lines: list[str] = []
    for j in range(ROWS_ABREAST):
        at = f"{name}{j}"
        lines += f"""
  %p{at} = getelementptr i64, ptr %root, i64 %{at}
  %w{at} = load i64, ptr %p{at}
  %c{at} = and i64 %w{at}, 65535
  %xc{at} = getelementptr i64, ptr %row, i64 %c{at}
  %xj{at} = getelementptr i32, ptr %xc{at}, i64 {j}
  %x{at} = load i32, ptr %xj{at}
  %xz{at} = zext i32 %x{at} to i64
  %d{at} = add i64 %w{at}, %xz{at}
  %{name}{at} = lshr i64 %d{at}, 32""".splitlines()
    return lines
