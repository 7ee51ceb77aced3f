"""Versions of models, the names that point to them, and the audit log that says why."""
