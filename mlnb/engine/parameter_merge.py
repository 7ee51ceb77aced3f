"""Three-way merge of parameters cells, parameter by parameter: type, default and comment each by itself."""

import ast
import io
import tokenize
from dataclasses import dataclass, field

from mlnb.engine.digests import parse_python
from mlnb.engine.three_way import Status, merge_items, merge_value


@dataclass(frozen=True)
class ParameterLines:
    """The lines of one parameter. `text` is their layout, which does not count when two are compared."""

    above: str  # comment and blank lines before it
    annotation: str
    default: str
    comment: str
    text: str = field(compare=False)


def merge_parameters(base: str, ours: str, theirs: str) -> tuple[str, str] | None:
    """Return the merged source of a parameters cell, and the lines of the new version that conflict with ours.

    In a conflict the merged source keeps our lines; the second text is empty when there is none. Returns None when one
    of the cells holds anything but declarations of parameters.
    """
    old, mine, new = (_read(source) for source in (base, ours, theirs))
    if old is None or mine is None or new is None:
        return None
    merged = merge_items(old[0], mine[0], new[0], _combine)
    conflicts = []
    for item in merged:
        if item.status is Status.CONFLICT:
            conflicts.append(item.theirs.text if item.theirs else f"# the new version has no {item.key}")
    source = "\n".join(f"{item.value.above}{item.value.text}" for item in merged if item.value) + mine[1]
    return None if _read(source) is None else (source, "\n".join(conflicts))


def _combine(
    name: str, base: ParameterLines | None, ours: ParameterLines, theirs: ParameterLines
) -> tuple[ParameterLines, ParameterLines | None] | None:
    if base is None:
        return None
    above, _ = merge_value(base.above, ours.above, theirs.above)
    annotation, annotation_conflict = merge_value(base.annotation, ours.annotation, theirs.annotation)
    default, default_conflict = merge_value(base.default, ours.default, theirs.default)
    comment, comment_conflict = merge_value(base.comment, ours.comment, theirs.comment)
    parts = (annotation, default, comment)
    same = next((side for side in (ours, theirs) if parts == (side.annotation, side.default, side.comment)), None)
    text = same.text if same else f"{name}: {annotation} = {default}" + (f"  # {comment}" if comment else "")
    conflict = annotation_conflict or default_conflict or comment_conflict
    return ParameterLines(above, *parts, text), theirs if conflict else None


def _read(source: str) -> tuple[dict[str, ParameterLines], str] | None:
    """Return the parameters of a cell by name and the text after the last one; None when the cell holds other code."""
    if "\r" in source:  # a line end for `ast`, not for a notebook
        return None
    try:
        tree = parse_python(source)
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return None
    comments = {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}
    lines = source.split("\n")
    parameters: dict[str, ParameterLines] = {}
    done = 0
    for node in tree.body:
        last = node.end_lineno or node.lineno
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None):
            return None
        if node.lineno <= done or node.target.id in parameters:
            return None
        above = "".join(f"{line}\n" for line in lines[done : node.lineno - 1])
        comment = next((comments[line] for line in range(last, node.lineno - 1, -1) if line in comments), "")
        parameters[node.target.id] = ParameterLines(
            above,
            ast.unparse(node.annotation),
            ast.get_source_segment(source, node.value) or "",
            comment.lstrip("#").strip(),
            "\n".join(lines[node.lineno - 1 : last]),
        )
        done = last
    return parameters, "".join(f"\n{line}" for line in lines[done:])
