"""Files that `mlnb export --to text` copies beside a model: Python alone runs them, and none imports another.

`scorer.py` is always there and is a page for a winner made of trees; it reads the others only where a model needs them.
"""
