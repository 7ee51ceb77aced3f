"""README and guides: commands parse, links resolve, and parameters, paths and targets exist."""

import argparse
import importlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlnb.cli.example_notebooks import EXAMPLES
from mlnb.cli.main import COMMANDS
from mlnb.engine.notebook import read_notebooks

ROOT = Path(__file__).resolve().parents[1]
GUIDES = sorted((ROOT / "nbs" / "guides").glob("*.ipynb"))
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", ROOT / "nbs" / "index.ipynb", *GUIDES]
STAGES = read_notebooks(ROOT / "nbs" / "stages")
# `mlnb new --with-model` and the like write them.
IN_PROJECTS = [path for one in EXAMPLES.values() for path in (one.file, str(Path(one.file).parent))]
PLACEHOLDERS = ("COMMAND", "VERB", "X")

pages = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


def prose(page: Path) -> str:
    """Return a page's Markdown."""
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    cells = json.loads(page.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def without_fences(text: str) -> str:
    """Return Markdown without its fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def shell_lines(text: str) -> Iterator[str]:
    """Yield the lines of shell blocks, fenced or indented, without the remarks next to them, and inline code."""
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield from block.splitlines()
    text = without_fences(text)
    for line in re.findall(r"^    (\S.*)$", text, re.MULTILINE):
        yield re.split(r"\s{2,}", line)[0]
    yield from (code for code in re.findall(r"`([^`\n]+)`", text) if code.count(" ") > 1)  # two words are a mention


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command, variables before it and the ampersand after it left out."""
    for line in shell_lines(text):
        for part in re.split(r"&&|\|", line.removesuffix("&")):
            try:
                words = shlex.split(part, comments=True)
            except ValueError:  # an apostrophe in prose
                continue
            while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
                words = words[1:]
            if words:
                yield [words[0].removeprefix(".venv/bin/"), *words[1:]]


@pages
def test_every_command_parses(page: Path) -> None:
    mlnb_commands = [words for words in commands(prose(page)) if words[0] == "mlnb" and len(words) > 1]
    for _, verb, *arguments in mlnb_commands:
        if verb in PLACEHOLDERS or verb.startswith("-"):
            continue
        assert verb in COMMANDS, f"mlnb {verb}"
        parser = argparse.ArgumentParser(prog=f"mlnb {verb}", exit_on_error=False)
        importlib.import_module(f"mlnb.cli.{COMMANDS[verb].module}").parser(parser)
        try:
            parser.parse_args(arguments)
        except (SystemExit, argparse.ArgumentError) as error:
            assert getattr(error, "code", 1) == 0, f"{shlex.join(['mlnb', verb, *arguments])}: {error}"


@pages
def test_every_mentioned_command_exists(page: Path) -> None:
    assert set(re.findall(r"`mlnb ([a-z]+)\b", prose(page))) <= COMMANDS.keys()


@pages
def test_every_link_resolves(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", without_fences(prose(page))):
        if not re.match(r"\w+:|#", link):
            assert (page.parent / link.partition("#")[0]).exists(), link


@pages
def test_every_parameter_exists(page: Path) -> None:
    for stage, name in re.findall(r"(?<![\w./-])([a-z_]+)\.([a-z_]+)\b(?!\()", prose(page)):
        if stage in STAGES and name not in ("load", "py", "ipynb"):
            assert STAGES[stage].parameter(name), f"{stage}.{name}"
    for words in commands(prose(page)):
        names = [words[at + 1] for at, word in enumerate(words[:-1]) if word == "-p" and words[0] == "mlnb"]
        for name in names:
            parameters = {parameter.name for stage in STAGES.values() for parameter in stage.parameters}
            assert name.rpartition(".")[2] in parameters, name


@pages
def test_every_script_target_and_folder_exists(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in commands(prose(page)):
        if words[0] == "make" and len(words) > 1:
            assert re.search(rf"^{re.escape(words[1])}:", makefile, re.MULTILINE), words
        if words[0].startswith("python") and len(words) > 1 and words[1].startswith(("scripts/", "benchmarks/")):
            assert (ROOT / words[1]).is_file(), words
    for path in re.findall(r"`((?:mlnb|nbs|bentos|tests|benchmarks|scripts)(?:/[\w./*-]*)?)`", prose(page)):
        assert list(ROOT.glob(path)) or path in IN_PROJECTS, path


def test_the_readme_lists_every_guide() -> None:
    listed = re.findall(r"\]\(nbs/guides/([^)]+\.ipynb)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert sorted(set(listed)) == [guide.name for guide in GUIDES]


def test_commands_are_extracted_from_pages() -> None:
    text = "```sh\n.venv/bin/mlnb run -p a 1   # why\n```\n\n    A=1 mlnb serve &  and a remark\n\n`mlnb show latest`"
    assert list(commands(text)) == [["mlnb", "run", "-p", "a", "1"], ["mlnb", "serve"], ["mlnb", "show", "latest"]]
    assert sum(len(list(commands(prose(page)))) for page in PAGES) > 100
