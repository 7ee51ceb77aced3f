"""YAML as a person writes it: keys in the order in which they were added, texts of several lines as blocks."""

from collections.abc import Sequence
from typing import Any

import yaml


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(documents: Sequence[Any]) -> str:
    """Return documents as YAML."""
    return str(yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, width=1000, allow_unicode=True))
