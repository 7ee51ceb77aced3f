"""The commands in what mlnb prints: those of an output, and those of every message in the code."""

import ast
import functools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from mlnb.cli.main import COMMANDS

PACKAGE = Path(__file__).resolve().parent.parent / "mlnb"
VERBS = "|".join(map(re.escape, COMMANDS))
MLNB = rf"mlnb (?:{VERBS})(?![\w:=])"  # `mlnb run: ...` is the beginning of an error message
PROGRAMS = rf"(?:{MLNB}|cd |curl |git |kubectl |aws )"
PATTERNS = (
    re.compile(rf"`({PROGRAMS}[^`]*)`"),
    re.compile(rf"^ *(?:debug|continue)? *({PROGRAMS}.*?)(?: {{3,}}.*)?$", re.MULTILINE),
    re.compile(rf": ({PROGRAMS}.*?)\.?$", re.MULTILINE),
)
VALUE = "VALUE"  # instead of what a message inserts


def printed_commands(output: str) -> list[str]:
    """Return the command lines in an output, in its order: in backticks, on a line alone, or after a colon."""
    matches = sorted((match.start(1), match[1].strip()) for pattern in PATTERNS for match in pattern.finditer(output))
    return list(dict.fromkeys(command for _, command in matches))


@functools.cache
def commands_in_messages() -> dict[str, str]:
    """Return the `mlnb` commands of all messages, with VALUE for what they insert, and the first module of each."""
    commands: dict[str, str] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        source = path.read_text("utf-8")
        for text in _messages(ast.parse(source)) if re.search(MLNB, source) else ():
            for match in re.finditer(rf"(`?)\b({MLNB}[^`\n]*)", text):
                command = _as_printed(match[2], quoted=bool(match[1]))
                commands.setdefault(command, path.relative_to(PACKAGE).as_posix())
    return commands


def as_pattern(command: str) -> re.Pattern[str]:
    """Return a pattern of the printed commands that a message's command stands for."""
    words = (".+" if word.isupper() else re.escape(word).replace(VALUE, ".+") for word in command.split())
    return re.compile(" ".join(words) + r"(?: .*)?")


def _as_printed(command: str, quoted: bool) -> str:
    """Return a command without the sentence after it."""
    sentence = r" (?:writes|then|and|or|adds|shows|compares) "
    end = re.search(r" \|\| | --> |<" if quoted else rf" {{2,}}|[;)<]|\.$|, | \|\| | -->|{sentence}", f"{command} ")
    return command[: end.start() if end else None].strip().removesuffix(".")


def _messages(tree: ast.Module) -> Iterator[str]:
    """Yield the texts of a module, with VALUE for inserted values; neither docstrings nor help texts."""
    left_out: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))
        elif isinstance(node, ast.FunctionDef) and node.name == "parser":
            left_out.update(id(one) for one in ast.walk(node))
        elif isinstance(node, ast.JoinedStr):
            left_out.update(id(one) for one in node.values)
    for node in ast.walk(tree):
        if id(node) in left_out or (isinstance(node, ast.Constant) and "examples:\n" in str(node.value)):
            continue
        if isinstance(node, ast.JoinedStr):
            parts = (one.value if isinstance(one, ast.Constant) else VALUE for one in node.values)
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def words_of(command: str) -> list[str]:
    """Return the words of one command line, as a shell splits it; operators such as && are words."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    return list(lexer)
