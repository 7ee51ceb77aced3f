"""Erase the rows of a person from everything that a project stores, with tombstones, a journal and holds."""
