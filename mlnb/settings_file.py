"""Reads settings.ini."""

import configparser
from pathlib import Path

from mlnb.errors import ProjectError

Sections = dict[str, dict[str, str]]


def read_sections(path: Path) -> Sections:
    """Return the keys and texts of each section of settings.ini; empty when there is no such file.

    Raises:
        ProjectError: The file cannot be read.
    """
    parser = configparser.ConfigParser(default_section="(no defaults)", interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(path.read_text(encoding="utf-8").removeprefix("\ufeff"), source=str(path))
    except FileNotFoundError:
        return {}
    except (configparser.Error, OSError, UnicodeDecodeError) as error:
        raise ProjectError(f"{path} cannot be read: {error}") from error
    return {name: dict(parser[name]) for name in parser.sections()}
