"""Files of any size, scored by a run's model: streaming, on all cores, resumable, no row lost."""
