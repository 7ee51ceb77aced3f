"""Building a bento from a run's model, and verifying it over HTTP."""
