"""Metrics per task, their directions and bounds, and goals stated in words."""
