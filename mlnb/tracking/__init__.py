"""Who is told about a run: W&B in the background, and what a run record says for those who read it later."""
