"""Check what a release needs, the form of CHANGELOG.md and one version in all files: the check `release`.

python scripts/release.py               print what is wrong, and exit with 1 if anything is
python scripts/release.py --tag v0.2.0  also compare the tag with the version and the newest release of the changelog

CHANGELOG.md follows https://keepachangelog.com: versions, the newest first, each with sections of list entries.
"""

import argparse
import configparser
import re
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
VERSION = r"\d+\.\d+\.\d+(?:[-.]?(?:a|b|rc|dev)\.?\d+)?"
RELEASE = re.compile(rf"\[({VERSION})\] - (\d{{4}}-\d\d-\d\d|in development)( \[YANKED\])?")
CITATION = {"cff-version", "message", "title", "authors", "version", "type", "abstract", "license", "keywords"}


def changelog_problems(text: str) -> Iterator[str]:
    """Yield what is wrong with a changelog, with the number of the line."""
    lines = text.splitlines()
    if not lines or lines[0] != "# Changelog":
        yield "line 1: expected the title '# Changelog'"
    headings = [(number, line[3:]) for number, line in enumerate(lines, 1) if line.startswith("## ")]
    if not headings or headings[0][1] != "[Unreleased]":
        yield "expected '## [Unreleased]' as the first version"
    released: list[tuple[int, ...]] = []
    for number, heading in headings[1:]:
        match = RELEASE.fullmatch(heading)
        if match is None or not is_date(match[2]):
            yield f"line {number}: found '## {heading}', expected '## [1.2.3] - 2026-01-31'"
            continue
        released.append(tuple(map(int, re.findall(r"\d+", match[1])[:3])))
    if released != sorted(released, reverse=True):
        yield "expected the newest version first"
    yield from section_problems(lines)


def section_problems(lines: list[str]) -> Iterator[str]:
    """Yield what is wrong with the sections of the versions and with their entries."""
    seen: set[str] = set()
    in_section = False
    for number, line in enumerate(lines, 1):
        if line.startswith("## "):
            seen, in_section = set(), False
        elif line.startswith("### "):
            name = line[4:]
            if name not in SECTIONS:
                yield f"line {number}: found '{line}', expected one of {', '.join(SECTIONS)}"
            if name in seen:
                yield f"line {number}: the section {name} occurs twice in a version; merge the two"
            seen.add(name)
            in_section = True
        elif in_section and line and not line.startswith(("- ", "  ", "[", "#### ")):
            yield f"line {number}: found {line[:40]!r}, expected an entry '- ...' or its continuation"


def is_date(text: str) -> bool:
    """Return whether a text is a date of the calendar, or stands for a release that is not out."""
    try:
        return text == "in development" or bool(date.fromisoformat(text))
    except ValueError:
        return False


def citation_problems(citation: Any, version: str) -> Iterator[str]:
    """Yield what is wrong with the contents of CITATION.cff, format 1.2.0.

    Args:
        citation: the contents.
        version: of the project.
    """
    if not isinstance(citation, dict):
        yield "CITATION.cff: expected keys and values"
        return
    for key in sorted({"cff-version", "message", "title", "authors"} - set(citation)):
        yield f"CITATION.cff: expected the key {key}"
    for key in sorted(set(citation) - CITATION - {"date-released", "repository-code", "url"}):
        yield f"CITATION.cff: unknown key {key}"
    if citation.get("cff-version") != "1.2.0":
        yield f"CITATION.cff: found cff-version {citation.get('cff-version')!r}, expected 1.2.0"
    if citation.get("version") != version:
        yield f"CITATION.cff: found version {citation.get('version')!r}, expected {version}, as in settings.ini"
    authors = citation.get("authors")
    if not isinstance(authors, list) or not authors or not all(map(is_author, authors)):
        yield "CITATION.cff: expected authors with a name, or with family-names and given-names"


def is_author(author: Any) -> bool:
    """Return whether an entry names a person or an organization."""
    return isinstance(author, dict) and ("name" in author or {"family-names", "given-names"} <= set(author))


def problems(tag: str | None = None) -> list[str]:
    """Return what is wrong, with the files of this repository.

    Args:
        tag: of the release; None: no release is due.
    """
    settings = configparser.ConfigParser(interpolation=None)
    settings.read(ROOT / "settings.ini", encoding="utf-8")
    version = settings["DEFAULT"]["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    lines = [f"CHANGELOG.md: {problem}" for problem in changelog_problems(changelog)]
    lines += citation_problems(yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8")), version)
    package = re.search(r'^__version__ = "(.+)"$', (ROOT / "mlnb/__init__.py").read_text(encoding="utf-8"), re.M)
    if package is None or package[1] != version:
        lines.append(f'mlnb/__init__.py: expected __version__ = "{version}", as in settings.ini: nbdev_export')
    return lines + (list(tag_problems(tag, version, changelog)) if tag else [])


def tag_problems(tag: str, version: str, changelog: str) -> Iterator[str]:
    """Yield what differs between a tag, the version of the project and the newest release of the changelog."""
    if tag != f"v{version}":
        yield f"the tag is {tag}, but settings.ini has version {version}; expected the tag v{version}"
    newest = next((match for match in RELEASE.finditer(changelog)), None)
    if newest is None or newest[1] != version or newest[2] == "in development":
        yield f"CHANGELOG.md: expected '## [{version}] - DATE' as the newest release: move [Unreleased] to it"


def main() -> int:
    """Print what is wrong; return 0 when nothing is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="tag of the release, such as v0.2.0")
    lines = problems(parser.parse_args().tag)
    print("".join(f"{line}\n" for line in lines), end="", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
