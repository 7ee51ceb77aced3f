"""Hides a module that jsonschema imports if it can: it reads a grammar for 2 s, for a format that nothing here has."""

import sys

sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
