"""LLVM IR that sums linear models: one addition after the other, in the order in which the models add."""

ROWS_ABREAST = 8  # rows whose sums run side by side, because each addition depends on the one before


def write_sums() -> str:
    """Return a module of `add_terms`, for columns of distinct values, and `add_numbers`, for columns of numbers."""
    return "\n".join([_add_terms(), _ADD_NUMBERS])


def _add_terms() -> str:
    """Return `add_terms`: adds to each sum the `width` terms of the row's code in a table, in order.

    Touches up to `ROWS_ABREAST` - 1 sums beyond the last.
    """
    each = range(ROWS_ABREAST)
    lines = """
define void @add_terms(ptr %table, i64 %width, ptr %codes, i64 %rows, ptr %sums) {
start:
  %last = sub i64 %rows, 1
  br label %few
few:
  %i = phi i64 [ 0, %start ], [ %next, %added ]
  %s = getelementptr double, ptr %sums, i64 %i""".splitlines()
    for j in each:
        lines += f"""
  %i{j} = add i64 %i, {j}
  %in{j} = icmp slt i64 %i{j}, %rows
  %at{j} = select i1 %in{j}, i64 %i{j}, i64 %last
  %pp{j} = getelementptr i32, ptr %codes, i64 %at{j}
  %p{j} = load i32, ptr %pp{j}
  %code{j} = sext i32 %p{j} to i64
  %first{j} = mul i64 %code{j}, %width
  %t{j} = getelementptr double, ptr %table, i64 %first{j}
  %sp{j} = getelementptr double, ptr %s, i64 {j}
  %s{j} = load double, ptr %sp{j}""".splitlines()
    lines += ["  br label %term", "term:", "  %k = phi i64 [ 0, %few ], [ %kk, %term ]"]
    lines += [f"  %x{j} = phi double [ %s{j}, %few ], [ %y{j}, %term ]" for j in each]
    for j in each:
        lines += f"""
  %vp{j} = getelementptr double, ptr %t{j}, i64 %k
  %v{j} = load double, ptr %vp{j}
  %y{j} = fadd double %x{j}, %v{j}""".splitlines()
    lines += [
        "  %kk = add i64 %k, 1",
        "  %kmore = icmp slt i64 %kk, %width",
        "  br i1 %kmore, label %term, label %added",
    ]
    lines += ["added:", *(f"  store double %y{j}, ptr %sp{j}" for j in each)]
    lines += f"""
  %next = add i64 %i, {ROWS_ABREAST}
  %more = icmp slt i64 %next, %rows
  br i1 %more, label %few, label %end
end:
  ret void
}}""".splitlines()
    return "\n".join(lines)


# As `scale_columns` of `numpy_models`: fill, subtract, divide, clip; then the weight. The numbers are a stride apart;
# the parameters are fill, mean, scale, lower and upper bound, and weight.
_ADD_NUMBERS = """
define void @add_numbers(ptr %numbers, i64 %stride, i64 %rows, ptr %parameters, ptr %sums) {
start:
  %fill = load double, ptr %parameters
  %fp1 = getelementptr double, ptr %parameters, i64 1
  %mean = load double, ptr %fp1
  %fp2 = getelementptr double, ptr %parameters, i64 2
  %by = load double, ptr %fp2
  %fp3 = getelementptr double, ptr %parameters, i64 3
  %least = load double, ptr %fp3
  %fp4 = getelementptr double, ptr %parameters, i64 4
  %most = load double, ptr %fp4
  %fp5 = getelementptr double, ptr %parameters, i64 5
  %weight = load double, ptr %fp5
  br label %row
row:
  %i = phi i64 [ 0, %start ], [ %next, %row ]
  %at = mul i64 %i, %stride
  %p = getelementptr double, ptr %numbers, i64 %at
  %found = load double, ptr %p
  %gone = fcmp uno double %found, %found
  %x = select i1 %gone, double %fill, double %found
  %moved = fsub double %x, %mean
  %z = fdiv double %moved, %by
  %low = fcmp olt double %z, %least
  %raised = select i1 %low, double %least, double %z
  %high = fcmp ogt double %raised, %most
  %cut = select i1 %high, double %most, double %raised
  %term = fmul double %cut, %weight
  %s = getelementptr double, ptr %sums, i64 %i
  %sum = load double, ptr %s
  %added = fadd double %sum, %term
  store double %added, ptr %s
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %rows
  br i1 %more, label %row, label %end
end:
  ret void
}"""
