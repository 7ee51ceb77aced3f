"""Evaluation on the held-out test set: metrics, slices, fairness, robustness, explanations."""
