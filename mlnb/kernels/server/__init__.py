"""Runs in the warm parent: imports libraries ahead and forks a kernel for each notebook."""
