"""Standalone Python files that `mlnb export --to text` copies next to a model; none imports another, or a package.

`scorer.py` is always copied and is enough for trees; it reads the others only where a model needs them. Tests compare
all of them with the service.
"""
