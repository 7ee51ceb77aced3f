"""Experiment tracking: W&B in the background, and the results of a run for trackers, reports and commands."""
