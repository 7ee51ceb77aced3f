"""Batch scoring: files of any size, streamed through a run's model on all cores; a job is resumable."""
