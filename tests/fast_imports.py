"""Makes collection cheaper; imported before anything else that a test imports."""

import gc
import sys

# A module that jsonschema imports if it can: it takes 1.5 s to read a grammar, for a format that no schema here has.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

# Collection creates half a million objects that stay: the garbage collector would visit them again and again.
gc.disable()
