"""Runs in the worker process: executes notebooks with papermill on warm or standard kernels."""
