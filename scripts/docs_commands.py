"""Pages of the documentation site about the commands, from their parsers."""

import argparse
import importlib
from collections.abc import Iterator

from docs_notebooks import fence

from mlnb.cli.main import COMMANDS, EXAMPLES, HelpFormatter


def command_parser(name: str) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    parser = argparse.ArgumentParser(
        prog=f"mlnb {name}", description=COMMANDS[name].help, formatter_class=HelpFormatter
    )
    importlib.import_module(f"mlnb.cli.{COMMANDS[name].module}").parser(parser)
    return parser


def command_page(name: str) -> str:
    """Return the page of one command: what it does, usage, arguments and examples."""
    title = COMMANDS[name].help
    texts = [f"# mlnb {name}", f"{title[0].upper()}{title[1:]}.", *sections(command_parser(name), 2)]
    return "\n\n".join(texts) + "\n"


def sections(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    """Yield usage, arguments and examples of a parser, then those of its subcommands."""
    yield fence(parser.format_usage().removeprefix("usage: ").strip(), "text")
    subcommands: dict[str, argparse.ArgumentParser] = {}
    rows = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            subcommands |= dict(action.choices)
        elif action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):
            rows.append(f"| {argument(parser, action)} | {cell((action.help or '') % names(parser, action))} |")
    if rows:
        yield "\n".join(["| argument | meaning |", "|---|---|", *rows])
    if parser.epilog:
        yield fence(parser.epilog.strip(), "text")
    for name, subparser in subcommands.items():
        yield f"{'#' * level} {subparser.prog if subparser.prog else name}"
        if subparser.description:
            yield subparser.description
        yield from sections(subparser, level + 1)


def names(parser: argparse.ArgumentParser, action: argparse.Action) -> dict[str, object]:
    """Return the values that a help text may refer to, such as `%(default)s`."""
    return {**vars(action), "prog": parser.prog}


def argument(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    """Return an argument as it is written on the command line."""
    formatter = parser._get_formatter()
    return f"`{cell(formatter._format_action_invocation(action))}`"


def cell(text: str) -> str:
    """Return a text for a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def overview_page() -> str:
    """Return the page that lists the commands."""
    rows = [f"| [mlnb {name}]({name}.md) | {cell(command.help)} |" for name, command in COMMANDS.items()]
    table = "\n".join(["| command | purpose |", "|---|---|", *rows])
    return f"# Commands\n\n{table}\n\n{fence(EXAMPLES.strip(), 'text')}\n"
