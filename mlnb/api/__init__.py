"""Runs and models from Python: `mlnb.run`, `runs`, `latest`, `load_model`, `promote` and `write_reports`."""
