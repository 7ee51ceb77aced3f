"""Data audit: validation, target leakage, associations, split proposals."""
