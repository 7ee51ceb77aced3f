"""Evidence about runs: the run manifest, and its verification."""
