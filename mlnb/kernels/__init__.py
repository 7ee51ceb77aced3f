"""Executing notebooks with papermill, each worker process one notebook at a time. Knows nothing of mlnb but its errors."""
