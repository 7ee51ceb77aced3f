"""Runs and models from Python, as `mlnb.run`, `mlnb.runs`, `mlnb.latest`, `mlnb.load_model` and `mlnb.promote`."""
