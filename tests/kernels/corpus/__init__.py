"""Notebooks for the corners of what a cell can do: each a list of cells, run by the standard engine and by ours."""
