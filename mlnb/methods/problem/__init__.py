"""The problem contract: task, target, metric, and the requirements beside it."""
