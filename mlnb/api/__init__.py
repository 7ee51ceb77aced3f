"""Runs, models and estimators from Python: what the public names of the package `mlnb` refer to."""
