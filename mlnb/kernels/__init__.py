"""Executing notebooks with papermill, one at a time in each worker process; knows nothing of the rest of mlnb."""
