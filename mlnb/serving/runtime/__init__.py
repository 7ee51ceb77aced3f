"""Everything that a request touches."""
