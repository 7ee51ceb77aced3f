"""Runs and models from Python, as `mlnb.run`, `mlnb.runs`, `mlnb.latest` and `mlnb.load_model`."""
