"""Probability calibration, conformal intervals, and fitting the decision."""
