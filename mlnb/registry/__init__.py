"""Model versions, the aliases that point to them, and the audit log of every change."""
