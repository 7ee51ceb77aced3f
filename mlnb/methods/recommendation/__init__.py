"""Recommendation: interaction logs, item neighbors, factor models, candidates, and recommenders."""
