"""Splits, folds, and the examples that models are trained on."""
