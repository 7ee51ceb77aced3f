"""Notebooks with edge cases of cells, each a list of cells, executed by the standard and the warm engine."""
