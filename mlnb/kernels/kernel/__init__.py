"""Runs in the forked kernel: IPython on one socket, and snapshots of its state."""
